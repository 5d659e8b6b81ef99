"""Forks of a session: its memory is copied to another instance, where it continues as a child.

The instance of the child has none of the resources of the host that the parent has: its connections
are reset, and its open files are closed.
"""

import gc
import os
import posix
import sys
import tempfile
import uuid
from collections.abc import Callable
from typing import Any

import _eryx_native

from eryx_guest import open_files, processes, random_generators, stdlib_importer
from eryx_net import lost_resources
from eryx_net.builtin_functions import built_in
from eryx_net.descriptors import MAX_DUPLICATE
from eryx_net.sockets.os_functions import stock_close

_before: list[Callable[[], Any]] = []
_after_in_child: list[Callable[[], Any]] = []
_after_in_parent: list[Callable[[], Any]] = []

# The descriptors of the parent's open files.
_open_files: set[int] = set()

# Programs may replace them.
_stock_open = os.open

callbacks_due = False
"""Whether the next program, or fork, has to wait for `run_child_callbacks`."""


def register_at_fork(
    *,
    before: Callable[[], Any] | None = None,
    after_in_child: Callable[[], Any] | None = None,
    after_in_parent: Callable[[], Any] | None = None,
) -> None:
    """Register callables to be called when the session is forked.

      before
        A callable to be called in the parent before the fork.
      after_in_child
        A callable to be called in the child before its next program, or before it is forked.
      after_in_parent
        A callable to be called in the parent after the fork.

    'before' callbacks are called in reverse order.
    'after_in_child' and 'after_in_parent' callbacks are called in order."""
    if before is None and after_in_child is None and after_in_parent is None:
        raise TypeError("At least one argument is required.")
    for name, callback in (
        ("before", before),
        ("after_in_child", after_in_child),
        ("after_in_parent", after_in_parent),
    ):
        if callback is not None and not callable(callback):
            raise TypeError(f"'{name}' must be callable, not {type(callback).__name__}")
    if before is not None:
        _before.append(before)
    if after_in_child is not None:
        _after_in_child.append(after_in_child)
    if after_in_parent is not None:
        _after_in_parent.append(after_in_parent)


register_at_fork.__module__ = posix.__name__


def install() -> None:
    """Adds `os.register_at_fork`, which WASI lacks."""
    function = built_in(register_at_fork)
    for module in (os, posix):
        module.register_at_fork = function  # type: ignore[attr-defined]
    os.__all__.append(register_at_fork.__name__)


def before_fork(open_count: int) -> bool:
    """Prepares a fork of this session: see the WIT. Never raises."""
    # They may open files, which the host has not counted.
    has_callbacks = callbacks_due or bool(_before)
    if callbacks_due:
        # This session is a child in which no program has run: what those of its parent locked is
        # still locked.
        run_child_callbacks()
    _run(reversed(_before))
    if open_count or has_callbacks:
        # The copy cannot write to the files that this session has opened.
        open_files.write_buffers()
    _open_files.clear()
    # Duplicates of the standard streams are no files of the host.
    if open_count or has_callbacks or _eryx_native.has_duplicates():
        _open_files.update(_eryx_native.open_descriptors())
    return bool(_after_in_parent)


def after_fork() -> None:
    """Runs the callbacks of the parent: see the WIT. Never raises."""
    _run(_after_in_parent)


def wake(has_network: bool, has_listings: bool) -> None:
    """Continues as a child: see the WIT."""
    global callbacks_due
    if has_network:
        lost_resources.reset(gc.get_objects())
    if has_listings:
        open_files.close_listings()
    _reserve_descriptors()
    processes.forget_id()
    random_generators.seed_copies()
    # Computed from the state of the parent, and the same in every child otherwise.
    tempfile._name_sequence = None  # type: ignore[attr-defined]
    uuid._node = uuid._last_timestamp_v7 = None  # type: ignore[attr-defined]
    stdlib_importer.refresh_functions()
    callbacks_due = bool(_after_in_child)


def _reserve_descriptors() -> None:
    """Makes the descriptors of the parent's files refer to a directory.

    Reading and writing them fails. Without this, a file that the child opens would get the
    descriptor of a file object of the parent.
    """
    if not _open_files:
        return
    # A file of the parent with a larger number had all smaller ones in use before it.
    last = min(max(_open_files), MAX_DUPLICATE - 1)
    opened = [_stock_open("/", os.O_RDONLY)]
    # Each has the lowest unused number.
    while opened[-1] < last:
        opened.append(_eryx_native.dup(opened[0]))
    for descriptor in opened:
        if descriptor not in _open_files:
            stock_close(descriptor)
    _open_files.clear()


def run_child_callbacks() -> None:
    """Runs the callbacks of a child. Never raises."""
    global callbacks_due
    callbacks_due = False
    _run(_after_in_child)


def _run(callbacks: Any) -> None:
    for callback in list(callbacks):
        try:
            callback()
        except BaseException as error:
            # As CPython does. The hook is the program's.
            try:
                sys.excepthook(type(error), error, error.__traceback__)
            except BaseException:
                continue
