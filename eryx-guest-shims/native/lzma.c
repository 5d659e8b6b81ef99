/* xz, lzma and raw streams. */
#include <lzma.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"

/* The formats, with the numbers that the Python module `lzma` gives them. */
enum { FORMAT_AUTO, FORMAT_XZ, FORMAT_ALONE, FORMAT_RAW };

struct state {
    lzma_stream stream;
    /* The integrity check, once the decoder has read its kind. */
    int check;
};

/* A filter in the arguments of Python: `<Q8I`. */
struct filter_spec {
    uint64_t id;
    uint32_t values[8];
};

/* A chain of filters with its options. */
struct chain {
    lzma_filter filters[LZMA_FILTERS_MAX + 1];
    union {
        lzma_options_lzma lzma;
        lzma_options_delta delta;
        lzma_options_bcj bcj;
    } options[LZMA_FILTERS_MAX];
};

static bool is_lzma(lzma_vli id) {
    return id == LZMA_FILTER_LZMA1 || id == LZMA_FILTER_LZMA2;
}

static bool parse_chain(struct chain *chain, const Py_buffer *bytes) {
    size_t count = (size_t)bytes->len / sizeof(struct filter_spec);
    if (count > LZMA_FILTERS_MAX) {
        PyErr_SetString(PyExc_ValueError, "too many filters");
        return false;
    }
    memset(chain, 0, sizeof *chain);
    for (size_t i = 0; i < count; i++) {
        struct filter_spec spec;
        memcpy(&spec, (const char *)bytes->buf + i * sizeof spec, sizeof spec);
        const uint32_t *values = spec.values;
        if (is_lzma(spec.id)) {
            lzma_options_lzma *lzma = &chain->options[i].lzma;
            lzma->dict_size = values[0];
            lzma->lc = values[1];
            lzma->lp = values[2];
            lzma->pb = values[3];
            lzma->mode = (lzma_mode)values[4];
            lzma->nice_len = values[5];
            lzma->mf = (lzma_match_finder)values[6];
            lzma->depth = values[7];
        } else if (spec.id == LZMA_FILTER_DELTA) {
            chain->options[i].delta.type = LZMA_DELTA_TYPE_BYTE;
            chain->options[i].delta.dist = values[0];
        } else {
            chain->options[i].bcj.start_offset = values[0];
        }
        chain->filters[i].id = spec.id;
        chain->filters[i].options = &chain->options[i];
    }
    chain->filters[count].id = LZMA_VLI_UNKNOWN;
    return true;
}

static enum status status_of(struct stream *stream, const struct step *step, lzma_ret result) {
    struct state *state = stream->state;
    stream->error = (int)result;
    switch (result) {
    case LZMA_NO_CHECK:
    case LZMA_GET_CHECK:
        state->check = (int)lzma_get_check(&state->stream);
        return STATUS_MORE;
    case LZMA_OK:
        return STATUS_MORE;
    case LZMA_STREAM_END:
        return STATUS_END;
    case LZMA_MEM_ERROR:
        return STATUS_NO_MEMORY;
    case LZMA_BUF_ERROR:
        /* Two steps in a row without input, or without room for output. */
        if (step->input_size == 0 || step->output_size == 0)
            return STATUS_MORE;
        return STATUS_ERROR;
    default:
        return STATUS_ERROR;
    }
}

static enum status run(struct stream *stream, struct step *step, int action) {
    lzma_stream *lzma = &((struct state *)stream->state)->stream;
    lzma->next_in = step->input;
    lzma->avail_in = step->input_size;
    lzma->next_out = step->output;
    lzma->avail_out = step->output_size;
    lzma_ret result = lzma_code(lzma, action ? LZMA_FINISH : LZMA_RUN);
    step->input = lzma->next_in;
    step->input_size = lzma->avail_in;
    step->output = lzma->next_out;
    step->output_size = lzma->avail_out;
    return status_of(stream, step, result);
}

static void free_state(void *state) {
    lzma_end(&((struct state *)state)->stream);
    free(state);
}

static const struct codec codec = {run, free_state};

/* Returns a stream, or the number of the error of its initialisation. */
static PyObject *started(struct state *state, lzma_ret result) {
    if (result == LZMA_OK)
        return (PyObject *)stream_new(&codec, state);
    free_state(state);
    return result == LZMA_MEM_ERROR ? PyErr_NoMemory() : PyLong_FromLong((long)result);
}

static struct state *new_state(int check) {
    struct state *state = calloc(1, sizeof *state);
    if (!state)
        PyErr_NoMemory();
    else
        state->check = check;
    return state;
}

/* lzma_compressor(format, check, filters) */
static PyObject *new_compressor(PyObject *module, PyObject *arguments) {
    int format, check;
    Py_buffer filters;
    if (!PyArg_ParseTuple(arguments, "iiy*", &format, &check, &filters))
        return NULL;
    struct chain chain;
    bool parsed = parse_chain(&chain, &filters);
    PyBuffer_Release(&filters);
    struct state *state = parsed ? new_state(check) : NULL;
    if (!state)
        return NULL;
    lzma_ret result;
    if (format == FORMAT_XZ)
        result = lzma_stream_encoder(&state->stream, chain.filters, (lzma_check)check);
    else if (format == FORMAT_ALONE && is_lzma(chain.filters[0].id))
        result = lzma_alone_encoder(&state->stream, &chain.options[0].lzma);
    else
        result = lzma_raw_encoder(&state->stream, chain.filters);
    return started(state, result);
}

/* lzma_decompressor(format, memory_limit, filters) */
static PyObject *new_decompressor(PyObject *module, PyObject *arguments) {
    int format;
    unsigned long long limit;
    Py_buffer filters;
    if (!PyArg_ParseTuple(arguments, "iKy*", &format, &limit, &filters))
        return NULL;
    struct chain chain;
    bool parsed = parse_chain(&chain, &filters);
    PyBuffer_Release(&filters);
    bool has_check = format == FORMAT_XZ || format == FORMAT_AUTO;
    struct state *state = parsed ? new_state(has_check ? LZMA_CHECK_ID_MAX + 1 : LZMA_CHECK_NONE) : NULL;
    if (!state)
        return NULL;
    const uint32_t flags = LZMA_TELL_ANY_CHECK | LZMA_TELL_NO_CHECK;
    lzma_ret result;
    if (format == FORMAT_XZ)
        result = lzma_stream_decoder(&state->stream, limit, flags);
    else if (format == FORMAT_ALONE)
        result = lzma_alone_decoder(&state->stream, limit);
    else if (format == FORMAT_AUTO)
        result = lzma_auto_decoder(&state->stream, limit, flags);
    else
        result = lzma_raw_decoder(&state->stream, chain.filters);
    return started(state, result);
}

/* lzma_check(stream): the kind of its integrity check. */
static PyObject *stream_check(PyObject *module, PyObject *arguments) {
    PyObject *object;
    if (!PyArg_ParseTuple(arguments, "O", &object))
        return NULL;
    struct stream *stream = stream_of(object, &codec);
    return stream ? PyLong_FromLong(((struct state *)stream->state)->check) : NULL;
}

/* lzma_check_is_supported(check) */
static PyObject *check_is_supported(PyObject *module, PyObject *arguments) {
    int check;
    if (!PyArg_ParseTuple(arguments, "i", &check))
        return NULL;
    return PyLong_FromLong(lzma_check_is_supported((lzma_check)check));
}

/* lzma_preset(preset): the options of a filter, in the order of `struct filter_spec`, or None. */
static PyObject *preset_options(PyObject *module, PyObject *arguments) {
    unsigned preset;
    lzma_options_lzma lzma;
    if (!PyArg_ParseTuple(arguments, "I", &preset))
        return NULL;
    if (lzma_lzma_preset(&lzma, preset))
        return Py_BuildValue("");
    return Py_BuildValue("(IIIIIIII)", lzma.dict_size, lzma.lc, lzma.lp, lzma.pb,
                         (unsigned)lzma.mode, lzma.nice_len, (unsigned)lzma.mf, lzma.depth);
}

/* lzma_encode_properties(filters): the properties of the first filter, or the number of an error. */
static PyObject *encode_properties(PyObject *module, PyObject *arguments) {
    Py_buffer filters;
    if (!PyArg_ParseTuple(arguments, "y*", &filters))
        return NULL;
    struct chain chain;
    bool parsed = parse_chain(&chain, &filters);
    PyBuffer_Release(&filters);
    uint32_t size;
    if (!parsed)
        return NULL;
    lzma_ret result = lzma_properties_size(&size, &chain.filters[0]);
    if (result != LZMA_OK)
        return PyLong_FromLong((long)result);
    PyObject *properties = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (!properties)
        return NULL;
    result = lzma_properties_encode(&chain.filters[0], (uint8_t *)PyBytes_AsString(properties));
    if (result == LZMA_OK)
        return properties;
    Py_DecRef(properties);
    return PyLong_FromLong((long)result);
}

/* lzma_decode_properties(id, properties): the options of a filter, the number of an error, or None
   if the filter has no options. */
static PyObject *decode_properties(PyObject *module, PyObject *arguments) {
    unsigned long long id;
    Py_buffer properties;
    if (!PyArg_ParseTuple(arguments, "Ky*", &id, &properties))
        return NULL;
    lzma_filter filter = {.id = id};
    lzma_ret result = lzma_properties_decode(&filter, NULL, properties.buf, (size_t)properties.len);
    PyBuffer_Release(&properties);
    if (result == LZMA_MEM_ERROR)
        return PyErr_NoMemory();
    if (result != LZMA_OK)
        return PyLong_FromLong((long)result);
    PyObject *options;
    if (!filter.options) {
        options = Py_BuildValue("");
    } else if (is_lzma(id)) {
        const lzma_options_lzma *lzma = filter.options;
        options = Py_BuildValue("(IIII)", lzma->dict_size, lzma->lc, lzma->lp, lzma->pb);
    } else if (id == LZMA_FILTER_DELTA) {
        options = Py_BuildValue("(I)", ((const lzma_options_delta *)filter.options)->dist);
    } else {
        options = Py_BuildValue("(I)", ((const lzma_options_bcj *)filter.options)->start_offset);
    }
    free(filter.options);
    return options;
}

PyMethodDef lzma_methods[] = {
    {"lzma_compressor", new_compressor, METH_VARARGS, NULL},
    {"lzma_decompressor", new_decompressor, METH_VARARGS, NULL},
    {"lzma_check", stream_check, METH_VARARGS, NULL},
    {"lzma_check_is_supported", check_is_supported, METH_VARARGS, NULL},
    {"lzma_preset", preset_options, METH_VARARGS, NULL},
    {"lzma_encode_properties", encode_properties, METH_VARARGS, NULL},
    {"lzma_decode_properties", decode_properties, METH_VARARGS, NULL},
    {0},
};
