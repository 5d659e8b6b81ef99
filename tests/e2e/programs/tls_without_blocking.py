import select


def patiently(step, *arguments):
    waits = 0
    while True:
        try:
            return step(*arguments), waits
        except ssl.SSLWantReadError:
            select.select([connection], [], [], 10)
        except ssl.SSLWantWriteError:
            select.select([], [connection], [], 10)
        waits += 1


def connected(port):
    raw = socket.create_connection(("site.test", port), 10)
    raw.setblocking(False)
    return ssl.create_default_context().wrap_socket(
        raw, server_hostname="site.test", do_handshake_on_connect=False
    )


# A server whose certificate comes in pieces has to be waited for.
connection = connected(SLOW)
waits = patiently(connection.do_handshake)[1]
print(connection.version(), "waited" if waits else "did not wait")
connection.close()

connection = connected(PORT)
patiently(connection.do_handshake)
data = bytes(range(250)) * 4000
sent, received, blocked = 0, bytearray(), 0
while len(received) < len(data):
    writing = [connection] if sent < len(data) else []
    # What TLS has decrypted already makes no socket readable.
    pending = connection.pending()
    readable, writable, _ = select.select([connection], writing, [], 0 if pending else 10)
    if writable:
        try:
            sent += connection.send(data[sent:])
        except ssl.SSLWantWriteError:
            blocked += 1
    if readable or pending:
        try:
            received += connection.recv(100_000)
        except ssl.SSLWantReadError:
            blocked += 1
print(len(received), bytes(received) == data)
try:
    connection.recv(1)
except ssl.SSLWantReadError:
    print(True)
