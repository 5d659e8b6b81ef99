"""Connects to a host that is not on the allow list."""

import socket

try:
    socket.create_connection(("google.com", 80))
except PermissionError as error:
    print(f"Blocked: {error}")
