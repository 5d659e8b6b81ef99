"""The heap as a snapshot is taken of it.

Every sandbox starts from the same pages and copies those it writes to: the fewer and the closer
together, the sooner it runs.
"""

import gc
from types import CodeType

import _eryx_heap


def settle() -> None:
    """Ready the heap for a snapshot: what is there now is not the collector's business any more,
    and what comes lies behind it."""
    gc.collect()
    _eryx_heap.keep(_everything())
    # Again, for what the interpreter keeps to use again lies all over the heap.
    gc.collect()
    gc.freeze()
    _eryx_heap.fill()


def _everything() -> list[object]:
    """All objects that can be found."""
    # What was kept before is frozen, and need not be looked at again.
    pending = gc.get_objects()
    found: dict[int, object] = {}
    while pending:
        one = pending.pop()
        if id(one) in found or one is pending or one is found:
            continue
        found[id(one)] = one
        pending.extend(gc.get_referents(one))
        if isinstance(one, CodeType):
            # The collector does not look into these.
            pending += (one.co_consts, one.co_names, one.co_filename, one.co_name, one.co_qualname)
            pending += (one.co_linetable, one.co_exceptiontable)
    return list(found.values())
