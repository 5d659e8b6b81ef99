"""Pipes inside the sandbox: between threads, tasks and functions of one program."""

import asyncio
import errno
import fcntl
import gc
import multiprocessing
import os
import select
import selectors
import signal
import socket
import stat
import threading
import warnings

ATOMIC, CAPACITY = 4096, 65536


def error_of(function, *arguments):
    """Returns the name of the error number that a function fails with."""
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "no error"


# Bytes, the end of the stream, and a reader that has gone.
reader, writer = os.pipe()
assert os.write(writer, b"hello") == 5
assert (os.read(reader, 2), os.read(reader, 10)) == (b"he", b"llo")
assert error_of(os.write, reader, b"x") == error_of(os.read, writer, 1) == "EBADF"
assert stat.S_ISFIFO(os.fstat(reader).st_mode) and not os.isatty(reader)
assert error_of(os.lseek, reader, 0, os.SEEK_SET) == "ESPIPE"
assert not os.get_inheritable(reader) and os.get_blocking(writer)
assert fcntl.fcntl(writer, fcntl.F_GETFL) == os.O_WRONLY
assert fcntl.fcntl(reader, fcntl.F_GETPIPE_SZ) == CAPACITY == fcntl.fcntl(reader, 1032)
assert select.PIPE_BUF == ATOMIC
assert error_of(socket.socket, socket.AF_INET, socket.SOCK_STREAM, 0, reader) == "ENOTSOCK"
os.write(writer, b"left")
os.close(writer)
assert (os.read(reader, 10), os.read(reader, 10)) == (b"left", b"")
os.close(reader)
assert error_of(os.read, reader, 1) == error_of(os.close, reader) == "EBADF"
reader, writer = os.pipe()
duplicate = os.dup(reader)
os.close(reader)
assert os.write(writer, b"x") == 1
os.close(duplicate)
assert error_of(os.write, writer, b"x") == "EPIPE"
os.close(writer)

# A full pipe: what is written as a whole, and in parts.
reader, writer = os.pipe2(os.O_NONBLOCK)
assert error_of(os.read, reader, 1) == "EAGAIN"
assert os.write(writer, bytes(CAPACITY + 1)) == CAPACITY
assert error_of(os.write, writer, b"x") == "EAGAIN"
os.read(reader, 10)
assert error_of(os.write, writer, bytes(11)) == "EAGAIN"
os.read(reader, ATOMIC - 10)
assert os.write(writer, bytes(ATOMIC + 1)) == ATOMIC
assert len(os.read(reader, CAPACITY * 2)) == CAPACITY
for end in (reader, writer):
    os.set_blocking(end, True)
assert error_of(os.read, reader, 1) == "EDEADLK"
assert error_of(os.write, writer, bytes(CAPACITY + 1)) == "EDEADLK"
assert error_of(os.pipe2, 1 << 30) == "EINVAL"

# The handler of a timer ends a wait, or provides what it waits for.
ours, theirs = socket.socketpair()
waits = (
    (lambda: os.read(reader, 1), lambda: os.write(writer, b"x")),
    (lambda: ours.recv(1), lambda: theirs.send(b"x")),
)


def end_wait(number, frame):
    raise TimeoutError


def is_ended_by_timer(wait):
    """Returns whether the handler of a timer ends a wait."""
    signal.signal(signal.SIGALRM, end_wait)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        wait()
    except TimeoutError:
        return True
    return False


for wait, provide in waits:
    assert is_ended_by_timer(wait)
    signal.signal(signal.SIGALRM, lambda number, frame, provide=provide: provide())
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    assert wait() == b"x"

# The descriptor that wakes an event loop for a signal.
os.set_blocking(writer, False)
signal.signal(signal.SIGUSR1, lambda number, frame: None)
assert signal.set_wakeup_fd(writer) == -1
signal.raise_signal(signal.SIGUSR1)
assert signal.set_wakeup_fd(-1) == writer
os.set_blocking(writer, True)
assert os.read(reader, 10) == bytes((signal.SIGUSR1,))
for descriptor, kind in ((writer, ValueError), (1 << 20, OSError)):
    try:
        signal.set_wakeup_fd(descriptor)
    except kind:
        continue
    raise AssertionError(descriptor)

# As long as a timer runs, the threads of a program are not in a deadlock.
lock = threading.Lock()
lock.acquire()
for wait in (
    lambda: os.read(reader, 1),
    lambda: os.write(writer, bytes(CAPACITY + 1)),
    lock.acquire,
    lambda: lock.acquire(timeout=60),
):
    other = threading.Thread(target=lock.acquire, daemon=True)
    other.start()
    assert is_ended_by_timer(wait)
while os.read(reader, CAPACITY) and select.select([reader], [], [], 0)[0]:
    pass

# Functions for several buffers, and for a file descriptor in place of a path.
parts = [bytearray(2), bytearray(2)]
assert os.writev(writer, [b"ab", memoryview(b"cd")]) == 4
assert (os.readv(reader, parts), parts) == (4, [b"ab", b"cd"])
os.write(writer, b"ef")
assert (os.readinto(reader, parts[0]), parts[0]) == (2, b"ef")
assert os.path.exists(reader) and not os.path.exists(1 << 20)

# Buffered files on a non-blocking pipe.
for end in (reader, writer):
    os.set_blocking(end, False)
with open(writer, "wb", buffering=1024, closefd=False) as buffered:
    try:
        while True:
            buffered.write(bytes(9999))
    except BlockingIOError as error:
        assert error.errno == errno.EAGAIN and error.characters_written < 9999
    os.read(reader, CAPACITY)
    buffered.write(b"more")
os.read(reader, CAPACITY)
for end in (reader, writer):
    os.set_blocking(end, True)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for mode in ("rb", "r"):
        open(os.dup(reader), mode)
    open(os.dup(reader), "rb", buffering=0)
    open(reader, "rb", closefd=False)
    gc.collect()
assert [each.category for each in caught] == [ResourceWarning] * 3, caught

# Readiness.
poll = select.poll()
poll.register(reader, select.POLLIN)
poll.register(writer, select.POLLOUT)
assert poll.poll(0) == [(writer, select.POLLOUT)]
assert select.select([reader], [writer], [], 0) == ([], [writer], [])
os.write(writer, bytes(CAPACITY - ATOMIC + 1))
assert poll.poll(0) == [(reader, select.POLLIN)]
os.close(writer)
poll.unregister(writer)
assert poll.poll(0) == [(reader, select.POLLIN | select.POLLHUP)]
assert select.select([reader], [], [], 0) == ([reader], [], [])
os.read(reader, CAPACITY)
assert poll.poll(0) == [(reader, select.POLLHUP)]
os.close(reader)
reader, writer = os.pipe()
os.close(reader)
poll = select.poll()
poll.register(writer, 0)
assert poll.poll(0) == [(writer, select.POLLERR)]
os.close(writer)
reader, writer = os.pipe()
assert error_of(select.select, [reader], [], []) == "EDEADLK"
assert select.select([reader], [], [], 0.01) == ([], [], [])
with selectors.DefaultSelector() as selector:
    selector.register(reader, selectors.EVENT_READ)
    assert selector.select(0) == []
    os.write(writer, b"x")
    assert [key.fd for key, _ in selector.select()] == [reader]

# Files.
with os.fdopen(writer, "w") as to, os.fdopen(reader) as of:
    to.write("line 1\nline 2\n")
    to.close()
    assert of.readlines() == ["xline 1\n", "line 2\n"]
assert error_of(os.close, reader) == "EBADF"


# Threads.
def copy(source, target):
    while data := os.read(source, 10_000):
        os.write(target, data)
    os.close(target)


def collect(source):
    while data := os.read(source, 999):
        received.append(data)


first, second = os.pipe(), os.pipe()
thread = threading.Thread(target=copy, args=(first[0], second[1]))
thread.start()
received = []
collector = threading.Thread(target=collect, args=(second[0],))
collector.start()
sent = bytes(range(256)) * 4000
assert os.write(first[1], sent) == len(sent)
os.close(first[1])
collector.join()
thread.join()
assert b"".join(received) == sent


# Tasks.
async def transfer():
    loop = asyncio.get_running_loop()
    reader, writer = os.pipe()
    stream = asyncio.StreamReader()
    source, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(reader, "rb", 0)
    )
    target, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(writer, "wb", 0)
    )
    output = asyncio.StreamWriter(target, protocol, None, loop)
    reading = asyncio.create_task(stream.read(-1))
    for _ in range(10):
        output.write(bytes(50_000))
        await output.drain()
    target.close()
    assert await reading == bytes(500_000)
    source.close()
    reader, writer = os.pipe()
    lost = loop.create_future()

    class Protocol(asyncio.BaseProtocol):
        def connection_lost(self, error):
            lost.set_result(error)

    await loop.connect_write_pipe(Protocol, os.fdopen(writer, "wb", 0))
    os.close(reader)
    assert await asyncio.wait_for(lost, 10) is None


asyncio.run(transfer())

# `multiprocessing`, within the process.
receiver, sender = multiprocessing.Pipe(duplex=False)
sender.send({"a": [1, 2]})
assert receiver.poll() and receiver.recv() == {"a": [1, 2]} and not receiver.poll()
queue = multiprocessing.SimpleQueue()
queue.put("item")
assert queue.get() == "item" and queue.empty()
queue = multiprocessing.Queue()
queue.put("item")
assert queue.get(timeout=10) == "item"
queue.close()
queue.join_thread()


class Closer:
    """Has a function of `os` as an attribute, which does not become a method."""

    close = os.close


reader, writer = os.pipe()
Closer().close(writer)
assert os.read(reader, 1) == b""
Closer().close(reader)
print("ok")
