/* Locks of SQLite databases.

   SQLite has the locks of a process in its memory, and adds locks of the system against other
   processes. WASI has none of these, so a WASI build makes a directory beside each database that
   is in use: one connection of a program then locks out all others, readers too. But a database in
   the memory of a sandbox has no other process. It gets the locks in memory alone, so that the
   connections of a program to it behave as on Linux. A database in a directory of the machine keeps
   the directory, which other sandboxes respect. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "stream.h"

/* The file numbers of mounted directories are larger (`metadata_hash` in eryx-core). */
#define LARGEST_MEMORY_INODE UINT32_MAX

/* Values of Linux, with which SQLite is compiled, and which WASI's headers lack. */
enum { GET_LOCK = 12, UNLOCKED = 2 };

/* `sqlite3_vfs` of version 3, as far as it is used. */
struct vfs {
    int version;
    int file_size;
    int longest_path;
    struct vfs *next;
    const char *name;
    void *data;
    int (*open)(struct vfs *, const char *, void *, int, int *);
    void *others[12];
    int (*set_system_call)(struct vfs *, const char *, void (*)(void));
};

static struct vfs *memory_locks, *directory_locks;
static int (*unix_open)(struct vfs *, const char *, void *, int, int *);

static bool is_in_memory(const char *path) {
    struct stat status;
    char directory[513];
    if (!stat(path, &status))
        return status.st_ino <= LARGEST_MEMORY_INODE;
    const char *end = strrchr(path, '/');
    size_t size = end ? (size_t)(end - path) : 0;
    if (!size || size >= sizeof directory)
        return false;
    memcpy(directory, path, size);
    directory[size] = '\0';
    return !stat(directory, &status) && status.st_ino <= LARGEST_MEMORY_INODE;
}

static int open_database(struct vfs *vfs, const char *path, void *file, int flags, int *out_flags) {
    /* Without a path, a temporary file. */
    bool is_private = !path || is_in_memory(path);
    return unix_open(is_private ? memory_locks : vfs, path, file, flags, out_flags);
}

/* `fcntl`, where SQLite calls it. The lock of another process is never in the way. */
static int control_file(int descriptor, int command, void *arguments) {
    switch (command) {
    case F_GETFD:
    case F_GETFL:
        return fcntl(descriptor, command);
    case F_SETFD:
    case F_SETFL:
        return fcntl(descriptor, command, *(int *)arguments);
    case GET_LOCK:
        **(short **)arguments = UNLOCKED;
        return 0;
    default:
        return 0;
    }
}

/* Returns the VFS of a name in the data of SQLite, or NULL if there is not exactly one. */
static struct vfs *find(const char *name) {
    const size_t size = __builtin_wasm_memory_size(0) << 16;
    struct vfs *found = NULL;
    for (size_t at = 1024; at + sizeof(struct vfs) <= size; at += 4) {
        struct vfs *vfs = (struct vfs *)at;
        if (vfs->version != 3 || vfs->longest_path != 512)
            continue;
        const size_t text = (size_t)vfs->name;
        if (text < 1024 || text + 16 > size || strcmp(vfs->name, name))
            continue;
        if (found)
            return NULL;
        found = vfs;
    }
    return found;
}

/* install(): makes the default VFS of SQLite choose the locks of a database by its place. */
static PyObject *install(PyObject *module, PyObject *arguments) {
    memory_locks = find("unix");
    directory_locks = find("unix-dotfile");
    if (!memory_locks || !directory_locks || memory_locks->open != directory_locks->open) {
        PyErr_SetString(PyExc_SystemError, "SQLite has not the layout that database_locks.c knows");
        return NULL;
    }
    if (memory_locks->set_system_call(memory_locks, "fcntl", (void (*)(void))control_file)) {
        PyErr_SetString(PyExc_SystemError, "SQLite does not let its system call be replaced");
        return NULL;
    }
    unix_open = directory_locks->open;
    directory_locks->open = open_database;
    Py_IncRef(&_Py_NoneStruct);
    return &_Py_NoneStruct;
}

PyMethodDef database_lock_methods[] = {
    {"install_database_locks", install, METH_NOARGS, NULL},
    {0},
};
