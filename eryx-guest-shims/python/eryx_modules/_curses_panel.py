"""Panels of `curses`, which need a terminal: every function raises `error`."""

from _curses import error as _terminal_error
from collections.abc import Callable
from typing import Any, NoReturn

version = __version__ = "2.1"


class error(_terminal_error):
    """curses.panel.error: a sandbox has no terminal."""


error.__module__ = "_curses_panel"


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any) -> NoReturn:
        """Raises error: a sandbox has no terminal."""
        raise error("curses.panel: a sandbox has no terminal; print text instead")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__module__ = "_curses_panel"
    return refuse


bottom_panel = _refusing("bottom_panel")
new_panel = _refusing("new_panel")
top_panel = _refusing("top_panel")
update_panels = _refusing("update_panels")
