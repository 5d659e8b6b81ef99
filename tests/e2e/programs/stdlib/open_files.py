"""The error of too many open files."""

import errno
import os
import shutil
import sqlite3
import tempfile

os.mkdir("directory")
with open("file", "w") as file:
    file.write("content")
# Creates a file to find out whether it can.
tempfile.gettempdir()
root = os.open(".", os.O_RDONLY)
opened = []
while True:
    try:
        opened.append(os.open("file", os.O_RDONLY))
    except OSError as error:
        assert str(error) == f"[Errno {errno.EMFILE}] Too many open files: 'file'", error
        break
assert 200 < len(opened) < 256
descriptor = os.dup(opened[0])
os.close(descriptor)
for function in (
    lambda: open("file"),
    lambda: open("new", "w"),
    lambda: os.open("file", os.O_RDONLY, dir_fd=root),
    lambda: os.listdir("directory"),
    lambda: os.scandir("directory"),
    lambda: os.truncate("file", 3),
    lambda: shutil.copy("file", "copy"),
    lambda: shutil.rmtree("directory"),
    lambda: tempfile.mkstemp(),
    lambda: tempfile.NamedTemporaryFile(),
):
    try:
        function()
    except OSError as error:
        assert error.errno == errno.EMFILE, error
    else:
        raise AssertionError(function)
try:
    sqlite3.connect("database").execute("create table numbers (number)")
except sqlite3.OperationalError as error:
    assert str(error) == "unable to open database file", error
else:
    raise AssertionError("opened")
# What needs no descriptor works, and so does all after a close.
assert os.stat("file").st_size == 7 and os.path.isdir("directory")
assert os.read(opened[-1], 7) == b"content"
for fd in opened:
    os.close(fd)
assert os.listdir("directory") == [] and open("file").read() == "content"
print("ok")
