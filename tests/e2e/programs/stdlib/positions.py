"""Positions of files that are read and written in turn, or that are open for appending."""

import errno
import fcntl
import os


def error_of(function, *arguments):
    """Returns the name of the error number that a function fails with."""
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "no error"


# A seek to the end is one: what is written after it is at the end, and there is nothing to read.
with open("written", "w+") as file:
    file.write("abc")
    file.seek(0)
    file.write("x")
    file.seek(0, os.SEEK_END)
    file.write("y")
    file.seek(0)
    assert file.read() == "xbcy"
descriptor = os.open("written", os.O_RDWR)
assert os.read(descriptor, 2) == b"xb"
assert os.lseek(descriptor, 0, os.SEEK_END) == 4
assert os.read(descriptor, 2) == b""
assert os.lseek(descriptor, -1, os.SEEK_END) == 3
assert os.read(descriptor, 2) == b"y"
assert os.lseek(descriptor, 1, os.SEEK_SET) == 1
assert os.write(descriptor, b"12") == 2
assert os.lseek(descriptor, 0, os.SEEK_END) == 4
assert os.write(descriptor, b"z") == 1
assert os.pread(descriptor, 9, 0) == b"x12yz"
os.close(descriptor)
empty = os.open("empty", os.O_RDWR | os.O_CREAT)
assert (os.lseek(empty, 0, os.SEEK_END), os.write(empty, b"a")) == (0, 1)
assert (os.lseek(empty, 0, os.SEEK_END), os.read(empty, 1)) == (1, b"")
os.close(empty)
reader, writer = os.pipe()
for end in (reader, writer):
    try:
        os.lseek(end, 0, os.SEEK_END)
    except OSError:
        continue
    raise AssertionError(end)

# A file that is open for appending has a position, from which it is read.
with open("log", "a+") as file:
    file.write("abc")
    file.seek(0)
    assert (file.read(), file.tell()) == ("abc", 3)
    file.seek(0)
    file.write("d")
    assert (file.read(), file.tell()) == ("", 4)
    file.seek(1)
    assert (file.read(1), file.tell()) == ("b", 2)
with open("log", "a+") as file:
    assert file.tell() == 4
    file.seek(0)
    assert file.readlines() == ["abcd"]
with open("log", "ab+", buffering=0) as file:
    assert (file.tell(), file.seek(0), file.tell(), file.read(1), file.tell()) == (4, 0, 0, b"a", 1)
    assert (file.write(b"e"), file.tell(), file.read()) == (1, 5, b"")
    assert (file.seek(1), file.seek(1, os.SEEK_CUR), file.read()) == (1, 2, b"cde")
    assert (file.seek(1), file.seek(0, os.SEEK_END), file.read()) == (1, 5, b"")
    assert (file.seek(0), file.read(1), file.seek(5), file.read()) == (0, b"a", 5, b"")
    copy = os.dup(file.fileno())
    assert (os.lseek(copy, 2, os.SEEK_SET), file.tell(), os.read(copy, 1)) == (2, 2, b"c")
    os.close(copy)
    for whence, offset in ((os.SEEK_SET, -1), (os.SEEK_CUR, -9), (9, 0)):
        try:
            os.lseek(file.fileno(), offset, whence)
        except OSError:
            continue
        raise AssertionError(whence)
    # The file is open for appending still.
    assert file.seek(0) == 0
    assert file.write(b"f") == 1
with open("log", "a") as file:
    assert (file.seek(0), file.tell(), file.write("g"), file.tell()) == (0, 0, 1, 7)
with open("log") as file:
    assert file.read() == "abcdefg"
with open("log", "a+b") as file:
    file.seek(0)
    assert (file.read(1), file.peek(1)[:1], file.tell()) == (b"a", b"b", 1)
    file.truncate(2)
    file.write(b"Z")
    file.seek(0)
    assert file.read() == b"abZ"
# Files of more than the host returns at once.
with open("large", "ab+") as file:
    file.write(bytes(200_000) + b"end")
    file.seek(0)
    content = file.read()
    assert (len(content), content[-3:]) == (200_003, b"end")

# A write to a file writes all, and a read reads all, also more than the host takes at once.
content = bytes(range(256)) * 4000
descriptor = os.open("whole", os.O_RDWR | os.O_CREAT)
assert os.write(descriptor, content) == len(content)
assert os.writev(descriptor, [content, b"end"]) == len(content) + 3
size = os.lseek(descriptor, 0, os.SEEK_CUR)
assert size == 2 * len(content) + 3
assert os.pread(descriptor, size + 1, 0) == content + content + b"end"
assert os.lseek(descriptor, 0, os.SEEK_CUR) == size
os.close(descriptor)
with open("whole", "wb", buffering=0) as file:
    assert (file.write(content), file.tell()) == (len(content), len(content))
with open("whole", "ab+", buffering=0) as file:
    assert (file.seek(0), file.read(1_000_000)) == (0, content[:1_000_000])
    assert (file.tell(), file.read(3)) == (1_000_000, content[1_000_000:1_000_003])
    assert (file.seek(5), file.write(content), file.tell()) == (5, len(content), 2 * len(content))
    assert (file.seek(1), file.read(2_000_000)) == (1, (content + content)[1:2_000_001])

# A seek that fails leaves the position where it is.
for flags in (os.O_RDWR, os.O_RDWR | os.O_APPEND):
    descriptor = os.open("written", flags)
    assert os.read(descriptor, 2) == b"x1"
    assert error_of(os.lseek, descriptor, -50, os.SEEK_END) == "EINVAL"
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == 2
    assert os.read(descriptor, 1) == b"2"
    os.close(descriptor)

# `pread` reads at another position, and leaves the position where it is.
for flags in (os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND):
    descriptor = os.open("written", flags)
    assert (os.read(descriptor, 2), os.pread(descriptor, 2, 3)) == (b"x1", b"yz")
    assert (os.pread(descriptor, 1, 2), os.pread(descriptor, 9, 1 << 62)) == (b"2", b"")
    assert (os.lseek(descriptor, 0, os.SEEK_CUR), os.read(descriptor, 9)) == (2, b"2yz")
    assert error_of(os.pread, descriptor, 1, -1) == "EINVAL"
    os.close(descriptor)
# Regression: where a file cannot be read, it ended the interpreter.
for path, flags, error in (
    ("written", os.O_WRONLY, "EBADF"),
    ("written", os.O_WRONLY | os.O_APPEND, "EBADF"),
    (".", os.O_RDONLY, "EISDIR"),
):
    descriptor = os.open(path, flags)
    assert error_of(os.pread, descriptor, 1, 0) == error, (path, flags)
    assert error_of(os.preadv, descriptor, [bytearray(1)], 0) == error, (path, flags)
    os.close(descriptor)
descriptor = os.open("written", os.O_RDONLY)
assert error_of(os.pwrite, descriptor, b"x", 0) == "EBADF"
assert error_of(os.pwritev, descriptor, [b"x"], 0) == "EBADF"
os.close(descriptor)
for function in (os.pread, os.pwrite):
    assert error_of(function, descriptor, 1 if function is os.pread else b"x", 0) == "EBADF"

# The flags say how a file is open.
for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND):
    descriptor = os.open("log", flags)
    assert fcntl.fcntl(descriptor, fcntl.F_GETFL) == flags, flags
    os.close(descriptor)
print("ok")
