#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <float.h>
#include <stdint.h>
#include <string.h>

#include "numbers.h"

#define MOST_DIGITS 19   /* as many always fit into 64 bits */
#define MOST_EXPONENT 27 /* the largest power of ten with a mantissa of 64 bits */
#define MOST_LENGTH 64   /* of a number that is read the slow way */

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define MOST_EXACT 22 /* the largest power of ten that is a double */

#if LDBL_MANT_DIG == 64
static const long double LONG_POWERS[] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,  1e7L,  1e8L,  1e9L,
                                          1e10L, 1e11L, 1e12L, 1e13L, 1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L,
                                          1e20L, 1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};
#endif

static inline int is_digit(char c) { return (unsigned char)(c - '0') < 10; }

/* digits * 10**exponent, rounded once; 0 where this does not tell how it is rounded.

   Source: Clinger, How to read floating point numbers accurately (1990), section 3, for what is exact; with 64 bits of
   mantissa the same holds for more, unless what was rounded to 64 bits lies next to the middle of two doubles. */
static int scaled(uint64_t digits, int exponent, double *number)
{
    if (exponent == 0) {
        *number = (double)digits;
        return 1;
    }
    if (digits <= (1ULL << 53) && exponent >= -MOST_EXACT && exponent <= MOST_EXACT) {
        *number = exponent < 0 ? (double)digits / POWERS[-exponent] : (double)digits * POWERS[exponent];
        return 1;
    }
#if LDBL_MANT_DIG == 64
    if (exponent >= -MOST_EXPONENT && exponent <= MOST_EXPONENT) {
        long double found = (long double)digits;
        uint64_t mantissa;
        found = exponent < 0 ? found / LONG_POWERS[-exponent] : found * LONG_POWERS[exponent];
        memcpy(&mantissa, &found, sizeof mantissa);
        unsigned below = (unsigned)(mantissa & 0x7ff);
        if (below < 0x3ff || below > 0x401) {
            *number = (double)found;
            return 1;
        }
    }
#endif
    return 0;
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

const char *staytrue_number(const char *at, const char *end, double *number)
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
        if (digits == 0) {
            count = 0; /* zeros before the first digit that counts */
            while (at < end && *at == '0') {
                at++;
            }
        }
        const char *counts = at;
        while (at < end && is_digit(*at)) {
            digits = digits * 10 + (uint64_t)(*at++ - '0');
        }
        if (at == point) {
            return NULL;
        }
        exponent = (int)(point - at);
        count += at - counts;
    }
    if (count > MOST_DIGITS) {
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
    if (!scaled(digits, exponent, number)) {
        return slowly(begin, at, number) ? at : NULL;
    }
    if (negative) {
        *number = -*number;
    }
    return at;
}
