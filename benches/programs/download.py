"""Bytes per second of a download, READ bytes at a time at most."""

import time


def main():
    with opened() as connection:
        exchange(connection)
        began = time.perf_counter()
        connection.sendall(f"GET /bytes/{TOTAL} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        received = 0
        while received < TOTAL:
            data = connection.recv(READ)
            if not data:
                raise EOFError("the server has left")
            received += len(data)
        return received / (time.perf_counter() - began)
