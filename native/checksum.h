#ifndef STAYTRUE_CHECKSUM_H
#define STAYTRUE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Whether this processor does it faster than zlib, which is asked where it does not. */
int staytrue_has_checksum(void);

/* CRC-32 of what stands behind something whose checksum is `before`; 0 for nothing before. */
uint32_t staytrue_checksum(const unsigned char *from, size_t length, uint32_t before);

#endif
