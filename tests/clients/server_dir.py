"""The working directory of the servers, with a CA, and helpers to start servers."""

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
    """A server is not installed. The message says how to install it."""


class ServerDir:
    """A temporary directory with a CA and a certificate for the servers."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        ca = trustme.CA()
        identity = ca.issue_cert(HOST)
        self.ca = ca.cert_pem.bytes()
        self.chain = path / "chain.pem"
        self.key = path / "key.pem"
        self.root = path / "root.pem"
        identity.private_key_pem.write_to_path(str(self.key))
        for certificate in identity.cert_chain_pems:
            certificate.write_to_path(str(self.chain), append=True)
        ca.cert_pem.write_to_path(str(self.root))

    def tls_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.chain, self.key)
        return context


# The ports of a service: without TLS, and with TLS.
Ports = tuple[int, int]
Service = Callable[[ServerDir], contextlib.AbstractAsyncContextManager[Ports]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def wait_until_listening(port: int, alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until a server listens on `port`. `alive` returns whether it still runs."""
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
    raise RuntimeError(f"no server listens on port {port}")


@contextlib.asynccontextmanager
async def run_server(
    server_dir: ServerDir, ports: tuple[int, ...], *command: str | os.PathLike[str], **options: Any
) -> AsyncIterator[None]:
    """Run a server program. If it does not start, the error contains its log."""
    log = server_dir.path / f"{pathlib.Path(command[0]).name}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, **options
        )
    try:
        for port in ports:
            try:
                await wait_until_listening(port, lambda: process.returncode is None)
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


def find_program(name: str, package: str, *folders: str) -> str:
    """Return the path of a program of the Debian package `package`."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", *folders])
    found = shutil.which(name, path=path)
    if not found:
        raise MissingError(f"{name} is not installed (Debian: `apt-get install {package}`)")
    return found


@contextlib.asynccontextmanager
async def listen(
    handler: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    context: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@contextlib.asynccontextmanager
async def tls_proxy(server_dir: ServerDir, port: int) -> AsyncIterator[int]:
    """Run a TLS proxy in front of a server without TLS. Return its port."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(forward(reader, inner_writer), forward(inner_reader, writer))

    async with listen(handle, server_dir.tls_context()) as outer:
        yield outer
