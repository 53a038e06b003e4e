#include "texts.h"

#include <string.h>

static int all_bytes(PyObject *list)
{
    for (Py_ssize_t at = 0; at < PyList_GET_SIZE(list); at++) {
        if (!PyBytes_Check(PyList_GET_ITEM(list, at))) {
            return 0;
        }
    }
    return 1;
}

/* 0 where it is no column of so many rows. */
static int take_column(Column *column, PyObject *told, Py_ssize_t rows)
{
    if (PyList_CheckExact(told)) {
        column->list = told;
        return PyList_GET_SIZE(told) == rows && all_bytes(told);
    }
    int lists = PyTuple_CheckExact(told) && PyTuple_GET_SIZE(told) == 1;
    PyObject *text = lists ? PyTuple_GET_ITEM(told, 0) : told;
    if (!PyBytes_Check(text)) {
        return 0;
    }
    Py_ssize_t length = PyBytes_GET_SIZE(text);
    column->next = PyBytes_AS_STRING(text);
    column->end = column->next + length;
    column->width = lists ? 0 : length / rows;
    return lists || (column->width > 0 && column->width * rows == length);
}

int staytrue_begin_texts(Texts *texts, Py_ssize_t rows, PyObject *around, PyObject *columns)
{
    *texts = (Texts){.rows = rows};
    if (!PyList_CheckExact(around) || !PyList_CheckExact(columns) || rows < 1 || PyList_GET_SIZE(columns) < 1) {
        PyErr_SetString(PyExc_ValueError, "rows, around, columns: expected some, and lists");
        return 0;
    }
    texts->gaps = PyList_GET_SIZE(columns);
    texts->around = around;
    if (PyList_GET_SIZE(around) != texts->gaps + 1 || !all_bytes(around)) {
        PyErr_SetString(PyExc_ValueError, "around: expected bytes, one more than columns");
        return 0;
    }
    texts->columns = PyMem_Calloc((size_t)texts->gaps, sizeof(Column));
    texts->spans = PyMem_Calloc((size_t)texts->gaps, sizeof(Span));
    if (texts->columns == NULL || texts->spans == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    for (Py_ssize_t gap = 0; gap < texts->gaps; gap++) {
        if (!take_column(&texts->columns[gap], PyList_GET_ITEM(columns, gap), rows)) {
            PyErr_SetString(PyExc_ValueError, "columns: expected bytes of as many texts as there are rows");
            return 0;
        }
    }
    for (Py_ssize_t at = 0; at <= texts->gaps; at++) {
        texts->fixed += PyBytes_GET_SIZE(PyList_GET_ITEM(around, at));
    }
    return 1;
}

void staytrue_end_texts(Texts *texts)
{
    PyMem_Free(texts->columns);
    PyMem_Free(texts->spans);
}

/* The next list within a list of lists, which are not nested further; 0 where there is none. */
static int next_list(Column *column, Span *span)
{
    const char *at = column->next + 1; /* behind the outer list's bracket, or the comma before this one */
    const char *close = column->end - at < 2 || *at != '[' ? NULL : memchr(at, ']', (size_t)(column->end - at));
    if (close == NULL) {
        return 0;
    }
    *span = (Span){at + 1, close - at - 1};
    column->next = close + 1;
    return 1;
}

Py_ssize_t staytrue_next_text(Texts *texts)
{
    Py_ssize_t length = texts->fixed;
    for (Py_ssize_t gap = 0; gap < texts->gaps; gap++) {
        Column *column = &texts->columns[gap];
        Span *span = &texts->spans[gap];
        if (column->list != NULL) {
            PyObject *text = PyList_GET_ITEM(column->list, texts->row);
            *span = (Span){PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text)};
        } else if (column->width) {
            *span = (Span){column->next, column->width};
            column->next += column->width;
        } else if (!next_list(column, span)) {
            PyErr_SetString(PyExc_ValueError, "columns: expected as many lists as there are rows");
            return -1;
        }
        length += span->length;
    }
    texts->row++;
    return length;
}

char *staytrue_put_text(const Texts *texts, char *to)
{
    to = put_bytes(to, PyList_GET_ITEM(texts->around, 0));
    for (Py_ssize_t gap = 0; gap < texts->gaps; gap++) {
        to = put(to, texts->spans[gap].at, texts->spans[gap].length);
        to = put_bytes(to, PyList_GET_ITEM(texts->around, gap + 1));
    }
    return to;
}
