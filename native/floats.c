/* Reads long flat lists of numbers within JSON: as they lie in memory, without an object or a node for any of them.

   It reads what serving/rest/spans.py reads, to the same bytes, or nothing: whatever is unusual, or wrong, is left to
   that. No byte behind the list is looked at, and as many numbers are written as there was room made for. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <math.h>
#include <string.h>

#include "native.h"
#include "numbers.h"

#define PATIENCE 64 /* a list of small numbers, with many digits each, is read sooner by others */

static inline const char *past_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

/* Numbers between brackets, and nothing else; whether there are just so many, and all of them fit. */
static int read_list(const char *at, const char *end, char *to, Py_ssize_t count, int single)
{
    if (at >= end || *at != '[') {
        return 0;
    }
    at++;
    int patience = PATIENCE;
    for (Py_ssize_t place = 0; place < count; place++) {
        double number;
        at = staytrue_number(past_space(at, end), end, &number, &patience);
        if (at == NULL) {
            return 0;
        }
        if (single) {
            float narrow = (float)number;
            if (!isfinite(narrow)) {
                return 0;
            }
            memcpy(to + 4 * place, &narrow, 4);
        } else {
            memcpy(to + 8 * place, &number, 8);
        }
        at = past_space(at, end);
        if (at >= end || *at != (place + 1 < count ? ',' : ']')) {
            return 0;
        }
        at++;
    }
    return at == end;
}

PyObject *staytrue_floats(PyObject *Py_UNUSED(self), PyObject *args)
{
    PyObject *body;
    Py_ssize_t start, end, count, width;
    if (!PyArg_ParseTuple(args, "Snnnn", &body, &start, &end, &count, &width)) {
        return NULL;
    }
    if (start < 0 || end > PyBytes_GET_SIZE(body) || start > end || count < 1 ||
        (width != 4 && width != 8)) {
        PyErr_SetString(PyExc_ValueError, "floats: expected a place within the body, and some numbers of 4 or 8 bytes");
        return NULL;
    }
    if (count > (end - start) / 2) { /* each has a digit, and a comma or bracket behind it */
        Py_RETURN_NONE;
    }
    PyObject *made = PyBytes_FromStringAndSize(NULL, count * width);
    if (made == NULL) {
        return NULL;
    }
    const char *text = PyBytes_AS_STRING(body);
    if (!read_list(text + start, text + end, PyBytes_AS_STRING(made), count, width == 4)) {
        Py_DECREF(made);
        Py_RETURN_NONE;
    }
    return made;
}
