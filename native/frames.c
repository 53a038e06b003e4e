#include "frames.h"

#include "checksum.h"
#include "native.h"
#include "texts.h"

#define START 12 /* magic, length, checksum of the payload */

static char *put_number(char *to, uint32_t number)
{
    for (int byte = 0; byte < 4; byte++, number >>= 8) {
        *to++ = (char)(number & 0xff);
    }
    return to;
}

void staytrue_put_header(char *frame, const char *magic, size_t length, uint32_t seed)
{
    put(frame, magic, MAGIC);
    put_number(frame + MAGIC, (uint32_t)length);
    put_number(frame + MAGIC + 4, staytrue_checksum((unsigned char *)frame + HEADER, length, 0));
    put_number(frame + START, staytrue_checksum((unsigned char *)frame, START, seed));
}

static char *put_frame(char *to, const char *magic, PyObject *payload, uint32_t seed)
{
    char *end = put_bytes(to + HEADER, payload);
    staytrue_put_header(to, magic, (size_t)PyBytes_GET_SIZE(payload), seed);
    return end;
}

/* frames(magic, payloads, seed, most): all of them with their headers; None where one is longer than `most`. */
PyObject *staytrue_frames(PyObject *self, PyObject *args)
{
    (void)self;
    const char *magic;
    PyObject *given;
    Py_ssize_t magic_length, most;
    unsigned int seed;
    if (!PyArg_ParseTuple(args, "y#OIn", &magic, &magic_length, &given, &seed, &most)) {
        return NULL;
    }
    if (magic_length != MAGIC || most > UINT32_MAX) {
        return PyErr_Format(PyExc_ValueError, "magic, most: expected %d bytes, and what 32 bits hold", MAGIC);
    }
    PyObject *payloads = PySequence_Fast(given, "payloads: expected a sequence");
    if (payloads == NULL) {
        return NULL;
    }
    Py_ssize_t count = PySequence_Fast_GET_SIZE(payloads), whole = 0;
    int fits = 1, bytes = 1;
    for (Py_ssize_t at = 0; fits && bytes && at < count; at++) {
        PyObject *payload = PySequence_Fast_GET_ITEM(payloads, at);
        bytes = PyBytes_Check(payload);
        fits = bytes && PyBytes_GET_SIZE(payload) <= most;
        whole += fits ? HEADER + PyBytes_GET_SIZE(payload) : 0;
    }
    PyObject *made = NULL;
    if (!bytes) {
        PyErr_SetString(PyExc_TypeError, "payloads: expected bytes");
    } else {
        made = fits ? PyBytes_FromStringAndSize(NULL, whole) : Py_NewRef(Py_None);
    }
    if (made != NULL && made != Py_None) {
        char *to = PyBytes_AS_STRING(made);
        for (Py_ssize_t at = 0; at < count; at++) {
            to = put_frame(to, magic, PySequence_Fast_GET_ITEM(payloads, at), (uint32_t)seed);
        }
    }
    Py_DECREF(payloads);
    return made;
}

/* checksum(data, before=0): as zlib.crc32. */
PyObject *staytrue_checked(PyObject *self, PyObject *args)
{
    (void)self;
    Py_buffer data;
    unsigned int before = 0;
    if (!PyArg_ParseTuple(args, "y*|I", &data, &before)) {
        return NULL;
    }
    uint32_t checksum = staytrue_checksum(data.buf, (size_t)data.len, before);
    PyBuffer_Release(&data);
    return PyLong_FromUnsignedLong(checksum);
}
