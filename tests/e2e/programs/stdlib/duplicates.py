"""Duplicates of descriptors of files (dup(2), dup2(2))."""

import errno
import fcntl
import os
import random
import sys
import tempfile


def fails(number, function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        assert error.errno == number, (error, arguments)
    else:
        raise AssertionError(arguments)


# The position is shared, and the file stays open until the last one is closed.
file = open("shared", "w+b", buffering=0)
copy = os.dup(file.fileno())
assert copy != file.fileno() and not os.get_inheritable(copy)
os.write(copy, b"12345")
assert file.tell() == 5 and os.lseek(copy, 1, os.SEEK_SET) == 1
assert file.read(2) == b"23" and os.read(copy, 9) == b"45"
assert os.path.samestat(os.fstat(copy), os.fstat(file.fileno()))
again = os.dup(copy)
file.close()
os.unlink("shared")
os.close(copy)
fails(errno.EBADF, os.read, copy, 1)
assert os.lseek(again, 0, os.SEEK_SET) == 0
with open(again, "rb") as last:
    assert last.read() == b"12345"
fails(errno.EBADF, os.fstat, again)

# dup2 replaces an open descriptor, or takes an unused number.
first, second = tempfile.TemporaryFile(), tempfile.TemporaryFile()
first.write(b"first")
first.flush()
number = second.fileno()
assert os.dup2(first.fileno(), number) == number
second.seek(0)
assert second.read() == b"first"
assert os.dup2(number, number) == number
for unused in (77, 9, 1023):
    assert os.dup2(number, unused, inheritable=False) == unused
    assert os.pread(unused, 5, 0) == b"first"
    os.close(unused)
assert fcntl.fcntl(first, fcntl.F_DUPFD_CLOEXEC, 40) == 40
os.close(40)
lowest = os.dup(number)
os.close(lowest)
assert os.dup2(number, 1000) == 1000
os.close(1000)
assert os.dup(number) == lowest
os.close(lowest)
fails(errno.EINVAL, fcntl.fcntl, first, fcntl.F_DUPFD, -1)

# Standard output, as programs redirect it that print below `sys.stdout`.
saved = os.dup(1)
with open("log", "wb") as log:
    os.dup2(log.fileno(), 1)
    print("printed")
    os.write(1, b"written\n")
    sys.stdout.flush()
os.dup2(saved, 1)
os.close(saved)
assert open("log", "rb").read() == b"printed\nwritten\n"

# Many, closed in any order.
numbers = [os.dup(first.fileno()) for _ in range(500)]
assert len({*numbers}) == 500
random.Random(1).shuffle(numbers)
for number in numbers:
    os.close(number)
assert os.pread(first.fileno(), 5, 0) == b"first"

# A lock is that of the open file, whatever descriptor is used.
fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
copy = os.dup(first.fileno())
fcntl.flock(copy, fcntl.LOCK_EX | fcntl.LOCK_NB)
fcntl.flock(copy, fcntl.LOCK_UN)
os.close(copy)

fails(errno.EBADF, os.dup, 900)
fails(errno.EBADF, fcntl.fcntl, 900, fcntl.F_DUPFD, 2000)
fails(errno.EBUSY, os.dup2, first.fileno(), 3)
assert {"dup", "dup2"} <= {*os.__all__} and os.dup2.__name__ == "dup2"
fails(errno.EBADF, os.dup, -1)
fails(errno.EBADF, os.dup2, 900, 5)
fails(errno.EBADF, os.dup2, first.fileno(), 1024)
fails(errno.EBADF, os.dup2, first.fileno(), -1)
reader, writer = os.pipe()
fails(errno.EOPNOTSUPP, os.dup2, first.fileno(), writer)
fails(errno.EOPNOTSUPP, os.dup2, writer, 1)
assert os.dup2(writer, reader) == reader
os.close(reader)
assert os.dup2(writer, reader, inheritable=False) == reader
assert not os.get_inheritable(reader)
os.fstat(reader)
fails(errno.EBADF, os.dup2, writer, reader + 100)
# The descriptor of the root directory stays open, whatever is closed.
fails(errno.EBADF, os.close, 3)
opened = os.open("log", os.O_RDONLY)
reader, writer = os.pipe()
os.closerange(opened, opened + 1)
os.closerange(reader, 1 << 30)
for closed in (opened, reader, writer):
    fails(errno.EBADF, os.fstat, closed)
os.closerange(3, 4)
assert os.path.exists("log")

# Written at the end of the program, although no file of the host is open.
kept = os.fdopen(os.dup(1), "w")
kept.write("ok\n")
