/* The allocator of small objects.

   CPython has one of its own (pymalloc), which WASI builds leave out: every object is then an
   allocation of the C library, which searches for it and merges it with its neighbours when it is
   freed. CPython also carries mimalloc, which can only be chosen before the interpreter starts.

   Objects of one size lie in a pool, a page of memory with a list of its free blocks. Pools lie in
   arenas, which are allocations of the C library. An arena without objects is freed, so that large
   objects can take its place. Objects of more than MAX_SIZE bytes, and those that were allocated
   before, are the C library's, as are the first objects of each program: a short one is faster if
   it writes to few pages, and each size would be one more. */
#include <stdlib.h>
#include <string.h>

#include "stream.h"

/* The largest object of a pool, and the difference between two sizes, in bytes: those of pymalloc.
   Smaller differences would save memory, and have programs write to more pages. */
#define MAX_SIZE 512
#define ALIGNMENT 16

/* The number of objects of a program before the first that lies in a pool. */
#define OBJECTS_BEFORE_POOLS 8192

#define POOL_SIZE 4096
#define ARENA_SIZE (256 << 10)

/* Arenas have this alignment, so that one entry of `in_arena` tells what an address belongs to. */
#define ARENA_ALIGNMENT_BITS 16

/* `PyMemAllocatorEx`, and values of `PyMemAllocatorDomain`. */
struct allocator {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *block, size_t size);
    void (*free)(void *context, void *block);
};
enum { DOMAIN_MEM = 1, DOMAIN_OBJECT = 2 };
void PyMem_SetAllocator(int domain, struct allocator *);

struct block {
    struct block *next;
};

/* The beginning of a pool. */
struct pool {
    /* The neighbours among the pools of its size that have room. `next` is NULL for a pool that is
       not among them. For a pool without objects, `next` is the next such one of the arena. */
    struct pool *next, *previous;
    struct arena *arena;
    /* The blocks that were freed. */
    struct block *freed;
    /* The offset of the first block that was never used. */
    uint32_t unused;
    /* The number of objects. */
    uint32_t count;
    uint32_t size;
    uint32_t size_class;
};

struct arena {
    /* The neighbours among the arenas that have pools without objects. `next` is NULL for an arena
       that is not among them. */
    struct arena *next, *previous;
    char *start;
    /* The pools that have no objects any more. */
    struct pool *empty;
    /* The offset of the first pool that was never used. */
    uint32_t unused;
    /* The number of pools with objects. */
    uint32_t count;
};

#define SIZE_CLASSES (MAX_SIZE / ALIGNMENT)

/* The heads of the lists: pools with room, by size, and arenas with pools without objects. */
static struct pool with_room[SIZE_CLASSES];
static struct arena with_pools;

/* The number of arenas without objects: at most one is kept. */
static uint32_t empty_arenas;

/* The number of objects until the first pool. */
static uint32_t objects_before_pools;

/* Whether an address is in an arena. */
static unsigned char in_arena[1 << (32 - ARENA_ALIGNMENT_BITS)];

static void mark_arena(const char *start, bool is_arena) {
    memset(&in_arena[(uintptr_t)start >> ARENA_ALIGNMENT_BITS], is_arena,
           ARENA_SIZE >> ARENA_ALIGNMENT_BITS);
}

static bool is_pooled(const void *block) {
    return in_arena[(uintptr_t)block >> ARENA_ALIGNMENT_BITS];
}

static struct pool *pool_of(void *block) {
    return (struct pool *)((uintptr_t)block & ~(uintptr_t)(POOL_SIZE - 1));
}

/* Inserts `item` after `place`, in a list of pools or arenas. */
#define INSERT(item, place)                                                                        \
    do {                                                                                           \
        __typeof__(item) inserted = (item), before = (place);                                      \
        inserted->next = before->next;                                                             \
        inserted->previous = before;                                                               \
        before->next->previous = inserted;                                                         \
        before->next = inserted;                                                                   \
    } while (0)

/* Takes `item` from its list. */
#define REMOVE(item)                                                                               \
    do {                                                                                           \
        __typeof__(item) removed = (item);                                                         \
        removed->previous->next = removed->next;                                                   \
        removed->next->previous = removed->previous;                                               \
        removed->next = NULL;                                                                      \
    } while (0)

static struct arena *new_arena(void) {
    struct arena *arena = malloc(sizeof *arena);
    char *start = aligned_alloc(1 << ARENA_ALIGNMENT_BITS, ARENA_SIZE);
    if (!arena || !start) {
        free(arena);
        free(start);
        return NULL;
    }
    *arena = (struct arena){.start = start};
    mark_arena(start, true);
    INSERT(arena, &with_pools);
    empty_arenas++;
    return arena;
}

/* Whether the memory of freed arenas becomes zero: while a snapshot is prepared, so that their former
   content is no part of it. */
static bool zeroes_arenas;

static void free_arena(struct arena *arena) {
    if (zeroes_arenas)
        memset(arena->start, 0, ARENA_SIZE);
    REMOVE(arena);
    mark_arena(arena->start, false);
    free(arena->start);
    free(arena);
    empty_arenas--;
}

/* Returns a new pool with room for objects of a size; NULL if there is no memory, or if it is too
   early for pools. */
static __attribute__((noinline)) struct pool *new_pool(size_t size_class) {
    if (objects_before_pools) {
        objects_before_pools--;
        return NULL;
    }
    struct arena *arena = with_pools.next;
    if (arena == &with_pools && !(arena = new_arena()))
        return NULL;
    if (!arena->count++)
        empty_arenas--;
    struct pool *pool = arena->empty;
    if (pool) {
        arena->empty = pool->next;
    } else {
        pool = (struct pool *)(arena->start + arena->unused);
        arena->unused += POOL_SIZE;
    }
    if (!arena->empty && arena->unused == ARENA_SIZE)
        REMOVE(arena);
    *pool = (struct pool){
        .arena = arena,
        .unused = sizeof *pool,
        .size = (size_class + 1) * ALIGNMENT,
        .size_class = size_class,
    };
    INSERT(pool, &with_room[size_class]);
    return pool;
}

/* Gives a pool without objects back to its arena. */
static __attribute__((noinline)) void free_pool(struct pool *pool) {
    struct arena *arena = pool->arena;
    REMOVE(pool);
    pool->next = arena->empty;
    arena->empty = pool;
    /* At the end: the arenas that are used first are the ones that stay. */
    if (!arena->next)
        INSERT(arena, with_pools.previous);
    if (!--arena->count && ++empty_arenas > 1)
        free_arena(arena);
}

static bool is_full(const struct pool *pool) {
    return !pool->freed && pool->unused + pool->size > POOL_SIZE;
}

/* Returns a block for an object of a size; NULL if there is no memory. */
static inline void *take_block(size_t size_class) {
    struct pool *pool = with_room[size_class].next;
    if (pool == &with_room[size_class] && !(pool = new_pool(size_class)))
        /* Without memory for an arena, the C library may have room for one more object. */
        return malloc((size_class + 1) * ALIGNMENT);
    pool->count++;
    struct block *block = pool->freed;
    if (block) {
        pool->freed = block->next;
    } else {
        block = (struct block *)((char *)pool + pool->unused);
        pool->unused += pool->size;
    }
    if (is_full(pool))
        REMOVE(pool);
    return block;
}

static void *pool_malloc(void *context, size_t size) {
    if (size > MAX_SIZE)
        return malloc(size);
    return take_block(size ? (size - 1) / ALIGNMENT : 0);
}

static void *pool_calloc(void *context, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > MAX_SIZE)
        return calloc(count, size);
    void *block = pool_malloc(context, bytes);
    if (block)
        memset(block, 0, bytes);
    return block;
}

static void pool_free(void *context, void *freed) {
    if (!is_pooled(freed)) {
        free(freed);
        return;
    }
    struct pool *pool = pool_of(freed);
    struct block *block = freed;
    block->next = pool->freed;
    pool->freed = block;
    if (!pool->next)
        INSERT(pool, &with_room[pool->size_class]);
    /* The last pool of a size is kept, for the next object. */
    if (!--pool->count && pool->next != pool->previous)
        free_pool(pool);
}

static void *pool_realloc(void *context, void *block, size_t size) {
    if (!block)
        return pool_malloc(context, size);
    if (!is_pooled(block))
        return realloc(block, size);
    size_t old_size = pool_of(block)->size;
    /* An object stays where it is unless that wastes a quarter of its block. */
    if (size <= old_size && size > old_size - old_size / 4)
        return block;
    void *copy = pool_malloc(context, size);
    if (!copy)
        /* A smaller object fits where it is. */
        return size <= old_size ? block : NULL;
    memcpy(copy, block, size < old_size ? size : old_size);
    pool_free(context, block);
    return copy;
}

static void start(void) {
    with_pools.next = with_pools.previous = &with_pools;
    for (size_t i = 0; i < SIZE_CLASSES; i++)
        with_room[i].next = with_room[i].previous = &with_room[i];
    struct allocator allocator = {NULL, pool_malloc, pool_calloc, pool_realloc, pool_free};
    PyMem_SetAllocator(DOMAIN_MEM, &allocator);
    PyMem_SetAllocator(DOMAIN_OBJECT, &allocator);
}

/* Takes all pools and arenas from their lists. */
static void close_pools(void) {
    zeroes_arenas = true;
    for (size_t i = 0; i < SIZE_CLASSES; i++) {
        struct pool *pool;
        while ((pool = with_room[i].next) != &with_room[i]) {
            if (pool->count)
                REMOVE(pool);
            else
                free_pool(pool);
        }
    }
    struct arena *arena;
    while ((arena = with_pools.next) != &with_pools) {
        if (arena->count)
            REMOVE(arena);
        else
            free_arena(arena);
    }
    zeroes_arenas = false;
}

/* start_object_pools(): later objects lie in new pools of new arenas, and so on adjacent pages, but
   for the first ones. The first call starts the allocator. A pool or arena that has objects gets new
   ones only after one of its own is freed. */
static PyObject *start_object_pools(PyObject *module, PyObject *arguments) {
    if (with_pools.next)
        close_pools();
    else
        start();
    objects_before_pools = OBJECTS_BEFORE_POOLS;
    Py_IncRef(&_Py_NoneStruct);
    return &_Py_NoneStruct;
}

PyMethodDef object_pool_methods[] = {
    {"start_object_pools", start_object_pools, METH_VARARGS, NULL},
    {0},
};
