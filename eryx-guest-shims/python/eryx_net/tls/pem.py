"""A PEM parser (RFC 7468): labelled blocks of base64 in a text."""

from __future__ import annotations

import binascii
from collections.abc import Iterator

_BEGIN = b"-----BEGIN "
_END = b"-----END "
_DASHES = b"-----"


class PemError(ValueError):
    """A block has no end, or its contents are not base64."""


class Block:
    """A block: its label, its header lines (RFC 1421) and its bytes."""

    __slots__ = ("data", "headers", "label")

    def __init__(self, label: str, headers: list[str], data: bytes) -> None:
        self.label = label
        self.headers = headers
        self.data = data


def blocks(text: bytes) -> Iterator[Block]:
    """Yields the blocks of a text and ignores everything between them. Raises PemError."""
    lines = iter(text.splitlines())
    for line in lines:
        line = line.strip()
        if not (line.startswith(_BEGIN) and line.endswith(_DASHES)):
            continue
        label = line[len(_BEGIN) : -len(_DASHES)]
        end = _END + label + _DASHES
        headers: list[str] = []
        body: list[bytes] = []
        for inner in lines:
            inner = inner.strip()
            if inner == end:
                break
            if b":" in inner:
                headers.append(inner.decode("latin-1"))
            else:
                body.append(inner)
        else:
            raise PemError("a block is not ended")
        try:
            data = binascii.a2b_base64(b"".join(body), strict_mode=True)
        except binascii.Error as error:
            raise PemError(str(error)) from None
        yield Block(label.decode("latin-1"), headers, data)
