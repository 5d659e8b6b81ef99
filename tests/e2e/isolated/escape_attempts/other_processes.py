"""Starts processes and threads, sends signals, and loads native code."""

import os
import subprocess
import threading

ATTEMPTS = {
    "run": lambda: subprocess.run(["/bin/true"]),
    "fork": lambda: os.fork(),
    "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "system": lambda: os.system("true"),
    "popen": lambda: os.popen("true"),
    "kill": lambda: os.kill(1, 9),
    "thread": lambda: threading.Thread(target=print).start(),
    "ctypes": lambda: __import__("ctypes"),
    "mmap": lambda: __import__("mmap"),
    "multiprocessing": lambda: __import__("multiprocessing").Process(target=print).start(),
    "memfd": lambda: os.memfd_create("x"),
    "setuid": lambda: os.setuid(0),
}
for name, attempt in ATTEMPTS.items():
    try:
        attempt()
    except (OSError, AttributeError, ImportError, RuntimeError, NotImplementedError):
        continue
    print("ESCAPED", name)
