/* Reads small requests of the Open Inference Protocol as most are: plain names, numbers, nothing but inputs.

   It reads what serving/rest/fast.py reads, to the same bytes, or nothing: whatever is unusual, or wrong, is left to
   that. No byte behind the body is looked at, and nothing is written beyond what is counted here. */

#include "tensors.h"

#include <math.h>
#include <string.h>

#include "numbers.h"

typedef struct {
    const char *at, *end;
    double values[MOST_VALUES];
} Scan;

typedef struct {
    int name, shape, datatype, data; /* whether it was given */
    Py_ssize_t rows;
    Py_ssize_t count, outer, inner; /* numbers; lists and numbers in each where they are nested, else -1 */
} Tensor;

static inline void skip(Scan *scan)
{
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t')) {
        scan->at++;
    }
}

/* Whether this character comes next, between any space. */
static inline int comes(Scan *scan, char wanted)
{
    skip(scan);
    if (scan->at >= scan->end || *scan->at != wanted) {
        return 0;
    }
    scan->at++;
    skip(scan);
    return 1;
}

/* Whether this text comes next, in quotes. */
static int text(Scan *scan, const char *wanted, Py_ssize_t length)
{
    if (scan->end - scan->at < length + 2 || scan->at[0] != '"' || scan->at[length + 1] != '"' ||
        memcmp(scan->at + 1, wanted, (size_t)length) != 0) {
        return 0;
    }
    scan->at += length + 2;
    return 1;
}

static int bytes_text(Scan *scan, PyObject *wanted)
{
    return text(scan, PyBytes_AS_STRING(wanted), PyBytes_GET_SIZE(wanted));
}

/* A size of a shape; -1 for what is none, or a large one. */
static Py_ssize_t size(Scan *scan)
{
    const char *first = scan->at;
    Py_ssize_t found = 0;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9' && scan->at - first < 7) {
        found = found * 10 + (*scan->at++ - '0');
    }
    return scan->at == first || (*first == '0' && scan->at - first > 1) ? -1 : found;
}

static int read_shape(Scan *scan, const Input *input, Tensor *tensor)
{
    if (!comes(scan, '[') || (tensor->rows = size(scan)) < 1) {
        return 0;
    }
    for (int axis = 0; axis < input->axes; axis++) {
        if (!comes(scan, ',') || size(scan) != input->sizes[axis]) {
            return 0;
        }
    }
    return comes(scan, ']');
}

/* Numbers up to the end of their list; how many there are now, -1 for what is none. */
static Py_ssize_t read_numbers(Scan *scan, Py_ssize_t count)
{
    int patience = MOST_VALUES; /* a small body holds no more */
    do {
        if (count >= MOST_VALUES) {
            return -1;
        }
        scan->at = staytrue_number(scan->at, scan->end, &scan->values[count++], &patience);
        if (scan->at == NULL) {
            return -1;
        }
    } while (comes(scan, ','));
    return comes(scan, ']') ? count : -1;
}

static int read_data(Scan *scan, Tensor *tensor)
{
    if (!comes(scan, '[')) {
        return 0;
    }
    tensor->outer = tensor->inner = -1;
    if (scan->at < scan->end && *scan->at != '[') {
        tensor->count = read_numbers(scan, 0);
        return tensor->count > 0;
    }
    Py_ssize_t count = 0;
    tensor->outer = 0;
    do {
        Py_ssize_t before = count;
        if (!comes(scan, '[') || (count = read_numbers(scan, before)) < 0) {
            return 0;
        }
        if (tensor->outer++ && count - before != tensor->inner) {
            return 0;
        }
        tensor->inner = count - before;
    } while (comes(scan, ','));
    tensor->count = count;
    return comes(scan, ']');
}

static int read_field(Scan *scan, const Input *input, Tensor *tensor)
{
    if (text(scan, "name", 4)) {
        return !tensor->name++ && comes(scan, ':') && bytes_text(scan, input->name);
    }
    if (text(scan, "shape", 5)) {
        return !tensor->shape++ && comes(scan, ':') && read_shape(scan, input, tensor);
    }
    if (text(scan, "datatype", 8)) {
        return !tensor->datatype++ && comes(scan, ':') && bytes_text(scan, input->datatype);
    }
    if (text(scan, "data", 4)) {
        return !tensor->data++ && comes(scan, ':') && read_data(scan, tensor);
    }
    return 0;
}

/* Room for so many rows in an input's block, and some more; 0 with an error set. */
static int make_room(PyObject **block, Py_ssize_t bytes)
{
    Py_ssize_t there = PyBytes_GET_SIZE(*block);
    if (bytes <= there) {
        return 1;
    }
    return _PyBytes_Resize(block, bytes > 2 * there ? bytes : 2 * there) == 0;
}

/* Puts the numbers of a tensor behind the rows that are in its block; 0 where one does not fit. */
static int pack(const Scan *scan, const Input *input, Py_ssize_t count, PyObject **block, Py_ssize_t rows_before)
{
    Py_ssize_t width = input->single ? 4 : 8, begin = rows_before * input->values * width;
    if (!make_room(block, begin + count * width)) {
        return 0;
    }
    char *to = PyBytes_AS_STRING(*block) + begin;
    if (!input->single) {
        memcpy(to, scan->values, (size_t)count * 8);
        return 1;
    }
    int fits = 1;
    for (Py_ssize_t at = 0; at < count; at++) {
        float value = (float)scan->values[at];
        fits &= isfinite(value) != 0;
        memcpy(to + 4 * at, &value, 4);
    }
    return fits;
}

/* How many numbers a tensor has; 0 for one that is left to others. */
static Py_ssize_t read_tensor(Scan *scan, const Input *input, Py_ssize_t most, Py_ssize_t *rows)
{
    Tensor tensor = {0};
    if (!comes(scan, '{')) {
        return 0;
    }
    do {
        if (!read_field(scan, input, &tensor)) {
            return 0;
        }
    } while (comes(scan, ','));
    if (!comes(scan, '}') || !(tensor.name && tensor.shape && tensor.datatype && tensor.data) || tensor.rows > most ||
        tensor.count != tensor.rows * input->values || (*rows && tensor.rows != *rows)) {
        return 0;
    }
    if (tensor.outer >= 0 && !(input->axes == 1 && tensor.outer == tensor.rows && tensor.inner == input->sizes[0])) {
        return 0;
    }
    *rows = tensor.rows;
    return tensor.count;
}

/* All inputs behind what their blocks hold; whether they are all there, and nothing else. */
static int read_inputs(Scan *scan, const Inputs *inputs, Blocks *blocks, Py_ssize_t *rows)
{
    if (!comes(scan, '{') || !text(scan, "inputs", 6) || !comes(scan, ':') || !comes(scan, '[')) {
        return 0;
    }
    for (int at = 0; at < inputs->count; at++) {
        const Input *input = &inputs->each[at];
        Py_ssize_t count = at && !comes(scan, ',') ? 0 : read_tensor(scan, input, inputs->most, rows);
        if (count == 0 || !pack(scan, input, count, &blocks->each[at], blocks->rows)) {
            return 0;
        }
    }
    return comes(scan, ']') && comes(scan, '}') && scan->at == scan->end;
}

Py_ssize_t staytrue_read(const Inputs *inputs, PyObject *body, Blocks *blocks)
{
    Scan scan;
    Py_ssize_t rows = 0;
    scan.at = PyBytes_AS_STRING(body);
    scan.end = scan.at + PyBytes_GET_SIZE(body);
    return PyBytes_GET_SIZE(body) <= MOST_BYTES && read_inputs(&scan, inputs, blocks, &rows) ? rows : 0;
}
