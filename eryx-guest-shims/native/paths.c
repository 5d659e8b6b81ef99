/* Paths, flags and limits of files, as on Linux, in the place of functions of libc.

   libc takes an empty path for the working directory: `os.rmdir("")` would remove that, and
   `os.path.exists("")` would be true. These functions fail with ENOENT, as POSIX says. Those with the
   descriptor of a directory get it from libc already, unless the descriptor stands for the working
   directory. `file_modes.wat` has `stat` and its kin.

   WASI has no error for too many open files, and the host reports EDQUOT, for nothing else. These
   functions fail with EMFILE then. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream.h"

#define EXPORT __attribute__((visibility("default")))

static bool is_empty(const char *path) {
    if (*path)
        return false;
    errno = ENOENT;
    return true;
}

/* Returns the mode of a file that is created. Other calls do not pass one. */
static int creation_mode(int flags, va_list arguments) {
    return flags & O_CREAT ? va_arg(arguments, int) : 0;
}

/* Returns the flags of `open` with an access mode. On Linux, O_RDONLY is 0, and programs leave it
   out; libc refuses flags without a mode. */
static int with_mode(int flags) {
    return flags & O_ACCMODE ? flags : flags | O_RDONLY;
}

/* Returns the result of a function that opens files, with the error number of Linux. */
static int opened(int result) {
    if (result < 0 && errno == EDQUOT)
        errno = EMFILE;
    return result;
}

static DIR *opened_directory(DIR *stream) {
    if (!stream)
        opened(-1);
    return stream;
}

EXPORT int eryx_open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    int mode = creation_mode(flags, arguments);
    va_end(arguments);
    if (is_empty(path))
        return -1;
    note_flags(flags);
    return opened(open(path, with_mode(flags), mode));
}

EXPORT int eryx_openat(int directory, const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    int mode = creation_mode(flags, arguments);
    va_end(arguments);
    if (is_empty(path))
        return -1;
    note_flags(flags);
    return opened(openat(directory, path, with_mode(flags), mode));
}

EXPORT DIR *eryx_opendir(const char *path) {
    return is_empty(path) ? NULL : opened_directory(opendir(path));
}

EXPORT int eryx_access(const char *path, int mode) {
    return is_empty(path) ? -1 : access(path, mode);
}

EXPORT int eryx_faccessat(int directory, const char *path, int mode, int flags) {
    return is_empty(path) ? -1 : faccessat(directory, path, mode, flags);
}

EXPORT int eryx_chdir(const char *path) {
    return is_empty(path) ? -1 : chdir(path);
}

EXPORT int eryx_mkdir(const char *path, mode_t mode) {
    return is_empty(path) ? -1 : mkdir(path, mode);
}

EXPORT int eryx_rmdir(const char *path) {
    return is_empty(path) ? -1 : rmdir(path);
}

EXPORT int eryx_unlink(const char *path) {
    return is_empty(path) ? -1 : unlink(path);
}

EXPORT int eryx_rename(const char *from, const char *to) {
    return is_empty(from) || is_empty(to) ? -1 : rename(from, to);
}

EXPORT int eryx_link(const char *from, const char *to) {
    return is_empty(from) || is_empty(to) ? -1 : link(from, to);
}

EXPORT int eryx_symlink(const char *target, const char *path) {
    return is_empty(target) || is_empty(path) ? -1 : symlink(target, path);
}

EXPORT ssize_t eryx_readlink(const char *path, char *buffer, size_t size) {
    return is_empty(path) ? -1 : readlink(path, buffer, size);
}

EXPORT int eryx_truncate(const char *path, off_t size) {
    return is_empty(path) ? -1 : opened(truncate(path, size));
}

EXPORT int eryx_utimensat(int directory, const char *path, const struct timespec *times, int flags) {
    return is_empty(path) ? -1 : utimensat(directory, path, times, flags);
}
