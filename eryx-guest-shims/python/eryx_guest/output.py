"""Standard output and standard error: streams that write to the host immediately."""

import io
from collections.abc import Callable
from typing import Any

import _eryx_output


def install() -> None:
    """Makes each call of `print` write its output to the host in one piece."""
    _eryx_output.on_error(OSError)
    _eryx_output.gather(print)


def open_stdout() -> io.TextIOWrapper:
    """Returns the stream for `sys.stdout`."""
    return _open(1, "<stdout>", _eryx_output.write_output, _eryx_output.flush_output)


def open_stderr() -> io.TextIOWrapper:
    """Returns the stream for `sys.stderr`."""
    return _open(2, "<stderr>", _eryx_output.write_error, _eryx_output.flush_error)


def _open(
    descriptor: int, name: str, write: Callable[[Any], int], flush: Callable[[], None]
) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w", closefd=False)
    raw.name = name
    # `write_through`: the host has all output before the program continues.
    stream = io.TextIOWrapper(
        _Buffer(raw, write, flush),
        encoding="utf-8",
        errors="backslashreplace",
        newline="\n",
        write_through=True,
    )
    stream.mode = "w"  # type: ignore[misc]
    return stream


class _Buffer(io.BufferedWriter):
    """A writer that buffers nothing beyond one call of `print`: see `output.wat`."""

    def __init__(
        self, raw: io.FileIO, write: Callable[[Any], int], flush: Callable[[], None]
    ) -> None:
        super().__init__(raw)
        # `TextIOWrapper` finds these attributes before the methods, and calls them without a Python
        # frame.
        self.write = write  # type: ignore[method-assign]
        self.flush = flush  # type: ignore[method-assign]

    def close(self) -> None:
        super().close()
        self._restore_methods()

    def detach(self) -> io.RawIOBase:
        raw = super().detach()
        self._restore_methods()
        return raw

    def _restore_methods(self) -> None:
        """Makes further writes raise the exceptions of the methods."""
        vars(self).clear()


# Programs see the name of the stock class.
_Buffer.__module__ = io.BufferedWriter.__module__
_Buffer.__name__ = _Buffer.__qualname__ = io.BufferedWriter.__name__
