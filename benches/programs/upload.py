"""Bytes per second of an upload, PIECE bytes at a time, until the server has them all."""

import time


def main():
    piece = bytes(PIECE)
    head = f"POST /bytes/20 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {TOTAL}\r\n\r\n".encode()
    with opened() as connection:
        exchange(connection)
        began = time.perf_counter()
        connection.sendall(head)
        for _ in range(TOTAL // PIECE):
            connection.sendall(piece)
        received = 0
        while received < ANSWER:
            data = connection.recv(4096)
            if not data:
                raise EOFError("the server has left")
            received += len(data)
        return TOTAL / (time.perf_counter() - began)
