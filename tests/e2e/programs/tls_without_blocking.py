import select


def wait_for(step, *arguments):
    waits = 0
    while True:
        try:
            return step(*arguments), waits
        except ssl.SSLWantReadError:
            select.select([connection], [], [], 10)
        except ssl.SSLWantWriteError:
            select.select([], [connection], [], 10)
        waits += 1


def connect(port):
    raw = socket.create_connection(("site.test", port), 10)
    raw.setblocking(False)
    return ssl.create_default_context().wrap_socket(
        raw, server_hostname="site.test", do_handshake_on_connect=False
    )


# The certificate of this server arrives in pieces, so the handshake has to wait.
connection = connect(SLOW)
waits = wait_for(connection.do_handshake)[1]
print(connection.version(), "waited" if waits else "did not wait")
connection.close()

connection = connect(PORT)
wait_for(connection.do_handshake)
data = bytes(range(250)) * 4000
sent, received, blocked = 0, bytearray(), 0
while len(received) < len(data):
    writing = [connection] if sent < len(data) else []
    # Data that TLS has already decrypted does not make the socket readable.
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
