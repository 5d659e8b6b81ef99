"""Seconds for a connection."""

import socket
import time


def main():
    took = 0.0
    for n in range(COUNT + 2):
        began = time.perf_counter()
        connection = socket.create_connection((HOST, PORT))
        if n >= 2:
            took += time.perf_counter() - began
        connection.close()
    return took / COUNT
