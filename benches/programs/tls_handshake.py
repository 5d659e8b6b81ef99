"""Measures the seconds of a connection and its TLS handshake, in COUNT of them.

MODE is "fresh" (a new context for each), "full" or "resumed" (a shared context)."""

import socket
import ssl
import time


def main():
    shared_context = None if MODE == "fresh" else ssl.create_default_context()
    durations = []
    session = None
    for n in range(COUNT + 2):
        start = time.perf_counter()
        raw = socket.create_connection((HOST, PORT))
        context = shared_context or ssl.create_default_context()
        options = {"session": session} if MODE == "resumed" and session else {}
        connection = context.wrap_socket(raw, server_hostname="localhost", **options)
        durations.append(time.perf_counter() - start)
        # The session tickets of TLS 1.3 arrive with the first response.
        request(connection)
        if MODE == "resumed":
            if n >= 2 and not connection.session_reused:
                raise RuntimeError("the session was not resumed")
            session = connection.session
        connection.close()
    return summary(durations[2:])
