"""Panels of `curses`, which need a terminal: every function raises `error`."""

from _curses import error as _terminal_error
from typing import Any, NoReturn

version = __version__ = "2.1"


class error(_terminal_error):
    """curses.panel.error: a sandbox has no terminal."""


error.__module__ = "_curses_panel"


def _refuse(*args: Any) -> NoReturn:
    raise error("curses.panel: a sandbox has no terminal; print text instead")


bottom_panel = new_panel = top_panel = update_panels = _refuse
