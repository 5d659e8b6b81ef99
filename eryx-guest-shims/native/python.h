/* The part of CPython's stable ABI that the native module uses. The image is linked without
   CPython's headers. */
#ifndef ERYX_PYTHON_H
#define ERYX_PYTHON_H

#include <stddef.h>
#include <stdint.h>

typedef intptr_t Py_ssize_t;

typedef struct {
    Py_ssize_t ob_refcnt;
    void *ob_type;
} PyObject;

typedef PyObject *(*PyCFunction)(PyObject *self, PyObject *arguments);

typedef struct {
    const char *ml_name;
    PyCFunction ml_meth;
    int ml_flags;
    const char *ml_doc;
} PyMethodDef;

typedef struct {
    int slot;
    void *pfunc;
} PyType_Slot;

typedef struct {
    const char *name;
    int basicsize;
    int itemsize;
    unsigned int flags;
    PyType_Slot *slots;
} PyType_Spec;

typedef struct {
    PyObject m_base;
    PyObject *(*m_init)(void);
    Py_ssize_t m_index;
    PyObject *m_copy;
    const char *m_name;
    const char *m_doc;
    Py_ssize_t m_size;
    PyMethodDef *m_methods;
    void *m_slots;
    void *m_traverse;
    void *m_clear;
    void *m_free;
} PyModuleDef;

typedef struct {
    void *buf;
    PyObject *obj;
    Py_ssize_t len;
    Py_ssize_t itemsize;
    int readonly;
    int ndim;
    char *format;
    Py_ssize_t *shape;
    Py_ssize_t *strides;
    Py_ssize_t *suboffsets;
    void *internal;
} Py_buffer;

enum {
    METH_VARARGS = 0x0001,
    METH_NOARGS = 0x0004,
    Py_TPFLAGS_DISALLOW_INSTANTIATION = 1 << 7,
    Py_tp_dealloc = 52,
    Py_tp_methods = 64,
    PYTHON_API_VERSION = 1013,
};

/* The object None, whose address is the only thing that is used. */
extern PyObject _Py_NoneStruct;
extern PyObject *PyExc_MemoryError;
extern PyObject *PyExc_OSError;
extern PyObject *PyExc_SystemError;
extern PyObject *PyExc_TypeError;
extern PyObject *PyExc_ValueError;

void Py_IncRef(PyObject *);
void Py_DecRef(PyObject *);
PyObject *PyList_New(Py_ssize_t size);
int PyList_Append(PyObject *list, PyObject *item);
int PyArg_ParseTuple(PyObject *, const char *, ...);
PyObject *Py_BuildValue(const char *, ...);
void PyBuffer_Release(Py_buffer *);
PyObject *PyBytes_FromStringAndSize(const char *, Py_ssize_t);
PyObject *PyUnicode_FromStringAndSize(const char *, Py_ssize_t);
char *PyBytes_AsString(PyObject *);
Py_ssize_t PyBytes_Size(PyObject *);
int _PyBytes_Resize(PyObject **, Py_ssize_t);
PyObject *PyErr_NoMemory(void);
PyObject *PyErr_Occurred(void);
void PyErr_Clear(void);
long PyLong_AsLong(PyObject *);
void PyErr_SetString(PyObject *, const char *);
PyObject *PyErr_SetFromErrno(PyObject *type);
PyObject *PyLong_FromLong(long);
PyObject *PyModule_Create2(PyModuleDef *, int);
int PyModule_AddIntConstant(PyObject *, const char *, long);
int PyModule_AddStringConstant(PyObject *, const char *, const char *);
PyObject *PyType_FromSpec(PyType_Spec *);
PyObject *PyType_GenericAlloc(void *, Py_ssize_t);
void PyObject_Free(void *);

#endif
