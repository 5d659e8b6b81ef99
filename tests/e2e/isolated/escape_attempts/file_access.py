"""Accesses files of the machine with every function that takes a path or a descriptor."""

import io
import os
import posix

PATHS = (
    "/etc/passwd",
    "etc/passwd",
    "../etc/passwd",
    "../../../../etc/passwd",
    "/proc/self/maps",
    "/proc/self/environ",
    "/dev/mem",
    "/dev/fd/0",
    "/dev/../etc/passwd",
    "/python/os.py",
    "/0/_eryx_app.py",
    "//etc//passwd",
    "/etc/passwd\0x",
)
# The root and what a program creates are in memory.
if os.getcwd() != "/home/user" or os.listdir("."):
    print("ESCAPED", os.getcwd(), os.listdir("."))
os.chdir("/")
NAMES = {"dev", "home", "tmp", "mount", "writable", "provided"}
if not NAMES.issuperset(os.listdir("/")) or os.listdir(".") != os.listdir("/"):
    print("ESCAPED", os.listdir("/"))
os.symlink("/etc", "etc_link")
os.symlink("../../../etc", "tmp/etc_link")
os.symlink("/proc/self/root", "root_link")
PATHS += ("etc_link/passwd", "tmp/etc_link/passwd", "root_link/etc/passwd", "/tmp/../../etc/passwd")

for path in PATHS:
    for way in (
        open,
        io.open,
        os.open,
        posix.open,
        os.stat,
        os.listdir,
        os.scandir,
        os.readlink,
        os.chdir,
    ):
        try:
            way(path, os.O_RDONLY) if way in (os.open, posix.open) else way(path)
        except (OSError, ValueError):
            continue
        print("ESCAPED", way, path)
for fd in range(3, 200):
    try:
        os.read(fd, 1)
    except OSError:
        continue
    print("ESCAPED", fd)
