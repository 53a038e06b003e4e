/* Puts answers together that differ in little, and sends each by its own connection. */

#include "native.h"

#ifdef __linux__

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>

#define LONGEST_NUMBER 20

/* What is the same in all: before the length of a body, before a name, and behind that. */
typedef struct {
    PyObject *before, *middle, *behind;
} Around;

static char *put(char *to, PyObject *bytes)
{
    memcpy(to, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
    return to + PyBytes_GET_SIZE(bytes);
}

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

static int all_bytes(PyObject *list)
{
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(list); at++) {
        if (!PyBytes_Check(PyList_GET_ITEM(list, at))) {
            return 0;
        }
    }
    return 1;
}

/* The most bytes that an answer has; -1 with an error set where the lists are not as they must be. */
static Py_ssize_t most_bytes(const Around *around, PyObject *descriptors, PyObject *names, PyObject *bodies)
{
    Py_ssize_t count = PyList_GET_SIZE(descriptors), most = 0;
    if (PyList_GET_SIZE(names) != count || PyList_GET_SIZE(bodies) != count || !all_bytes(names) ||
        !all_bytes(bodies)) {
        PyErr_SetString(PyExc_ValueError, "answer: expected as many names and bodies as descriptors, all of them bytes");
        return -1;
    }
    for (Py_ssize_t at = 0; at < count; at++) {
        Py_ssize_t length = PyBytes_GET_SIZE(PyList_GET_ITEM(names, at)) + PyBytes_GET_SIZE(PyList_GET_ITEM(bodies, at));
        most = length > most ? length : most;
    }
    return most + LONGEST_NUMBER + PyBytes_GET_SIZE(around->before) + PyBytes_GET_SIZE(around->middle) +
           PyBytes_GET_SIZE(around->behind);
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

/* answer(descriptors, before, middle, behind, names, bodies): what could not be sent at once, by its place. */
PyObject *staytrue_answer(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *descriptors, *names, *bodies;
    Around around;
    if (!PyArg_ParseTuple(args, "O!SSSO!O!", &PyList_Type, &descriptors, &around.before, &around.middle, &around.behind,
                          &PyList_Type, &names, &PyList_Type, &bodies)) {
        return NULL;
    }
    Py_ssize_t most = most_bytes(&around, descriptors, names, bodies);
    if (most < 0) {
        return NULL;
    }
    char *text = PyMem_Malloc((size_t)most);
    PyObject *left = text == NULL ? PyErr_NoMemory() : PyList_New(0);
    for (Py_ssize_t at = 0; left != NULL && at < PyList_GET_SIZE(descriptors); at++) {
        PyObject *body = PyList_GET_ITEM(bodies, at);
        char *to = put_number(put(text, around.before), PyBytes_GET_SIZE(body));
        to = put(put(put(put(to, around.middle), PyList_GET_ITEM(names, at)), around.behind), body);
        if (!send_one(PyList_GET_ITEM(descriptors, at), text, to - text, at, left)) {
            Py_CLEAR(left);
        }
    }
    PyMem_Free(text);
    return left;
}

#endif
