"""Load tests: many concurrent connections, and many sequential ones."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import eryx
from server_dir import HOST, MissingError, ServerDir

import servers

# The clients. Each uses at most `pool` connections.
CLIENTS = {
    "httpx": """
import asyncio
import httpx

CONNECT_ERROR = httpx.ConnectError

def create_client(pool):
    limits = httpx.Limits(max_connections=pool, max_keepalive_connections=pool)
    return httpx.AsyncClient(timeout=60, limits=limits)

async def fetch(client, path):
    return (await client.get(ROOT + path)).status_code
""",
    "aiohttp": """
import asyncio
import aiohttp

CONNECT_ERROR = aiohttp.ClientConnectorError

def create_client(pool):
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=pool))

async def fetch(client, path):
    async with client.get(ROOT + path) as response:
        await response.read()
        return response.status
""",
}

# The server responds when all requests have arrived.
CONCURRENT = """
async def main():
    async with create_client(200) as client:
        answers = await asyncio.gather(*(fetch(client, "/together/200") for _ in range(200)))
    print(answers.count(200))

asyncio.run(main())
"""

# More connections than the limit: requests fail with the library's own error only.
OVER_LIMIT = """
async def main():
    async with create_client(200) as client:
        fetches = [fetch(client, "/wait/300") for _ in range(200)]
        answers = await asyncio.gather(*fetches, return_exceptions=True)
    failed = sum(isinstance(answer, CONNECT_ERROR) for answer in answers)
    print(answers.count(200), failed)

asyncio.run(main())
"""

POOLED = """
async def main():
    async with create_client(10) as client:
        answers = await asyncio.gather(*(fetch(client, "/wait/10") for _ in range(200)))
    print(answers.count(200))

asyncio.run(main())
"""

# The client is not closed, and exists for the rest of the session.
CANCELLED = """
client = create_client(200)
waiting = [asyncio.create_task(fetch(client, "/forever/0")) for _ in range(100)]
while await count() < 100:
    await asyncio.sleep(0.01)
for task in waiting:
    task.cancel()
await asyncio.gather(*waiting, return_exceptions=True)
print(sum(task.cancelled() for task in waiting))
await asyncio.sleep(0.1)
print(open_sockets())
"""

# asyncio keeps a socket until the peer has answered its close_notify (RFC 8446, 6.1). If the server
# is slow, some are open after 100 ms, and the host must not close them. It must have closed the
# connections of all sockets that the program has closed.
OPEN_SOCKETS = """
from eryx_net import descriptors
from eryx_net.sockets.connection import Connection

def open_sockets():
    channels = [getattr(entry, "channel", None) for entry in descriptors._table.values()]
    return sum(isinstance(channel, Connection) for channel in channels)
"""

WAIT_FOR_CLOSE = """
while open_sockets():
    await asyncio.sleep(0.01)
"""

COUNT_WAITING = """
async def count():
    async with create_client(1) as other:
        return await number_waiting(other)
"""

NUMBER_WAITING = {
    "httpx": """
async def number_waiting(client):
    return int((await client.get(ROOT + "/waiting/0")).text)
""",
    "aiohttp": """
async def number_waiting(client):
    async with client.get(ROOT + "/waiting/0") as response:
        return int(await response.text())
""",
}

DROP_CONNECTIONS = """
import gc, socket, ssl

context = ssl.create_default_context()
for n in range(1000):
    connection = context.wrap_socket(socket.create_connection((HOST, PORT)), server_hostname=HOST)
    connection.sendall(b"PING\\r\\n")
    assert connection.recv(100) == b"+PONG\\r\\n"
    del connection
gc.collect()
"""


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def failures(
    factory: eryx.SandboxFactory,
    network: eryx.NetConfig,
    limits: eryx.ResourceLimits,
    server_dir: ServerDir,
) -> AsyncIterator[str]:
    """Yield a message for every failed check."""
    many = network.replace(max_connections=200)
    few = network.replace(max_connections=10)
    async with servers.http(server_dir) as (_, port):
        prelude = f"ROOT = 'https://{HOST}:{port}'\n"
        for library, fetching in CLIENTS.items():
            for name, program, config, expected in (
                ("200 requests at once", CONCURRENT, many, "200\n"),
                ("200 requests through a pool of 10", POOLED, few, "200\n"),
                ("200 connections with a limit of 10", OVER_LIMIT, few, None),
            ):
                sandbox = factory.create_sandbox(network=config, resource_limits=limits)
                result = await sandbox.aexecute(prelude + fetching + program)
                print(f"{library}: {name}: {result.stdout.strip()}")
                if expected is None:
                    answered, failed = map(int, result.stdout.split())
                    if not 10 <= answered < 200 or answered + failed != 200:
                        yield f"{library}: {name}: {result.stdout}"
                elif result.stdout != expected:
                    yield f"{library}: {name}: {result.stdout}"
            async with factory.create_session(network=many, resource_limits=limits) as session:
                program = (
                    prelude
                    + fetching
                    + NUMBER_WAITING[library]
                    + COUNT_WAITING
                    + OPEN_SOCKETS
                    + CANCELLED
                )
                result = await session.aexecute(program)
                later = await session.aexecute(WAIT_FOR_CLOSE)
            cancelled, sockets = map(int, result.stdout.split())
            connections = result.network.connections
            opened = [entry for entry in connections if entry.close_reason is None]
            left = [entry for entry in later.network.connections if entry.close_reason is None]
            print(
                f"{library}: cancelled {cancelled} of 100;",
                f"after 100 ms the program has {sockets} open sockets,",
                f"and the host {len(opened)} of {len(connections)} connections; later {len(left)}",
            )
            if cancelled != 100 or len(connections) < 100 or len(opened) != sockets or left:
                yield f"{library}: connections are not closed: {opened}, {left}"
    try:
        async with (
            servers.redis(server_dir) as (_, port),
            factory.create_session(network=network, resource_limits=limits) as session,
        ):
            program = f"HOST, PORT = {HOST!r}, {port}\n{DROP_CONNECTIONS}"
            await session.aexecute(program)
            rounds = []
            for _ in range(3):
                before = resident()
                await session.aexecute(program)
                rounds.append(resident() - before)
        # A leak shows in every round; the noise of the allocator does not.
        growth = min(rounds)
        print(f"1000 connections dropped: {growth / 2**20:+.1f} MiB")
        if growth > 2 * 2**20:
            yield f"1000 dropped connections leaked {growth} bytes"
    except MissingError as missing:
        print(f"SKIPPED: connections dropped: {missing}")
