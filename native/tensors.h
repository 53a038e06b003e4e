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

typedef struct {
    PyObject *each[MOST_INPUTS]; /* bytes: the numbers of each input as they lie in memory, and room behind them */
    Py_ssize_t rows;             /* that are in them */
} Blocks;

/* Reads a body behind the rows that the blocks hold, which count it once their `rows` do. How many rows it has; 0 for a
   body that is left to others, and with an error set where there is no memory: then a block may be NULL. */
Py_ssize_t staytrue_read(const Inputs *inputs, PyObject *body, Blocks *blocks);

#endif
