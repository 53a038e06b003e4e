/* Eight bytes at a time by tables.

   Source: Kounavis and Berry, Novel table lookup-based algorithms for high-performance CRC generation, IEEE Transactions
   on Computers 57 (2008), section 4 ("slicing-by-8"). */

#include "checksum.h"

#define POLYNOMIAL 0xedb88320u /* of ISO 3309, its bits turned round */

static uint32_t tables[8][256];

void staytrue_prepare_checksums(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t rest = byte;
        for (int bit = 0; bit < 8; bit++) {
            rest = rest & 1 ? (rest >> 1) ^ POLYNOMIAL : rest >> 1;
        }
        tables[0][byte] = rest;
    }
    for (int table = 1; table < 8; table++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = tables[table - 1][byte];
            tables[table][byte] = (before >> 8) ^ tables[0][before & 0xff];
        }
    }
}

static inline uint32_t word(const unsigned char *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

uint32_t staytrue_checksum(const unsigned char *from, size_t length, uint32_t before)
{
    uint32_t rest = ~before;
    for (; length >= 8; from += 8, length -= 8) {
        uint32_t first = rest ^ word(from), second = word(from + 4);
        rest = tables[7][first & 0xff] ^ tables[6][(first >> 8) & 0xff] ^ tables[5][(first >> 16) & 0xff] ^
               tables[4][first >> 24] ^ tables[3][second & 0xff] ^ tables[2][(second >> 8) & 0xff] ^
               tables[1][(second >> 16) & 0xff] ^ tables[0][second >> 24];
    }
    while (length--) {
        rest = (rest >> 8) ^ tables[0][(rest ^ *from++) & 0xff];
    }
    return ~rest;
}
