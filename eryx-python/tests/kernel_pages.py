"""The pages of this process: paging them out and searching them, for the programs of ``test_slots``."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator

MADV_PAGEOUT = 21
MADV_COLLAPSE = 25
PAGE = 4096
libc = ctypes.CDLL(None, use_errno=True)
libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def mappings() -> Iterator[tuple[int, int]]:
    """Yield the first and last address of each private writable mapping, except the heap and stack of
    the host interpreter."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)", line)
            assert match
            first, last, flags, name = match.groups()
            if flags.startswith("rw") and name not in ("[heap]", "[stack]"):
                yield int(first, 16), int(last, 16)


def advise(advice: int) -> int:
    """Call madvise(2) with `advice` on the memories and tables of the slots. Returns for how many
    mappings it succeeded."""
    return sum(
        libc.madvise(first, last - first, advice) == 0
        for first, last in list(mappings())
        if last - first >= 64 << 10
    )


def runs_with(mark: bytes) -> int:
    """Return how many runs of existing pages, present or swapped out, contain `mark`. This process may
    have one of its own."""
    found = 0
    with open("/proc/self/mem", "rb", 0) as memory, open("/proc/self/pagemap", "rb", 0) as pagemap:
        for first, last in mappings():
            pagemap.seek(first // PAGE * 8)
            address = first
            while address < last:
                entries = memoryview(pagemap.read(min((last - address) // PAGE, 1 << 16) * 8)).cast(
                    "Q"
                )
                if not entries:
                    break
                page = 0
                while page < len(entries):
                    run = page
                    while run < len(entries) and entries[run] >> 62:
                        run += 1
                    if run > page:
                        memory.seek(address + page * PAGE)
                        found += mark in memory.read((run - page) * PAGE)
                    page = max(run, page + 1)
                address += len(entries) * PAGE
    return found
