"""Seconds for a request and its answer of 20 bytes."""

import time


def main():
    with opened() as connection:
        for _ in range(20):
            exchange(connection)
        began = time.perf_counter()
        for _ in range(COUNT):
            exchange(connection)
        return (time.perf_counter() - began) / COUNT
