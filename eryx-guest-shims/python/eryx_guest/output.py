"""Standard output and standard error."""

import io
from collections.abc import Callable
from typing import Any

import _eryx_output


def install() -> None:
    """Have `print` hand on what it writes together."""
    _eryx_output.on_error(OSError)
    _eryx_output.gather(print)


def open_stdout() -> io.TextIOWrapper:
    """What `sys.stdout` is."""
    return _open(1, "<stdout>", _eryx_output.write_output, _eryx_output.flush_output)


def open_stderr() -> io.TextIOWrapper:
    """What `sys.stderr` is."""
    return _open(2, "<stderr>", _eryx_output.write_error, _eryx_output.flush_error)


def _open(
    descriptor: int, name: str, write: Callable[[Any], int], flush: Callable[[], None]
) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w", closefd=False)
    raw.name = name
    # What a program has printed is with the host before the program does anything else.
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
    """A buffer that keeps nothing, but for what one `print` writes: see `output.wat`."""

    def __init__(
        self, raw: io.FileIO, write: Callable[[Any], int], flush: Callable[[], None]
    ) -> None:
        super().__init__(raw)
        # Found by `TextIOWrapper` before the methods of the same names, without a frame of Python.
        self.write = write  # type: ignore[method-assign]
        self.flush = flush  # type: ignore[method-assign]

    def close(self) -> None:
        super().close()
        self._give_up()

    def detach(self) -> io.RawIOBase:
        raw = super().detach()
        self._give_up()
        return raw

    def _give_up(self) -> None:
        """From here on the methods say what is wrong."""
        vars(self).clear()


# Programs see what the interpreter has there elsewhere.
_Buffer.__module__ = io.BufferedWriter.__module__
_Buffer.__name__ = _Buffer.__qualname__ = io.BufferedWriter.__name__
