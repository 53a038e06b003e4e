/* The type staytrue.native.Reader: see native/tensors.c for what it reads. */

#include "native.h"

#include <string.h>

#include "tensors.h"

typedef struct {
    PyObject_HEAD
    Inputs inputs;
} Reader;

static PyObject *Reader_read(PyObject *self, PyObject *body)
{
    const Inputs *inputs = &((const Reader *)self)->inputs;
    if (!PyBytes_Check(body)) {
        PyErr_SetString(PyExc_TypeError, "body: expected bytes");
        return NULL;
    }
    if (PyBytes_GET_SIZE(body) > MOST_BYTES) {
        Py_RETURN_NONE;
    }
    Py_ssize_t rows;
    PyObject *list = PyList_New(inputs->count);
    if (list == NULL) {
        return NULL;
    }
    if (staytrue_read(inputs, body, list, &rows)) {
        return Py_BuildValue("nN", rows, list);
    }
    Py_DECREF(list);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
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
    {"read", Reader_read, METH_O, "Rows, and each input's numbers as bytes; None for a body that is left to others."},
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
