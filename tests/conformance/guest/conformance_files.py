"""Files in memory, for tests that write files: a sandbox has no writable file system."""

from __future__ import annotations

import builtins
import errno
import io
import os
import stat
import tempfile
import time
from typing import Any

# By path. Other files are looked up in the sandbox's packages.
_files: dict[str, bytearray] = {}
_opened: dict[int, _Raw] = {}

# Above the descriptors of sockets and of real files.
_FIRST = 1 << 20


class _Raw(io.RawIOBase):
    """An open file."""

    def __init__(self, path: str, mode: str) -> None:
        super().__init__()
        if "x" in mode and path in _files:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        if "r" in mode and path not in _files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        if "w" in mode:
            _files[path] = bytearray()
        self.name = path
        self.mode = mode.replace("t", "").replace("b", "") + "b"
        self._data = _files.setdefault(path, bytearray())
        self._position = len(self._data) if "a" in mode else 0
        self._number = next(number for number in range(_FIRST, _FIRST * 2) if number not in _opened)
        _opened[self._number] = self

    def fileno(self) -> int:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._number

    def close(self) -> None:
        if not self.closed:
            _opened.pop(self._number, None)
        super().close()

    def readable(self) -> bool:
        return "r" in self.mode or "+" in self.mode

    def writable(self) -> bool:
        return "r" not in self.mode or "+" in self.mode

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._data[self._position : self._position + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def write(self, data: Any) -> int:
        data = bytes(data)
        self._data[self._position : self._position + len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self._data)}[whence]
        self._position = base + offset
        return self._position

    def status(self) -> os.stat_result:
        return _status(self._data)


def _status(data: bytearray) -> os.stat_result:
    now = int(time.time())
    return os.stat_result((stat.S_IFREG | 0o600, 0, 0, 1, 0, 0, len(data), now, now, now))


def _path(file: Any) -> str | None:
    """Return the path of a file that may be in memory."""
    if isinstance(file, (str, bytes, os.PathLike)):
        path = os.path.abspath(os.fsdecode(file))
        return None if path.startswith(("/packages/", "/python/")) else path
    return None


def _opener(original: Any) -> Any:
    def open(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        if opener is not None:
            file = opener(file, os.O_RDWR)
        raw: Any = _opened.get(file) if isinstance(file, int) else None
        if raw is None:
            path = _path(file)
            if path is None or ("r" in mode and path not in _files):
                return original(file, mode, buffering, encoding, errors, newline, closefd)
            raw = _Raw(path, mode)
        else:
            raw.mode = mode.replace("t", "").replace("b", "") + "b"
        if buffering == 0:
            return raw
        kind: Any = io.BufferedReader if "r" in mode else io.BufferedWriter
        buffered = (io.BufferedRandom if "+" in mode else kind)(raw)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, encoding, errors, newline)
        text.mode = mode  # type: ignore[misc]
        return text

    return open


def _removal(original: Any) -> Any:
    def remove(path: Any, **named: Any) -> None:
        if _files.pop(_path(path) or "", None) is None:
            original(path, **named)

    return remove


def _description(original: Any) -> Any:
    def stat(path: Any, *further: Any, **named: Any) -> Any:
        if isinstance(path, int):
            raw = _opened.get(path)
            return original(path, *further, **named) if raw is None else raw.status()
        data = _files.get(_path(path) or "")
        return original(path, *further, **named) if data is None else _status(data)

    return stat


def _closing(original: Any) -> Any:
    def close(number: int) -> None:
        raw = _opened.get(number)
        original(number) if raw is None else raw.close()

    return close


def _mkstemp_inner(
    folder: str, prefix: str, suffix: str, flags: int, output_type: type
) -> tuple[int, str]:
    number = next(number for number in range(1 << 20) if f"/tmp/file{number}" not in _files)
    path = f"/tmp/file{number}"
    return _Raw(path, "w+").fileno(), path


def install() -> None:
    """Patch the library's functions to use the files."""
    builtins.open = io.open = _opener(builtins.open)
    os.remove = os.unlink = _removal(os.remove)
    os.stat, os.fstat = _description(os.stat), _description(os.fstat)
    os.close = _closing(os.close)
    os.fdopen = io.open
    tempfile._mkstemp_inner = _mkstemp_inner
    tempfile.tempdir = "/tmp"
