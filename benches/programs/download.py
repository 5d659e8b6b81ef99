"""Measures the bytes per second of a download of TOTAL bytes, at most READ bytes per `recv`."""

import time


def main():
    with connect() as connection:
        request(connection)
        start = time.perf_counter()
        connection.sendall(f"GET /bytes/{TOTAL} HTTP/1.1\r\nHost: {AUTHORITY}\r\n\r\n".encode())
        received = 0
        while received < TOTAL:
            data = connection.recv(READ)
            if not data:
                raise EOFError("the server has closed the connection")
            received += len(data)
        return received / (time.perf_counter() - start)
