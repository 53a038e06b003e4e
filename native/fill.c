/* Events that differ in little, from what was made of them once. */

#include "native.h"
#include "texts.h"

#define TIMES 4 /* of each, before its columns */
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

/* How long it will be; 0 where a column is not as long as it has to be, -1 with an error set. */
static Py_ssize_t length_of(PyObject *parts, PyObject *lengths, PyObject *columns)
{
    Py_ssize_t length = TIMES * DOUBLE, count = PyList_GET_SIZE(columns);
    if (count != PyList_GET_SIZE(lengths) || PyList_GET_SIZE(parts) != TIMES + count) {
        return 0;
    }
    for (Py_ssize_t at = 0; at < TIMES + count; at++) {
        PyObject *part = PyList_GET_ITEM(parts, at);
        if (!PyBytes_Check(part)) {
            PyErr_SetString(PyExc_TypeError, "parts: expected bytes");
            return -1;
        }
        length += PyBytes_GET_SIZE(part);
    }
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *column = PyList_GET_ITEM(columns, at);
        Py_ssize_t expected = PyLong_AsSsize_t(PyList_GET_ITEM(lengths, at));
        if (expected == -1 && PyErr_Occurred()) {
            return -1;
        }
        if (!PyBytes_Check(column) || PyBytes_GET_SIZE(column) != expected) {
            return 0;
        }
        length += expected;
    }
    return length;
}

/* fill(parts, lengths, times, columns): a part, then a time, four times; then a part and a column, for each column.
   None where a column is not as long as told, or no bytes. */
PyObject *staytrue_fill(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *parts, *lengths, *columns;
    double times[TIMES];
    if (!PyArg_ParseTuple(args, "O!O!(dddd)O!", &PyList_Type, &parts, &PyList_Type, &lengths, &times[0], &times[1],
                          &times[2], &times[3], &PyList_Type, &columns)) {
        return NULL;
    }
    Py_ssize_t length = length_of(parts, lengths, columns);
    if (length <= 0) {
        return length < 0 ? NULL : Py_NewRef(Py_None);
    }
    PyObject *made = PyBytes_FromStringAndSize(NULL, length);
    if (made == NULL) {
        return NULL;
    }
    char *to = PyBytes_AS_STRING(made);
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(parts); at++) {
        to = put_bytes(to, PyList_GET_ITEM(parts, at));
        to = at < TIMES ? put_double(to, times[at]) : put_bytes(to, PyList_GET_ITEM(columns, at - TIMES));
    }
    return made;
}
