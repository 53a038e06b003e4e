/* Texts that differ in little: what is the same in all of them, and what is each one's own. */

#ifndef STAYTRUE_TEXTS_H
#define STAYTRUE_TEXTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

static inline char *put(char *to, const char *from, Py_ssize_t length)
{
    memcpy(to, from, (size_t)length);
    return to + length;
}

static inline char *put_bytes(char *to, PyObject *bytes)
{
    return put(to, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
}

typedef struct {
    const char *at;
    Py_ssize_t length;
} Span;

/* What is each one's own of a place: a list, or one behind the other, as long as each other or as JSON's lists. */
typedef struct {
    PyObject *list;         /* of bytes, or NULL */
    const char *next, *end; /* of what stands one behind the other */
    Py_ssize_t width;       /* 0: of lists, each without its brackets */
} Column;

typedef struct {
    Py_ssize_t rows, gaps, row; /* `row`: the next */
    Py_ssize_t fixed;           /* bytes around the gaps */
    PyObject *around;           /* bytes, one more than gaps */
    Column *columns;
    Span *spans; /* what the row has in each gap */
} Texts;

/* Takes them from Python: a number of texts, a list of bytes, and a list with a column for each gap: a list of bytes,
   bytes that are as many for each text, or a tuple of such JSON as [[1,2],[3,4]], which is a list for each. 0 with an
   error set; staytrue_end_texts is to be called in any case. */
int staytrue_begin_texts(Texts *texts, Py_ssize_t rows, PyObject *around, PyObject *columns);

/* Goes on to the next text; its length, -1 with an error set. */
Py_ssize_t staytrue_next_text(Texts *texts);

/* Writes it, as many bytes as were told; where it ends. */
char *staytrue_put_text(const Texts *texts, char *to);

void staytrue_end_texts(Texts *texts);

#endif
