incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
session = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="site.test")
raw = socket.create_connection(("site.test", PORT), 10)


def run_with_transport(step, *arguments):
    while True:
        try:
            value = step(*arguments)
        except ssl.SSLWantReadError:
            raw.sendall(outgoing.read())
            part = raw.recv(65536)
            if part:
                incoming.write(part)
            else:
                incoming.write_eof()
        else:
            raw.sendall(outgoing.read())
            return value


run_with_transport(session.do_handshake)
print(session.version())
data = bytes(range(250)) * 800
sent, received = 0, b""
while sent < len(data):
    sent += run_with_transport(session.write, data[sent : sent + 10_000])
while len(received) < len(data):
    received += run_with_transport(session.read, 65536)
print(len(received), received == data)
try:
    run_with_transport(session.unwrap)
except ssl.SSLError as error:
    print(error)
else:
    print("closed")
