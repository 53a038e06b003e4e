/* The type staytrue.native.Express: connections whose requests are read and answered many at once.

   It takes what has come on each as it is: whole requests behind heads that it knows, byte for byte. Of anything else it
   tells what it read, and its caller goes on with that as if nobody had looked. Nothing here waits. */

#define _GNU_SOURCE /* memmem */

#include "native.h"

#ifdef __linux__

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_EVENTS 64
#define ROOM 8192 /* for what is taken of a connection at a time: a known head and a small body, or it is left to others */
#define MOST_HEADS 1024
/* As serving/rest/turn.py has them, of those that come by connections of their own. */
#define ENOUGH 32 /* beyond which more together would hardly cost less for each */
#define PATIENCE_NANOSECONDS 1000000 /* for which the first waits at most for others */

typedef struct {
    PyObject_HEAD
    int epoll;
    PyObject *heads; /* bytes: (length of the body, kind) */
    unsigned char *busy; /* by descriptor: whether something was read of it just now */
    int room;            /* of `busy` */
    char data[ROOM];
} Express;

/* Descriptors that something was read of. */
typedef struct {
    int count, each[ENOUGH + MOST_EVENTS];
} Taken;

static PyObject *Express_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    if (PyTuple_GET_SIZE(args) || (keywords != NULL && PyDict_GET_SIZE(keywords))) {
        PyErr_SetString(PyExc_TypeError, "Express: expected no arguments");
        return NULL;
    }
    Express *made = (Express *)type->tp_alloc(type, 0);
    if (made == NULL) {
        return NULL;
    }
    made->heads = PyDict_New();
    made->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (made->epoll < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
    }
    if (made->heads == NULL || made->epoll < 0) {
        Py_DECREF(made);
        return NULL;
    }
    return (PyObject *)made;
}

static void Express_dealloc(PyObject *self)
{
    Express *express = (Express *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (express->epoll >= 0) {
        close(express->epoll);
    }
    PyMem_Free(express->busy);
    Py_XDECREF(express->heads);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *Express_fileno(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyLong_FromLong(((Express *)self)->epoll);
}

/* A descriptor, with room for it; -1 with an error set. */
static int descriptor(Express *express, PyObject *told)
{
    long found = PyLong_AsLong(told);
    if (found < 0 || found > 1 << 20) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "expected a descriptor");
        }
        return -1;
    }
    if (found >= express->room) {
        int room = (int)found + 64;
        unsigned char *busy = PyMem_Realloc(express->busy, (size_t)room);
        if (busy == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        memset(busy + express->room, 0, (size_t)(room - express->room));
        express->busy = busy;
        express->room = room;
    }
    return (int)found;
}

static PyObject *Express_add(PyObject *self, PyObject *told)
{
    Express *express = (Express *)self;
    int fd = descriptor(express, told);
    if (fd < 0) {
        return NULL;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(express->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? PyErr_SetFromErrno(PyExc_OSError)
                                                                    : Py_NewRef(Py_None);
}

/* One that was closed meanwhile has gone by itself. */
static PyObject *Express_remove(PyObject *self, PyObject *told)
{
    Express *express = (Express *)self;
    int fd = descriptor(express, told);
    if (fd < 0) {
        return NULL;
    }
    struct epoll_event event = {0};
    epoll_ctl(express->epoll, EPOLL_CTL_DEL, fd, &event);
    Py_RETURN_NONE;
}

static PyObject *Express_know(PyObject *self, PyObject *args)
{
    Express *express = (Express *)self;
    PyObject *head, *kind;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(args, "SnO", &head, &length, &kind)) {
        return NULL;
    }
    if (length < 0 || length >= ROOM - PyBytes_GET_SIZE(head)) {
        PyErr_SetString(PyExc_ValueError, "know: expected a short head and body");
        return NULL;
    }
    if (PyDict_GET_SIZE(express->heads) >= MOST_HEADS) {
        PyDict_Clear(express->heads);
    }
    PyObject *told = Py_BuildValue("nO", length, kind);
    int failed = told == NULL || PyDict_SetItem(express->heads, head, told) < 0;
    Py_XDECREF(told);
    return failed ? NULL : Py_NewRef(Py_None);
}

/* Appends and lets go of what is appended, which may be NULL with an error set. */
static int give(PyObject *list, PyObject *made)
{
    int failed = made == NULL || PyList_Append(list, made) < 0;
    Py_XDECREF(made);
    return !failed;
}

/* The batch of a kind, made where there is none yet: (kind, descriptors, heads, bodies). Borrowed; NULL with an error. */
static PyObject *batch_of(PyObject *batches, PyObject *kind)
{
    for (Py_ssize_t at = PyList_GET_SIZE(batches) - 1; at >= 0; at--) {
        PyObject *batch = PyList_GET_ITEM(batches, at);
        if (PyTuple_GET_ITEM(batch, 0) == kind) {
            return batch;
        }
    }
    PyObject *made = Py_BuildValue("O[][][]", kind);
    return give(batches, made) ? made : NULL; /* the list holds it */
}

/* Sorts what was read of a connection: to a batch, or to what is odd. Whether it went to a batch; -1 with an error. */
static int sort(Express *express, int fd, Py_ssize_t read, PyObject *batches, PyObject *odd)
{
    const char *data = express->data, *end = read > 0 ? memmem(data, (size_t)read, "\r\n\r\n", 4) : NULL;
    PyObject *head = PyBytes_FromStringAndSize(data, end == NULL ? 0 : end + 4 - data);
    if (head == NULL) {
        return -1;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(head);
    PyObject *known = PyDict_GetItemWithError(express->heads, head);
    if (known == NULL || size + PyLong_AsSsize_t(PyTuple_GET_ITEM(known, 0)) != read) {
        Py_DECREF(head);
        return PyErr_Occurred() || !give(odd, Py_BuildValue("iy#", fd, data, read > 0 ? read : 0)) ? -1 : 0;
    }
    PyObject *batch = batch_of(batches, PyTuple_GET_ITEM(known, 1));
    if (batch == NULL) {
        Py_DECREF(head);
        return -1;
    }
    int given = give(PyTuple_GET_ITEM(batch, 2), head) && give(PyTuple_GET_ITEM(batch, 1), PyLong_FromLong(fd)) &&
                give(PyTuple_GET_ITEM(batch, 3), PyBytes_FromStringAndSize(data + size, read - size));
    return given ? 1 : -1;
}

/* Takes what has come by now; how many requests, -1 with an error set. */
static int look(Express *express, PyObject *batches, PyObject *odd, Taken *taken)
{
    struct epoll_event events[MOST_EVENTS];
    int count = epoll_wait(express->epoll, events, MOST_EVENTS, 0), requests = 0;
    for (int each = 0; each < count; each++) {
        int fd = events[each].data.fd;
        if (express->busy[fd]) {
            continue; /* what came behind its request is looked at once that is answered */
        }
        Py_ssize_t read = recv(fd, express->data, ROOM, MSG_DONTWAIT);
        if (read < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
            continue;
        }
        express->busy[fd] = 1;
        taken->each[taken->count++] = fd;
        int sorted = sort(express, fd, read, batches, odd);
        if (sorted < 0) {
            return -1;
        }
        requests += sorted;
    }
    return requests;
}

static long long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* Looks until nothing more comes: what several cost together they share. Not after one alone, nor after enough. */
static int look_on(Express *express, PyObject *batches, PyObject *odd, Taken *taken)
{
    int came = look(express, batches, odd, taken), requests = came;
    long long until = requests > 1 ? now() + PATIENCE_NANOSECONDS : 0;
    while (came > 0 && requests > 1 && taken->count < ENOUGH && now() < until) {
        came = look(express, batches, odd, taken);
        requests += came;
    }
    return came;
}

/* receive(): what has come. On an error what was read is lost. */
static PyObject *Express_receive(PyObject *self, PyObject *unused)
{
    (void)unused;
    Express *express = (Express *)self;
    Taken taken = {.count = 0};
    PyObject *batches = PyList_New(0), *odd = PyList_New(0), *told = NULL;
    if (batches != NULL && odd != NULL && look_on(express, batches, odd, &taken) >= 0) {
        told = PyTuple_Pack(2, batches, odd);
    }
    for (int at = 0; at < taken.count; at++) {
        express->busy[taken.each[at]] = 0;
    }
    Py_XDECREF(batches);
    Py_XDECREF(odd);
    return told;
}

static PyMethodDef Express_methods[] = {
    {"fileno", Express_fileno, METH_NOARGS, "Ready to be read once anything has come."},
    {"add", Express_add, METH_O, "Take what comes at this descriptor."},
    {"remove", Express_remove, METH_O, "Take it no more."},
    {"know", Express_know, METH_VARARGS, "A head, the length of the body behind it, and the kind of such requests."},
    {"receive", Express_receive, METH_NOARGS,
     "What has come: batches of (kind, descriptors, heads, bodies), and what is no such request as (descriptor, bytes), "
     "of those who hung up without any."},
    {NULL},
};

static PyType_Slot Express_slots[] = {
    {Py_tp_doc, "Takes whole requests behind known heads from many connections at once. For one thread."},
    {Py_tp_new, Express_new},
    {Py_tp_dealloc, Express_dealloc},
    {Py_tp_methods, Express_methods},
    {0, NULL},
};

PyType_Spec staytrue_express = {
    .name = "staytrue.native.Express",
    .basicsize = sizeof(Express),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Express_slots,
};

#endif
