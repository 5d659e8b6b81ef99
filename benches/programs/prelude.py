"""Comes before programs that speak to the server: a connection, a request on it, and the time that
something takes."""

import socket
import ssl
import time


def opened():
    connection = socket.create_connection((HOST, PORT))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if SECURE:
        context = ssl.create_default_context()
        connection = context.wrap_socket(connection, server_hostname="localhost")
    return connection


REQUEST = b"GET /bytes/20 HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = len(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n") + 20


def exchange(connection):
    connection.sendall(REQUEST)
    received = 0
    while received < ANSWER:
        data = connection.recv(4096)
        if not data:
            raise EOFError("the server has left")
        received += len(data)


def typical(act):
    """Seconds for a call: the median of BATCHES of COUNT calls, after one that does not count."""
    took = []
    for _ in range(BATCHES + 1):
        began = time.perf_counter()
        for _ in range(COUNT):
            act()
        took.append((time.perf_counter() - began) / COUNT)
    return sorted(took[1:])[BATCHES // 2]
