/* The tensors of a small request, as a model takes them. */

#ifndef STAYTRUE_TENSORS_H
#define STAYTRUE_TENSORS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define MOST_BYTES 4096              /* of a body: serving/rest/fast.py, SMALL_BYTES */
#define MOST_VALUES (MOST_BYTES / 2) /* each has a digit and a comma */
#define MOST_AXES 7 /* behind the first: staytrue/signature.py, MOST_AXES, counts that too */
#define MOST_INPUTS 64

typedef struct {
    PyObject *name, *datatype; /* bytes that JSON writes as they are */
    int single;                /* numbers of 32 bits, else of 64 */
    int axes;
    Py_ssize_t sizes[MOST_AXES]; /* behind the first axis */
    Py_ssize_t values;           /* of a row */
} Input;

typedef struct {
    Py_ssize_t most; /* rows */
    int count;
    Input each[MOST_INPUTS];
} Inputs;

/* Reads a body of at most MOST_BYTES into a list of as many places as there are inputs: the numbers of each as they lie
   in memory. Whether it could; a list that was filled in part is of no use, and an error may be set. */
int staytrue_read(const Inputs *inputs, PyObject *body, PyObject *list, Py_ssize_t *rows);

#endif
