"""Memory maps of anonymous memory and of files, and locks of files."""

import errno
import fcntl
import mmap
import os
import pathlib
import re
import struct
import threading

path = pathlib.Path("data")

anonymous = mmap.mmap(-1, 100)
anonymous.write(b"hello world")
anonymous.seek(0)
anonymous[:2] = b"HE"
assert anonymous.read(5) == b"HEllo"
assert anonymous.find(b"wor") == 6
assert re.search(b"w(.)r", anonymous).group(1) == b"o"
struct.pack_into("<I", anonymous, 96, 7)
assert struct.unpack_from("<I", anonymous, 96) == (7,)
assert list(anonymous)[:2] == [anonymous[index : index + 1] for index in range(2)]
assert next(reversed(anonymous)) == anonymous[-1:]
assert anonymous[:1] in anonymous and bytearray(anonymous[:1]) in anonymous
assert anonymous[:2] not in anonymous and anonymous[0] not in anonymous
view = memoryview(anonymous)
try:
    anonymous.close()
except BufferError:
    pass
else:
    raise AssertionError("closed with a view")
view.release()
anonymous.close()
assert anonymous.closed

# What is written through a map is in the file, also after the file object is closed.
path.write_bytes(b"0123456789" * 10)
with open(path, "r+b") as file:
    shared = mmap.mmap(file.fileno(), 0)
shared[0:3] = b"abc"
assert path.read_bytes()[:5] == b"abc34"
with memoryview(shared) as view:
    view[3] = ord("d")
shared.flush()
assert path.read_bytes()[:5] == b"abcd4"
shared.seek(50)
shared.write_byte(ord("!"))
shared.resize(60)
assert path.stat().st_size == len(shared) == shared.size() == 60
shared.close()
assert path.read_bytes()[50] == ord("!")

with open(path, "rb") as file:
    with mmap.mmap(file.fileno(), 10, access=mmap.ACCESS_READ) as readable:
        assert readable[:4] == b"abcd"
        assert readable.readline() == b"abcd456789"
        for change in (
            lambda: readable.write(b"x"),
            lambda: memoryview(readable).__setitem__(0, 1),
        ):
            try:
                change()
            except TypeError:
                continue
            raise AssertionError("a read-only map changed")
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) as private:
        private[0] = 0
    try:
        mmap.mmap(file.fileno(), 0)
    except OSError:
        pass
    else:
        raise AssertionError("a map to write of a file that is open to read")
    for arguments in ((0, 61), (file.fileno(), 1000), (-1, 0)):
        try:
            mmap.mmap(*arguments)
        except (OSError, ValueError):
            continue
        raise AssertionError(arguments)
assert path.read_bytes()[0] == ord("a")

# Two open files exclude each other, as they do between threads on other systems.
with open(path, "r+b") as first, open(path, "r+b") as second:
    fcntl.flock(first, fcntl.LOCK_EX)
    try:
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        raise AssertionError("two exclusive locks")
    try:
        fcntl.flock(second, fcntl.LOCK_SH)
    except OSError as error:
        assert error.errno == errno.EDEADLK
    fcntl.flock(first, fcntl.LOCK_UN)
    fcntl.flock(second, fcntl.LOCK_SH)
    fcntl.flock(first, fcntl.LOCK_SH)
    fcntl.lockf(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.lockf(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.lockf(first.fileno(), os.F_TLOCK, 0)
    flags = fcntl.fcntl(first, fcntl.F_GETFD)
    fcntl.fcntl(first, fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)
    assert fcntl.fcntl(first, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR
    try:
        fcntl.ioctl(first, 0x5413)
    except OSError as error:
        assert error.errno == errno.ENOTTY
# Closing a file releases its lock, also where another file then has its number. A duplicate keeps
# it.
with open(path, "r+b") as third, open(path, "r+b") as fourth:
    fcntl.flock(third, fcntl.LOCK_EX | fcntl.LOCK_NB)
    duplicate, number = os.dup(third.fileno()), third.fileno()
    third.close()
    for closed in (False, True):
        with open(path, "r+b") as reused:
            assert reused.fileno() == number
            if closed:
                os.close(duplicate)
            for file in (reused, fourth):
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    assert not closed
                else:
                    assert closed

# A thread waits until another one unlocks the file.
with open(path, "r+b") as first, open(path, "r+b") as second:
    fcntl.flock(first, fcntl.LOCK_EX)
    threading.Timer(0.01, fcntl.flock, (first, fcntl.LOCK_UN)).start()
    fcntl.flock(second, fcntl.LOCK_EX)
    fcntl.flock(second, fcntl.LOCK_UN)


class Anonymous(mmap.mmap):
    def __new__(cls, *arguments, **keywords):
        return super().__new__(cls, -1, *arguments, **keywords)


with Anonymous(10, access=mmap.ACCESS_WRITE) as memory:
    memory[2:4] = b"ab"
    assert memory.find(b"b") == 3
with open(path, "w+b") as file:
    file.truncate(9 << 20)
    with mmap.mmap(file.fileno(), 0) as memory:
        memory[5 << 20] = 1
        memory.flush()
    file.seek(5 << 20)
    assert file.read(2) == b"\1\0"

descriptor = os.open("vector", os.O_RDWR | os.O_CREAT)
assert os.writev(descriptor, [b"ab", b"cde"]) == 5
parts = [bytearray(2), bytearray(9)]
assert os.preadv(descriptor, parts, 0) == 5
assert parts[0] == b"ab"
assert os.pwritev(descriptor, [b"X"], 1) == 1
os.posix_fallocate(descriptor, 0, 100)
assert os.fstat(descriptor).st_size == 100
os.close(descriptor)


class Closing:
    """An index whose method closes a map."""

    def __init__(self, mapped):
        self.mapped = mapped

    def __index__(self):
        self.mapped.close()
        return 1


def change(mapped, key):
    mapped[key] = 1


for use in (
    lambda mapped: mapped[Closing(mapped)],
    lambda mapped: mapped[Closing(mapped) :],
    lambda mapped: change(mapped, Closing(mapped)),
    lambda mapped: change(mapped, slice(Closing(mapped), None)),
):
    try:
        use(mmap.mmap(-1, 10))
    except ValueError as error:
        assert str(error) == "mmap closed or invalid", error
    else:
        raise AssertionError("closed, and used")
assert mmap.mmap(-1, 4)[::-1] == bytes(4)

# A map that does not keep the descriptor of its file.
with open(path, "r+b") as file, mmap.mmap(file.fileno(), 10, trackfd=False) as untracked:
    for function, kind in ((untracked.size, OSError), (lambda: untracked.resize(5), ValueError)):
        try:
            function()
        except kind:
            pass
        else:
            raise AssertionError
    assert len(untracked) == 10

print("ok")
