"""Leaves the mounted directories `/mount` (read-only) and `/writable`, or changes what it must not.

The directories beside them have a file `secret`, and there are links to it in each.
"""

import os

if not os.path.isdir("/mount"):
    raise SystemExit

TARGETS = ("secret", "../secret", "../../secret", "/etc/passwd", "/proc/self/root/etc/passwd")
PLACES = ("/mount", "/mount/sub", "/writable", "/writable/sub", "/writable/moved")
os.makedirs("/writable/sub", exist_ok=True)
os.rename("/writable/sub", "/writable/moved")
os.mkdir("/writable/sub")


def reads(path):
    """Tries to read a file that is not in the mounts."""
    try:
        with open(path) as file:
            text = file.read()
    except (OSError, ValueError):
        return
    if "SECRET" in text or "root:" in text:
        print("ESCAPED", path)


for place in PLACES:
    for target in TARGETS:
        reads(f"{place}/{target}")
        reads(f"{place}/../{place.rsplit('/', 1)[1]}/{target}")
        # Links to the places that a program can create itself.
        name = f"/tmp/{len(os.listdir('/tmp'))}"
        os.symlink(f"{place}/{target}", name)
        reads(name)
        for link in (f"{place}/link", f"{place}/link\0", f"{place}//link"):
            try:
                os.symlink(target, link)
            except (OSError, ValueError):
                continue
            print("ESCAPED created", link)
    for name in ("out", "absolute", "up", "loop", "pipe"):
        reads(f"{place}/{name}")
        reads(f"{place}/{name}/secret")
        reads(f"{place}/{name}/../secret")
directory = os.open("/mount/sub", os.O_RDONLY)
for path in ("../../secret", "../secret", "../../../etc/passwd"):
    try:
        os.read(os.open(path, os.O_RDONLY, dir_fd=directory), 10)
    except (OSError, NotImplementedError):
        continue
    print("ESCAPED", path)
for change in (
    lambda: open("/mount/file", "w"),
    lambda: open("/mount/file", "r+"),
    lambda: os.truncate("/mount/file", 0),
    lambda: os.remove("/mount/file"),
    lambda: os.rename("/mount/file", "/mount/other"),
    lambda: os.rename("/writable/moved", "/mount/moved"),
    lambda: os.link("/mount/file", "/writable/hard"),
    lambda: os.link("/writable/up", "/tmp/hard"),
    lambda: os.utime("/mount/file"),
    lambda: os.mkdir("/mount/new"),
    lambda: os.rmdir("/mount/sub"),
):
    try:
        change()
    except (OSError, NotImplementedError):
        continue
    print("ESCAPED changed")
# The growth is bounded, also by holes and by many small files.
for attempt in range(3):
    try:
        os.truncate(open(f"/writable/hole{attempt}", "w").name, 1 << 40)
        print("ESCAPED grown")
    except OSError:
        pass
try:
    for number in range(100_000):
        with open(f"/writable/{number}", "w"):
            pass
    print("ESCAPED many files")
except OSError:
    pass
# Content that the embedder provides is whole, or an error, and asking for it often changes nothing.
for _ in range(1000):
    if open("/provided/text").read() != "provided":
        print("ESCAPED provided")
    try:
        open("/provided/broken")
        print("ESCAPED broken")
    except OSError:
        pass
