"""Upgrades a TCP connection to TLS."""

import socket
import ssl

PORT = 443

sock = socket.create_connection(("example.com", PORT), timeout=15)
context = ssl.create_default_context()
with context.wrap_socket(sock, server_hostname="example.com") as tls:
    print(tls.version(), tls.cipher()[0])
    names = [value for kind, value in tls.getpeercert()["subjectAltName"] if kind == "DNS"]
    print(names)
    tls.sendall(b"GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
    response = tls.recv(1024)
print(response.partition(b"\r\n")[0].decode())
