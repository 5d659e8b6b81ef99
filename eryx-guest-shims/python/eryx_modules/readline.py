"""Line editing, which needs a terminal: the history and the settings work, nothing is edited."""

from collections.abc import Callable
from typing import Any

backend = "readline"

_history: list[str] = []
_history_length = -1
_auto_history = True
_completer: Callable[[str, int], Any] | None = None
_delims = " \t\n`~!@#$%^&*()-=+[{]}\\|;:'\",<>/?"
_hooks: dict[str, Any] = {}


def parse_and_bind(string: str, /) -> None:
    """Accepts a line of an init file: there are no keys to bind."""


def read_init_file(filename: Any = None, /) -> None:
    """Reads an init file, whose bindings have no effect. Raises OSError if it does not exist."""
    if filename is not None:
        open(filename, "rb").close()


def get_line_buffer() -> str:
    """Return the current contents of the line buffer: nothing is being edited."""
    return ""


def insert_text(string: str, /) -> None:
    """Accepts text: there is no line to insert it into."""


def redisplay() -> None:
    """Has no effect: nothing is displayed."""


def read_history_file(filename: Any = None, /) -> None:
    """Load a readline history file. The default filename is ~/.history."""
    with open(_history_file(filename), encoding="utf-8", errors="surrogateescape") as file:
        _history.extend(line.rstrip("\n") for line in file)


def write_history_file(filename: Any = None, /) -> None:
    """Save a readline history file. The default filename is ~/.history."""
    kept = _history if _history_length < 0 else _history[len(_history) - _history_length :]
    with open(_history_file(filename), "w", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(line + "\n" for line in kept)


def append_history_file(nelements: int, filename: Any = None, /) -> None:
    """Append the last nelements items of the history list to file."""
    if nelements < 0:
        raise ValueError("nelements must be positive")
    last = _history[len(_history) - nelements :] if nelements else []
    name = _history_file(filename)
    with open(name, "r+", encoding="utf-8", errors="surrogateescape") as file:
        file.seek(0, 2)
        file.writelines(line + "\n" for line in last)


def _history_file(filename: Any) -> Any:
    if filename is not None:
        return filename
    import os

    return os.path.expanduser("~/.history")


def get_history_length() -> int:
    """Return the maximum number of lines that will be written to the history file."""
    return _history_length


def set_history_length(length: int, /) -> None:
    """Set the maximal number of lines which will be written to the history file."""
    global _history_length
    _history_length = length


def get_current_history_length() -> int:
    """Return the current (not the maximum) length of history."""
    return len(_history)


def get_history_item(index: int, /) -> str | None:
    """Return the current contents of history item at one-based index."""
    return _history[index - 1] if 0 < index <= len(_history) else None


def remove_history_item(pos: int, /) -> None:
    """Remove history item given by its zero-based position."""
    _check_position(pos)
    del _history[pos]


def replace_history_item(pos: int, line: str, /) -> None:
    """Replaces history item given by its zero-based position with contents of line."""
    _check_position(pos)
    _history[pos] = line


def _check_position(pos: int) -> None:
    if pos < 0:
        raise ValueError("History index cannot be negative")
    if pos >= len(_history):
        raise ValueError(f"No history item at position {pos}")


def add_history(string: str, /) -> None:
    """Add an item to the history buffer."""
    _history.append(string)


def clear_history() -> None:
    """Clear the current readline history."""
    _history.clear()


def set_auto_history(enabled: bool, /) -> None:
    """Enables or disables automatic history."""
    global _auto_history
    _auto_history = bool(enabled)


def set_completer(function: Callable[[str, int], Any] | None = None, /) -> None:
    """Set or remove the completer function."""
    global _completer
    _completer = function


def get_completer() -> Callable[[str, int], Any] | None:
    """Get the current completer function."""
    return _completer


def set_completer_delims(string: str, /) -> None:
    """Set the word delimiters for completion."""
    global _delims
    _delims = string


def get_completer_delims() -> str:
    """Get the word delimiters for completion."""
    return _delims


def get_completion_type() -> int:
    """Get the type of completion being attempted: none."""
    return 0


def get_begidx() -> int:
    """Get the beginning index of the completion scope."""
    return 0


def get_endidx() -> int:
    """Get the ending index of the completion scope."""
    return 0


def set_completion_display_matches_hook(function: Any = None, /) -> None:
    """Set or remove the completion display function."""
    _hooks["display"] = function


def set_startup_hook(function: Any = None, /) -> None:
    """Set or remove the function invoked before the first prompt."""
    _hooks["startup"] = function


def set_pre_input_hook(function: Any = None, /) -> None:
    """Set or remove the function invoked before reading begins."""
    _hooks["input"] = function
