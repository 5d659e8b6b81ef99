"""The exceptions of arguments that are wrong, which are those of CPython on Linux."""

import _thread
import errno
import fcntl
import grp
import os
import pwd
import resource
import select
import signal
import socket
import termios
import threading
import time
import warnings

NOT_AN_INTEGER = "'str' object cannot be interpreted as an integer"
NOT_A_NUMBER = f"{NOT_AN_INTEGER} or float"
TOO_LARGE = "Python int too large to convert to C int"
NO_DESCRIPTOR = "argument must be an int, or have a fileno() method."
NAN, INFINITY = float("nan"), float("inf")
NEGATIVE_FD = "file descriptor cannot be a negative integer (-1)"


class Named:
    def __init__(self, fd):
        self.fd = fd

    def fileno(self):
        return self.fd


def check(function, arguments, kind, text):
    try:
        result = function(*arguments)
    except kind as error:
        assert type(error) is kind and str(error) == text, (function, arguments, error)
    else:
        raise AssertionError((function, arguments, result))


def check_times():
    lock = threading.Lock()
    lock.acquire()
    for function, *before in (
        (time.sleep,),
        (signal.setitimer, signal.ITIMER_REAL),
        (signal.setitimer, signal.ITIMER_REAL, 0),
        (signal.sigtimedwait, [signal.SIGUSR1]),
        (lock.acquire, True),
        (socket.socket().settimeout,),
    ):
        for value, kind, text in (
            ("x", TypeError, NOT_A_NUMBER),
            (NAN, ValueError, "Invalid value NaN (not a number)"),
            (INFINITY, OverflowError, "timestamp out of range for platform time_t"),
            (-INFINITY, OverflowError, "timestamp out of range for platform time_t"),
            (1e20, OverflowError, "timestamp out of range for platform time_t"),
            (1 << 70, OverflowError, "timestamp too large to convert to C PyTime_t"),
        ):
            check(function, (*before, value), kind, text)
    check(time.sleep, (-1,), ValueError, "sleep length must be non-negative")
    check(lock.acquire, (True, -2), ValueError, "timeout value must be a non-negative number")
    check(
        signal.sigtimedwait,
        ([signal.SIGUSR1], -1),
        ValueError,
        "timeout must be non-negative",
    )
    invalid = f"[Errno {errno.EINVAL}] Invalid argument"
    check(signal.setitimer, (signal.ITIMER_REAL, -1), signal.ItimerError, invalid)
    check(signal.setitimer, (99, 1), signal.ItimerError, invalid)
    check(select.select, ([], [], [], "x"), TypeError, "timeout must be a float or None")
    check(select.poll().poll, ("x",), TypeError, "timeout must be an integer or None")


check_times()
# The timer of a program takes another way through `time.sleep`.
signal.setitimer(signal.ITIMER_REAL, 1000)
check(time.sleep, (NAN,), ValueError, "Invalid value NaN (not a number)")
check(time.sleep, (-1,), ValueError, "sleep length must be non-negative")
signal.setitimer(signal.ITIMER_REAL, 0)
assert signal.alarm(-1) == 0 and signal.alarm(0) == (1 << 32) - 1
done = threading.Event()
threads = [threading.Thread(target=each) for each in (check_times, done.wait)]
for thread in threads:
    thread.start()
check_times()
done.set()
for thread in threads:
    thread.join()
check(threads[0].join, (NAN,), ValueError, "Invalid value NaN (not a number)")

for function in (
    *(signal.raise_signal, signal.alarm, signal.getitimer, signal.set_wakeup_fd, os.strerror),
    *(resource.getrusage, resource.getrlimit, _thread.interrupt_main),
):
    check(function, ("x",), TypeError, NOT_AN_INTEGER)
    check(function, (1 << 40,), OverflowError, TOO_LARGE)
for signals in ([0], [65]):
    text = f"signal number {signals[0]} out of range [1; 64]"
    check(signal.pthread_sigmask, (signal.SIG_BLOCK, signals), ValueError, text)
    check(signal.sigtimedwait, (signals, 0), ValueError, text)
check(_thread.interrupt_main, (65,), ValueError, "signal number out of range")

for function in (fcntl.fcntl, fcntl.flock, fcntl.lockf, fcntl.ioctl, termios.tcflush):
    check(function, ("x", 1), TypeError, NO_DESCRIPTOR)
    check(function, (Named("x"), 1), TypeError, "fileno() returned a non-integer")
    check(function, (-1, 1), ValueError, NEGATIVE_FD)
    check(function, (Named(-1), 1), ValueError, NEGATIVE_FD)
    check(function, (1 << 40, 1), OverflowError, TOO_LARGE)
with warnings.catch_warnings(record=True, action="always") as caught:
    fcntl.fcntl(True, fcntl.F_GETFD)
assert [str(each.message) for each in caught] == ["bool is used as a file descriptor"]
assert caught[0].category is RuntimeWarning and caught[0].filename.startswith("<script")
check(select.select, (["x"], [], [], 0), TypeError, NO_DESCRIPTOR)

for limits, kind, text in (
    (3, TypeError, "'int' object is not iterable"),
    ((1,), ValueError, "expected a tuple of 2 integers"),
    ("x", ValueError, "expected a tuple of 2 integers"),
    (("a", "b"), TypeError, NOT_AN_INTEGER),
    ((5, 3), ValueError, "current limit exceeds maximum limit"),
):
    check(resource.setrlimit, (resource.RLIMIT_CORE, limits), kind, text)
check(resource.setrlimit, (99, 3), ValueError, "invalid resource specified")
check(resource.getrusage, (7,), ValueError, "invalid who parameter")

for function in (pwd.getpwnam, grp.getgrnam):
    check(function, ("a\0b",), ValueError, "embedded null byte")
check(pwd.getpwuid, ("x",), TypeError, "uid should be integer, not str")
check(grp.getgrgid, (1.5,), TypeError, "gid should be integer, not float")
check(pwd.getpwuid, (-1,), KeyError, "'getpwuid(): uid not found: -1'")
check(pwd.getpwuid, (1 << 64,), KeyError, "'getpwuid(): uid not found'")
check(grp.getgrgid, (1 << 64,), OverflowError, "gid is greater than maximum")

for function in (os.major, os.minor, lambda device: os.makedev(0, device)):
    check(function, ("x",), TypeError, "an integer is required")
    check(function, (1 << 64,), OverflowError, "int too big to convert")
    check(function, (-2,), OverflowError, "can't convert negative int to unsigned")
print("ok")
