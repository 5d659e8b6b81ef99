/* The texts of error numbers, in the place of those of libc: CPython's C code takes those of its
   exceptions from `strerror`. They come from `errno_names.py`, while the image is built. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stream.h"

/* More than any error number of WASI. */
#define MAX_NUMBER 256

static char *texts[MAX_NUMBER];

__attribute__((visibility("default"))) char *eryx_strerror(int number) {
    static char unknown[32];
    if (number >= 0 && number < MAX_NUMBER && texts[number])
        return texts[number];
    snprintf(unknown, sizeof unknown, "Unknown error %d", number);
    return unknown;
}

/* set_error_text(number, text): sets a text. Leaves out numbers that no C code has. */
static PyObject *set_error_text(PyObject *module, PyObject *arguments) {
    int number;
    const char *text;
    if (!PyArg_ParseTuple(arguments, "is", &number, &text))
        return NULL;
    if (number >= 0 && number < MAX_NUMBER) {
        free(texts[number]);
        texts[number] = strdup(text);
        if (!texts[number])
            return PyErr_NoMemory();
    }
    Py_IncRef(&_Py_NoneStruct);
    return &_Py_NoneStruct;
}

PyMethodDef error_text_methods[] = {
    {"set_error_text", set_error_text, METH_VARARGS, NULL},
    {0},
};
