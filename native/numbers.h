/* Numbers as JSON writes them, to the nearest double: the one that Python's own float() gives. */

#ifndef STAYTRUE_NUMBERS_H
#define STAYTRUE_NUMBERS_H

/* Reads the number that begins at `at` and lies before `end`, which must be readable itself.
   Returns where it ends; NULL for what is no number, or one that is left to others. `patience` is how many may still be
   read the slow way, which takes several times as long; without any such a number is left to others. */
const char *staytrue_number(const char *at, const char *end, double *number, int *patience);

#endif
