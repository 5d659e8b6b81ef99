/* dup(2) and dup2(2) for files, which the C library of WASI leaves out.

   In its table, a descriptor is an entry with data, such as the position in a file, and operations
   on them. Duplicates are entries with the same data. Their operations are a copy, of which only the
   one that releases the data differs: it does so with the last duplicate. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream.h"

/* `descriptor_vtable_t` of wasi-libc, which has 24 operations. A copy may have what follows them in
   memory. */
struct operations {
    void (*release)(void *data);
    void *others[31];
};

/* `descriptor_table_entry_t` of wasi-libc. */
struct entry {
    void *data;
    struct operations *operations;
};
struct entry *descriptor_table_get_ref(int fd);
int descriptor_table_insert(struct entry entry);
int descriptor_table_renumber(int fd, int target);

/* The largest descriptor of a duplicate, plus one: Linux has this limit unless it is changed. */
#define MAX_DESCRIPTORS 1024

/* The numbers of all descriptors are less: the host opens 256 files, behind the duplicates at most. */
#define MAX_NUMBERS 2048

/* What duplicates share. An open file whose identity was asked for has it, too. */
struct shared {
    struct operations operations;
    void (*release)(void *data);
    void *data;
    uint32_t count;
    /* The identity of the open file, which no other one gets. */
    long identity;
    struct shared *next;
};
static struct shared *all;
static long last_identity;

/* Removes one of the entries that share `data`. */
static void release(void *data) {
    struct shared **link = &all;
    while ((*link)->data != data)
        link = &(*link)->next;
    struct shared *shared = *link;
    if (--shared->count)
        return;
    *link = shared->next;
    shared->release(data);
    free(shared);
}

/* Returns what the duplicates of an entry share, or NULL and sets `errno`. */
static struct shared *share(struct entry *entry) {
    if (entry->operations->release == release)
        return (struct shared *)entry->operations;
    struct shared *shared = malloc(sizeof *shared);
    if (!shared) {
        errno = ENOMEM;
        return NULL;
    }
    *shared = (struct shared){
        *entry->operations, entry->operations->release, entry->data,
        .count = 1, .identity = ++last_identity, .next = all,
    };
    shared->operations.release = release;
    all = shared;
    entry->operations = &shared->operations;
    return shared;
}

/* Returns a new descriptor of any number, or -1 and sets `errno`. */
static int duplicate(int fd) {
    struct entry *entry = descriptor_table_get_ref(fd);
    struct shared *shared = entry ? share(entry) : NULL;
    if (!shared)
        return -1;
    shared->count++;
    /* The table may move. If it has no room, it releases the entry. */
    struct entry copy = *entry;
    return descriptor_table_insert(copy);
}

/* Makes the unused number `target` a duplicate of `fd`. The table chooses numbers, each once, so
   that it comes to `target` in the end. */
static int duplicate_to_unused(int fd, int target) {
    int *others = malloc(MAX_DESCRIPTORS * sizeof *others);
    if (!others) {
        errno = ENOMEM;
        return -1;
    }
    int count = 0, found = -1;
    while (count < MAX_DESCRIPTORS) {
        found = duplicate(fd);
        if (found < 0 || found == target)
            break;
        others[count++] = found;
    }
    int error = found < 0 ? errno : EMFILE;
    while (count)
        close(others[--count]);
    free(others);
    errno = error;
    return found == target ? target : -1;
}

/* Returns a new descriptor of the lowest unused number. */
static int duplicate_to_lowest(int fd) {
    if (!descriptor_table_get_ref(fd))
        return -1;
    int lowest = 0;
    while (lowest < MAX_DESCRIPTORS && descriptor_table_get_ref(lowest))
        lowest++;
    if (lowest == MAX_DESCRIPTORS) {
        errno = EMFILE;
        return -1;
    }
    return duplicate_to_unused(fd, lowest);
}

static int duplicate_to(int fd, int target) {
    if (!descriptor_table_get_ref(fd))
        return -1;
    if (target < 0 || target >= MAX_DESCRIPTORS) {
        errno = EBADF;
        return -1;
    }
    if (fd == target)
        return target;
    if (!descriptor_table_get_ref(target))
        return duplicate_to_unused(fd, target);
    int copy = duplicate(fd);
    if (copy < 0)
        return -1;
    return descriptor_table_renumber(copy, target) < 0 ? -1 : target;
}

static PyObject *result(int fd) {
    return fd < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLong(fd);
}

/* dup(fd): returns another descriptor of a file. */
static PyObject *dup_file(PyObject *module, PyObject *arguments) {
    int fd;
    if (!PyArg_ParseTuple(arguments, "i", &fd))
        return NULL;
    return result(duplicate_to_lowest(fd));
}

/* dup2(fd, fd2): makes `fd2` another descriptor of a file. */
static PyObject *dup2_file(PyObject *module, PyObject *arguments) {
    int fd, target;
    if (!PyArg_ParseTuple(arguments, "ii", &fd, &target))
        return NULL;
    return result(duplicate_to(fd, target));
}

/* flags(fd): returns the flags of an open file. */
static PyObject *flags(PyObject *module, PyObject *arguments) {
    int fd;
    if (!PyArg_ParseTuple(arguments, "i", &fd))
        return NULL;
    return result(fcntl(fd, F_GETFL));
}

/* identity(fd): returns the number of an open file, which its duplicates have, too. */
static PyObject *identity(PyObject *module, PyObject *arguments) {
    int fd;
    if (!PyArg_ParseTuple(arguments, "i", &fd))
        return NULL;
    struct entry *entry = descriptor_table_get_ref(fd);
    struct shared *shared = entry ? share(entry) : NULL;
    return shared ? PyLong_FromLong(shared->identity) : PyErr_SetFromErrno(PyExc_OSError);
}

/* is_open(identity): returns whether the open file with this identity is open. */
static PyObject *is_open(PyObject *module, PyObject *arguments) {
    long wanted;
    if (!PyArg_ParseTuple(arguments, "l", &wanted))
        return NULL;
    struct shared *shared = all;
    while (shared && shared->identity != wanted)
        shared = shared->next;
    return PyLong_FromLong(shared != NULL);
}

/* has_duplicates(): returns whether there are duplicates, or were until the first one was closed.
   Also true if there are identities. */
static PyObject *has_duplicates(PyObject *module, PyObject *arguments) {
    return PyLong_FromLong(all != NULL);
}

/* open_descriptors(): returns a list of the open descriptors but for the standard ones. */
static PyObject *open_descriptors(PyObject *module, PyObject *arguments) {
    PyObject *list = PyList_New(0);
    for (int fd = 3; list && fd < MAX_NUMBERS; fd++) {
        if (!descriptor_table_get_ref(fd))
            continue;
        PyObject *number = PyLong_FromLong(fd);
        int failed = !number || PyList_Append(list, number) < 0;
        if (number)
            Py_DecRef(number);
        if (failed) {
            Py_DecRef(list);
            return NULL;
        }
    }
    return list;
}

PyMethodDef descriptor_methods[] = {
    {"dup", dup_file, METH_VARARGS, NULL},
    {"dup2", dup2_file, METH_VARARGS, NULL},
    {"flags", flags, METH_VARARGS, NULL},
    {"identity", identity, METH_VARARGS, NULL},
    {"is_open", is_open, METH_VARARGS, NULL},
    {"has_duplicates", has_duplicates, METH_VARARGS, NULL},
    {"open_descriptors", open_descriptors, METH_VARARGS, NULL},
    {0},
};
