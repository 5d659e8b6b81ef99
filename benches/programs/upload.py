"""Measures the bytes per second of an upload of TOTAL bytes, CHUNK bytes per `sendall`, until the
server has confirmed the last byte."""

import time


def main():
    chunk = bytes(CHUNK)
    head = f"POST /bytes/20 HTTP/1.1\r\nHost: {AUTHORITY}\r\nContent-Length: {TOTAL}\r\n\r\n"
    with connect() as connection:
        request(connection)
        start = time.perf_counter()
        connection.sendall(head.encode())
        for _ in range(TOTAL // CHUNK):
            connection.sendall(chunk)
        received = 0
        while received < RESPONSE:
            data = connection.recv(4096)
            if not data:
                raise EOFError("the server has closed the connection")
            received += len(data)
        return TOTAL / (time.perf_counter() - start)
