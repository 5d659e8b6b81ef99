"""The prelude of programs that connect to the server: helpers to connect, to send a request, and to
time a function."""

import socket
import ssl
import time


def connect():
    connection = socket.create_connection((HOST, PORT))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if SECURE:
        context = ssl.create_default_context()
        connection = context.wrap_socket(connection, server_hostname="localhost")
    return connection


AUTHORITY = f"{HOST}:{PORT}"
REQUEST = f"GET /bytes/20 HTTP/1.1\r\nHost: {AUTHORITY}\r\n\r\n".encode()


def request(connection):
    connection.sendall(REQUEST)
    received = 0
    while received < RESPONSE:
        data = connection.recv(4096)
        if not data:
            raise EOFError("the server has closed the connection")
        received += len(data)


def call_seconds(function):
    """Return the seconds of a call in BATCHES batches of COUNT calls, after a warm-up batch."""
    durations = []
    for _ in range(BATCHES + 1):
        start = time.perf_counter()
        for _ in range(COUNT):
            function()
        durations.append((time.perf_counter() - start) / COUNT)
    return summary(durations[1:])


def summary(durations):
    """Return the median; with QUANTILES the 50th and the 99th percentile."""
    ordered = sorted(durations)
    median = ordered[len(ordered) // 2]
    return [median, ordered[len(ordered) * 99 // 100]] if QUANTILES else median
