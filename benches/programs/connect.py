"""Measures the seconds of a connection, in COUNT of them."""

import socket
import time


def main():
    durations = []
    for _ in range(COUNT + 2):
        start = time.perf_counter()
        connection = socket.create_connection((HOST, PORT))
        durations.append(time.perf_counter() - start)
        connection.close()
    return summary(durations[2:])
