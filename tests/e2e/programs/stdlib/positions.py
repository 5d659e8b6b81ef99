"""Positions of files that are read and written in turn, or that are open for appending."""

import fcntl
import os

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

# The flags say how a file is open.
for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_APPEND):
    descriptor = os.open("log", flags)
    assert fcntl.fcntl(descriptor, fcntl.F_GETFL) == flags, flags
    os.close(descriptor)
print("ok")
