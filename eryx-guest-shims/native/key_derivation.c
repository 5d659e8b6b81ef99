/* Calls of `eryx:host/key-derivation`, with the bytes of Python's own objects as arguments. */
#include <stdlib.h>

#include "stream.h"

#define HOST(name) \
    __attribute__((import_module("eryx:host/key-derivation@0.1.0"), import_name(name)))

/* A `result<list<u8>, string>`. */
struct result {
    uint8_t is_error;
    char *bytes;
    size_t size;
};

HOST("pbkdf2-hmac")
void host_pbkdf2_hmac(uint32_t hash, const void *password, size_t password_size, const void *salt,
                      size_t salt_size, uint32_t rounds, uint32_t size, struct result *);

HOST("scrypt")
void host_scrypt(const void *password, size_t password_size, const void *salt, size_t salt_size,
                 uint64_t n, uint32_t r, uint32_t p, uint32_t size, struct result *);

/* The host allocates its results with this function. */
__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size,
                                                                size_t alignment, size_t size) {
    (void)old_size;
    (void)alignment;
    void *new = realloc(old, size ? size : 1);
    if (!new)
        abort();
    return new;
}

/* Returns the key as bytes, or the error as text. */
static PyObject *taken(struct result *result) {
    PyObject *object =
        result->is_error ? PyUnicode_FromStringAndSize(result->bytes, (Py_ssize_t)result->size)
                         : PyBytes_FromStringAndSize(result->bytes, (Py_ssize_t)result->size);
    free(result->bytes);
    return object;
}

/* pbkdf2_hmac(hash, password, salt, rounds, size): the key, or the text of an error. */
static PyObject *pbkdf2_hmac(PyObject *module, PyObject *arguments) {
    unsigned hash, rounds, size;
    Py_buffer password, salt;
    if (!PyArg_ParseTuple(arguments, "Iy*y*II", &hash, &password, &salt, &rounds, &size))
        return NULL;
    struct result result;
    host_pbkdf2_hmac(hash, password.buf, (size_t)password.len, salt.buf, (size_t)salt.len, rounds,
                     size, &result);
    PyBuffer_Release(&password);
    PyBuffer_Release(&salt);
    return taken(&result);
}

/* scrypt(password, salt, n, r, p, size): the key, or the text of an error. */
static PyObject *scrypt(PyObject *module, PyObject *arguments) {
    unsigned long long n;
    unsigned r, p, size;
    Py_buffer password, salt;
    if (!PyArg_ParseTuple(arguments, "y*y*KIII", &password, &salt, &n, &r, &p, &size))
        return NULL;
    struct result result;
    host_scrypt(password.buf, (size_t)password.len, salt.buf, (size_t)salt.len, n, r, p, size,
                &result);
    PyBuffer_Release(&password);
    PyBuffer_Release(&salt);
    return taken(&result);
}

PyMethodDef key_derivation_methods[] = {
    {"pbkdf2_hmac", pbkdf2_hmac, METH_VARARGS, NULL},
    {"scrypt", scrypt, METH_VARARGS, NULL},
    {0},
};
