/* A compressor or decompressor, as an object of Python. */
#ifndef ERYX_STREAM_H
#define ERYX_STREAM_H

#include <stdbool.h>

#include "python.h"

/* How a step ended. Other values are errors of the library. */
enum status {
    STATUS_MORE = 0,
    STATUS_END = 1,
    STATUS_ERROR = 2,
    STATUS_NO_MEMORY = 3,
};

/* The input and output that are left. */
struct step {
    const uint8_t *input;
    size_t input_size;
    uint8_t *output;
    size_t output_size;
};

struct stream;

/* The library behind a stream. */
struct codec {
    /* Works until the input is used up or the output is full. Sets `error` with STATUS_ERROR. */
    enum status (*run)(struct stream *, struct step *, int action);
    void (*free)(void *state);
};

struct stream {
    PyObject head;
    const struct codec *codec;
    void *state;
    /* A dictionary that the state refers to: bytes, or another stream. */
    PyObject *dictionary;
    /* The error of the library, and its text if it has one. */
    int error;
    const char *error_text;
};

/* Returns a new object with `state`, which it frees; NULL with an exception if there is no
   memory, or if `state` is NULL. */
struct stream *stream_new(const struct codec *, void *state);

/* Returns the stream if `object` is one of `codec`; else NULL with an exception. */
struct stream *stream_of(PyObject *object, const struct codec *);

/* Drops the dictionary of a stream and takes a reference to another one. */
void stream_keep(struct stream *, PyObject *dictionary);

/* Creates the type. */
bool stream_install(void);

extern PyMethodDef bz2_methods[], lzma_methods[], zstd_methods[], digest_methods[],
    key_derivation_methods[], database_lock_methods[], object_pool_methods[],
    descriptor_methods[], error_text_methods[];

/* Notes the flags of a file that is opened. */
void note_flags(int flags);

bool zstd_constants(PyObject *module);

#endif
