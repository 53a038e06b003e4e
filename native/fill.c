#include "fill.h"

#include "native.h"
#include "texts.h"

#define DOUBLE 8

/* As MessagePack has it: the byte that counts most is the first. */
static char *put_double(char *to, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, DOUBLE);
    for (int byte = DOUBLE - 1; byte >= 0; byte--) {
        *to++ = (char)(bits >> 8 * byte & 0xff);
    }
    return to;
}

/* The error of what is not as staytrue/filling.py makes it. */
static Py_ssize_t unfit(const char *expected)
{
    return PyErr_Occurred() ? -1 : (PyErr_Format(PyExc_ValueError, "fill: expected %s", expected), -1);
}

static Py_ssize_t length_of(const Filling *filling)
{
    Py_ssize_t length = TIMES * DOUBLE, count = PyList_GET_SIZE(filling->columns);
    if (count != PyList_GET_SIZE(filling->lengths) || PyList_GET_SIZE(filling->parts) != TIMES + count) {
        return unfit("a part for each time, and a part and a length for each column");
    }
    for (Py_ssize_t at = 0; at < TIMES + count; at++) {
        PyObject *part = PyList_GET_ITEM(filling->parts, at);
        if (!PyBytes_Check(part)) {
            return unfit("parts of bytes");
        }
        length += PyBytes_GET_SIZE(part);
    }
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *column = PyList_GET_ITEM(filling->columns, at);
        Py_ssize_t expected = PyLong_AsSsize_t(PyList_GET_ITEM(filling->lengths, at));
        if (!PyBytes_Check(column) || PyBytes_GET_SIZE(column) != expected) {
            return unfit("columns of bytes, as long as told");
        }
        length += expected;
    }
    return length;
}

static int is_tuple(PyObject *given, Py_ssize_t length) { return PyTuple_Check(given) && PyTuple_GET_SIZE(given) == length; }

Py_ssize_t staytrue_begin_fill(Filling *filling, PyObject *given)
{
    if (!is_tuple(given, 3) || !is_tuple(PyTuple_GET_ITEM(given, 0), 2) || !is_tuple(PyTuple_GET_ITEM(given, 1), TIMES)) {
        return unfit("parts and lengths, four times, and columns");
    }
    PyObject *made = PyTuple_GET_ITEM(given, 0), *times = PyTuple_GET_ITEM(given, 1);
    filling->parts = PyTuple_GET_ITEM(made, 0);
    filling->lengths = PyTuple_GET_ITEM(made, 1);
    filling->columns = PyTuple_GET_ITEM(given, 2);
    if (!PyList_Check(filling->parts) || !PyList_Check(filling->lengths) || !PyList_Check(filling->columns)) {
        return unfit("lists");
    }
    for (int at = 0; at < TIMES; at++) {
        PyObject *number = PyTuple_GET_ITEM(times, at);
        if (!PyFloat_Check(number) && !PyLong_CheckExact(number)) {
            return unfit("times as numbers"); /* to ask another object would run what may change all that was given */
        }
        filling->times[at] = PyFloat_AsDouble(number);
        if (filling->times[at] == -1.0 && PyErr_Occurred()) {
            return -1;
        }
    }
    return length_of(filling);
}

char *staytrue_put_fill(const Filling *filling, char *to)
{
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(filling->parts); at++) {
        to = put_bytes(to, PyList_GET_ITEM(filling->parts, at));
        to = at < TIMES ? put_double(to, filling->times[at]) : put_bytes(to, PyList_GET_ITEM(filling->columns, at - TIMES));
    }
    return to;
}

/* filled(piece): it as bytes. */
PyObject *staytrue_fill(PyObject *self, PyObject *given)
{
    (void)self;
    Filling filling;
    Py_ssize_t length = staytrue_begin_fill(&filling, given);
    PyObject *made = length < 0 ? NULL : PyBytes_FromStringAndSize(NULL, length);
    if (made != NULL) {
        staytrue_put_fill(&filling, PyBytes_AS_STRING(made));
    }
    return made;
}
