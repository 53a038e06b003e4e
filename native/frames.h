/* Frames of the event log, as staytrue/segments.py describes them. */

#ifndef STAYTRUE_FRAMES_H
#define STAYTRUE_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#define MAGIC 4
#define HEADER 16

/* Writes the header of a payload that stands behind it already. */
void staytrue_put_header(char *frame, const char *magic, size_t length, uint32_t seed);

#endif
