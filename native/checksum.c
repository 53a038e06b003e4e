/* CRC-32 of ISO 3309, as zlib has it, by carry-less multiplication: without tables, which would have to come back to the
   processor's caches each time that something else ran meanwhile.

   Source: Gopal et al., Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction, Intel (2009): sections
   "Step 1: fold by 4" and "fold by 1" for reflected data, with its constants. What is left then, 16 bytes that have the
   same remainder as all before, is not reduced further as there, but taken as if it were read. */

#include "checksum.h"

/* A digit of four bits at a time. */
static uint32_t by_digits(const unsigned char *from, size_t length, uint32_t rest)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    while (length--) {
        rest ^= *from++;
        rest = (rest >> 4) ^ table[rest & 15];
        rest = (rest >> 4) ^ table[rest & 15];
    }
    return rest;
}

#ifdef __x86_64__

#include <immintrin.h>

#define FOLDING __attribute__((target("pclmul"))) static inline
#define LANES 4
#define WIDTH 16

int staytrue_has_checksum(void) { return __builtin_cpu_supports("pclmul"); }

FOLDING __m128i loaded(const unsigned char *from) { return _mm_loadu_si128((const __m128i *)from); }

/* What has the remainder of `before`, moved ahead of `next`. */
FOLDING __m128i folded(__m128i before, __m128i by, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(before, by, 0x00), high = _mm_clmulepi64_si128(before, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

/* All whole pieces of sixteen bytes, of which there are four at least; where it ended. */
FOLDING const unsigned char *fold(const unsigned char *from, const unsigned char *end, uint32_t rest, __m128i *left)
{
    const __m128i by_lanes = _mm_set_epi64x(0x1c6e41596, 0x154442bd4), by_one = _mm_set_epi64x(0x0ccaa009e, 0x1751997d0);
    __m128i lanes[LANES];
    for (int lane = 0; lane < LANES; lane++) {
        lanes[lane] = loaded(from + lane * WIDTH);
    }
    lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128((int)rest));
    for (from += LANES * WIDTH; end - from >= LANES * WIDTH; from += LANES * WIDTH) {
        for (int lane = 0; lane < LANES; lane++) {
            lanes[lane] = folded(lanes[lane], by_lanes, loaded(from + lane * WIDTH));
        }
    }
    for (int lane = 1; lane < LANES; lane++) {
        lanes[lane] = folded(lanes[lane - 1], by_one, lanes[lane]);
    }
    *left = lanes[LANES - 1];
    for (; end - from >= WIDTH; from += WIDTH) {
        *left = folded(*left, by_one, loaded(from));
    }
    return from;
}

__attribute__((target("pclmul"))) uint32_t staytrue_checksum(const unsigned char *from, size_t length, uint32_t before)
{
    uint32_t rest = ~before;
    const unsigned char *end = from + length;
    if (length >= LANES * WIDTH) {
        __m128i left;
        from = fold(from, end, rest, &left);
        unsigned char last[WIDTH];
        _mm_storeu_si128((__m128i *)last, left);
        rest = by_digits(last, WIDTH, 0);
    }
    return ~by_digits(from, (size_t)(end - from), rest);
}

#else

int staytrue_has_checksum(void) { return 0; }

uint32_t staytrue_checksum(const unsigned char *from, size_t length, uint32_t before)
{
    return ~by_digits(from, length, ~before);
}

#endif
