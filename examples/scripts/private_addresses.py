"""Addresses that the default policy denies, and names that resolve to them."""

import socket

HOSTS = [
    "127.0.0.1",
    "localhost",
    "10.0.0.5",
    "192.168.1.1",
    "169.254.169.254",
    "metadata.google.internal",
    "::1",
    "::ffff:127.0.0.1",
    "fd00::5",
    "2130706433",
    "intranet.example.com",
]

for host in HOSTS:
    try:
        socket.create_connection((host, 80), timeout=5)
    except PermissionError as error:
        print(f"{host}: {error}")
    else:
        print(f"{host}: REACHED")
