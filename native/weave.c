/* Puts texts together that differ in little. */

#include "native.h"

#include <string.h>

/* What was given: `around` holds one text more than there are columns. All are bytes. */
typedef struct {
    PyObject *around, *columns;
    Py_ssize_t gaps, rows, fixed; /* `fixed`: bytes around the gaps */
} Threads;

static int all_bytes(PyObject *list)
{
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(list); at++) {
        if (!PyBytes_Check(PyList_GET_ITEM(list, at))) {
            return 0;
        }
    }
    return 1;
}

/* 0 with an error set where it is not as it must be. */
static int take(Threads *threads, PyObject *around, PyObject *columns)
{
    if (!PyList_CheckExact(around) || !PyTuple_CheckExact(columns) || PyTuple_GET_SIZE(columns) == 0) {
        PyErr_SetString(PyExc_TypeError, "expected a list of texts and a tuple of columns");
        return 0;
    }
    *threads = (Threads){around, columns, PyTuple_GET_SIZE(columns), -1, 0};
    if (PyList_GET_SIZE(around) != threads->gaps + 1 || !all_bytes(around)) {
        PyErr_SetString(PyExc_ValueError, "around: expected bytes, one more than columns");
        return 0;
    }
    for (Py_ssize_t gap = 0; gap < threads->gaps; gap++) {
        PyObject *column = PyTuple_GET_ITEM(columns, gap);
        if (!PyList_CheckExact(column) || (gap && PyList_GET_SIZE(column) != threads->rows) || !all_bytes(column)) {
            PyErr_SetString(PyExc_ValueError, "columns: expected lists of bytes, all of one length");
            return 0;
        }
        threads->rows = PyList_GET_SIZE(column);
    }
    for (Py_ssize_t at = 0; at <= threads->gaps; at++) {
        threads->fixed += PyBytes_GET_SIZE(PyList_GET_ITEM(around, at));
    }
    return 1;
}

static inline PyObject *held(const Threads *threads, Py_ssize_t gap, Py_ssize_t row)
{
    return PyList_GET_ITEM(PyTuple_GET_ITEM(threads->columns, gap), row);
}

static Py_ssize_t length_of(const Threads *threads, Py_ssize_t row)
{
    Py_ssize_t length = threads->fixed;
    for (Py_ssize_t gap = 0; gap < threads->gaps; gap++) {
        length += PyBytes_GET_SIZE(held(threads, gap, row));
    }
    return length;
}

static char *put(char *to, PyObject *bytes)
{
    memcpy(to, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    return to + PyBytes_GET_SIZE(bytes);
}

/* Writes the text of a row, which is as long as length_of says. */
static void write_row(const Threads *threads, Py_ssize_t row, char *to)
{
    to = put(to, PyList_GET_ITEM(threads->around, 0));
    for (Py_ssize_t gap = 0; gap < threads->gaps; gap++) {
        to = put(to, held(threads, gap, row));
        to = put(to, PyList_GET_ITEM(threads->around, gap + 1));
    }
}

/* weave(around, columns): a text for each row. */
PyObject *staytrue_weave(PyObject *self, PyObject *const *given, Py_ssize_t count)
{
    (void)self;
    Threads threads;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "weave: expected two arguments");
        return NULL;
    }
    if (!take(&threads, given[0], given[1])) {
        return NULL;
    }
    PyObject *made = PyList_New(threads.rows);
    for (Py_ssize_t row = 0; made != NULL && row < threads.rows; row++) {
        PyObject *text = PyBytes_FromStringAndSize(NULL, length_of(&threads, row));
        if (text == NULL) {
            Py_CLEAR(made);
            break;
        }
        write_row(&threads, row, PyBytes_AS_STRING(text));
        PyList_SET_ITEM(made, row, text);
    }
    return made;
}
