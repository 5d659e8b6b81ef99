/* The part of libffi's interface that cffi uses: see ffi.h. */

#include <Python.h>
#include <ffi.h>
#include <stdint.h>

#define DEFINE(name, number, c_type) \
    ffi_type ffi_type_##name = {sizeof(c_type), _Alignof(c_type), FFI_TYPE_##number, NULL}

ffi_type ffi_type_void = {1, 1, FFI_TYPE_VOID, NULL};
DEFINE(pointer, POINTER, void *);
DEFINE(float, FLOAT, float);
DEFINE(double, DOUBLE, double);
DEFINE(longdouble, LONGDOUBLE, long double);
DEFINE(uint8, UINT8, uint8_t);
DEFINE(uint16, UINT16, uint16_t);
DEFINE(uint32, UINT32, uint32_t);
DEFINE(uint64, UINT64, uint64_t);
DEFINE(sint8, SINT8, int8_t);
DEFINE(sint16, SINT16, int16_t);
DEFINE(sint32, SINT32, int32_t);
DEFINE(sint64, SINT64, int64_t);

enum { MAX_PARAMETERS = 8 };

/* Computes the size of a struct and of what it contains. */
static void lay_out(ffi_type *type) {
    if (type->type != FFI_TYPE_STRUCT || type->size != 0)
        return;
    type->alignment = 1;
    for (ffi_type **element = type->elements; *element != NULL; element++) {
        lay_out(*element);
        const size_t alignment = (*element)->alignment;
        type->size = (type->size + alignment - 1) / alignment * alignment + (*element)->size;
        if (alignment > type->alignment)
            type->alignment = (*element)->alignment;
    }
    type->size = (type->size + type->alignment - 1) / type->alignment * type->alignment;
}

ffi_status ffi_prep_cif(
    ffi_cif *cif, ffi_abi abi, unsigned count, ffi_type *result, ffi_type **parameters) {
    cif->abi = abi;
    cif->nargs = count;
    cif->rtype = result;
    cif->arg_types = parameters;
    lay_out(result);
    for (unsigned index = 0; index < count; index++)
        lay_out(parameters[index]);
    return FFI_OK;
}

ffi_status ffi_prep_closure(
    ffi_closure *closure, ffi_cif *cif, void (*function)(ffi_cif *, void *, void **, void *),
    void *user_data) {
    (void)closure, (void)cif, (void)function, (void)user_data;
    return FFI_BAD_ABI;
}

/* Returns whether a type is that of an integer of up to 32 bits, or of a pointer. */
static int is_word(const ffi_type *type) {
    switch (type->type) {
    case FFI_TYPE_INT:
    case FFI_TYPE_UINT8:
    case FFI_TYPE_SINT8:
    case FFI_TYPE_UINT16:
    case FFI_TYPE_SINT16:
    case FFI_TYPE_UINT32:
    case FFI_TYPE_SINT32:
    case FFI_TYPE_POINTER:
        return 1;
    default:
        return 0;
    }
}

/* Returns an argument. Small integers have their sign or zeros in the rest of the word. */
static int32_t word(const ffi_type *type, const void *value) {
    switch (type->type) {
    case FFI_TYPE_UINT8:
        return *(const uint8_t *)value;
    case FFI_TYPE_SINT8:
        return *(const int8_t *)value;
    case FFI_TYPE_UINT16:
        return *(const uint16_t *)value;
    case FFI_TYPE_SINT16:
        return *(const int16_t *)value;
    default:
        return *(const int32_t *)value;
    }
}

#define CALL(...) \
    do { \
        if (cif->rtype->type == FFI_TYPE_VOID) \
            ((void (*)(__VA_ARGS__))function)(ARGUMENTS); \
        else \
            *(int32_t *)result = ((int32_t(*)(__VA_ARGS__))function)(ARGUMENTS); \
    } while (0)

void ffi_call(ffi_cif *cif, void (*function)(void), void *result, void **arguments) {
    int is_supported = cif->nargs <= MAX_PARAMETERS;
    is_supported &= cif->rtype->type == FFI_TYPE_VOID || is_word(cif->rtype);
    int32_t w[MAX_PARAMETERS] = {0};
    for (unsigned index = 0; is_supported && index < cif->nargs; index++) {
        is_supported = is_word(cif->arg_types[index]);
        if (is_supported)
            w[index] = word(cif->arg_types[index], arguments[index]);
    }
    if (!is_supported) {
        PyGILState_STATE state = PyGILState_Ensure();
        PyErr_SetString(
            PyExc_NotImplementedError,
            "in a sandbox, cffi calls functions through pointers only if they have at most eight "
            "parameters, which are integers of 32 bits or pointers, as the result is");
        PyGILState_Release(state);
        return;
    }
    typedef int32_t W;
    switch (cif->nargs) {
#define ARGUMENTS
    case 0: CALL(void); break;
#undef ARGUMENTS
#define ARGUMENTS w[0]
    case 1: CALL(W); break;
#undef ARGUMENTS
#define ARGUMENTS w[0], w[1]
    case 2: CALL(W, W); break;
#undef ARGUMENTS
#define ARGUMENTS w[0], w[1], w[2]
    case 3: CALL(W, W, W); break;
#undef ARGUMENTS
#define ARGUMENTS w[0], w[1], w[2], w[3]
    case 4: CALL(W, W, W, W); break;
#undef ARGUMENTS
#define ARGUMENTS w[0], w[1], w[2], w[3], w[4]
    case 5: CALL(W, W, W, W, W); break;
#undef ARGUMENTS
#define ARGUMENTS w[0], w[1], w[2], w[3], w[4], w[5]
    case 6: CALL(W, W, W, W, W, W); break;
#undef ARGUMENTS
#define ARGUMENTS w[0], w[1], w[2], w[3], w[4], w[5], w[6]
    case 7: CALL(W, W, W, W, W, W, W); break;
#undef ARGUMENTS
#define ARGUMENTS w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    default: CALL(W, W, W, W, W, W, W, W); break;
#undef ARGUMENTS
    }
}
