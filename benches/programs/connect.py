"""Measures the seconds of a connection: the median of COUNT."""

import socket
import time


def main():
    durations = []
    for _ in range(COUNT + 2):
        start = time.perf_counter()
        connection = socket.create_connection((HOST, PORT))
        durations.append(time.perf_counter() - start)
        connection.close()
    return sorted(durations[2:])[COUNT // 2]
