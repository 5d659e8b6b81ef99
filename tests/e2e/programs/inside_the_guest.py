import asyncio
import http.client
import socket

first, second = socket.socketpair()
first.sendall(b"pair")
print(second.recv(10))

listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
accepted, address = listener.accept()
client.sendall(b"hello")
accepted.sendall(accepted.recv(10).upper())
accepted.close()
print(address == client.getsockname(), client.recv(10), client.recv(10))
listener.close()

server = socket.create_server(("localhost", 0))
print(outcome(socket.create_server, server.getsockname()))

connection = http.client.HTTPConnection(*server.getsockname())
connection.request("GET", "/")
served, _ = server.accept()
served.recv(10_000)
served.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nok over http")
print(connection.getresponse().read())


async def shout(reader, writer):
    writer.write((await reader.readline()).strip().upper())
    writer.close()


async def main():
    async with await asyncio.start_server(shout, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"b'async'\n")
        print((await reader.read()).decode())
        writer.close()


asyncio.run(main())
