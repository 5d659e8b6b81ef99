"""Measures the seconds of OPERATION on a file in the directory for temporary files."""

import os
import pathlib
import tempfile
import time


def main():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "file")
        missing = os.path.join(directory, "missing")
        pathlib.Path(path).write_bytes(bytes(SIZE))

        def read():
            with open(path, "rb") as file:
                if len(file.read()) != SIZE:
                    raise EOFError("bytes are missing")

        operations = {
            "stat": lambda: os.stat(path),
            "missing": lambda: os.path.exists(missing),
            "read": read,
        }
        operation = operations[OPERATION]
        durations = []
        for _ in range(10):
            start = time.perf_counter()
            for _ in range(COUNT):
                operation()
            durations.append((time.perf_counter() - start) / COUNT)
        return sorted(durations)[len(durations) // 2]
