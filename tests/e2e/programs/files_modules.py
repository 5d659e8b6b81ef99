"""Uses files with the modules of the standard library that programs use for them."""

import contextlib
import csv
import errno
import filecmp
import glob
import gzip
import importlib
import json
import linecache
import logging
import os
import pathlib
import shelve
import shutil
import sqlite3
import stat
import sys
import tarfile
import tempfile
import zipfile


def error_of(function):
    """Returns the name of the error number that a function fails with."""
    try:
        function()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "no error"


def check_open():
    path = "/tmp/open"
    with open(path, "w") as file:
        assert file.write("one\ntwo\n") == 8
    with open(path, "a", encoding="utf-8") as file:
        assert file.tell() == 8
        file.write("drei\u00df\n")
    with open(path, "rb") as file:
        assert file.read() == b"one\ntwo\ndrei\xc3\x9f\n"
        assert file.seek(-4, os.SEEK_END) == 11
        assert file.read(2) == b"i\xc3"
    with open(path, "r+") as file:
        assert file.readline() == "one\n"
        file.seek(0)
        file.write("ONE")
        assert file.truncate(6) == 6
    assert open(path).read() == "ONE\ntw"
    assert error_of(lambda: open(path, "x")) == "EEXIST"
    with open(path, "w+b", buffering=0) as file:
        assert file.write(b"0123456789") == 10
        # Reads and writes of one descriptor share its position, without a seek between them.
        file.seek(2)
        assert file.read(3) == b"234"
        assert file.write(b"xx") == 2
        assert file.read(2) == b"78"
        file.seek(20)
        file.write(b"end")
        file.seek(0)
        assert file.read() == b"01234xx789" + bytes(10) + b"end"
    large = bytes(range(256)) * 8192
    with open(path, "wb") as file:
        assert file.write(large) == len(large)
    with open(path, "rb") as file:
        assert file.read() == large
        file.seek(1_000_000)
        assert file.read(1000) == large[1_000_000:1_001_000]
    with open(path, "rb", buffering=0) as file:
        os.unlink(path)
        assert len(file.read(100)) == 100
    assert not os.path.exists(path)


def check_large_reads():
    path = "/tmp/large"
    content = bytes(range(256)) * 1500 + b"the end"
    with open(path, "wb") as file:
        file.write(content)
    assert open(path, "rb").read() == content
    assert open(path, encoding="latin-1").read() == content.decode("latin-1").replace("\r", "\n")
    fd = os.open(path, os.O_RDWR)
    # As natively, a read of a file returns all there is.
    assert os.read(fd, 1 << 20) == content and os.read(fd, 1 << 20) == b""
    for start in (0, 1, 65_536, len(content) - 65_537, len(content) - 3):
        for size in (65_536, 65_537, 100_000, 262_144):
            os.lseek(fd, start, os.SEEK_SET)
            assert os.read(fd, size) == content[start : start + size], (start, size)
            position = min(start + size, len(content))
            assert os.lseek(fd, 0, os.SEEK_CUR) == position, (start, size)
            assert os.read(fd, 10) == content[position : position + 10]
    # A write goes on where a read ended.
    os.lseek(fd, 5, os.SEEK_SET)
    assert os.read(fd, 100_000) == content[5:100_005] and os.write(fd, b"written") == 7
    assert os.read(fd, 200_000) == content[100_012:300_012]
    os.close(fd)
    content = content[:100_005] + b"written" + content[100_012:]
    with open(path, "rb", buffering=0) as file:
        buffer = bytearray(200_000)
        assert file.readinto(buffer) == 200_000 and buffer == content[:200_000]
        assert file.read(150_000) == content[200_000:350_000] and file.tell() == 350_000
        assert file.readall() == content[350_000:]
    # A hole, and its end.
    with open(path, "w+b", buffering=0) as file:
        file.truncate(200_000)
        file.seek(199_999)
        file.write(b"x")
        file.seek(0)
        assert file.read(1 << 20) == bytes(199_999) + b"x"
    fd = os.open(path, os.O_RDWR | os.O_APPEND)
    assert len(os.read(fd, 100_000)) > 0 and os.write(fd, b"y") == 1
    assert os.stat(fd).st_size == 200_001
    os.close(fd)
    fd = os.open("/tmp", os.O_RDONLY)
    assert error_of(lambda: os.read(fd, 1 << 20)) == "EISDIR"
    os.close(fd)
    assert error_of(lambda: os.read(fd, 1 << 20)) == "EBADF"


def check_os():
    os.makedirs("/tmp/os/a/b")
    os.chdir("/tmp/os")
    assert os.getcwd() == "/tmp/os"
    with open("a/file", "w") as file:
        file.write("content")
    os.link("a/file", "a/b/name")
    os.symlink("../file", "a/b/relative")
    os.symlink("/tmp/os/a/file", "absolute")
    assert open("a/b/relative").read() == open("absolute").read() == "content"
    assert os.readlink("absolute") == "/tmp/os/a/file"
    found = os.stat("a/file")
    assert (found.st_size, found.st_nlink, stat.S_ISREG(found.st_mode)) == (7, 2, True)
    assert os.path.samefile("a/b/name", "absolute")
    assert stat.S_ISLNK(os.lstat("absolute").st_mode)
    with open("a/file") as file:
        for of_file in (found, os.fstat(file.fileno()), os.stat("absolute")):
            assert stat.filemode(of_file.st_mode) == "-rw-------"
    modes = {entry.name: stat.filemode(entry.stat().st_mode) for entry in os.scandir("a")}
    assert modes == {"b": "drwx------", "file": "-rw-------"}
    assert stat.filemode(os.lstat("absolute").st_mode) == "lrwxrwxrwx"
    assert os.path.realpath("a/b/relative") == "/tmp/os/a/file"
    assert sorted(os.listdir("a")) == ["b", "file"]
    walked = [(folder, sorted(folders), sorted(files)) for folder, folders, files in os.walk(".")]
    assert walked == [
        (".", ["a"], ["absolute"]),
        ("./a", ["b"], ["file"]),
        ("./a/b", [], ["name", "relative"]),
    ]
    os.rename("a/b", "moved")
    # Both are names of one file, so rename(2) does nothing.
    os.replace("moved/name", "a/file")
    assert sorted(os.listdir("moved")) == ["name", "relative"]
    os.replace("moved/relative", "moved/name")
    os.remove("moved/name")
    os.rmdir("moved")
    os.utime("a/file", (1, 2))
    assert (os.stat("a/file").st_atime, os.stat("a/file").st_mtime) == (1, 2)
    os.truncate("a/file", 3)
    assert os.path.getsize("a/file") == 3
    descriptor = os.open("a/file", os.O_RDWR)
    assert os.pwrite(descriptor, b"XYZ", 10) == 3
    assert os.pread(descriptor, 20, 0) == b"con" + bytes(7) + b"XYZ"
    assert os.fstat(descriptor).st_size == 13
    os.ftruncate(descriptor, 0)
    # More than the host copies in one call.
    large = bytes(range(256)) * 36864
    assert os.pwrite(descriptor, large, 1) == len(large)
    assert os.pread(descriptor, 1 << 24, 1) == large
    assert os.pread(descriptor, 1 << 24, 1 << 24) == b""
    os.ftruncate(descriptor, 0)
    os.fsync(descriptor)
    os.close(descriptor)
    for error, function in (
        ("ENOENT", lambda: open("missing")),
        ("ENOENT", lambda: open("missing/file", "w")),
        ("ENOTDIR", lambda: open("a/file/x", "w")),
        ("EISDIR", lambda: open("a", "w")),
        ("EEXIST", lambda: os.mkdir("a")),
        ("ENOTEMPTY", lambda: os.rmdir("a")),
        ("ENOTDIR", lambda: os.rmdir("a/file")),
        ("EISDIR", lambda: os.unlink("a")),
        ("EINVAL", lambda: os.rename("a", "a/b")),
        ("EINVAL", lambda: os.readlink("a/file")),
        ("ENAMETOOLONG", lambda: open("n" * 256, "w")),
        ("EPERM", lambda: os.link("a", "b")),
        ("EBADF", lambda: os.close(descriptor)),
    ):
        assert error_of(function) == error, (error, error_of(function))
    os.symlink("loop", "loop")
    assert error_of(lambda: open("loop")) == "ELOOP"
    os.chdir("/")


def check_pathlib():
    folder = pathlib.Path("/tmp/pathlib")
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "x.txt").write_text("x")
    (folder / "y.txt").write_bytes(b"y")
    (folder / "z").touch()
    assert sorted(path.name for path in folder.rglob("*.txt")) == ["x.txt", "y.txt"]
    assert sorted(glob.glob("/tmp/pathlib/**/*.txt", recursive=True)) == [
        "/tmp/pathlib/deep/er/x.txt",
        "/tmp/pathlib/y.txt",
    ]
    assert (folder / "y.txt").rename(folder / "deep" / "y").read_text() == "y"
    assert (folder / "z").is_file() and not (folder / "y.txt").exists()
    (folder / "z").unlink()
    (folder / "z").unlink(missing_ok=True)
    assert {path.name for path in folder.iterdir()} == {"deep"}


def check_tempfile():
    assert tempfile.gettempdir() == "/tmp"
    with tempfile.TemporaryFile() as file:
        file.write(b"temporary")
        file.seek(0)
        assert file.read() == b"temporary"
    with tempfile.NamedTemporaryFile("w+", suffix=".txt") as file:
        assert file.name.startswith("/tmp/") and os.path.exists(file.name)
    assert not os.path.exists(file.name)
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "x").write_text("x")
    assert not os.path.exists(folder)
    with tempfile.SpooledTemporaryFile(max_size=10) as file:
        file.write(b"longer than ten bytes")
        file.seek(0)
        assert file.read(6) == b"longer"
    descriptor, name = tempfile.mkstemp()
    os.close(descriptor)
    os.remove(name)


def check_shutil():
    os.makedirs("/tmp/shutil/from/inner")
    pathlib.Path("/tmp/shutil/from/inner/file").write_text("content")
    pathlib.Path("/tmp/shutil/from/large").write_bytes(b"x" * 300_000)
    shutil.copytree("/tmp/shutil/from", "/tmp/shutil/to")
    compared = filecmp.dircmp("/tmp/shutil/from", "/tmp/shutil/to")
    assert (compared.same_files, compared.left_only) == (["large"], [])
    shutil.copy2("/tmp/shutil/from/inner/file", "/tmp/shutil/copy")
    assert os.stat("/tmp/shutil/copy").st_mtime == os.stat("/tmp/shutil/from/inner/file").st_mtime
    shutil.move("/tmp/shutil/from", "/home/user/moved")
    assert pathlib.Path("/home/user/moved/inner/file").read_text() == "content"
    archive = shutil.make_archive("/tmp/shutil/archive", "gztar", "/home/user/moved")
    shutil.unpack_archive(archive, "/tmp/shutil/unpacked")
    assert pathlib.Path("/tmp/shutil/unpacked/inner/file").read_text() == "content"
    shutil.rmtree("/tmp/shutil")
    shutil.rmtree("/home/user/moved")
    assert os.listdir("/home/user") == []


def check_archives():
    with zipfile.ZipFile("/tmp/a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("module_in_zip.py", "VALUE = 'zipped'")
        archive.writestr("data", "d" * 100_000)
    with zipfile.ZipFile("/tmp/a.zip", "a") as archive:
        archive.writestr("more", "m")
    with zipfile.ZipFile("/tmp/a.zip") as archive:
        assert archive.testzip() is None
        assert archive.read("data") == b"d" * 100_000
        archive.extractall("/tmp/unzipped")
    assert sorted(os.listdir("/tmp/unzipped")) == ["data", "module_in_zip.py", "more"]
    sys.path.insert(0, "/tmp/a.zip")
    assert importlib.import_module("module_in_zip").VALUE == "zipped"
    sys.path.pop(0)
    os.symlink("data", "/tmp/unzipped/link")
    with tarfile.open("/tmp/a.tar.gz", "w:gz") as archive:
        archive.add("/tmp/unzipped", "folder")
    with tarfile.open("/tmp/a.tar.gz") as archive:
        # The user who unpacks it elsewhere can read the files.
        assert {member.mode for member in archive if member.isfile()} == {0o600}
        archive.extractall("/tmp/untarred", filter="data")
    assert pathlib.Path("/tmp/untarred/folder/link").read_text() == "d" * 100_000
    with gzip.open("/tmp/a.gz", "wt") as file:
        file.write("zipped")
    assert gzip.open("/tmp/a.gz", "rt").read() == "zipped"


def check_sqlite():
    connection = sqlite3.connect("/tmp/data.db")
    connection.execute("create table t (id integer primary key, text text)")
    with connection:
        connection.executemany(
            "insert into t (text) values (?)", [(f"row {at}",) for at in range(5000)]
        )
    try:
        with connection:
            connection.execute("delete from t")
            raise ValueError
    except ValueError:
        pass
    connection.close()
    connection = sqlite3.connect("/tmp/data.db")
    assert connection.execute("select count(*), max(text) from t").fetchone() == (5000, "row 999")
    connection.execute("create index i on t (text)")
    connection.execute("delete from t where id > 10")
    connection.commit()
    connection.execute("vacuum")
    assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    connection.close()
    assert os.listdir("/tmp").count("data.db-journal") == 0


def check_imports():
    os.makedirs("/home/user/lib/written")
    pathlib.Path("/home/user/lib/written/__init__.py").write_text("from .part import VALUE\n")
    pathlib.Path("/home/user/lib/written/part.py").write_text(
        "VALUE = 1\ndef fail(): return 1 / 0\n"
    )
    sys.path.insert(0, "/home/user/lib")
    module = importlib.import_module("written")
    assert (module.VALUE, module.__file__) == (1, "/home/user/lib/written/__init__.py")
    # The source is found for tracebacks, and a changed module is read again.
    assert linecache.getline("/home/user/lib/written/part.py", 2) == "def fail(): return 1 / 0\n"
    pathlib.Path("/home/user/lib/written/part.py").write_text("VALUE = 22\n")
    assert importlib.reload(sys.modules["written.part"]).VALUE == 22
    sys.path.pop(0)


def check_formats():
    with open("/tmp/rows.csv", "w", newline="") as file:
        csv.writer(file).writerows([["a", "b"], [1, "two, three"]])
    with open("/tmp/rows.csv", newline="") as file:
        assert list(csv.reader(file)) == [["a", "b"], ["1", "two, three"]]
    with open("/tmp/data.json", "w") as file:
        json.dump({"a": [1, 2]}, file)
    assert json.load(open("/tmp/data.json")) == {"a": [1, 2]}
    with shelve.open("/tmp/shelf") as shelf:
        shelf["key"] = [1, 2, 3]
    with shelve.open("/tmp/shelf") as shelf:
        assert shelf["key"] == [1, 2, 3]
    handler = logging.FileHandler("/tmp/log")
    logging.getLogger("files").addHandler(handler)
    logging.getLogger("files").error("logged")
    handler.close()
    assert open("/tmp/log").read() == "logged\n"


def check_devices():
    assert os.devnull == "/dev/null"
    null = os.stat(os.devnull)
    assert stat.S_ISCHR(null.st_mode) and null.st_size == 0
    assert stat.S_IMODE(null.st_mode) == 0o666
    assert pathlib.Path(os.devnull).is_char_device() and not os.path.isfile(os.devnull)
    with open(os.devnull) as file:
        assert file.read() == "" and not file.isatty()
        assert stat.S_ISCHR(os.fstat(file.fileno()).st_mode)
    for mode in ("wb", "ab", "r+b"):
        with open(os.devnull, mode) as file:
            assert file.write(bytes(1_000_000)) == 1_000_000
    assert os.stat(os.devnull).st_size == 0
    with contextlib.redirect_stdout(open(os.devnull, "w")):
        print("discarded")
    handler = logging.FileHandler(os.devnull)
    logging.getLogger("null").addHandler(handler)
    logging.getLogger("null").error("discarded")
    handler.close()
    shutil.copyfile("/tmp/rows.csv", os.devnull)
    assert os.path.samefile("/dev/null", "/tmp/../dev/./null")
    assert not os.path.samefile("/dev/null", "/dev/zero")
    with open("/dev/zero", "rb") as file:
        assert file.read(100_000) == bytes(100_000)
        assert os.pread(file.fileno(), 3, 7) == bytes(3)
    with open("/dev/urandom", "rb", buffering=0) as file:
        assert len(file.read(200_000)) == 200_000
        assert file.read(16) != file.read(16)
    with open("/dev/stdout", "w") as file:
        print("through the device", file=file)
    with open("/dev/stdin") as file:
        assert file.read() == ""
    assert sorted(os.listdir("/dev")) == [
        *("null", "random", "stderr", "stdin", "stdout", "tty", "urandom", "zero")
    ]
    assert all(entry.is_file() is False for entry in os.scandir("/dev"))
    for name, function in (
        ("ENXIO", lambda: open("/dev/tty")),
        ("EBADF", lambda: open("/dev/stdout").read()),
        ("EROFS", lambda: open("/dev/new", "w")),
        ("EROFS", lambda: os.remove("/dev/null")),
        ("EROFS", lambda: os.rename("/dev/null", "/dev/zero")),
        ("EBUSY", lambda: os.rmdir("/dev")),
        ("EINVAL", lambda: os.truncate("/dev/null", 0)),
        ("EEXIST", lambda: open("/dev/null", "x")),
    ):
        assert error_of(function) == name, name


assert sorted(os.listdir("/")) == ["dev", "home", "tmp"]
for check in (
    check_open,
    check_large_reads,
    check_os,
    check_pathlib,
    check_tempfile,
    check_shutil,
    check_archives,
    check_sqlite,
    check_imports,
    check_formats,
    check_devices,
):
    check()
    print(check.__name__)
