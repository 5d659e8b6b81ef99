/* The Python module `_eryx_native`: what CPython leaves to libraries that a WASI build lacks. */
#include <errno.h>
#include <string.h>

#include "stream.h"

static PyMethodDef methods[48];
static PyModuleDef definition = {
    .m_base = {.ob_refcnt = 1},
    .m_name = "_eryx_native",
    .m_size = -1,
    .m_methods = methods,
};

/* set_errno(number): sets the error number that C code finds. */
static PyObject *set_errno(PyObject *module, PyObject *arguments) {
    if (!PyArg_ParseTuple(arguments, "i", &errno))
        return NULL;
    Py_IncRef(&_Py_NoneStruct);
    return &_Py_NoneStruct;
}

static const PyMethodDef own_methods[] = {
    {"set_errno", set_errno, METH_VARARGS, NULL},
    {0},
};

static void add(PyMethodDef **end, const PyMethodDef *functions) {
    while (functions->ml_name)
        *(*end)++ = *functions++;
}

__attribute__((visibility("default"))) PyObject *PyInit__eryx_native(void) {
    PyMethodDef *end = methods;
    add(&end, own_methods);
    add(&end, bz2_methods);
    add(&end, lzma_methods);
    add(&end, zstd_methods);
    add(&end, digest_methods);
    add(&end, key_derivation_methods);
    add(&end, database_lock_methods);
    add(&end, object_pool_methods);
    add(&end, descriptor_methods);
    add(&end, error_text_methods);
    PyObject *module = PyModule_Create2(&definition, PYTHON_API_VERSION);
    if (module && (!stream_install() || !zstd_constants(module))) {
        Py_DecRef(module);
        return NULL;
    }
    return module;
}
