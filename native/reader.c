/* The type staytrue.native.Reader: see native/tensors.c for what it reads. */

#include "native.h"

#include <string.h>

#include "tensors.h"

typedef struct {
    PyObject_HEAD
    Inputs inputs;
} Reader;

/* What has been read: of which bodies, how many rows of each, and the blocks that hold them. */
typedef struct {
    PyObject *places, *rows;
    Blocks blocks;
} Batch;

static Py_ssize_t width_of(const Input *input) { return input->values * (input->single ? 4 : 8); }

/* 0 with an error set. */
static int begin(Batch *batch, const Inputs *inputs, Py_ssize_t bodies)
{
    *batch = (Batch){PyList_New(0), PyList_New(0), {{NULL}, 0}};
    int there = batch->places != NULL && batch->rows != NULL;
    for (int at = 0; there && at < inputs->count; at++) {
        batch->blocks.each[at] = PyBytes_FromStringAndSize(NULL, bodies * width_of(&inputs->each[at]));
        there = batch->blocks.each[at] != NULL;
    }
    return there;
}

static void forget(Batch *batch, const Inputs *inputs)
{
    Py_XDECREF(batch->places);
    Py_XDECREF(batch->rows);
    for (int at = 0; at < inputs->count; at++) {
        Py_XDECREF(batch->blocks.each[at]);
    }
}

static int append(PyObject *list, Py_ssize_t number)
{
    PyObject *made = PyLong_FromSsize_t(number);
    int failed = made == NULL || PyList_Append(list, made) < 0;
    Py_XDECREF(made);
    return !failed;
}

/* Reads bodies until there are `most` rows; the place of the first that is not looked at, -1 with an error set. One
   alone may have more. */
static Py_ssize_t read_some(const Inputs *inputs, PyObject *bodies, Py_ssize_t at, Py_ssize_t most, Batch *batch)
{
    for (; at < PyList_GET_SIZE(bodies); at++) {
        PyObject *body = PyList_GET_ITEM(bodies, at);
        if (!PyBytes_Check(body)) {
            PyErr_SetString(PyExc_TypeError, "bodies: expected bytes");
            return -1;
        }
        Py_ssize_t rows = staytrue_read(inputs, body, &batch->blocks);
        if (rows == 0 && PyErr_Occurred()) {
            return -1;
        }
        if (rows > most - batch->blocks.rows && batch->blocks.rows) {
            return at;
        }
        if (rows && !(append(batch->places, at) && append(batch->rows, rows))) {
            return -1;
        }
        batch->blocks.rows += rows;
    }
    return at;
}

/* The blocks as a list, without the room behind what they hold; NULL with an error set. */
static PyObject *blocks_of(Batch *batch, const Inputs *inputs)
{
    PyObject *list = PyList_New(inputs->count);
    for (int at = 0; list != NULL && at < inputs->count; at++) {
        PyObject **block = &batch->blocks.each[at];
        if (_PyBytes_Resize(block, batch->blocks.rows * width_of(&inputs->each[at])) < 0) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, at, *block);
        *block = NULL;
    }
    return list;
}

static PyObject *Reader_read(PyObject *self, PyObject *args)
{
    const Inputs *inputs = &((const Reader *)self)->inputs;
    PyObject *bodies, *blocks = NULL, *told = NULL;
    Py_ssize_t first, most;
    if (!PyArg_ParseTuple(args, "O!nn", &PyList_Type, &bodies, &first, &most)) {
        return NULL;
    }
    if (first < 0 || first > PyList_GET_SIZE(bodies)) {
        PyErr_SetString(PyExc_ValueError, "first: expected a place among the bodies");
        return NULL;
    }
    Batch batch;
    Py_ssize_t next = begin(&batch, inputs, PyList_GET_SIZE(bodies) - first)
                          ? read_some(inputs, bodies, first, most, &batch)
                          : -1;
    if (next >= 0 && (blocks = blocks_of(&batch, inputs)) != NULL) {
        told = Py_BuildValue("nOON", next, batch.places, batch.rows, blocks);
    }
    forget(&batch, inputs);
    return told;
}

/* Whether JSON writes a text as it is, between quotes. */
static int is_plain(PyObject *text)
{
    for (const char *at = PyBytes_AS_STRING(text), *end = at + PyBytes_GET_SIZE(text); at < end; at++) {
        if (*at < ' ' || *at > '~' || *at == '"' || *at == '\\') {
            return 0;
        }
    }
    return PyBytes_GET_SIZE(text) > 0;
}

/* Its sizes behind the first axis; 0 with an error set. */
static int take_sizes(Input *input, PyObject *sizes)
{
    input->axes = (int)PyTuple_GET_SIZE(sizes);
    input->values = 1;
    for (int axis = 0; axis < input->axes; axis++) {
        Py_ssize_t found = PyLong_AsSsize_t(PyTuple_GET_ITEM(sizes, axis));
        if (found < 1 || input->values > MOST_VALUES / found) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_ValueError, "sizes: expected rows of few values");
            }
            return 0;
        }
        input->sizes[axis] = found;
        input->values *= found;
    }
    return 1;
}

/* One input from (name, datatype, sizes); 0 with an error set. */
static int take_input(Input *input, PyObject *told)
{
    PyObject *sizes;
    if (!PyTuple_Check(told)) {
        PyErr_SetString(PyExc_TypeError, "input: expected a tuple");
        return 0;
    }
    if (!PyArg_ParseTuple(told, "SSO!", &input->name, &input->datatype, &PyTuple_Type, &sizes)) {
        input->name = input->datatype = NULL;
        return 0;
    }
    Py_INCREF(input->name);
    Py_INCREF(input->datatype);
    const char *datatype = PyBytes_AS_STRING(input->datatype);
    input->single = strcmp(datatype, "FP32") == 0;
    if ((!input->single && strcmp(datatype, "FP64") != 0) || !is_plain(input->name) ||
        PyTuple_GET_SIZE(sizes) > MOST_AXES) {
        PyErr_SetString(PyExc_ValueError, "input: expected a plain name, FP32 or FP64, few axes");
        return 0;
    }
    return take_sizes(input, sizes);
}

static PyObject *Reader_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *inputs;
    Py_ssize_t most;
    static char *names[] = {"inputs", "most", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!n", names, &PyTuple_Type, &inputs, &most)) {
        return NULL;
    }
    if (PyTuple_GET_SIZE(inputs) < 1 || PyTuple_GET_SIZE(inputs) > MOST_INPUTS || most < 1) {
        PyErr_SetString(PyExc_ValueError, "inputs: expected some, not many, of a row or more");
        return NULL;
    }
    PyObject *reader = type->tp_alloc(type, 0);
    if (reader == NULL) {
        return NULL;
    }
    Inputs *made = &((Reader *)reader)->inputs;
    made->most = most < MOST_VALUES ? most : MOST_VALUES;
    for (Py_ssize_t at = 0; at < PyTuple_GET_SIZE(inputs); at++) {
        made->count++; /* before: what a refused one holds is let go too */
        if (!take_input(&made->each[at], PyTuple_GET_ITEM(inputs, at))) {
            Py_DECREF(reader);
            return NULL;
        }
    }
    return reader;
}

static void Reader_dealloc(PyObject *self)
{
    Inputs *inputs = &((Reader *)self)->inputs;
    PyTypeObject *type = Py_TYPE(self);
    for (int at = 0; at < inputs->count; at++) {
        Py_XDECREF(inputs->each[at].name);
        Py_XDECREF(inputs->each[at].datatype);
    }
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef Reader_methods[] = {
    {"read", Reader_read, METH_VARARGS,
     "Bodies from a place on, until there are so many rows: the place to go on from, places of those that were read, rows "
     "of each, and for each input the numbers of all of them as bytes."},
    {NULL},
};

static PyType_Slot Reader_slots[] = {
    {Py_tp_doc, "Reads requests of one model whose inputs are all FP32 or FP64."},
    {Py_tp_new, Reader_new},
    {Py_tp_dealloc, Reader_dealloc},
    {Py_tp_methods, Reader_methods},
    {0, NULL},
};

PyType_Spec staytrue_reader = {
    .name = "staytrue.native.Reader",
    .basicsize = sizeof(Reader),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = Reader_slots,
};
