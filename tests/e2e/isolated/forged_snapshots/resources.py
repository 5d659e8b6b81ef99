# What the host has a part of: files, listings, connections, datagrams.
import os
import select
import socket

sock = socket.create_connection(("127.0.0.1", PORT))
sock.sendall(b"ab")
assert sock.recv(1)
stream = sock.makefile("rwb")
near, far = socket.socketpair()
near.sendall(b"in the sandbox")
server = socket.create_server(("127.0.0.1", 0))
inner = socket.create_connection(server.getsockname())
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
reader, writer = os.pipe()
os.write(writer, b"pipe")
poller = select.poll()
poller.register(near)
os.makedirs("/tmp/a/b/c")
os.symlink("b", "/tmp/a/link")
for n in range(30):
    with open(f"/tmp/a/b/{n}", "w") as file:
        file.write("text " * n)
log = open("/tmp/log", "w+")
log.write("line\n" * 1000)
log.flush()
raw = os.open("/tmp/a/b/1", os.O_RDWR)
names = os.scandir("/tmp/a/b")
next(names)
print("ready")
