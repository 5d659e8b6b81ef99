"""Sends an HTTP request over a TCP socket."""

import socket

PORT = 80

sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
sock.settimeout(10)
sock.connect(("example.com", PORT))
sock.sendall(b"GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
response = b"".join(iter(lambda: sock.recv(4096), b""))
sock.close()

status, _, body = response.partition(b"\r\n")
print(status.decode())
print("Example Domain" in body.decode())
