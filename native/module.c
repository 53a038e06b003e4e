/* The module staytrue.native. What it does, Python does as well, more slowly: it need not be there. */

#include "native.h"

static PyMethodDef methods[] = {
    {"floats", staytrue_floats, METH_VARARGS,
     "Numbers of a flat list in a body, from a place to a place, as bytes; None for a list that is left to others."},
    {"weave", (PyCFunction)(void (*)(void))staytrue_weave, METH_FASTCALL,
     "Texts that differ in little: those around the gaps, and a column for each gap."},
    {NULL},
};

static int execute(PyObject *module)
{
    PyObject *reader = PyType_FromSpec(&staytrue_reader);
    int failed = reader == NULL || PyModule_AddObjectRef(module, "Reader", reader) < 0;
    Py_XDECREF(reader);
    return failed ? -1 : 0;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "staytrue.native", .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC PyInit_native(void) { return PyModuleDef_Init(&definition); }
