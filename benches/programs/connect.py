"""Seconds for a connection: the median of COUNT."""

import socket
import time


def main():
    took = []
    for _ in range(COUNT + 2):
        began = time.perf_counter()
        connection = socket.create_connection((HOST, PORT))
        took.append(time.perf_counter() - began)
        connection.close()
    return sorted(took[2:])[COUNT // 2]
