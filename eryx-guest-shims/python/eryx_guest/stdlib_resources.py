"""The files of the standard library as resources, for `importlib.resources` and `pkgutil`."""

import io
from collections.abc import Callable, Iterator
from importlib.resources.abc import Traversable, TraversableResources
from typing import Any

Read = Callable[[str], bytes]


class StoredPath(Traversable):
    """A file in memory, or a directory of such files."""

    def __init__(self, path: str, names: frozenset[str], read: Read) -> None:
        self._path = path
        self._names = names
        self._read = read

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._path.rpartition("/")[2]

    def __str__(self) -> str:
        return self._path

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._path!r})"

    def is_file(self) -> bool:
        """Returns whether this is a file."""
        return self._path in self._names

    def is_dir(self) -> bool:
        """Returns whether this is a directory."""
        start = self._path + "/"
        return any(name.startswith(start) for name in self._names)

    def iterdir(self) -> Iterator["StoredPath"]:
        """Yields what is in this directory."""
        if self.is_file():
            raise NotADirectoryError(self._path)
        start = self._path + "/"
        found = {
            name.removeprefix(start).partition("/")[0]
            for name in self._names
            if name.startswith(start)
        }
        if not found:
            raise FileNotFoundError(self._path)
        for name in sorted(found):
            yield self._at(start + name)

    def _at(self, path: str) -> "StoredPath":
        return StoredPath(path, self._names, self._read)

    def joinpath(self, *descendants: Any) -> "StoredPath":
        """Returns a path below this one."""
        parts = self._path.split("/")
        for descendant in descendants:
            for part in str(descendant).split("/"):
                if part == "..":
                    del parts[-1:]
                elif part not in ("", "."):
                    parts.append(part)
        return self._at("/".join(parts))

    __truediv__ = joinpath

    def read_bytes(self) -> bytes:
        """Returns the content of the file."""
        if self.is_dir():
            raise IsADirectoryError(self._path)
        return self._read(self._path)

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        """Returns the content of the file as text."""
        with self.open("r", encoding=encoding, errors=errors) as stream:
            return str(stream.read())

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        """Opens the file for reading."""
        if mode not in ("r", "rt", "rb"):
            raise ValueError(f"Invalid mode value {mode!r}, only 'r' and 'rb' are supported")
        stream = io.BytesIO(self.read_bytes())
        return stream if mode == "rb" else io.TextIOWrapper(stream, *args, **kwargs)


class StoredResources(TraversableResources):
    """The resources of one package."""

    def __init__(self, directory: StoredPath) -> None:
        self._directory = directory

    def files(self) -> StoredPath:
        """Returns the directory of the package."""
        return self._directory
