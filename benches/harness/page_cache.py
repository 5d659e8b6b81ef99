"""The page cache of the kernel, in which files lie differently after a restart than after pip."""

from __future__ import annotations

import os
import pathlib


def drop(folder: pathlib.Path) -> None:
    """Remove the files below `folder` from the page cache, so that their next use reads them.

    pip writes files in small pieces, and the kernel keeps each in memory where it finds room.
    Read from the disk, a file lies in a few large pieces. Whatever walks the page table of a
    mapped file, such as the reset of an instance, is faster then, and that is how a machine finds
    the file for the rest of its life after a restart."""
    for directory, _, names in os.walk(folder):
        for name in names:
            path = pathlib.Path(directory, name)
            if path.is_symlink() or not path.is_file():
                continue
            descriptor = os.open(path, os.O_RDONLY)
            try:
                # Only pages that are on the disk can be dropped.
                os.fsync(descriptor)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
