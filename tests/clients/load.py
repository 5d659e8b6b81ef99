"""Many connections at once, and many one after another."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import eryx
from place import HOST, MissingError, Place

import servers

# Each fetches with all the connections it wants, or with at most `pool` of them.
FETCHING = {
    "httpx": """
import asyncio
import httpx

REFUSED = httpx.ConnectError

def client_of(pool):
    limits = httpx.Limits(max_connections=pool, max_keepalive_connections=pool)
    return httpx.AsyncClient(timeout=60, limits=limits)

async def fetch(client, path):
    return (await client.get(ROOT + path)).status_code
""",
    "aiohttp": """
import asyncio
import aiohttp

REFUSED = aiohttp.ClientConnectorError

def client_of(pool):
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=pool))

async def fetch(client, path):
    async with client.get(ROOT + path) as response:
        await response.read()
        return response.status
""",
}

# The server answers none of these before all of them have come.
OVERLAP = """
async def main():
    async with client_of(200) as client:
        answers = await asyncio.gather(*(fetch(client, "/together/200") for _ in range(200)))
    print(answers.count(200))

asyncio.run(main())
"""

# More than the sandbox may have: the library's own error, and no other.
REFUSED = """
async def main():
    async with client_of(200) as client:
        fetches = [fetch(client, "/wait/300") for _ in range(200)]
        answers = await asyncio.gather(*fetches, return_exceptions=True)
    refused = sum(isinstance(answer, REFUSED) for answer in answers)
    print(answers.count(200), refused)

asyncio.run(main())
"""

POOLED = """
async def main():
    async with client_of(10) as client:
        answers = await asyncio.gather(*(fetch(client, "/wait/10") for _ in range(200)))
    print(answers.count(200))

asyncio.run(main())
"""

# The client is not closed, and stays for the rest of the session.
CANCELLED = """
client = client_of(200)
waiting = [asyncio.create_task(fetch(client, "/forever/0")) for _ in range(100)]
while await count() < 100:
    await asyncio.sleep(0.01)
for one in waiting:
    one.cancel()
await asyncio.gather(*waiting, return_exceptions=True)
print(sum(one.cancelled() for one in waiting))
await asyncio.sleep(0.1)
print(held())
"""

# asyncio keeps a socket until the peer has answered its close_notify (RFC 8446, 6.1), as it does
# anywhere: with a server that takes its time, some are left after 100 ms, and they are not the
# host's to close. What the program has closed is.
HELD = """
from eryx_net import descriptors
from eryx_net.sockets.connection import Connection

def held():
    channels = [getattr(one, "channel", None) for one in descriptors._table.values()]
    return sum(isinstance(one, Connection) for one in channels)
"""

ENDED = """
while held():
    await asyncio.sleep(0.01)
"""

COUNT = """
async def count():
    async with client_of(1) as other:
        return await number(other)
"""

NUMBER = {
    "httpx": """
async def number(client):
    return int((await client.get(ROOT + "/waiting/0")).text)
""",
    "aiohttp": """
async def number(client):
    async with client.get(ROOT + "/waiting/0") as response:
        return int(await response.text())
""",
}

DROPPED = """
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
    """The bytes of memory this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def failures(
    factory: eryx.SandboxFactory,
    network: eryx.NetConfig,
    limits: eryx.ResourceLimits,
    place: Place,
) -> AsyncIterator[str]:
    """What did not hold."""
    many = network.replace(max_connections=200)
    few = network.replace(max_connections=10)
    async with servers.http(place) as (_, port):
        before = f"ROOT = 'https://{HOST}:{port}'\n"
        for library, fetching in FETCHING.items():
            for name, program, config, expected in (
                ("200 requests at once", OVERLAP, many, "200\n"),
                ("200 requests through a pool of 10", POOLED, few, "200\n"),
                ("200 connections where 10 may be", REFUSED, few, None),
            ):
                sandbox = factory.create_sandbox(network=config, resource_limits=limits)
                result = await sandbox.aexecute(before + fetching + program)
                print(f"{library}: {name}: {result.stdout.strip()}")
                if expected is None:
                    answered, refused = map(int, result.stdout.split())
                    if not 10 <= answered < 200 or answered + refused != 200:
                        yield f"{library}: {name}: {result.stdout}"
                elif result.stdout != expected:
                    yield f"{library}: {name}: {result.stdout}"
            async with factory.create_session(network=many, resource_limits=limits) as session:
                program = before + fetching + NUMBER[library] + COUNT + HELD + CANCELLED
                result = await session.aexecute(program)
                ended = await session.aexecute(ENDED)
            cancelled, kept = map(int, result.stdout.split())
            connections = result.network.connections
            opened = [one for one in connections if one.end is None]
            left = [one for one in ended.network.connections if one.end is None]
            print(
                f"{library}: cancelled {cancelled} of 100;",
                f"after 100 ms the program holds {kept} sockets,",
                f"and the host {len(opened)} of {len(connections)} connections; later {len(left)}",
            )
            if cancelled != 100 or len(connections) < 100 or len(opened) != kept or left:
                yield f"{library}: connections are left: {opened}, {left}"
    try:
        async with (
            servers.redis(place) as (_, port),
            factory.create_session(network=network, resource_limits=limits) as session,
        ):
            program = f"HOST, PORT = {HOST!r}, {port}\n{DROPPED}"
            await session.aexecute(program)
            rounds = []
            for _ in range(3):
                had = resident()
                await session.aexecute(program)
                rounds.append(resident() - had)
        # What connections leave behind is there in every round; what the allocator does is not.
        grown = min(rounds)
        print(f"1000 connections dropped: {grown / 2**20:+.1f} MiB")
        if grown > 2 * 2**20:
            yield f"1000 connections left {grown} bytes"
    except MissingError as missing:
        print(f"SKIPPED: connections dropped: {missing}")
