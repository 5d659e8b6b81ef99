"""Uses up the budgets for bytes, files and open files, and goes on after each."""

import errno
import os
import time


def error_of(function):
    """Returns the name of the error number that a function fails with."""
    try:
        function()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "no error"


def fill(path):
    """Writes to a file until nothing more fits, and returns its size."""
    with open(path, "wb", buffering=0) as file:
        block = bytes(1 << 20)
        try:
            while file.write(block):
                pass
        except OSError as error:
            assert error.errno in (errno.ENOSPC, errno.EIO), error
    return os.path.getsize(path)


# What fits exactly is no error.
with open("/tmp/full", "wb") as file:
    for _ in range(64):
        file.write(bytes(1 << 20))
assert os.path.getsize("/tmp/full") == 64 << 20
os.remove("/tmp/full")
assert fill("/tmp/full") == 64 << 20
with open("/tmp/other", "wb", buffering=0) as file:
    assert error_of(lambda: file.write(b"x")) == "ENOSPC"
    assert error_of(lambda: os.pwrite(file.fileno(), b"x", 0)) == "ENOSPC"
    assert error_of(lambda: os.ftruncate(file.fileno(), 1)) == "ENOSPC"
    assert error_of(lambda: os.ftruncate(file.fileno(), 1 << 40)) == "EFBIG"
    assert error_of(lambda: os.pwrite(file.fileno(), b"x", 1 << 62)) == "EFBIG"
    file.seek(1 << 40)
    assert error_of(lambda: file.write(b"x")) == "EFBIG"
os.remove("/tmp/full")
# A write of more than fits writes what fits.
with open("/tmp/full", "wb", buffering=0) as file:
    file.truncate((64 << 20) - 500_000)
    file.seek(0, os.SEEK_END)
    assert (file.write(bytes(1 << 20)), file.tell()) == (500_000, 64 << 20)
assert fill("/tmp/full") == 64 << 20
os.truncate("/tmp/full", 0)
print("bytes")

os.mkdir("/tmp/many")
count = 0
try:
    while True:
        os.close(os.open(f"/tmp/many/{count}", os.O_CREAT | os.O_WRONLY))
        count += 1
except OSError as error:
    assert error.errno == errno.ENOSPC
# Two files above, and the directory.
assert count == 10_000 - 3, count
assert error_of(lambda: os.mkdir("/tmp/x")) == "ENOSPC"
assert error_of(lambda: os.symlink("x", "/tmp/x")) == "ENOSPC"
assert len(os.listdir("/tmp/many")) == count
for name in os.listdir("/tmp/many"):
    os.remove(f"/tmp/many/{name}")
print("files")

held = []
try:
    while True:
        held.append(os.open("/tmp/other", os.O_RDONLY))
except OSError as error:
    assert error.errno == errno.EMFILE, error
# The root is open, too.
assert len(held) == 255, len(held)
for descriptor in held:
    os.close(descriptor)
print("open")

started = time.monotonic()
with open("/tmp/other", "wb") as file:
    for _ in range(50_000):
        file.write(b"a line of a log file\n")
assert os.path.getsize("/tmp/other") == 50_000 * 21
print("alive")
