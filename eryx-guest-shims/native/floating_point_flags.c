/* The flags of floating-point errors (C11, 7.6.2), which WebAssembly does not have: the C library of
   WASI neither sets nor has any. With these functions in the place of its own, code that sets flags
   finds them later, in other modules too: so does numpy to tell Python that a matrix is singular, or
   that an integer was divided by zero. Operations on floating-point numbers still set none.

   The values are those that modules are compiled with. */

#define EXPORT __attribute__((visibility("default")))

static int raised;

EXPORT int eryx_feraiseexcept(int flags) {
    raised |= flags;
    return 0;
}

EXPORT int eryx_feclearexcept(int flags) {
    raised &= ~flags;
    return 0;
}

EXPORT int eryx_fetestexcept(int flags) {
    return raised & flags;
}
