/* Puts texts together that differ in little: what stands around the gaps, and what stands in them. */

#include "native.h"

#include <string.h>

static int all_bytes(PyObject *list)
{
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(list); at++) {
        if (!PyBytes_Check(PyList_GET_ITEM(list, at))) {
            return 0;
        }
    }
    return 1;
}

static char *put(char *to, PyObject *bytes)
{
    memcpy(to, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    return to + PyBytes_GET_SIZE(bytes);
}

/* weave(around, columns): around is a list of one more bytes than there are columns; each a list of bytes. */
PyObject *staytrue_weave(PyObject *self, PyObject *const *given, Py_ssize_t count)
{
    (void)self;
    if (count != 2 || !PyList_CheckExact(given[0]) || !PyTuple_CheckExact(given[1])) {
        PyErr_SetString(PyExc_TypeError, "weave: expected a list and a tuple");
        return NULL;
    }
    PyObject *around = given[0], *columns = given[1];
    Py_ssize_t gaps = PyTuple_GET_SIZE(columns), rows = -1, fixed = 0;
    if (PyList_GET_SIZE(around) != gaps + 1 || !all_bytes(around)) {
        PyErr_SetString(PyExc_ValueError, "around: expected bytes, one more than columns");
        return NULL;
    }
    for (Py_ssize_t gap = 0; gap < gaps; gap++) {
        PyObject *column = PyTuple_GET_ITEM(columns, gap);
        if (!PyList_CheckExact(column) || (rows >= 0 && PyList_GET_SIZE(column) != rows) || !all_bytes(column)) {
            PyErr_SetString(PyExc_ValueError, "columns: expected lists of bytes, all of one length");
            return NULL;
        }
        rows = PyList_GET_SIZE(column);
    }
    for (Py_ssize_t at = 0; at <= gaps; at++) {
        fixed += PyBytes_GET_SIZE(PyList_GET_ITEM(around, at));
    }
    PyObject *made = PyList_New(rows < 0 ? 0 : rows);
    for (Py_ssize_t row = 0; made != NULL && row < rows; row++) {
        Py_ssize_t length = fixed;
        for (Py_ssize_t gap = 0; gap < gaps; gap++) {
            length += PyBytes_GET_SIZE(PyList_GET_ITEM(PyTuple_GET_ITEM(columns, gap), row));
        }
        PyObject *text = PyBytes_FromStringAndSize(NULL, length);
        if (text == NULL) {
            Py_CLEAR(made);
            break;
        }
        char *to = put(PyBytes_AS_STRING(text), PyList_GET_ITEM(around, 0));
        for (Py_ssize_t gap = 0; gap < gaps; gap++) {
            to = put(to, PyList_GET_ITEM(PyTuple_GET_ITEM(columns, gap), row));
            to = put(to, PyList_GET_ITEM(around, gap + 1));
        }
        PyList_SET_ITEM(made, row, text);
    }
    return made;
}
