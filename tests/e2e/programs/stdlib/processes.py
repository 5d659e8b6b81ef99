"""The one process of a sandbox, and the refusals of others."""

import asyncio
import concurrent.futures
import copy
import fcntl
import multiprocessing
import os
import pickle
import platform
import pty
import resource
import signal
import socket
import subprocess
import sys
import syslog
import threading
import time


def refusal(function, *arguments, **options):
    """Returns the text of the PermissionError that a function raises."""
    try:
        function(*arguments, **options)
    except PermissionError as error:
        return str(error)
    raise AssertionError(f"{function} does not refuse")


def child_error(function, *arguments):
    """Returns whether a function raises ChildProcessError."""
    try:
        function(*arguments)
    except ChildProcessError:
        return True
    return False


# Libraries test for these, and do without processes where they do not exist.
assert not any(hasattr(os, name) for name in ("fork", "forkpty", "posix_spawn"))
assert os.getpid() == os.getpid() > 1
assert os.getppid() == 1
assert os.getpgrp() == os.getpgid(0) == os.getsid(0) == os.getpid()
os.kill(os.getpid(), 0)
received = []
for pid, expected in ((2**30, ProcessLookupError), (1, PermissionError)):
    try:
        os.kill(pid, 0)
    except expected:
        received.append(pid)
assert received == [2**30, 1]

for function, arguments in (
    (os.system, ("ls",)),
    (os.popen, ("ls",)),
    (os.execv, ("/bin/ls", ["ls"])),
    (os.execvp, ("ls", ["ls"])),
    (os.spawnv, (os.P_WAIT, "/bin/ls", ["ls"])),
    (os.setsid, ()),
    (os.mkfifo, ("pipe",)),
):
    assert function.__name__[:4] in refusal(function, *arguments), function
for function in (subprocess.run, subprocess.check_output, subprocess.Popen):
    text = refusal(function, ["git", "status"])
    assert "'git'" in text, text
    assert "import tools" in text, text
assert "'ls -l'" in refusal(subprocess.run, "ls -l", shell=True)
assert "'git'" in refusal(asyncio.run, asyncio.create_subprocess_exec("git"))
assert child_error(os.wait)
assert child_error(os.waitpid, -1, os.WNOHANG)
assert (os.waitstatus_to_exitcode(256), os.waitstatus_to_exitcode(9)) == (1, -9)

refusal(multiprocessing.Process(target=print).start)
refusal(multiprocessing.Pool, 1)
refusal(concurrent.futures.ProcessPoolExecutor)
with multiprocessing.Lock() as acquired, multiprocessing.RLock():
    assert acquired
semaphore = multiprocessing.BoundedSemaphore(2)
assert [semaphore.acquire(False) for _ in range(3)] == [True, True, False]
assert not semaphore.acquire(timeout=0.01)
semaphore.release()
assert semaphore.acquire()
assert multiprocessing.cpu_count() == len(os.sched_getaffinity(0)) == 1

assert os.nice(0) == 0
assert os.nice(5) == os.getpriority(os.PRIO_PROCESS, 0) == 5
refusal(os.nice, -1)
times = os.times()
assert os.uname().nodename == platform.node() == socket.gethostname()
assert 0 <= times.user <= times.elapsed < 60
assert time.thread_time() >= 0
assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
assert pty.__name__ == "pty"


class Names:
    """Built-in functions of CPython are no methods here."""

    getpid = os.getpid
    umask = os.umask
    kill = os.kill
    process_time = time.process_time
    raise_signal = signal.raise_signal
    sleep = time.sleep


names = Names()
assert names.getpid() == os.getpid()
assert [names.umask(0o22), names.umask(0o77)] == [0o77, 0o22]
assert names.process_time() >= 0
assert names.kill(os.getpid(), 0) is names.raise_signal(0) is names.sleep(0) is None
for function in (os.getpid, os.kill, os.access, os.close, open, time.process_time, time.strftime):
    assert copy.deepcopy([function])[0] is function
    assert pickle.loads(pickle.dumps(function)) is function
assert os.access in os.supports_follow_symlinks

# Audit events, also of what is refused.
events = []
kinds = ("os.kill", "os.system", "subprocess.", "signal.", "fcntl.", "resource.", "syslog.")
sys.addaudithook(
    lambda event, args: events.append((event, *args)) if event.startswith(kinds) else 0
)
os.kill(os.getpid(), 0)
signal.pthread_kill(threading.get_ident(), 0)
refusal(os.system, "ls")
refusal(subprocess.run, ["ls", "-l"], cwd="/tmp")
fcntl.flock(0, fcntl.LOCK_UN)
fcntl.fcntl(0, fcntl.F_GETFD)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
syslog.closelog()
assert events == [
    ("os.kill", os.getpid(), 0),
    ("signal.pthread_kill", threading.get_ident(), 0),
    ("os.system", "ls"),
    ("subprocess.Popen", "ls", ["ls", "-l"], "/tmp", None),
    ("fcntl.flock", 0, fcntl.LOCK_UN),
    ("fcntl.fcntl", 0, fcntl.F_GETFD, 0),
    ("resource.setrlimit", resource.RLIMIT_CORE, (0, 0)),
    ("syslog.closelog",),
], events
print("ok")
