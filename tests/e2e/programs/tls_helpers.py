"""TLS helpers that precede programs under test."""

import socket
import ssl


def tls_connect(port, context=None, name="site.test", timeout=10):
    """Connect to `port` of `name`, and return the connection after its handshake."""
    raw = socket.create_connection((name, port), timeout)
    return (context or ssl.create_default_context()).wrap_socket(raw, server_hostname=name)


def exchange(connection, data):
    """Send `data` to an echo peer, and return the data received."""
    connection.sendall(data)
    received = b""
    while len(received) < len(data):
        part = connection.recv(65536)
        if not part:
            break
        received += part
    return received
