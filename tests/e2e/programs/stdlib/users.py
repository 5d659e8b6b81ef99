"""The user, the files that the user owns, and what a program learns about the machine."""

import contextlib
import getpass
import grp
import netrc
import os
import pathlib
import platform
import pwd
import resource
import shutil
import sysconfig
import tarfile

user = pwd.getpwuid(os.getuid())
assert user.pw_name == os.getlogin() == getpass.getuser() == "user"
assert user.pw_dir == os.path.expanduser("~") == os.path.expanduser("~user") == "/home/user"
assert pathlib.Path.home() == pathlib.Path("/home/user")
assert user == pwd.getpwnam("user")
assert grp.getgrgid(os.getgid()).gr_name == "user"
assert {entry.pw_name for entry in pwd.getpwall()} == {"user", "root", "nobody"}
for lookup, unknown in ((pwd.getpwuid, 4711), (pwd.getpwnam, "eve"), (grp.getgrnam, "eve")):
    try:
        lookup(unknown)
    except KeyError as error:
        assert str(unknown) in str(error)
    else:
        raise AssertionError(lookup)

# The user owns what the program writes: libraries compare the two.
path = pathlib.Path(".netrc")
path.write_text("machine example.com login me password secret\n")
assert (path.owner(), path.group(), path.stat().st_uid) == ("user", "user", os.geteuid())
assert netrc.netrc().authenticators("example.com") == ("me", "", "secret")
os.chown(path, -1, os.getgid())
try:
    os.chown(path, 1000, -1)
except PermissionError as error:
    assert "one user" in str(error)
else:
    raise AssertionError("the owner changed")
shutil.chown(path, "user", "user")
with tarfile.open("a.tar", "w") as tar:
    tar.add(path)
with tarfile.open("a.tar") as tar:
    tar.extractall("out")
assert pathlib.Path("out/.netrc").read_text() == path.read_text()
for written in (path, "out", ".", "/", "/tmp", "/dev/null", b".netrc"):
    assert os.access(written, os.F_OK | os.R_OK | os.W_OK), written
os.symlink("missing", "link")
assert not os.access("link", os.W_OK)
assert not os.access("missing", os.W_OK)
assert (os.access in os.supports_follow_symlinks) == (os.stat in os.supports_follow_symlinks)
assert os.umask(0o022) == 0o077
assert os.umask(0o077) == 0o022

usage = shutil.disk_usage("/")
assert 0 < usage.used < usage.total == 64 << 20
pathlib.Path("large").write_bytes(bytes(1 << 20))
assert usage.free - shutil.disk_usage("/home/user").free >= 1 << 20
assert (os.statvfs("/").f_namemax, os.statvfs("/").f_fsid) == (255, 0)
with contextlib.suppress(FileNotFoundError):
    os.statvfs("/missing")
    raise AssertionError("/missing exists")
assert os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") == MEMORY
assert resource.getrlimit(resource.RLIMIT_AS) == (MEMORY, MEMORY)
assert 0 < resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 <= MEMORY
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
try:
    resource.setrlimit(resource.RLIMIT_AS, (1, 1))
except PermissionError as error:
    assert "ResourceLimits" in str(error)
else:
    raise AssertionError("the limit changed")

assert shutil.get_terminal_size((70, 20)) == (70, 20)
assert shutil.which("ls") is None
assert platform.python_implementation() == "CPython"
assert platform.system() == "wasi"
assert platform.machine() == os.uname().machine == "wasm32"
assert sysconfig.get_paths()["stdlib"]
print("ok")
