"""Paths that lead nowhere, and flags without an access mode."""

import contextlib
import os
import pathlib
import shutil

pathlib.Path("kept").write_text("kept")

# The empty path is no path: neither of a file nor of the working directory.
for function, *arguments in (
    (os.stat,),
    (os.lstat,),
    (os.listdir,),
    (os.scandir,),
    (os.chdir,),
    (os.mkdir,),
    (os.makedirs,),
    (os.rmdir,),
    (os.remove,),
    (os.readlink,),
    (os.utime,),
    (os.statvfs,),
    (os.truncate, 0),
    (os.rename, "x"),
    (os.link, "x"),
    (os.symlink, "x"),
    (os.chmod, 0o600),
    (os.chown, -1, -1),
    (os.open, os.O_RDONLY),
    (os.open, os.O_RDWR | os.O_CREAT),
    (open,),
    (open, "w"),
    (shutil.rmtree,),
):
    for path in ("", b""):
        try:
            function(path, *arguments)
        except FileNotFoundError as error:
            assert error.filename == path or function is shutil.rmtree, (function, error)
        else:
            raise AssertionError(function)
for function in (os.rename, os.replace, os.link, os.symlink, shutil.copyfile):
    with contextlib.suppress(FileNotFoundError):
        function("kept", "")
        raise AssertionError(function)
for test in (os.path.exists, os.path.lexists, os.path.isdir, os.path.isfile, os.path.islink):
    assert not test(""), test
assert not os.access("", os.F_OK)
assert os.listdir() == os.listdir(".") == ["kept"]
assert os.getcwd() == "/home/user"

# Permissions cannot be changed, those of a file that does not exist least of all.
for function in (os.chmod, os.lchmod, shutil.copymode):
    with contextlib.suppress(FileNotFoundError):
        function("missing", "kept" if function is shutil.copymode else 0o600)
        raise AssertionError(function)
os.symlink("missing", "link")
with contextlib.suppress(FileNotFoundError):
    os.chmod("link", 0o600)
    raise AssertionError("os.chmod does not follow the link")
os.chmod("kept", 0o400)
os.chmod(os.open("kept", os.O_RDONLY), mode=0o600)
assert pathlib.Path("kept").stat().st_mode & 0o777 == 0o600
os.remove("link")

# On Linux, O_RDONLY is 0: programs leave it out.
descriptor = os.open("kept", 0)
assert os.read(descriptor, 9) == b"kept"
os.close(descriptor)
os.close(os.open("lock", os.O_CREAT | os.O_EXCL))
with contextlib.suppress(FileExistsError):
    os.open("lock", os.O_CREAT | os.O_EXCL)
    raise AssertionError("O_EXCL has no effect")
os.close(os.open(".", os.O_DIRECTORY))
with contextlib.suppress(NotADirectoryError):
    os.open("kept", os.O_DIRECTORY)
    raise AssertionError("O_DIRECTORY has no effect")

# The working directory is the one that a path leads to, without links and "..".
os.makedirs("one/two")
os.symlink("one/two", "two")
for path, expected in (
    ("one/two", "/home/user/one/two"),
    ("..", "/home/user/one"),
    ("./two/../..", "/home/user"),
    ("two", "/home/user/one/two"),
    (b"../..", "/home/user"),
    (pathlib.Path("one"), "/home/user/one"),
    ("/", "/"),
    ("home/user", "/home/user"),
):
    os.chdir(path)
    assert os.getcwd() == expected == os.getcwdb().decode(), (path, os.getcwd())
with contextlib.chdir("two"):
    assert pathlib.Path.cwd() == pathlib.Path("/home/user/one/two")
assert os.getcwd() == "/home/user"
for path, kind in (("missing", FileNotFoundError), ("kept", NotADirectoryError)):
    with contextlib.suppress(kind):
        os.chdir(path)
        raise AssertionError(path)
assert os.getcwd() == "/home/user"

# The blocks of files are those of Linux.
with open("sized", "wb") as file:
    file.write(bytes(5000))
for status in (os.stat("sized"), os.lstat("sized"), os.stat("sized", dir_fd=os.open(".", 0))):
    assert (status.st_blksize, status.st_blocks) == (4096, 16), status
with open("sized", "rb") as file:
    assert os.fstat(file.fileno()).st_blocks == 16
    file.read(1)
    # The buffer of a file is as large as on Linux.
    assert len(file.peek()) == 4999
print("ok")
