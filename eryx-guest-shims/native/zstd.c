/* Zstandard streams and dictionaries. */
#include <zdict.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <stdlib.h>
#include <string.h>

#include "stream.h"

/* How a dictionary is loaded, with the numbers of CPython's `_zstd`. */
enum { DIGESTED, UNDIGESTED, PREFIX };

static enum status status_of(struct stream *stream, size_t result, bool ends) {
    if (ZSTD_isError(result)) {
        if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
            return STATUS_NO_MEMORY;
        stream->error = (int)ZSTD_getErrorCode(result);
        stream->error_text = ZSTD_getErrorName(result);
        return STATUS_ERROR;
    }
    return ends && result == 0 ? STATUS_END : STATUS_MORE;
}

static enum status compress(struct stream *stream, struct step *step, int action) {
    ZSTD_inBuffer input = {step->input, step->input_size, 0};
    ZSTD_outBuffer output = {step->output, step->output_size, 0};
    size_t result = ZSTD_compressStream2(stream->state, &output, &input, (ZSTD_EndDirective)action);
    step->input += input.pos;
    step->input_size -= input.pos;
    step->output += output.pos;
    step->output_size -= output.pos;
    return status_of(stream, result, action != ZSTD_e_continue);
}

static enum status decompress(struct stream *stream, struct step *step, int action) {
    (void)action;
    ZSTD_inBuffer input = {step->input, step->input_size, 0};
    ZSTD_outBuffer output = {step->output, step->output_size, 0};
    size_t result = ZSTD_decompressStream(stream->state, &output, &input);
    step->input += input.pos;
    step->input_size -= input.pos;
    step->output += output.pos;
    step->output_size -= output.pos;
    return status_of(stream, result, true);
}

static void free_cctx(void *state) { ZSTD_freeCCtx(state); }
static void free_dctx(void *state) { ZSTD_freeDCtx(state); }
static void free_cdict(void *state) { ZSTD_freeCDict(state); }
static void free_ddict(void *state) { ZSTD_freeDDict(state); }

static const struct codec compressor = {compress, free_cctx};
static const struct codec decompressor = {decompress, free_dctx};
/* Dictionaries that are prepared for use. */
static const struct codec digested_for_compression = {NULL, free_cdict};
static const struct codec digested_for_decompression = {NULL, free_ddict};

/* Returns None, or the text of an error. */
static PyObject *outcome(size_t result) {
    return Py_BuildValue("z", ZSTD_isError(result) ? ZSTD_getErrorName(result) : NULL);
}

/* zstd_compressor() */
static PyObject *new_compressor(PyObject *module, PyObject *arguments) {
    return (PyObject *)stream_new(&compressor, ZSTD_createCCtx());
}

/* zstd_decompressor() */
static PyObject *new_decompressor(PyObject *module, PyObject *arguments) {
    return (PyObject *)stream_new(&decompressor, ZSTD_createDCtx());
}

/* Returns the stream of either kind. */
static struct stream *stream_of_either(PyObject *object, bool *compresses) {
    struct stream *stream = (struct stream *)object;
    *compresses = stream_of(object, &compressor) != NULL;
    if (*compresses)
        return stream;
    PyErr_Clear();
    return stream_of(object, &decompressor);
}

/* zstd_set_parameter(stream, key, value): None, or the text of an error. */
static PyObject *set_parameter(PyObject *module, PyObject *arguments) {
    PyObject *object;
    int key, value;
    bool compresses;
    if (!PyArg_ParseTuple(arguments, "Oii", &object, &key, &value))
        return NULL;
    struct stream *stream = stream_of_either(object, &compresses);
    if (!stream)
        return NULL;
    if (compresses)
        return outcome(ZSTD_CCtx_setParameter(stream->state, (ZSTD_cParameter)key, value));
    return outcome(ZSTD_DCtx_setParameter(stream->state, (ZSTD_dParameter)key, value));
}

/* zstd_pledge(stream, size): announces the size of the next frame. */
static PyObject *pledge(PyObject *module, PyObject *arguments) {
    PyObject *object;
    unsigned long long size;
    if (!PyArg_ParseTuple(arguments, "OK", &object, &size))
        return NULL;
    struct stream *stream = stream_of(object, &compressor);
    return stream ? outcome(ZSTD_CCtx_setPledgedSrcSize(stream->state, size)) : NULL;
}

/* zstd_reset(stream): ends the frame in progress. */
static PyObject *reset(PyObject *module, PyObject *arguments) {
    PyObject *object;
    bool compresses;
    if (!PyArg_ParseTuple(arguments, "O", &object))
        return NULL;
    struct stream *stream = stream_of_either(object, &compresses);
    if (!stream)
        return NULL;
    if (compresses)
        return outcome(ZSTD_CCtx_reset(stream->state, ZSTD_reset_session_only));
    return outcome(ZSTD_DCtx_reset(stream->state, ZSTD_reset_session_only));
}

/* zstd_digest(dictionary, level): a prepared dictionary for a compressor, or without a level for
   a decompressor. None if the library refuses it. */
static PyObject *digest(PyObject *module, PyObject *arguments) {
    Py_buffer content;
    PyObject *level_object;
    int level = 0;
    if (!PyArg_ParseTuple(arguments, "y*O", &content, &level_object))
        return NULL;
    const struct codec *codec = &digested_for_decompression;
    void *state = NULL;
    bool failed = false;
    if (level_object == &_Py_NoneStruct) {
        state = ZSTD_createDDict(content.buf, (size_t)content.len);
    } else {
        codec = &digested_for_compression;
        level = (int)PyLong_AsLong(level_object);
        failed = PyErr_Occurred() != NULL;
        if (!failed)
            state = ZSTD_createCDict(content.buf, (size_t)content.len, level);
    }
    PyBuffer_Release(&content);
    if (failed)
        return NULL;
    return state ? (PyObject *)stream_new(codec, state) : Py_BuildValue("");
}

/* zstd_load(stream, dictionary, kind): None, or the text of an error. The dictionary is bytes, or
   a prepared one. */
static PyObject *load(PyObject *module, PyObject *arguments) {
    PyObject *object, *dictionary;
    int kind;
    bool compresses;
    if (!PyArg_ParseTuple(arguments, "OOi", &object, &dictionary, &kind))
        return NULL;
    struct stream *stream = stream_of_either(object, &compresses);
    if (!stream)
        return NULL;
    size_t result;
    if (kind == DIGESTED) {
        struct stream *digested = stream_of(
            dictionary, compresses ? &digested_for_compression : &digested_for_decompression);
        if (!digested)
            return NULL;
        result = compresses ? ZSTD_CCtx_refCDict(stream->state, digested->state)
                            : ZSTD_DCtx_refDDict(stream->state, digested->state);
    } else {
        char *content = PyBytes_AsString(dictionary);
        if (!content)
            return NULL;
        size_t size = (size_t)PyBytes_Size(dictionary);
        if (kind == UNDIGESTED)
            result = compresses ? ZSTD_CCtx_loadDictionary(stream->state, content, size)
                                : ZSTD_DCtx_loadDictionary(stream->state, content, size);
        else
            result = compresses ? ZSTD_CCtx_refPrefix(stream->state, content, size)
                                : ZSTD_DCtx_refPrefix(stream->state, content, size);
    }
    if (!ZSTD_isError(result))
        stream_keep(stream, dictionary);
    return outcome(result);
}

/* zstd_bounds(key, compresses): the least and the largest value, or the text of an error. */
static PyObject *bounds(PyObject *module, PyObject *arguments) {
    int key, compresses;
    if (!PyArg_ParseTuple(arguments, "ip", &key, &compresses))
        return NULL;
    ZSTD_bounds bounds = compresses ? ZSTD_cParam_getBounds((ZSTD_cParameter)key)
                                    : ZSTD_dParam_getBounds((ZSTD_dParameter)key);
    if (ZSTD_isError(bounds.error))
        return outcome(bounds.error);
    return Py_BuildValue("(ii)", bounds.lowerBound, bounds.upperBound);
}

/* zstd_frame_size(data): the size of the first frame, or the text of an error. */
static PyObject *frame_size(PyObject *module, PyObject *arguments) {
    Py_buffer data;
    if (!PyArg_ParseTuple(arguments, "y*", &data))
        return NULL;
    size_t size = ZSTD_findFrameCompressedSize(data.buf, (size_t)data.len);
    PyBuffer_Release(&data);
    return ZSTD_isError(size) ? outcome(size) : Py_BuildValue("n", (Py_ssize_t)size);
}

/* zstd_frame_info(data): the size of its content or None, and its dictionary; or None. */
static PyObject *frame_info(PyObject *module, PyObject *arguments) {
    Py_buffer data;
    if (!PyArg_ParseTuple(arguments, "y*", &data))
        return NULL;
    unsigned long long size = ZSTD_getFrameContentSize(data.buf, (size_t)data.len);
    unsigned dictionary = ZSTD_getDictID_fromFrame(data.buf, (size_t)data.len);
    PyBuffer_Release(&data);
    if (size == ZSTD_CONTENTSIZE_ERROR)
        return Py_BuildValue("");
    if (size == ZSTD_CONTENTSIZE_UNKNOWN)
        return Py_BuildValue("(zI)", NULL, dictionary);
    return Py_BuildValue("(KI)", size, dictionary);
}

/* zstd_dictionary_id(dictionary): its number, 0 if it has none. */
static PyObject *dictionary_id(PyObject *module, PyObject *arguments) {
    Py_buffer content;
    if (!PyArg_ParseTuple(arguments, "y*", &content))
        return NULL;
    unsigned id = ZSTD_getDictID_fromDict(content.buf, (size_t)content.len);
    PyBuffer_Release(&content);
    return Py_BuildValue("I", id);
}

/* zstd_train(content, samples, sizes, size, level): a dictionary of at most `size` bytes, or the
   text of an error. `sizes` has the sizes of the samples as `size_t`. Without content the
   dictionary is made of the samples alone. */
static PyObject *train(PyObject *module, PyObject *arguments) {
    PyObject *content, *dictionary;
    Py_buffer samples, sizes;
    Py_ssize_t capacity;
    int level;
    if (!PyArg_ParseTuple(arguments, "Oy*y*ni", &content, &samples, &sizes, &capacity, &level))
        return NULL;
    unsigned count = (unsigned)((size_t)sizes.len / sizeof(size_t));
    dictionary = PyBytes_FromStringAndSize(NULL, capacity);
    size_t result = 0;
    if (dictionary) {
        char *to = PyBytes_AsString(dictionary);
        if (content == &_Py_NoneStruct) {
            result =
                ZDICT_trainFromBuffer(to, (size_t)capacity, samples.buf, sizes.buf, count);
        } else {
            char *from = PyBytes_AsString(content);
            ZDICT_params_t parameters = {.compressionLevel = level};
            if (from)
                result = ZDICT_finalizeDictionary(to, (size_t)capacity, from,
                                                  (size_t)PyBytes_Size(content), samples.buf,
                                                  sizes.buf, count, parameters);
        }
    }
    PyBuffer_Release(&samples);
    PyBuffer_Release(&sizes);
    if (PyErr_Occurred()) {
        if (dictionary)
            Py_DecRef(dictionary);
        return NULL;
    }
    if (ZDICT_isError(result)) {
        Py_DecRef(dictionary);
        return Py_BuildValue("s", ZDICT_getErrorName(result));
    }
    return _PyBytes_Resize(&dictionary, (Py_ssize_t)result) < 0 ? NULL : dictionary;
}

PyMethodDef zstd_methods[] = {
    {"zstd_compressor", new_compressor, METH_NOARGS, NULL},
    {"zstd_decompressor", new_decompressor, METH_NOARGS, NULL},
    {"zstd_set_parameter", set_parameter, METH_VARARGS, NULL},
    {"zstd_pledge", pledge, METH_VARARGS, NULL},
    {"zstd_reset", reset, METH_VARARGS, NULL},
    {"zstd_digest", digest, METH_VARARGS, NULL},
    {"zstd_load", load, METH_VARARGS, NULL},
    {"zstd_bounds", bounds, METH_VARARGS, NULL},
    {"zstd_frame_size", frame_size, METH_VARARGS, NULL},
    {"zstd_frame_info", frame_info, METH_VARARGS, NULL},
    {"zstd_dictionary_id", dictionary_id, METH_VARARGS, NULL},
    {"zstd_train", train, METH_VARARGS, NULL},
    {0},
};

bool zstd_constants(PyObject *module) {
    return !PyModule_AddStringConstant(module, "zstd_version", ZSTD_versionString()) &&
           !PyModule_AddIntConstant(module, "zstd_version_number", (long)ZSTD_versionNumber()) &&
           !PyModule_AddIntConstant(module, "zstd_default_level", ZSTD_defaultCLevel()) &&
           !PyModule_AddIntConstant(module, "zstd_least_level", ZSTD_minCLevel()) &&
           !PyModule_AddIntConstant(module, "zstd_largest_level", ZSTD_maxCLevel()) &&
           !PyModule_AddIntConstant(module, "zstd_output_size", (long)ZSTD_DStreamOutSize());
}
