"""Where servers are started: a directory with an authority, and ports of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import trustme

HOST = "services.example.com"


class MissingError(Exception):
    """This machine lacks a server; the text says what brings it."""


class Place:
    """A temporary directory with an authority and the certificate it gave the servers."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        authority = trustme.CA()
        given = authority.issue_cert(HOST)
        self.authority = authority.cert_pem.bytes()
        self.chain = directory / "chain.pem"
        self.key = directory / "key.pem"
        self.root = directory / "root.pem"
        given.private_key_pem.write_to_path(str(self.key))
        for certificate in given.cert_chain_pems:
            certificate.write_to_path(str(self.chain), append=True)
        authority.cert_pem.write_to_path(str(self.root))

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.chain, self.key)
        return context


# Where a service answers: without TLS, and with.
Ports = tuple[int, int]
Service = Callable[[Place], contextlib.AbstractAsyncContextManager[Ports]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def answers(port: int, alive: Callable[[], bool] = lambda: True) -> None:
    """Return when something listens on `port`."""
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            if not alive():
                break
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise RuntimeError(f"nothing answers on port {port}")


@contextlib.asynccontextmanager
async def program(
    place: Place, ports: tuple[int, ...], *command: str | os.PathLike[str], **options: Any
) -> AsyncIterator[None]:
    """A server that is a program of its own. Its log is shown where it does not come up."""
    log = place.directory / f"{pathlib.Path(command[0]).name}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, **options
        )
    try:
        for port in ports:
            try:
                await answers(port, lambda: process.returncode is None)
            except RuntimeError as error:
                raise RuntimeError(f"{error}: {log.read_text(errors='replace')}") from None
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


def installed(name: str, package: str, *folders: str) -> str:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", *folders])
    found = shutil.which(name, path=path)
    if not found:
        raise MissingError(f"{name} is not installed (Debian: `apt-get install {package}`)")
    return found


@contextlib.asynccontextmanager
async def served(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.asynccontextmanager
async def encrypted(place: Place, port: int) -> AsyncIterator[int]:
    """A port that speaks TLS for a server that does not."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def pair(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, inner_writer), carry(inner_reader, writer))

    async with served(pair, place.context()) as outer:
        yield outer
