/* Puts texts together that differ in little. */

#include "native.h"
#include "texts.h"

/* weave(rows, around, columns): a text for each row. */
PyObject *staytrue_weave(PyObject *self, PyObject *args)
{
    (void)self;
    PyObject *around, *columns;
    Py_ssize_t rows;
    if (!PyArg_ParseTuple(args, "nOO", &rows, &around, &columns)) {
        return NULL;
    }
    Texts texts;
    PyObject *made = staytrue_begin_texts(&texts, rows, around, columns) ? PyList_New(rows) : NULL;
    for (Py_ssize_t row = 0; made != NULL && row < rows; row++) {
        Py_ssize_t length = staytrue_next_text(&texts);
        PyObject *text = length < 0 ? NULL : PyBytes_FromStringAndSize(NULL, length);
        if (text == NULL) {
            Py_CLEAR(made);
            break;
        }
        staytrue_put_text(&texts, PyBytes_AS_STRING(text));
        PyList_SET_ITEM(made, row, text);
    }
    staytrue_end_texts(&texts);
    return made;
}
