#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

#include "numbers.h"

#define MOST_DIGITS 19   /* as many always fit into 64 bits */
#define MOST_EXPONENT 27 /* the largest power of five that 64 bits hold */
#define MOST_LENGTH 64   /* of a number that is read the slow way */

/* Powers of five from -27 to 27, of which 128 bits are kept with the first of them set: those below zero rounded up, the
   others exact. */
static const uint64_t POWERS[][2] = {
    {0x9e74d1b791e07e48ULL, 0x775ea264cf55347eULL}, {0xc612062576589ddaULL, 0x95364afe032a819eULL},
    {0xf79687aed3eec551ULL, 0x3a83ddbd83f52205ULL}, {0x9abe14cd44753b52ULL, 0xc4926a9672793543ULL},
    {0xc16d9a0095928a27ULL, 0x75b7053c0f178294ULL}, {0xf1c90080baf72cb1ULL, 0x5324c68b12dd6339ULL},
    {0x971da05074da7beeULL, 0xd3f6fc16ebca5e04ULL}, {0xbce5086492111aeaULL, 0x88f4bb1ca6bcf585ULL},
    {0xec1e4a7db69561a5ULL, 0x2b31e9e3d06c32e6ULL}, {0x9392ee8e921d5d07ULL, 0x3aff322e62439fd0ULL},
    {0xb877aa3236a4b449ULL, 0x09befeb9fad487c3ULL}, {0xe69594bec44de15bULL, 0x4c2ebe687989a9b4ULL},
    {0x901d7cf73ab0acd9ULL, 0x0f9d37014bf60a11ULL}, {0xb424dc35095cd80fULL, 0x538484c19ef38c95ULL},
    {0xe12e13424bb40e13ULL, 0x2865a5f206b06fbaULL}, {0x8cbccc096f5088cbULL, 0xf93f87b7442e45d4ULL},
    {0xafebff0bcb24aafeULL, 0xf78f69a51539d749ULL}, {0xdbe6fecebdedd5beULL, 0xb573440e5a884d1cULL},
    {0x89705f4136b4a597ULL, 0x31680a88f8953031ULL}, {0xabcc77118461cefcULL, 0xfdc20d2b36ba7c3eULL},
    {0xd6bf94d5e57a42bcULL, 0x3d32907604691b4dULL}, {0x8637bd05af6c69b5ULL, 0xa63f9a49c2c1b110ULL},
    {0xa7c5ac471b478423ULL, 0x0fcf80dc33721d54ULL}, {0xd1b71758e219652bULL, 0xd3c36113404ea4a9ULL},
    {0x83126e978d4fdf3bULL, 0x645a1cac083126eaULL}, {0xa3d70a3d70a3d70aULL, 0x3d70a3d70a3d70a4ULL},
    {0xccccccccccccccccULL, 0xcccccccccccccccdULL}, {0x8000000000000000ULL, 0x0000000000000000ULL},
    {0xa000000000000000ULL, 0x0000000000000000ULL}, {0xc800000000000000ULL, 0x0000000000000000ULL},
    {0xfa00000000000000ULL, 0x0000000000000000ULL}, {0x9c40000000000000ULL, 0x0000000000000000ULL},
    {0xc350000000000000ULL, 0x0000000000000000ULL}, {0xf424000000000000ULL, 0x0000000000000000ULL},
    {0x9896800000000000ULL, 0x0000000000000000ULL}, {0xbebc200000000000ULL, 0x0000000000000000ULL},
    {0xee6b280000000000ULL, 0x0000000000000000ULL}, {0x9502f90000000000ULL, 0x0000000000000000ULL},
    {0xba43b74000000000ULL, 0x0000000000000000ULL}, {0xe8d4a51000000000ULL, 0x0000000000000000ULL},
    {0x9184e72a00000000ULL, 0x0000000000000000ULL}, {0xb5e620f480000000ULL, 0x0000000000000000ULL},
    {0xe35fa931a0000000ULL, 0x0000000000000000ULL}, {0x8e1bc9bf04000000ULL, 0x0000000000000000ULL},
    {0xb1a2bc2ec5000000ULL, 0x0000000000000000ULL}, {0xde0b6b3a76400000ULL, 0x0000000000000000ULL},
    {0x8ac7230489e80000ULL, 0x0000000000000000ULL}, {0xad78ebc5ac620000ULL, 0x0000000000000000ULL},
    {0xd8d726b7177a8000ULL, 0x0000000000000000ULL}, {0x878678326eac9000ULL, 0x0000000000000000ULL},
    {0xa968163f0a57b400ULL, 0x0000000000000000ULL}, {0xd3c21bcecceda100ULL, 0x0000000000000000ULL},
    {0x84595161401484a0ULL, 0x0000000000000000ULL}, {0xa56fa5b99019a5c8ULL, 0x0000000000000000ULL},
    {0xcecb8f27f4200f3aULL, 0x0000000000000000ULL}};

static inline int is_digit(char c) { return (unsigned char)(c - '0') < 10; }

#define MANY 8 /* digits that are read at once */
static const uint32_t TENS[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};

/* Reads digits behind others, up to the first character that is none. How many a number has is nothing that a processor
   foresees, and every wrong guess costs as much as ten digits: so the last of them are read without asking for each. */
static inline const char *read_digits(const char *at, const char *end, uint64_t *digits)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (end - at >= MANY) {
        uint64_t eight;
        memcpy(&eight, at, MANY);
        uint64_t values = eight ^ 0x3030303030303030ULL; /* of digits; what is none has one of the upper bits set then: */
        uint64_t others = (values | (values + 0x0606060606060606ULL)) & 0xf0f0f0f0f0f0f0f0ULL;
        int count = others ? __builtin_ctzll(others) / 8 : MANY;
        if (count == 0) {
            return at;
        }
        values <<= 8 * (MANY - count); /* zeros before them, nothing of what stands behind */
        values = values * 10 + (values >> 8); /* pairs, in every other byte */
        values = ((values & 0x000000ff000000ffULL) * (100 + (1000000ULL << 32)) +
                  ((values >> 16) & 0x000000ff000000ffULL) * (1 + (10000ULL << 32))) >>
                 32;
        *digits = *digits * (count == MANY ? 100000000 : TENS[count]) + (uint32_t)values;
        at += count;
        if (count < MANY) {
            return at;
        }
    }
#endif
    while (at < end && is_digit(*at)) {
        *digits = *digits * 10 + (uint64_t)(*at++ - '0');
    }
    return at;
}

/* digits * 10**exponent, rounded once; 0 where this does not tell how it is rounded.

   Source: Lemire, Number Parsing at a Gigabyte per Second (2021), section 5 to 8; with these exponents its approximation
   always tells, and what lies exactly in the middle of two doubles is seen by what is left of the product. */
static int scaled(uint64_t digits, int exponent, int negative, double *number)
{
    if (exponent == 0 || digits == 0) {
        *number = negative ? -(double)digits : (double)digits;
        return 1;
    }
#ifdef __SIZEOF_INT128__
    if (exponent >= -MOST_EXPONENT && exponent <= MOST_EXPONENT) {
        const uint64_t *power = POWERS[exponent + MOST_EXPONENT];
        int unused = __builtin_clzll(digits);
        uint64_t wide = digits << unused;
        unsigned __int128 product =
            (unsigned __int128)wide * power[0] + (uint64_t)(((unsigned __int128)wide * power[1]) >> 64);
        uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
        int above = (int)(high >> 63), shift = above + 9; /* 54 bits are left: one more than a double has */
        uint64_t mantissa = high >> shift;
        if (low <= 1 && exponent >= -4 && exponent <= 23 && (mantissa & 3) == 1 && mantissa << shift == high) {
            mantissa--; /* in the middle, and the lower one is even */
        }
        mantissa = (mantissa + (mantissa & 1)) >> 1;
        /* A carry out of the mantissa goes into the exponent, as it should. */
        uint64_t binary = (uint64_t)(((217706 * exponent) >> 16) + 63 + above - unused + 1023 - 1);
        uint64_t bits = ((binary << 52) + mantissa) | (uint64_t)negative << 63;
        memcpy(number, &bits, sizeof bits);
        return 1;
    }
#endif
    return 0;
}

/* How many digits before the first that counts. */
static Py_ssize_t zeros(const char *at, const char *end)
{
    const char *first = at;
    Py_ssize_t points = 0;
    while (at < end && (*at == '0' || *at == '.')) {
        points += *at++ == '.';
    }
    return at - first - points;
}

/* By Python's own reading, which is right for all and slower. */
static int slowly(const char *from, const char *to, double *number)
{
    char text[MOST_LENGTH];
    size_t length = (size_t)(to - from);
    if (length >= sizeof text) {
        return 0;
    }
    memcpy(text, from, length);
    text[length] = 0;
    *number = PyOS_string_to_double(text, NULL, NULL);
    if (*number == -1.0 && PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    return Py_IS_FINITE(*number);
}

const char *staytrue_number(const char *at, const char *end, double *number, int *patience)
{
    const char *begin = at;
    int negative = at < end && *at == '-', exponent = 0;
    at += negative;
    const char *first = at;
    uint64_t digits = 0;
    while (at < end && is_digit(*at)) {
        digits = digits * 10 + (uint64_t)(*at++ - '0');
    }
    Py_ssize_t count = at - first;
    if (count == 0 || (count > 1 && *first == '0')) {
        return NULL;
    }
    int whole = at >= end || (*at != '.' && *at != 'e' && *at != 'E');
    if (whole && negative && digits == 0) { /* -0 is an integer, which has no sign */
        return NULL;
    }
    if (at < end && *at == '.') {
        const char *point = ++at;
        at = read_digits(at, end, &digits);
        if (at == point) {
            return NULL;
        }
        exponent = (int)(point - at);
        count += at - point;
    }
    if (count > MOST_DIGITS && count - zeros(first, at) > MOST_DIGITS) {
        return NULL;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        int minus, power = 0;
        at++;
        minus = at < end && *at == '-';
        at += minus || (at < end && *at == '+');
        const char *start = at;
        while (at < end && is_digit(*at) && at - start < 4) {
            power = power * 10 + (*at++ - '0');
        }
        if (at == start || (at < end && is_digit(*at))) {
            return NULL;
        }
        exponent += minus ? -power : power;
    }
    if (!scaled(digits, exponent, negative, number)) {
        return (*patience)-- > 0 && slowly(begin, at, number) ? at : NULL;
    }
    return at;
}
