/* Reads, writes and positions of open files, in the place of functions of libc.

   libc reads and writes a file with streams of the host, which begin at the position of the file.
   When the position changes, it has to close them. It forgets that for a seek to the end: the next
   read or write would go on where the one before it ended. And in a file that is open for appending,
   it takes the end for the position whenever it is asked to seek, so that such a file could not be
   read. A seek from the end that fails leaves the position at the end. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stream.h"

#define EXPORT __attribute__((visibility("default")))

/* Whether a file was opened for appending. Until then, no call asks the host for flags. */
static bool any_appends;

void note_flags(int flags) {
    if (flags & O_APPEND)
        any_appends = true;
}

/* Returns the flags of a file that is open for appending, else -1. */
static int appending_flags(int fd) {
    if (!any_appends)
        return -1;
    const int error = errno;
    const int flags = fcntl(fd, F_GETFL);
    errno = error;
    return flags >= 0 && flags & O_APPEND ? flags : -1;
}

static off_t seek(int fd, off_t offset, int whence) {
    if (whence != SEEK_END)
        return lseek(fd, offset, whence);
    const off_t before = lseek(fd, 0, SEEK_CUR);
    if (before < 0)
        return -1;
    const off_t position = lseek(fd, offset, SEEK_END);
    if (position < 0) {
        const int error = errno;
        lseek(fd, before, SEEK_SET);
        errno = error;
        return -1;
    }
    /* Another position, so that the streams are closed. Where the file has streams, it has
       positions: this succeeds. */
    if (lseek(fd, position ? position - 1 : 1, SEEK_SET) < 0)
        return -1;
    return lseek(fd, position, SEEK_SET);
}

EXPORT off_t eryx_lseek(int fd, off_t offset, int whence) {
    const int flags = appending_flags(fd);
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_APPEND) < 0)
        return seek(fd, offset, whence);
    const off_t position = seek(fd, offset, whence);
    const int error = errno;
    fcntl(fd, F_SETFL, flags);
    errno = error;
    return position;
}

/* What `lseek(fd, 0, SEEK_CUR)` is with constant arguments, by a macro of `unistd.h`. */
EXPORT off_t eryx___wasilibc_tell(int fd) {
    return eryx_lseek(fd, 0, SEEK_CUR);
}

/* Pitfall: libc's `pread` copies the bytes before it looks at the error of the host. With an error
   there are no bytes, and it copies from anywhere: that ends the interpreter. So this is a `read`
   at another position, which fails if the file is not open for reading, is a directory, or cannot
   be read. No other thread of Python runs meanwhile. libc's `pwrite` has no such fault. */
EXPORT ssize_t eryx_pread(int fd, void *buffer, size_t size, off_t offset) {
    if (offset < 0) {
        errno = EINVAL;
        return -1;
    }
    const off_t position = eryx_lseek(fd, 0, SEEK_CUR);
    if (position < 0 || eryx_lseek(fd, offset, SEEK_SET) < 0)
        return -1;
    const ssize_t count = read(fd, buffer, size);
    const int error = errno;
    eryx_lseek(fd, position, SEEK_SET);
    errno = error;
    return count;
}

static bool is_regular(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* Linux writes all bytes to a regular file, unless there is no room. The host takes
   `Limits::MAX_TRANSFER` at once, and libc calls it once. An error after some bytes is that of the
   next write, too. */
EXPORT ssize_t eryx_write(int fd, const void *data, size_t size) {
    ssize_t count = write(fd, data, size);
    if (count > 0 && (size_t)count < size && is_regular(fd)) {
        ssize_t more;
        do {
            more = write(fd, (const char *)data + count, size - (size_t)count);
            if (more > 0)
                count += more;
        } while (more > 0 && (size_t)count < size);
    }
    /* What is appended is at the end, wherever the position was. */
    if (count > 0 && appending_flags(fd) >= 0)
        lseek(fd, 0, SEEK_END);
    return count;
}
