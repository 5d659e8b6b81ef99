"""Waits for two connections concurrently with the low-level API, one of them over TLS."""

import asyncio

import _eryx_async

PORT = 80
TLS_PORT = 443
REQUEST = b"GET /wait/300 HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"

events = []


async def plain():
    tcp = await _eryx_async.await_tcp_connect("example.com", PORT)
    await _eryx_async.await_tcp_write(tcp, REQUEST)
    events.append("requested")
    response = await _eryx_async.await_tcp_read(tcp, 1024)
    events.append("received")
    _eryx_async.tcp_close(tcp)
    return response


async def encrypted():
    tcp = await _eryx_async.await_tcp_connect("example.com", TLS_PORT)
    tls = await _eryx_async.await_tls_upgrade(tcp, "example.com")
    await _eryx_async.await_tls_write(tls, REQUEST)
    events.append("requested")
    response = await _eryx_async.await_tls_read(tls, 1024)
    events.append("received")
    _eryx_async.tls_close(tls)
    return response


for response in await asyncio.gather(plain(), encrypted()):
    print(response.partition(b"\r\n")[0].decode())
print(events)
