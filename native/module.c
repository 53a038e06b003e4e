/* The module staytrue.native. What it does, Python does as well, more slowly: it need not be there. */

#include "checksum.h"
#include "native.h"

static PyMethodDef methods[] = {
    {"floats", staytrue_floats, METH_VARARGS,
     "Numbers of a flat list in a body, from a place to a place, as bytes; None for a list that is left to others."},
    {"weave", staytrue_weave, METH_VARARGS,
     "Texts that differ in little: how many, what is around the gaps, and a column for each gap."},
    {"filled", staytrue_fill, METH_O,
     "Events that differ in little: what is around times and columns and how long columns are, the times, the columns."},
#ifdef __linux__
    {"answer", staytrue_answer, METH_VARARGS,
     "Sends answers, one by each descriptor: what is before their length, before their name and behind it, the names, "
     "and the bodies as texts that differ in little. Returns what is left to be sent, by place; None where the caller is gone."},
#endif
    {NULL},
};

/* Of checksums, which not every processor has instructions for. */
static PyMethodDef checked[] = {
    {"checksum", staytrue_checked, METH_VARARGS, "CRC-32 of bytes, behind others that have a checksum; as zlib.crc32."},
    {"frames", staytrue_frames, METH_VARARGS,
     "Frames of the event log: their magic, the payloads, what headers are checked against, and the longest that a "
     "payload may be; None where one is longer."},
    {NULL},
};

static int add_type(PyObject *module, const char *name, PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);
    int failed = type == NULL || PyModule_AddObjectRef(module, name, type) < 0;
    Py_XDECREF(type);
    return !failed;
}

static int execute(PyObject *module)
{
#ifdef __linux__
    if (!add_type(module, "Express", &staytrue_express)) {
        return -1;
    }
#endif
    if (staytrue_has_checksum()) {
        if (PyModule_AddFunctions(module, checked) < 0) {
            return -1;
        }
#ifdef __linux__
        if (!add_type(module, "Appender", &staytrue_appender)) {
            return -1;
        }
#endif
    }
    return add_type(module, "Reader", &staytrue_reader) ? 0 : -1;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, .m_name = "staytrue.native", .m_methods = methods, .m_slots = slots};

PyMODINIT_FUNC PyInit_native(void) { return PyModuleDef_Init(&definition); }
