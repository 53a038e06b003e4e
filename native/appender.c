/* The type staytrue.native.Appender: makes small frames of the event log and writes them over a file's zeros, in one call
   and from one piece of memory. Whoever asks has a lock of its own around it. */

#include "native.h"

#ifdef __linux__

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "fill.h"
#include "frames.h"
#include "texts.h"

#define ROOM (64 * 1024) /* for what is written at once: as a file is ahead at most, see staytrue/growing.py */

typedef struct {
    PyObject_HEAD
    uint32_t seed;
    int handle, busy; /* busy: while the block is written and another thread may come, whose lock failed it */
    long long at, end; /* of the file: where it goes on, and how far */
    double until;      /* by CLOCK_MONOTONIC, as time.monotonic() */
    char block[ROOM];
} Appender;

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *named)
{
    unsigned int seed;
    if ((named != NULL && PyDict_GET_SIZE(named)) || !PyArg_ParseTuple(args, "I", &seed)) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "Appender: takes no names");
    }
    Appender *appender = (Appender *)type->tp_alloc(type, 0);
    if (appender != NULL) {
        appender->seed = seed;
        appender->handle = -1;
    }
    return (PyObject *)appender;
}

/* aim(handle, at, end, until): write to this file from a place to a place, as long as it is not so late. */
static PyObject *aim(PyObject *self, PyObject *args)
{
    Appender *appender = (Appender *)self;
    int handle;
    long long at, end;
    double until;
    if (!PyArg_ParseTuple(args, "iLLd", &handle, &at, &end, &until)) {
        return NULL;
    }
    if (at < 0 || end < at) {
        return PyErr_Format(PyExc_ValueError, "aim: expected a place, and one behind it");
    }
    appender->handle = handle;
    appender->at = at;
    appender->end = end;
    appender->until = until;
    Py_RETURN_NONE;
}

static int is_late(const Appender *appender)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9 >= appender->until;
}

/* Puts a frame into the block, behind `used` bytes; where it ends, 0 where there is no room, -1 with an error set. */
static Py_ssize_t put_frame(Appender *appender, Py_ssize_t used, const char *magic, PyObject *piece)
{
    Filling filling;
    int whole = PyBytes_Check(piece);
    Py_ssize_t length = whole ? PyBytes_GET_SIZE(piece) : staytrue_begin_fill(&filling, piece);
    if (length < 0) {
        return -1;
    }
    Py_ssize_t room = ROOM - used - HEADER;
    if (length > room || used + HEADER + length > appender->end - appender->at) {
        return 0;
    }
    char *frame = appender->block + used;
    if (whole) {
        put_bytes(frame + HEADER, piece);
    } else {
        staytrue_put_fill(&filling, frame + HEADER);
    }
    staytrue_put_header(frame, magic, (size_t)length, appender->seed);
    return used + HEADER + length;
}

/* Puts all pieces into the block; how long it is, 0 where there is no room, or nothing, -1 with an error set. */
static Py_ssize_t put_all(Appender *appender, const char *magic, PyObject *given)
{
    PyObject *pieces = PySequence_Fast(given, "append: expected a sequence");
    if (pieces == NULL) {
        return -1;
    }
    Py_ssize_t used = 0, count = PySequence_Fast_GET_SIZE(pieces);
    for (Py_ssize_t at = 0; at < count && (at == 0 || used > 0); at++) {
        used = put_frame(appender, used, magic, PySequence_Fast_GET_ITEM(pieces, at));
    }
    Py_DECREF(pieces);
    return used;
}

/* Writes so much of the block. 1, or 0 where the system refused all of it, or -1 where it refused a part: its errno. */
static int write_out(Appender *appender, Py_ssize_t length)
{
    Py_ssize_t done = 0;
    while (done < length) {
        ssize_t wrote = pwrite(appender->handle, appender->block + done, (size_t)(length - done), appender->at + done);
        if (wrote < 0 && errno != EINTR) {
            return done ? -1 : 0;
        }
        done += wrote < 0 ? 0 : wrote;
    }
    return 1;
}

/* append(magic, pieces): write them, each as a frame; False where that is left to others, and nothing was done. */
static PyObject *append(PyObject *self, PyObject *const *given, Py_ssize_t count)
{
    Appender *appender = (Appender *)self;
    if (count != 2 || !PyBytes_Check(given[0]) || PyBytes_GET_SIZE(given[0]) != MAGIC) {
        return PyErr_Format(PyExc_TypeError, "append: expected %d bytes, and a sequence", MAGIC);
    }
    if (appender->busy || is_late(appender)) {
        Py_RETURN_FALSE;
    }
    Py_ssize_t used = put_all(appender, PyBytes_AS_STRING(given[0]), given[1]);
    if (used <= 0) {
        return used ? NULL : Py_NewRef(Py_False);
    }
    int wrote;
    appender->busy = 1;
    Py_BEGIN_ALLOW_THREADS
    wrote = write_out(appender, used);
    Py_END_ALLOW_THREADS
    appender->busy = 0;
    if (wrote < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    appender->at += wrote ? used : 0;
    return PyBool_FromLong(wrote);
}

/* Where it goes on. */
static PyObject *get_at(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromLongLong(((Appender *)self)->at);
}

static void forget(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"aim", aim, METH_VARARGS, "Write to a file, from a place to a place, as long as it is not so late."},
    {"append", (PyCFunction)(void (*)(void))append, METH_FASTCALL,
     "Write pieces, each as a frame behind a magic; False where that is left to others."},
    {NULL},
};

static PyGetSetDef members[] = {{"at", get_at, NULL, "Where it goes on.", NULL}, {NULL}};

static PyType_Slot slots[] = {
    {Py_tp_new, make}, {Py_tp_dealloc, forget}, {Py_tp_methods, methods}, {Py_tp_getset, members}, {0, NULL}};

PyType_Spec staytrue_appender = {
    "staytrue.native.Appender", sizeof(Appender), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};

#endif
