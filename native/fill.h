/* Events that differ in little, from what was made of them once: what is around times and columns. */

#ifndef STAYTRUE_FILL_H
#define STAYTRUE_FILL_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define TIMES 4 /* of each, before its columns */

/* Lists: what is before each time and each column, how long each column is, and the columns. */
typedef struct {
    PyObject *parts, *lengths, *columns;
    double times[TIMES];
} Filling;

/* Takes it from Python: ((parts, lengths), times, columns), which has to outlive it. How long it will be; -1 with an
   error set, also where a column is not as long as it has to be. */
Py_ssize_t staytrue_begin_fill(Filling *filling, PyObject *given);

/* Writes it, as many bytes as were told; where it ends. */
char *staytrue_put_fill(const Filling *filling, char *to);

#endif
