"""TLS connections for programs under test."""

import socket
import ssl


def secured(port, context=None, name="site.test", timeout=10):
    """A connection to `port` of `name`, after its handshake."""
    raw = socket.create_connection((name, port), timeout)
    return (context or ssl.create_default_context()).wrap_socket(raw, server_hostname=name)


def exchanged(connection, data):
    """What an echoing peer answers to `data`."""
    connection.sendall(data)
    received = b""
    while len(received) < len(data):
        part = connection.recv(65536)
        if not part:
            break
        received += part
    return received
