/* Runs compressors and decompressors over the objects of Python. */
#include "stream.h"

#include <string.h>

/* The first output buffer, and how far buffers double. Later ones grow by half. */
enum { FIRST_OUTPUT = 16 << 10, LAST_DOUBLED = 4 << 20 };

static void *stream_type;

static void stream_dealloc(PyObject *self) {
    struct stream *stream = (struct stream *)self;
    void *type = self->ob_type;
    if (stream->state)
        stream->codec->free(stream->state);
    if (stream->dictionary)
        Py_DecRef(stream->dictionary);
    PyObject_Free(self);
    Py_DecRef(type);
}

struct stream *stream_new(const struct codec *codec, void *state) {
    struct stream *stream =
        state ? (struct stream *)PyType_GenericAlloc(stream_type, 0) : NULL;
    if (!stream) {
        if (state)
            codec->free(state);
        else
            PyErr_NoMemory();
        return NULL;
    }
    stream->codec = codec;
    stream->state = state;
    return stream;
}

struct stream *stream_of(PyObject *object, const struct codec *codec) {
    struct stream *stream = (struct stream *)object;
    if (object->ob_type == stream_type && stream->codec == codec)
        return stream;
    PyErr_SetString(PyExc_TypeError, "not a stream of this library");
    return NULL;
}

void stream_keep(struct stream *stream, PyObject *dictionary) {
    Py_IncRef(dictionary);
    if (stream->dictionary)
        Py_DecRef(stream->dictionary);
    stream->dictionary = dictionary;
}

static size_t grown(size_t size) {
    return size < LAST_DOUBLED ? size * 2 : size + size / 2;
}

/* Runs the codec until the input is used up, the output has `max` bytes, or the stream ends.
   Returns the output, or NULL. */
static PyObject *run(struct stream *stream, struct step *step, size_t max, int action,
                     enum status *status) {
    size_t size = max < FIRST_OUTPUT ? max : FIRST_OUTPUT;
    PyObject *output = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (!output)
        return NULL;
    step->output = (uint8_t *)PyBytes_AsString(output);
    step->output_size = size;
    for (;;) {
        *status = stream->codec->run(stream, step, action);
        if (*status != STATUS_MORE)
            break;
        if (step->output_size == 0) {
            if (size == max)
                break;
            size_t next = grown(size);
            if (next > max)
                next = max;
            if (_PyBytes_Resize(&output, (Py_ssize_t)next) < 0)
                return NULL;
            step->output = (uint8_t *)PyBytes_AsString(output) + size;
            step->output_size = next - size;
            size = next;
        } else if (step->input_size == 0 && action == 0) {
            break;
        }
    }
    if (*status == STATUS_NO_MEMORY || *status == STATUS_ERROR) {
        Py_DecRef(output);
        return *status == STATUS_ERROR ? NULL : PyErr_NoMemory();
    }
    if (_PyBytes_Resize(&output, (Py_ssize_t)(size - step->output_size)) < 0)
        return NULL;
    return output;
}

/* run(data, offset, max_length, action): processes `data` from `offset`, and returns the output
   (at most `max_length` bytes, unless that is negative), the offset behind the bytes that it used,
   and whether the stream ended. Action 0 goes on, any other one goes on until the stream ends.
   An error of the library is returned as the tuple of its number and its text. */
static PyObject *stream_run(PyObject *self, PyObject *arguments) {
    struct stream *stream = (struct stream *)self;
    Py_buffer data;
    Py_ssize_t offset, max_length;
    int action;
    if (!PyArg_ParseTuple(arguments, "y*nni", &data, &offset, &max_length, &action))
        return NULL;
    PyObject *result = NULL;
    if (!stream->codec->run || offset < 0 || offset > data.len) {
        PyErr_SetString(PyExc_ValueError, "offset out of range");
    } else {
        struct step step = {
            .input = (const uint8_t *)data.buf + offset,
            .input_size = (size_t)(data.len - offset),
        };
        enum status status = STATUS_MORE;
        size_t max = max_length < 0 ? PTRDIFF_MAX : (size_t)max_length;
        PyObject *output = run(stream, &step, max, action, &status);
        if (output)
            result = Py_BuildValue("(Nni)", output, data.len - (Py_ssize_t)step.input_size,
                                   status == STATUS_END);
        else if (status == STATUS_ERROR)
            result = Py_BuildValue("(iz)", stream->error, stream->error_text);
    }
    PyBuffer_Release(&data);
    return result;
}

static PyMethodDef methods[] = {{"run", stream_run, METH_VARARGS, NULL}, {0}};
static PyType_Slot slots[] = {
    {Py_tp_dealloc, stream_dealloc},
    {Py_tp_methods, methods},
    {0},
};
static PyType_Spec spec = {
    .name = "_eryx_native.Stream",
    .basicsize = sizeof(struct stream),
    .flags = Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

bool stream_install(void) {
    stream_type = PyType_FromSpec(&spec);
    return stream_type != NULL;
}
