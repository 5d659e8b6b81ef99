/* bzip2 streams. */
#include <bzlib.h>
#include <stdlib.h>

#include "stream.h"

/* libbz2 calls this when it finds its own state inconsistent. */
void bz_internal_error(int code) {
    (void)code;
    abort();
}

static unsigned piece(size_t size) {
    return size > UINT32_MAX ? UINT32_MAX : (unsigned)size;
}

static void load(bz_stream *state, const struct step *step) {
    state->next_in = (char *)step->input;
    state->avail_in = piece(step->input_size);
    state->next_out = (char *)step->output;
    state->avail_out = piece(step->output_size);
}

static void store(struct step *step, const bz_stream *state) {
    step->input_size -= (size_t)((const uint8_t *)state->next_in - step->input);
    step->input = (const uint8_t *)state->next_in;
    step->output_size -= (size_t)((uint8_t *)state->next_out - step->output);
    step->output = (uint8_t *)state->next_out;
}

static enum status status_of(struct stream *stream, int result) {
    stream->error = result;
    if (result == BZ_STREAM_END)
        return STATUS_END;
    if (result == BZ_MEM_ERROR)
        return STATUS_NO_MEMORY;
    return result < 0 ? STATUS_ERROR : STATUS_MORE;
}

static enum status compress(struct stream *stream, struct step *step, int action) {
    bz_stream *state = stream->state;
    /* libbz2 refuses a step that has nothing to do. */
    if (action == 0 && step->input_size == 0)
        return STATUS_MORE;
    load(state, step);
    int result = BZ2_bzCompress(state, action ? BZ_FINISH : BZ_RUN);
    store(step, state);
    return status_of(stream, result);
}

static enum status decompress(struct stream *stream, struct step *step, int action) {
    (void)action;
    bz_stream *state = stream->state;
    load(state, step);
    int result = BZ2_bzDecompress(state);
    store(step, state);
    return status_of(stream, result);
}

static void free_compressor(void *state) {
    BZ2_bzCompressEnd(state);
    free(state);
}

static void free_decompressor(void *state) {
    BZ2_bzDecompressEnd(state);
    free(state);
}

static const struct codec compressor = {compress, free_compressor};
static const struct codec decompressor = {decompress, free_decompressor};

/* bz2_compressor(level) */
static PyObject *new_compressor(PyObject *module, PyObject *arguments) {
    int level;
    if (!PyArg_ParseTuple(arguments, "i", &level))
        return NULL;
    bz_stream *state = calloc(1, sizeof *state);
    if (state && BZ2_bzCompressInit(state, level, 0, 0) != BZ_OK) {
        free(state);
        state = NULL;
    }
    return (PyObject *)stream_new(&compressor, state);
}

/* bz2_decompressor() */
static PyObject *new_decompressor(PyObject *module, PyObject *arguments) {
    bz_stream *state = calloc(1, sizeof *state);
    if (state && BZ2_bzDecompressInit(state, 0, 0) != BZ_OK) {
        free(state);
        state = NULL;
    }
    return (PyObject *)stream_new(&decompressor, state);
}

PyMethodDef bz2_methods[] = {
    {"bz2_compressor", new_compressor, METH_VARARGS, NULL},
    {"bz2_decompressor", new_decompressor, METH_NOARGS, NULL},
    {0},
};
