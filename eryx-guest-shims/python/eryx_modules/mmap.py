"""Memory maps: of anonymous memory, and of files, which are in the memory of the host.

A map has a copy of its part of the file. What the program writes through the map is written to the
file at once; what it writes through a `memoryview` of a map is written by `flush` and `close`. What
is written to the file by other means while the map exists does not appear in it.
"""

import errno
import gc
import io
import os
import sys
import weakref
from collections.abc import Iterator
from typing import Any, Self

ACCESS_DEFAULT, ACCESS_READ, ACCESS_WRITE, ACCESS_COPY = 0, 1, 2, 3
MAP_SHARED, MAP_PRIVATE, MAP_ANON, MAP_ANONYMOUS = 1, 2, 0x20, 0x20
MAP_DENYWRITE, MAP_EXECUTABLE, MAP_POPULATE, MAP_STACK, MAP_NORESERVE = (
    0x800,
    0x1000,
    0x8000,
    0x20000,
    0x4000,
)
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED = 0, 1, 2, 3, 4
MADV_FREE, MADV_REMOVE, MADV_DONTFORK, MADV_DOFORK, MADV_HUGEPAGE, MADV_NOHUGEPAGE = (
    8,
    9,
    10,
    11,
    14,
    15,
)
MS_ASYNC, MS_INVALIDATE, MS_SYNC = 1, 2, 4

# The size of a page of memory in WebAssembly.
PAGESIZE = ALLOCATIONGRANULARITY = 65536

error = OSError


class mmap:
    """mmap(fileno, length, flags=MAP_SHARED, prot=PROT_WRITE|PROT_READ, access=…, offset=0)

    Maps memory, or a file with the descriptor fileno. -1 maps anonymous memory."""

    _data: bytearray | None = None
    _file: int | None = None
    _access: int
    _offset: int
    _position: int
    _exports: int
    _writable: bool
    _owned: bool
    _tracked: bool
    _finalizer: Any

    def __new__(
        cls,
        fileno: int,
        length: int,
        flags: int = MAP_SHARED,
        prot: int = PROT_WRITE | PROT_READ,
        access: int = ACCESS_DEFAULT,
        offset: int = 0,
        *,
        trackfd: bool = True,
    ) -> Self:
        """Maps memory or a file. A class that extends this one may have other parameters."""
        self = super().__new__(cls)
        if length < 0:
            raise OverflowError("memory mapped length must be positive")
        if offset < 0:
            raise OverflowError("memory mapped offset must be positive")
        if offset % ALLOCATIONGRANULARITY:
            raise OSError(
                errno.EINVAL, f"the offset is no multiple of {ALLOCATIONGRANULARITY} bytes"
            )
        if access and (flags != MAP_SHARED or prot != PROT_WRITE | PROT_READ):
            raise ValueError("mmap can't specify both access and flags, prot.")
        if access not in (ACCESS_DEFAULT, ACCESS_READ, ACCESS_WRITE, ACCESS_COPY):
            raise ValueError("mmap invalid access parameter.")
        sys.audit("mmap.__new__", fileno, length, access, offset)
        self._access = access
        self._offset = offset
        self._position = 0
        self._exports = 0
        self._writable = access != ACCESS_READ and bool(access or prot & PROT_WRITE)
        self._owned = False
        self._tracked = trackfd
        anonymous = fileno == -1 or bool(flags & MAP_ANON)
        if anonymous:
            if length == 0:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            self._data = bytearray(length)
            return self
        size = os.fstat(fileno).st_size
        if length == 0:
            if size == 0:
                raise ValueError("cannot mmap an empty file")
            if offset >= size:
                raise ValueError("mmap offset is greater than file size")
            length = size - offset
        elif offset > size or length > size - offset:
            raise ValueError("mmap length is greater than file size")
        self._data = _read(fileno, offset, length)
        shared = access == ACCESS_WRITE or (access == ACCESS_DEFAULT and not flags & MAP_PRIVATE)
        if shared and self._writable:
            # The program may close the file, and still write to the map.
            path = _path_of(fileno)
            if path is not None:
                self._file, self._owned = os.open(path, os.O_RDWR), True
            else:
                # Fails if the file is not open for writing.
                _write(fileno, self._data, offset, 0, 1)
                self._file = fileno
        if self._file is not None:
            self._finalizer = weakref.finalize(
                self, _write_back, self._data, self._file, offset, self._owned
            )
        return self

    # The buffer protocol (PEP 688).

    def __buffer__(self, flags: int, /) -> memoryview:
        view = memoryview(self._open())
        self._exports += 1
        return view if self._writable else view.toreadonly()

    def __release_buffer__(self, view: memoryview, /) -> None:
        self._exports -= 1
        view.release()

    def _open(self) -> bytearray:
        if self._data is None:
            raise ValueError("mmap closed or invalid")
        return self._data

    def _for_writing(self) -> bytearray:
        data = self._open()
        if not self._writable:
            raise TypeError("mmap can't modify a readonly memory map.")
        return data

    def _written(self, start: int, end: int) -> None:
        if self._file is not None and end > start:
            _write(self._file, self._open(), self._offset, start, end)

    def __len__(self) -> int:
        return len(self._open())

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self._open()))
            # The methods of a bound may have closed the map.
            return bytes(memoryview(self._open())[start : None if stop < 0 else stop : step])
        index = self._index(key)
        return self._open()[index]

    def _index(self, key: Any) -> int:
        if not hasattr(key, "__index__"):
            raise TypeError("mmap indices must be integers")
        self._open()
        index: int = key.__index__()
        # The method may have closed the map.
        size = len(self._open())
        index = index + size if index < 0 else index
        if not 0 <= index < size:
            raise IndexError("mmap index out of range")
        return index

    def __setitem__(self, key: Any, value: Any) -> None:
        data = self._for_writing()
        if isinstance(key, slice):
            start, stop, step = key.indices(len(data))
            data = self._for_writing()
            content = memoryview(value).cast("B")
            if len(content) != len(range(start, stop, step)):
                raise IndexError("mmap slice assignment is wrong size")
            memoryview(data)[key] = content
            if step > 0:
                self._written(start, stop)
            else:
                self._written(0, len(data))
            return
        index = self._index(key)
        data = self._for_writing()
        if not isinstance(value, int):
            kind = type(value).__name__
            raise TypeError(f"{kind!r} object cannot be interpreted as an integer")
        if not 0 <= value < 256:
            raise ValueError("mmap item value must be in range(0, 256)")
        data[index] = value
        self._written(index, index + 1)

    def __delitem__(self, key: Any) -> None:
        self._for_writing()
        raise TypeError("mmap object doesn't support item deletion")

    # As CPython's, whose items are bytes here, and integers for an index.

    def __iter__(self) -> Iterator[bytes]:
        index = 0
        while index < len(data := self._open()):
            yield bytes((data[index],))
            index += 1

    def __reversed__(self) -> Iterator[bytes]:
        for index in reversed(range(len(self._open()))):
            yield bytes((self._open()[index],))

    def __contains__(self, item: Any) -> bool:
        if isinstance(item, bytes):
            return len(item) == 1 and item in self._open()
        return any(item == each for each in self)

    def close(self) -> None:
        """Writes the map to its file, and closes it."""
        if self._exports > 0:
            raise BufferError("cannot close exported pointers exist")
        if self._data is not None:
            if self._file is not None:
                self._file = None
                self._finalizer()
            self._data = None

    @property
    def closed(self) -> bool:
        """Whether the map is closed."""
        return self._data is None

    def flush(self, offset: int = 0, size: int = -1, /, *, flags: int = MS_SYNC) -> None:
        """Writes the map, or a part of it, to its file."""
        data = self._open()
        size = len(data) - offset if size == -1 else size
        if offset < 0 or size < 0 or offset + size > len(data):
            raise ValueError("flush values out of range")
        self._written(offset, offset + size)

    def find(self, sub: Any, start: int | None = None, end: int | None = None, /) -> int:
        """Returns the lowest index of a subsequence, or -1. Starts at the current position."""
        return self._open().find(bytes(sub), self._position if start is None else start, end)

    def rfind(self, sub: Any, start: int | None = None, end: int | None = None, /) -> int:
        """Returns the highest index of a subsequence, or -1. Starts at the current position."""
        return self._open().rfind(bytes(sub), self._position if start is None else start, end)

    def madvise(self, option: int, start: int = 0, length: int | None = None, /) -> None:
        """Accepts advice about the use of the memory, which has no effect."""
        if not 0 <= start < len(self._open()):
            raise ValueError("madvise start out of bounds")
        if length is not None and length < 0:
            raise ValueError("madvise length invalid")
        if length is not None and start + length > sys.maxsize:
            raise OverflowError("madvise length too large")

    def move(self, dest: int, src: int, count: int, /) -> None:
        """Copies bytes within the map."""
        data = self._for_writing()
        if min(dest, src, count) < 0 or max(dest, src) + count > len(data):
            raise ValueError("source, destination, or count out of range")
        memoryview(data)[dest : dest + count] = bytes(data[src : src + count])
        self._written(dest, dest + count)

    def read(self, n: int | None = None, /) -> bytes:
        """Returns bytes from the current position on, and moves it behind them."""
        data = self._open()
        end = len(data) if n is None or n < 0 else min(len(data), self._position + n)
        start, self._position = self._position, max(self._position, end)
        return bytes(data[start:end])

    def read_byte(self) -> int:
        """Returns the byte at the current position, and moves it by one."""
        data = self._open()
        if self._position >= len(data):
            raise ValueError("read byte out of range")
        self._position += 1
        return data[self._position - 1]

    def readline(self) -> bytes:
        """Returns bytes up to the end of the line."""
        data = self._open()
        end = data.find(b"\n", self._position) + 1 or len(data)
        return self.read(end - self._position)

    def resize(self, newsize: int, /) -> None:
        """Resizes the map and its file."""
        data = self._for_writing()
        if self._access == ACCESS_COPY:
            raise TypeError("mmap can't resize a readonly or copy-on-write memory map.")
        if not self._tracked:
            raise ValueError("mmap can't resize with trackfd=False.")
        if self._exports:
            raise BufferError("mmap can't resize with extant pointers exported.")
        if newsize <= 0:
            raise ValueError("new size out of range")
        if self._file is not None:
            os.ftruncate(self._file, self._offset + newsize)
        if newsize < len(data):
            del data[newsize:]
        else:
            data.extend(bytes(newsize - len(data)))

    def seek(self, pos: int, whence: int = os.SEEK_SET, /) -> int:
        """Sets the current position, and returns it."""
        size = len(self._open())
        if whence not in (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END):
            raise ValueError("unknown seek type")
        position = pos + (0, self._position, size)[whence]
        if not 0 <= position <= size:
            raise ValueError("seek out of range")
        self._position = position
        return position

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def set_name(self, name: str, /) -> None:
        """Raises ValueError: the memory of a sandbox has no names."""
        raise ValueError("Annotation of mmap is not supported in a sandbox")

    def size(self) -> int:
        """Returns the size of the file, or of the anonymous memory."""
        data = self._open()
        if not self._tracked:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return os.fstat(self._file).st_size if self._file is not None else len(data)

    def tell(self) -> int:
        """Returns the current position."""
        self._open()
        return self._position

    def write(self, content: Any, /) -> int:
        """Writes bytes at the current position, and moves it behind them."""
        data = self._for_writing()
        view = memoryview(content).cast("B")
        start = self._position
        if len(view) > len(data) - start:
            raise ValueError("data out of range")
        memoryview(data)[start : start + len(view)] = view
        self._position += len(view)
        self._written(start, self._position)
        return len(view)

    def write_byte(self, byte: int, /) -> None:
        """Writes one byte at the current position, and moves it by one."""
        data = self._for_writing()
        if self._position >= len(data):
            raise ValueError("write byte out of range")
        data[self._position] = byte
        self._position += 1
        self._written(self._position - 1, self._position)

    def __enter__(self) -> "mmap":
        self._open()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._data is None:
            return "<mmap.mmap closed=True>"
        kind = ("ACCESS_DEFAULT", "ACCESS_READ", "ACCESS_WRITE", "ACCESS_COPY")[self._access]
        return (
            f"<mmap.mmap closed=False, access={kind}, length={len(self._data)}, "
            f"pos={self._position}, offset={self._offset}>"
        )

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("cannot pickle 'mmap.mmap' object")

    __hash__ = object.__hash__


def _read(fd: int, offset: int, length: int) -> bytearray:
    # The file may be shorter by now.
    return bytearray(os.pread(fd, length, offset).ljust(length, b"\0"))


def _write(fd: int, data: bytearray, offset: int, start: int, end: int) -> None:
    view = memoryview(data)
    while start < end:
        start += os.pwrite(fd, view[start:end], offset + start)


def _write_back(data: bytearray, fd: int, offset: int, owned: bool) -> None:
    """Writes a map to its file at its end."""
    try:
        _write(fd, data, offset, 0, len(data))
    except OSError:
        # The program has closed the descriptor that it opened itself.
        if owned:
            raise
    finally:
        if owned:
            os.close(fd)


def _path_of(fd: int) -> str | None:
    """Returns the path of an open file, by its file object: WASI cannot duplicate descriptors."""
    for each in gc.get_objects():
        if type(each) is io.FileIO and not each.closed and each.fileno() == fd:
            if not each.writable():
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            try:
                path = os.path.abspath(os.fsdecode(each.name))
                if os.path.samestat(os.stat(path), os.fstat(fd)):
                    return path
            except (OSError, TypeError, ValueError):
                return None
    return None
