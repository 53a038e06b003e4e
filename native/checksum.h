/* CRC-32 of ISO 3309, as zlib computes it. */

#ifndef STAYTRUE_CHECKSUM_H
#define STAYTRUE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* To be called once, before any checksum. */
void staytrue_prepare_checksums(void);

/* Of these bytes behind others, whose checksum is `before`; 0 for none. */
uint32_t staytrue_checksum(const unsigned char *from, size_t length, uint32_t before);

#endif
