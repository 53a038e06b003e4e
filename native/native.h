#ifndef STAYTRUE_NATIVE_H
#define STAYTRUE_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyType_Spec staytrue_reader;
#ifdef __linux__
extern PyType_Spec staytrue_express;
extern PyType_Spec staytrue_appender;
PyObject *staytrue_answer(PyObject *self, PyObject *args);
#endif

PyObject *staytrue_floats(PyObject *self, PyObject *args);
PyObject *staytrue_weave(PyObject *self, PyObject *args);
PyObject *staytrue_fill(PyObject *self, PyObject *given);

/* Where the processor has what they need. */
PyObject *staytrue_frames(PyObject *self, PyObject *args);
PyObject *staytrue_checked(PyObject *self, PyObject *args);

#endif
