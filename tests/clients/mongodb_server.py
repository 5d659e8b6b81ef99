"""A MongoDB server that keeps documents: the wire protocol (OP_MSG, OP_QUERY) of one collection."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import struct
from collections.abc import AsyncIterator
from typing import Any

from server_dir import Ports, ServerDir, listen

_REPLY, _QUERY, _MESSAGE = 1, 2004, 2013
# The versions of the wire protocol and the sizes of MongoDB 8.0.
_HELLO = {
    "ismaster": True,
    "isWritablePrimary": True,
    "maxBsonObjectSize": 16777216,
    "maxMessageSizeBytes": 48000000,
    "maxWriteBatchSize": 100000,
    "minWireVersion": 0,
    "maxWireVersion": 25,
    "readOnly": False,
    "ok": 1.0,
}
_numbers = itertools.count(1)


def encode(document: dict[str, Any]) -> bytes:
    """Return a document in BSON. Values of `bytes` are encoded documents."""
    parts = []
    for name, value in document.items():
        key = name.encode() + b"\0"
        if isinstance(value, bool):
            parts.append(b"\x08" + key + bytes([value]))
        elif isinstance(value, int):
            parts.append(b"\x12" + key + struct.pack("<q", value))
        elif isinstance(value, float):
            parts.append(b"\x01" + key + struct.pack("<d", value))
        elif isinstance(value, str):
            text = value.encode() + b"\0"
            parts.append(b"\x02" + key + struct.pack("<i", len(text)) + text)
        elif isinstance(value, list):
            items = encode({str(index): item for index, item in enumerate(value)})
            parts.append(b"\x04" + key + items)
        else:
            parts.append(b"\x03" + key + (value if isinstance(value, bytes) else encode(value)))
    body = b"".join(parts)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def command(document: bytes) -> str:
    """Return the first key of a document: the name of its command."""
    return document[5 : document.index(b"\0", 5)].decode()


class Session:
    """The exchange with one client."""

    def __init__(self, documents: list[bytes]) -> None:
        self.documents = documents

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the client closes the connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(16)
                size, request, _, operation = struct.unpack("<iiii", head)
                answer = self.answer(operation, await reader.readexactly(size - 16))
                kind = _REPLY if operation == _QUERY else _MESSAGE
                header = struct.pack("<iiii", len(answer) + 16, next(_numbers), request, kind)
                writer.write(header + answer)
                await writer.drain()
        writer.close()

    def answer(self, operation: int, body: bytes) -> bytes:
        """Return the body of the answer to a request."""
        if operation == _QUERY:
            # Only the first request of a client has this form.
            return struct.pack("<iqii", 8, 0, 0, 1) + encode(_HELLO)
        documents = []
        at = 4
        request = b""
        while at < len(body):
            kind, at = body[at], at + 1
            size = struct.unpack_from("<i", body, at)[0]
            section = body[at : at + size]
            at += size
            if kind == 0:
                request = section
                continue
            inside = section.index(b"\0", 4) + 1
            while inside < len(section):
                length = struct.unpack_from("<i", section, inside)[0]
                documents.append(section[inside : inside + length])
                inside += length
        return struct.pack("<iB", 0, 0) + encode(self.result(command(request), documents))

    def result(self, name: str, documents: list[bytes]) -> dict[str, Any]:
        """Return the result of a command."""
        if name in ("hello", "ismaster", "isMaster"):
            return _HELLO
        if name == "insert":
            self.documents += documents
            return {"n": len(documents), "ok": 1.0}
        if name == "find":
            cursor = {"id": 0, "ns": "test.things", "firstBatch": list(self.documents)}
            return {"cursor": cursor, "ok": 1.0}
        if name in ("ping", "endSessions"):
            return {"ok": 1.0}
        return {"ok": 0.0, "errmsg": f"no such command: {name}", "code": 59}


@contextlib.asynccontextmanager
async def mongodb(server_dir: ServerDir) -> AsyncIterator[Ports]:
    """Run the server."""
    documents: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Session(documents).run(reader, writer)

    async with listen(serve) as plain, listen(serve, server_dir.tls_context()) as tls:
        yield plain, tls
