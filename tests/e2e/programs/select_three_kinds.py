import select
import selectors
import socket

host = socket.create_connection(("127.0.0.1", PORT), 10)
pair, other = socket.socketpair()
listener = socket.create_server(("127.0.0.1", 0))
names = {host: "host", pair: "pair", listener: "listener"}


def ready(timeout=10):
    return sorted(names[sock] for sock in select.select(list(names), [], [], timeout)[0])


print(ready(0))

host.sendall(b"x")
print(ready())
host.recv(1)

other.send(b"x")
print(ready())
pair.recv(1)

client = socket.create_connection(listener.getsockname())
print(ready())

other.send(b"x")
host.sendall(b"x")
# The reply of the peer takes a moment; the other sockets are ready at once.
select.select([host], [], [], 10)
print(ready())
listener.accept()
pair.recv(1)

with selectors.DefaultSelector() as selector:
    for sock, name in names.items():
        selector.register(sock, selectors.EVENT_READ, name)
    print([key.data for key, _ in selector.select(10)])
    host.recv(1)
    print(selector.select(0.05) == [])
