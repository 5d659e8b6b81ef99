"""The functions of `os` and `open` that take descriptors, for those of sockets and pipes.

WASI's functions know only WASI's descriptors, which are smaller than those of sockets. Each
replacement calls the function of the system unless the descriptor is a socket's.
"""

from __future__ import annotations

import _io
import builtins
import contextlib
import errno
import genericpath
import io
import operator
import os
import posix
import stat
import warnings
from collections.abc import Callable
from typing import Any

import _eryx_native

from .. import descriptors, pipes
from ..buffers import to_bytes
from ..builtin_functions import built_in
from ..descriptors import FIRST, Description, find
from ..errors import os_error
from ..host import LARGEST_READ, LARGEST_WRITE, NON_BLOCKING
from ..pipes import PipeEnd
from ..socket_constants import SOCK_STREAM
from .stream_socket import StreamSocket
from .udp_socket import UdpSocket

_inheritable: set[int] = set()

# WASI's `os` lacks some of them if it lacks fcntl.
_stock: dict[str, Any] = {}

_stock_open: Any = io.open

stock_close: Any = os.close
"""Closes any descriptor of a file."""

has_opened_descriptors = False
"""Whether the program has opened a file object for a descriptor of a file, such as 1."""


def _socket(description: Description) -> StreamSocket | UdpSocket:
    """Returns a description of a socket. Raises OSError(EINVAL) for another one."""
    if not isinstance(description, (StreamSocket, UdpSocket)):
        raise os_error("EINVAL")
    return description


def _timeout(description: Description) -> int | None:
    return None if description.blocking else NON_BLOCKING


def _read(description: Description, fd: int, length: int, /) -> bytes:
    """Receives up to `length` bytes."""
    if not isinstance(length, int):
        kind = type(length).__name__
        raise TypeError(f"'{kind}' object cannot be interpreted as an integer")
    if length < 0:
        raise os_error("EINVAL")
    if isinstance(description, PipeEnd):
        return pipes.read(description, int(length))
    found = _socket(description)
    size = min(int(length), LARGEST_READ)
    if not size:
        return b""
    if isinstance(found, UdpSocket):
        return found.receive(size, _timeout(found)).data
    if found.connect_failed:
        return b""
    return found.connected().read(size, _timeout(found))


def _readinto(description: Description, fd: int, buffer: Any, /) -> int:
    """Receives into a buffer; returns the number of bytes."""
    with memoryview(buffer).cast("B") as view:
        data = _read(description, fd, len(view))
        view[: len(data)] = data
        return len(data)


def _readv(description: Description, fd: int, buffers: Any, /) -> int:
    """Receives into buffers, one after another; returns the number of bytes."""
    views = [memoryview(buffer).cast("B") for buffer in buffers]
    data = _read(description, fd, sum(map(len, views)))
    start = 0
    for view in views:
        part = data[start : start + len(view)]
        view[: len(part)] = part
        start += len(part)
    return len(data)


def _writev(description: Description, fd: int, buffers: Any, /) -> int:
    """Sends buffers, one after another; returns the number of bytes accepted."""
    return _write(description, fd, b"".join(memoryview(each).cast("B") for each in buffers))


def _write(description: Description, fd: int, data: Any, /) -> int:
    """Sends; returns the number of bytes accepted."""
    if isinstance(description, PipeEnd):
        return pipes.write(description, data)
    found = _socket(description)
    part = to_bytes(data, LARGEST_WRITE)
    if isinstance(found, UdpSocket):
        return found.send(part, _timeout(found))
    if found.channel is None:
        raise os_error("EPIPE" if found.kind == SOCK_STREAM else "ENOTCONN")
    return found.channel.write(part, _timeout(found))


def _close(description: Description, fd: int) -> None:
    """Closes the descriptor, and the socket with its last one."""
    descriptors.close(fd)


def _dup(description: Description, fd: int, /) -> int:
    """Returns another descriptor of the socket, which is not inheritable."""
    return descriptors.allocate(description)


def _dup2(description: Description, fd: int, fd2: int, inheritable: bool = True) -> int:
    """Makes the descriptor `fd2` of another socket or pipe refer to this one."""
    if 0 <= fd2 < FIRST:
        raise OSError(
            errno.EOPNOTSUPP, f"os.dup2 cannot put a socket or pipe in place of a file ({fd2})"
        )
    if fd2 != fd:
        descriptors.replace(fd2, description)
        _set_inheritable(description, fd2, inheritable)
    return fd2


def _dup_file(fd: int, /) -> int:
    """Return a duplicate of a file descriptor."""
    copy: int = _eryx_native.dup(fd)
    return copy


def _dup2_file(fd: int, fd2: int, inheritable: bool = True) -> int:
    """Duplicate file descriptor."""
    if fd2.__class__ is int and find(fd2) is not None:
        # The numbers of sockets and those of files are in different tables.
        raise OSError(
            errno.EOPNOTSUPP, f"os.dup2 cannot put a file in place of a socket or pipe ({fd2})"
        )
    if fd2 == descriptors.ROOT and fd != fd2:
        raise OSError(
            errno.EBUSY,
            f"os.dup2: {fd2} is the descriptor of the root directory in a sandbox; use another",
        )
    copy: int = _eryx_native.dup2(fd, fd2)
    return copy


def _close_file(fd: int) -> None:
    """Close a file descriptor."""
    if fd == descriptors.ROOT and _is_root():
        # Without it, no path leads anywhere.
        raise os_error("EBADF")
    stock_close(fd)


def _is_root() -> bool:
    """Returns whether libc has opened the root directory, whose number a file may have before."""
    return os.path.samestat(os.fstat(descriptors.ROOT), os.stat("/"))


def closerange(fd_low: int, fd_high: int, /) -> None:
    """Closes all file descriptors in [fd_low, fd_high), ignoring errors."""
    low, high = operator.index(fd_low), operator.index(fd_high)
    for fd in (0, 1, 2, *_eryx_native.open_descriptors(), *descriptors.numbers()):
        if low <= fd < high:
            with contextlib.suppress(OSError):
                os.close(fd)


# CPython has the first one, which fails, and not the second one.
_OF_FILES: dict[str, Callable[..., Any]] = {
    "dup": _dup_file,
    "dup2": _dup2_file,
    "close": _close_file,
}
for _name, _function in _OF_FILES.items():
    _function.__name__ = _function.__qualname__ = _name


def _set_blocking(description: Description, fd: int, blocking: bool, /) -> None:
    """Sets whether operations without a timeout of their own wait."""
    description.blocking = bool(blocking)
    description.update_time_limits()


def _get_blocking(description: Description, fd: int, /) -> bool:
    """Returns whether operations without a timeout of their own wait."""
    return description.blocking


def _fstat(description: Description, fd: int) -> os.stat_result:
    """Returns the status of a socket or pipe, whose numbers are all the same."""
    mode = stat.S_IFIFO | 0o600 if isinstance(description, PipeEnd) else stat.S_IFSOCK | 0o777
    return os.stat_result((mode, fd, 0, 1, 0, 0, 0, 0, 0, 0))


def _isatty(description: Description, fd: int, /) -> bool:
    """Returns False: a socket is not a terminal."""
    return False


def _no_position(description: Description, fd: int, *arguments: Any, **keywords: Any) -> Any:
    """Raises OSError(ESPIPE): a socket has no position."""
    raise os_error("ESPIPE")


def _not_a_file(description: Description, fd: int, *arguments: Any, **keywords: Any) -> Any:
    """Raises OSError(EINVAL): a socket is not a file."""
    raise os_error("EINVAL")


def _get_inheritable(description: Description, fd: int, /) -> bool:
    """Returns whether the descriptor is inheritable (PEP 446), which has no effect."""
    return fd in _inheritable


def _set_inheritable(description: Description, fd: int, inheritable: int, /) -> None:
    """Sets whether the descriptor is inheritable, which has no effect."""
    if not inheritable:
        _inheritable.discard(fd)
        return
    # Those of closed sockets can be removed at any time.
    _inheritable.intersection_update({number for number in _inheritable if find(number)})
    _inheritable.add(fd)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "read": _read,
    "readinto": _readinto,
    "readv": _readv,
    "write": _write,
    "writev": _writev,
    "close": _close,
    "dup": _dup,
    "dup2": _dup2,
    "set_blocking": _set_blocking,
    "get_blocking": _get_blocking,
    "fstat": _fstat,
    "isatty": _isatty,
    "lseek": _no_position,
    "pread": _no_position,
    "pwrite": _no_position,
    "fsync": _not_a_file,
    "fdatasync": _not_a_file,
    "ftruncate": _not_a_file,
    "get_inheritable": _get_inheritable,
    "set_inheritable": _set_inheritable,
}


# The functions that may wait for another thread.
_WAITING = frozenset({"read", "readinto", "readv", "write", "writev"})


def _replacement(name: str, stock: Any, for_socket: Callable[..., Any]) -> Callable[..., Any]:
    def function(*arguments: Any, **keywords: Any) -> Any:
        fd = arguments[0] if arguments else keywords.pop("fd", None)
        if fd.__class__ is int:
            description = find(fd) if fd >= FIRST else None
            if description is not None:
                return for_socket(description, fd, *arguments[1:], **keywords)
            if fd < 0:
                # WASI has other errors for some of the functions.
                raise os_error("EBADF")
        if not arguments and fd is not None:
            keywords["fd"] = fd
        if stock is None:
            raise os_error("EBADF")
        return stock(*arguments, **keywords)

    if stock is not None:
        function.__doc__ = stock.__doc__
        # Whose signature `inspect` shows.
        function.__wrapped__ = stock  # type: ignore[attr-defined]
    function.__name__ = function.__qualname__ = name
    function.__module__ = "posix"
    return function


class SocketFile(io.RawIOBase):
    """A socket as a raw file: what `open` puts below its buffers for the descriptor of one."""

    def __init__(self, fd: int, mode: str, *, closefd: bool) -> None:
        self._fd = fd
        self._closefd = closefd
        self.name = fd
        self.mode = mode
        self._reads = "r" in mode or "+" in mode
        self._writes = bool({"w", "a", "x", "+"} & set(mode))

    def _description(self) -> Description:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        description = find(self._fd)
        if description is None:
            raise os_error("EBADF")
        return description

    def fileno(self) -> int:
        """Returns the descriptor."""
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._fd

    def readable(self) -> bool:
        """Returns whether the mode is for reading."""
        return self._reads

    def writable(self) -> bool:
        """Returns whether the mode is for writing."""
        return self._writes

    def readinto(self, buffer: Any, /) -> int | None:
        """Receives into a buffer. Returns None where a non-blocking socket has nothing."""
        if not self._reads:
            raise io.UnsupportedOperation("File not open for reading")
        try:
            return _readinto(self._description(), self._fd, buffer)
        except BlockingIOError:
            return None

    def write(self, data: Any, /) -> int | None:
        """Sends. Returns None where a non-blocking socket takes nothing."""
        if not self._writes:
            raise io.UnsupportedOperation("File not open for writing")
        try:
            return _write(self._description(), self._fd, data)
        except BlockingIOError as error:
            # The C code of `io.BufferedWriter` takes it from there for its own exception.
            _eryx_native.set_errno(error.errno)
            return None

    def close(self) -> None:
        """Closes the descriptor, unless `closefd` is false."""
        if not self.closed:
            super().close()
            if self._closefd and find(self._fd) is not None:
                descriptors.close(self._fd)

    def _dealloc_warn(self, source: Any) -> None:
        """Warns that the file object `source` was collected and not closed."""
        if self._closefd and not self.closed:
            warnings.warn(f"unclosed file {source!r}", ResourceWarning, stacklevel=2, source=self)

    def __del__(self) -> None:
        if "_closefd" in vars(self):
            self._dealloc_warn(self)
            self.close()


def _exists(path: Any) -> bool:
    """Test whether a path exists.  Returns False for broken symbolic links"""
    # As CPython's, without a call of it: programs call this function often.
    try:
        os.stat(path)
    except (OSError, ValueError):
        return path.__class__ is int and find(path) is not None
    return True


def _open(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Any = None,
) -> Any:
    global has_opened_descriptors
    if file.__class__ is not int or find(file) is None:
        if file.__class__ is int:
            has_opened_descriptors = True
        return _stock_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    binary = "b" in mode
    if set(mode) - set("rwxab+t") or sum(mode.count(letter) for letter in "rwxa") != 1:
        raise ValueError(f"invalid mode: {mode!r}")
    if binary and (encoding is not None or errors is not None or newline is not None):
        raise ValueError("binary mode doesn't take an encoding, errors or newline argument")
    if buffering == 0 and not binary:
        raise ValueError("can't have unbuffered text I/O")
    raw = SocketFile(file, mode.replace("t", ""), closefd=closefd)
    if "+" in mode and buffering != 0:
        # As for a pipe: a buffer for both directions needs a position.
        raise io.UnsupportedOperation("File or stream is not seekable.")
    if buffering == 0:
        return raw
    size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
    buffered: Any = io.BufferedReader(raw, size) if raw.readable() else io.BufferedWriter(raw, size)
    if binary:
        return buffered
    return io.TextIOWrapper(buffered, encoding, errors, newline, line_buffering=buffering == 1)


_open.__name__ = _open.__qualname__ = "open"
_open.__module__ = "_io"
_open.__doc__ = _stock_open.__doc__


def install() -> None:
    """Replaces the functions of `os`, and `open`, by ones that know the descriptors of sockets.

    Adds `os.pipe`, whose descriptors are in the same table.
    """
    pipes.install()
    for name, for_socket in _FUNCTIONS.items():
        stock = _OF_FILES.get(name) or getattr(os, name, None)
        if stock is None and name not in ("get_inheritable", "set_inheritable"):
            continue
        function: Any = _replacement(name, stock, for_socket)
        if name not in os.__all__:
            os.__all__.append(name)
        if name not in _WAITING:
            function = built_in(function)
        for module in (os, posix):
            setattr(module, name, function)
    closerange.__module__ = posix.__name__
    function = built_in(closerange)
    for module in (os, posix):
        setattr(module, "closerange", function)  # noqa: B010
    input_output: Any = _io
    builtins.open = io.open = input_output.open = built_in(_open)
    _exists.__name__ = _exists.__qualname__ = "exists"
    _exists.__module__ = genericpath.__name__
    genericpath.exists = os.path.exists = _exists
