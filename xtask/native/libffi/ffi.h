/* The part of libffi's interface that cffi uses. A sandbox cannot make functions while it runs, and
   calls those alone whose parameters and result are integers of 32 bits or pointers. */

#ifndef ERYX_FFI_H
#define ERYX_FFI_H

#include <errno.h>
#include <stddef.h>

/* There is one descriptor of a file, and no other of it. cffi raises OSError. */
#define dup(descriptor) (errno = ENOSYS, -1)

/* No memory can be made executable: cffi raises MemoryError for a callback. */
#define _WASI_EMULATED_MMAN
#include <sys/mman.h>
#define mmap(address, length, protection, flags, file, offset) MAP_FAILED

typedef enum { FFI_OK, FFI_BAD_TYPEDEF, FFI_BAD_ABI } ffi_status;
typedef enum { FFI_DEFAULT_ABI = 1 } ffi_abi;

enum {
    FFI_TYPE_VOID,
    FFI_TYPE_INT,
    FFI_TYPE_FLOAT,
    FFI_TYPE_DOUBLE,
    FFI_TYPE_LONGDOUBLE,
    FFI_TYPE_UINT8,
    FFI_TYPE_SINT8,
    FFI_TYPE_UINT16,
    FFI_TYPE_SINT16,
    FFI_TYPE_UINT32,
    FFI_TYPE_SINT32,
    FFI_TYPE_UINT64,
    FFI_TYPE_SINT64,
    FFI_TYPE_STRUCT,
    FFI_TYPE_POINTER,
};

typedef struct ffi_type {
    size_t size;
    unsigned short alignment;
    unsigned short type;
    struct ffi_type **elements;
} ffi_type;

typedef unsigned long ffi_arg;
typedef signed long ffi_sarg;

typedef struct {
    ffi_abi abi;
    unsigned nargs;
    ffi_type **arg_types;
    ffi_type *rtype;
} ffi_cif;

typedef struct {
    ffi_cif *cif;
    void (*fun)(ffi_cif *, void *, void **, void *);
    void *user_data;
} ffi_closure;

extern ffi_type ffi_type_void, ffi_type_pointer;
extern ffi_type ffi_type_float, ffi_type_double, ffi_type_longdouble;
extern ffi_type ffi_type_uint8, ffi_type_uint16, ffi_type_uint32, ffi_type_uint64;
extern ffi_type ffi_type_sint8, ffi_type_sint16, ffi_type_sint32, ffi_type_sint64;

ffi_status ffi_prep_cif(
    ffi_cif *, ffi_abi, unsigned count, ffi_type *result, ffi_type **parameters);
ffi_status ffi_prep_closure(
    ffi_closure *, ffi_cif *, void (*)(ffi_cif *, void *, void **, void *), void *user_data);

/* Raises a Python exception where the function has other parameters, or more than eight. */
void ffi_call(ffi_cif *, void (*function)(void), void *result, void **arguments);

#endif
