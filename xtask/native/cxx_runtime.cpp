/* What a module in C++ expects of its runtime library, besides the sources of libc++: memory, and
   exceptions, which sandboxes do not have. */

#include <cstddef>
#include <cstdlib>
#include <new>

/* CPython's: ends the sandbox with a message. */
extern "C" [[noreturn]] void _Py_FatalErrorFunc(const char *function, const char *message);

static void *allocate(std::size_t size, std::size_t alignment = alignof(std::max_align_t)) {
    size = size ? size : 1;
    void *memory = alignment > alignof(std::max_align_t)
        ? std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment)
        : std::malloc(size);
    if (!memory) {
        _Py_FatalErrorFunc("operator new", "out of memory");
    }
    return memory;
}

using Size = std::size_t;
using Alignment = std::align_val_t;

void *operator new(Size size) { return allocate(size); }
void *operator new[](Size size) { return allocate(size); }
void *operator new(Size size, Alignment alignment) { return allocate(size, Size(alignment)); }
void *operator new[](Size size, Alignment alignment) { return allocate(size, Size(alignment)); }
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete[](void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, Size) noexcept { std::free(memory); }
void operator delete[](void *memory, Size) noexcept { std::free(memory); }
void operator delete(void *memory, Alignment) noexcept { std::free(memory); }
void operator delete[](void *memory, Alignment) noexcept { std::free(memory); }
void operator delete(void *memory, Size, Alignment) noexcept { std::free(memory); }
void operator delete[](void *memory, Size, Alignment) noexcept { std::free(memory); }

extern "C" void *__cxa_allocate_exception(Size) {
    _Py_FatalErrorFunc("throw", "a module in C++ threw an exception, which sandboxes do not have");
}
extern "C" void __cxa_throw(void *, void *, void (*)(void *)) { std::abort(); }
