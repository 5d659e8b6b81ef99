"""`multiprocessing.pool.ThreadPool` without a pipe, and without waits below C code."""

from __future__ import annotations

import contextlib
import threading
from types import ModuleType
from typing import Any


def patch(module: ModuleType) -> None:
    """Gives the pools of `multiprocessing.pool` a queue in place of the pipe."""
    import queue

    class Notifier(queue._PySimpleQueue):  # type: ignore[name-defined,misc]
        """The queue that tells a pool that one of its threads has ended."""

        _reader = None

        def close(self) -> None:
            """Does nothing: there is no pipe."""

    class Context:
        """The context of a pool: another queue, else that of `multiprocessing`."""

        SimpleQueue = Notifier

        def __init__(self, context: Any) -> None:
            self._context = context

        def __getattr__(self, name: str) -> Any:
            return getattr(self._context, name)

    def wait_for_updates(sentinels: Any, notifier: Any, timeout: float | None = None) -> None:
        """Waits until a thread of a pool has ended."""
        with contextlib.suppress(queue.Empty):
            notifier.get(timeout=timeout)
            while True:
                notifier.get(block=False)

    pools: Any = module
    pools.Pool._wait_for_updates = staticmethod(wait_for_updates)
    pools.Pool._handle_tasks = staticmethod(_handle_tasks)
    stock = pools.get_context
    pools.get_context = lambda: Context(stock())


def _handle_tasks(taskqueue: Any, put: Any, outqueue: Any, pool: Any, cache: Any) -> None:
    """Gives the threads of a pool their tasks, until there is None in place of a batch.

    The stock function waits in the iterator `iter(taskqueue.get, None)`, which is C code.
    """
    thread: Any = threading.current_thread()
    while (batch := taskqueue.get()) is not None:
        tasks, set_length = batch
        if not _put_all(tasks, set_length, put, thread, cache):
            break
    # The results end, and each thread.
    outqueue.put(None)
    for _ in pool:
        put(None)


def _put_all(tasks: Any, set_length: Any, put: Any, thread: Any, cache: Any) -> bool:
    """Puts the tasks of a batch. Returns False if the pool was terminated."""
    position = -1
    for task in tasks:
        if thread._state != "RUN":
            return False
        job, position = task[:2]
        try:
            put(task)
        except Exception as error:
            if job in cache:
                cache[job]._set(position, (False, error))
    if set_length is not None:
        set_length(position + 1)
    return True
