/* Puts answers together that differ in little, and sends each by its own connection. */

#include "native.h"
#include "texts.h"

#ifdef __linux__

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#define LONGEST_NUMBER 20

/* What is before the length of a body, before a name, and behind that. */
typedef struct {
    PyObject *before, *middle, *behind;
} Lines;

static char *put_number(char *to, Py_ssize_t number)
{
    char digits[LONGEST_NUMBER];
    int count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (count) {
        *to++ = digits[--count];
    }
    return to;
}

/* Sends what can be sent at once; notes what is left in `left`, None where the caller is gone. 0 with an error set. */
static int send_one(PyObject *descriptor, const char *text, Py_ssize_t length, Py_ssize_t place, PyObject *left)
{
    long fd = PyLong_AsLong(descriptor);
    if (fd < 0 || fd > INT_MAX) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "answer: expected descriptors");
        }
        return 0;
    }
    Py_ssize_t sent = send((int)fd, text, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == length) {
        return 1;
    }
    int waits = sent >= 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS;
    sent = sent < 0 ? 0 : sent;
    PyObject *told = waits ? Py_BuildValue("ny#", place, text + sent, length - sent) : Py_BuildValue("nO", place, Py_None);
    int failed = told == NULL || PyList_Append(left, told) < 0;
    Py_XDECREF(told);
    return !failed;
}

/* Writes answers and sends them; 0 with an error set. */
static int send_all(PyObject *descriptors, const Lines *lines, const char *names, Py_ssize_t width, Texts *bodies,
                    PyObject *left)
{
    Py_ssize_t most = LONGEST_NUMBER + PyBytes_GET_SIZE(lines->before) + PyBytes_GET_SIZE(lines->middle) + width +
                      PyBytes_GET_SIZE(lines->behind);
    Py_ssize_t room = most + 1024;
    char *text = PyMem_Malloc((size_t)room);
    if (text == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    int sent = 1;
    for (Py_ssize_t at = 0; sent && at < PyList_GET_SIZE(descriptors); at++) {
        Py_ssize_t length = staytrue_next_text(bodies);
        if (length < 0) {
            break;
        }
        if (most + length > room) {
            room = most + 2 * length;
            char *larger = PyMem_Realloc(text, (size_t)room);
            if (larger == NULL) {
                PyErr_NoMemory(); /* also of the last: nothing else tells that it was not sent */
                break;
            }
            text = larger;
        }
        char *to = put_number(put_bytes(text, lines->before), length);
        to = put_bytes(put(put_bytes(to, lines->middle), names + at * width, width), lines->behind);
        to = staytrue_put_text(bodies, to);
        sent = send_one(PyList_GET_ITEM(descriptors, at), text, to - text, at, left);
    }
    PyMem_Free(text);
    return !PyErr_Occurred();
}

/* answer(descriptors, before, middle, behind, names, around, columns): what could not be sent at once, by its place. */
PyObject *staytrue_answer(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *descriptors, *names, *around, *columns;
    Lines lines;
    if (!PyArg_ParseTuple(args, "O!SSSSOO", &PyList_Type, &descriptors, &lines.before, &lines.middle, &lines.behind,
                          &names, &around, &columns)) {
        return NULL;
    }
    Texts bodies;
    Py_ssize_t count = PyList_GET_SIZE(descriptors);
    int begun = staytrue_begin_texts(&bodies, count, around, columns);
    if (begun && PyBytes_GET_SIZE(names) % count) {
        PyErr_SetString(PyExc_ValueError, "names: expected as many bytes for each descriptor");
        begun = 0;
    }
    PyObject *left = begun ? PyList_New(0) : NULL;
    if (left != NULL && !send_all(descriptors, &lines, PyBytes_AS_STRING(names), PyBytes_GET_SIZE(names) / count,
                                  &bodies, left)) {
        Py_CLEAR(left);
    }
    staytrue_end_texts(&bodies);
    return left;
}

#endif
