"""The clocks and signals of Linux, and device numbers."""

import copy
import os
import pickle
import resource
import signal
import time

NAMES = {
    "time": "CLOCK_REALTIME",
    "monotonic": "CLOCK_MONOTONIC",
    "perf_counter": "CLOCK_MONOTONIC",
    "process_time": "CLOCK_PROCESS_CPUTIME_ID",
    "thread_time": "CLOCK_THREAD_CPUTIME_ID",
}
for name, clock in NAMES.items():
    information = time.get_clock_info(name)
    assert information.implementation == f"clock_gettime({clock})", information
    assert information.resolution == 1e-9
    assert information.monotonic is not information.adjustable is (name == "time")
    number = getattr(time, clock)
    assert time.clock_getres(number) == 1e-9
    before = getattr(time, name)()
    assert before <= time.clock_gettime(number) <= getattr(time, name)()
    before = getattr(time, f"{name}_ns")()
    assert before <= time.clock_gettime_ns(number) <= getattr(time, f"{name}_ns")()
assert (time.CLOCK_REALTIME, time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME) == (0, 1, 7)
for function, arguments, kind in (
    (time.get_clock_info, ("x",), ValueError),
    (time.clock_gettime, ("x",), TypeError),
    (time.clock_gettime, (99,), OSError),
    (time.clock_settime, (time.CLOCK_REALTIME, 1.0), PermissionError),
    (time.clock_settime_ns, (time.CLOCK_REALTIME, 1), PermissionError),
):
    try:
        function(*arguments)
    except kind:
        continue
    raise AssertionError((function, arguments))

assert signal.SIGCLD == signal.SIGCHLD == 17 and signal.SIGPOLL == signal.SIGIO == 29
assert (signal.SIGRTMIN, signal.SIGRTMAX, signal.SIGSTKFLT) == (34, 64, 16)
assert signal.Signals(34) is signal.SIGRTMIN and signal.SIGRTMAX in signal.valid_signals()
assert [signal.strsignal(number) for number in (8, 17, 32, 34, 64)] == [
    *("Floating point exception", "Child exited", None),
    *("Real-time signal 0", "Real-time signal 30"),
]
seen = []
signal.signal(signal.SIGRTMIN + 3, lambda number, frame: seen.append(number))
os.kill(os.getpid(), signal.SIGRTMIN + 3)
signal.signal(signal.SIGRTMAX, lambda number, frame: seen.append(number))
signal.raise_signal(signal.SIGRTMAX)
assert seen == [37, 64]

for major, minor, device in (
    (8, 1, 0x801),
    (259, 70000, 0x11110370),
    (0xFFFFFFFE, 0xFFFFFFFE, 0xFFFFFFFFFFFFFEFE),
    (0xFFF, 0xFF, 0xFFFFF),
    (0x1000, 0x100, 0x100000100000),
):
    assert os.makedev(major, minor) == device, hex(os.makedev(major, minor))
    assert (os.major(device), os.minor(device)) == (major, minor)
assert (os.major(-1), os.minor(-1)) == (-1, -1)
assert os.sysconf("SC_OPEN_MAX") == resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 256

usage = resource.getrusage(resource.RUSAGE_SELF)
kind = type(usage)
assert kind.n_fields == kind.n_sequence_fields == len(kind.__match_args__) == 16
assert kind.n_unnamed_fields == 0
assert copy.replace(usage, ru_maxrss=3)[2] == 3 and copy.replace(usage) == usage
assert pickle.loads(pickle.dumps(usage)) == usage and type(copy.copy(usage)) is kind
for function, text in (
    (lambda: copy.replace(usage, x=1, y=2), "Got unexpected field name(s): ['x', 'y']"),
    (lambda: usage.__replace__(3), "__replace__() takes no positional arguments"),
    (lambda: kind(3), "constructor requires a sequence"),
    (lambda: kind((1, 2)), "resource.struct_rusage() takes a 16-sequence (2-sequence given)"),
    (lambda: kind(usage, 3), "resource.struct_rusage() takes a dict as second arg, if any"),
):
    try:
        function()
    except TypeError as error:
        assert str(error) == text, error
    else:
        raise AssertionError(text)
try:
    usage.ru_utime = 1.0
except AttributeError as error:
    assert str(error) == "readonly attribute", error

print("ok")
