"""Seconds for a connection and its handshake: the median of COUNT.

HOW tells them: with a fresh context, full, or resumed."""

import socket
import ssl
import time


def main():
    kept = None if HOW == "fresh" else ssl.create_default_context()
    took = []
    session = None
    for n in range(COUNT + 2):
        began = time.perf_counter()
        raw = socket.create_connection((HOST, PORT))
        context = kept or ssl.create_default_context()
        given = {"session": session} if HOW == "resumed" and session else {}
        connection = context.wrap_socket(raw, server_hostname="localhost", **given)
        took.append(time.perf_counter() - began)
        # The tickets of TLS 1.3 come with the first answer.
        exchange(connection)
        if HOW == "resumed":
            if n >= 2 and not connection.session_reused:
                raise RuntimeError("the session was not resumed")
            session = connection.session
        connection.close()
    return sorted(took[2:])[COUNT // 2]
