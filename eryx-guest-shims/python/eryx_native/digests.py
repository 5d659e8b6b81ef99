"""Hash functions that CPython has only with OpenSSL, over the block functions of `_eryx_native`."""

from __future__ import annotations

import _md5
import _sha1
import struct
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self

import _eryx_native

if TYPE_CHECKING:
    from collections.abc import Buffer, Callable


class Digest:
    """A hash object: its state, and the bytes of an incomplete block."""

    __slots__ = ("_length", "_state", "_tail")

    name: ClassVar[str]
    digest_size: ClassVar[int]
    block_size: ClassVar[int]

    # The number of the block function, its first state, and the order of the bytes of a digest.
    _algorithm: ClassVar[int]
    _words: ClassVar[tuple[int, ...]]
    _order: ClassVar[str]
    _word: ClassVar[str]

    def __init__(
        self, data: Buffer = b"", *, usedforsecurity: bool = True, string: Buffer | None = None
    ) -> None:
        self._state = struct.pack(f"={len(self._words)}{self._word}", *self._words)
        self._tail = b""
        self._length = 0
        self.update(data if string is None else string)

    def __repr__(self) -> str:
        return f"<{self.name} _hashlib.HASH object @ {id(self):#x}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle '_hashlib.HASH' object")

    def update(self, data: Buffer, /) -> None:
        """Update this hash object's state with the provided bytes-like object."""
        if isinstance(data, str):
            raise TypeError("Strings must be encoded before hashing")
        view = memoryview(data)
        if view.ndim > 1:
            raise BufferError("Buffer must be single dimension")
        view = memoryview(bytes(view)) if not view.c_contiguous else view.cast("B")
        self._length += len(view)
        start = 0
        if self._tail:
            start = min(self.block_size - len(self._tail), len(view))
            self._tail += view[:start]
            if len(self._tail) < self.block_size:
                return
            self._state = _eryx_native.digest_blocks(self._algorithm, self._state, self._tail, 0)
        self._state = _eryx_native.digest_blocks(self._algorithm, self._state, view, start)
        end = len(view) - (len(view) - start) % self.block_size
        self._tail = bytes(view[end:])

    def digest(self) -> bytes:
        """Return the digest value as a bytes object."""
        # 64 or 128 bits for the length in bits.
        field = self.block_size // 8
        padding = b"\x80" + bytes((-len(self._tail) - 1 - field) % self.block_size)
        order = "little" if self._order == "<" else "big"
        length = (8 * self._length).to_bytes(field, order)  # type: ignore[arg-type]
        end = self._tail + padding + length
        state = _eryx_native.digest_blocks(self._algorithm, self._state, end, 0)
        form = f"{len(self._words)}{self._word}"
        return struct.pack(self._order + form, *struct.unpack("=" + form, state))[
            : self.digest_size
        ]

    def hexdigest(self) -> str:
        """Return the digest value as a string of hexadecimal digits."""
        return self.digest().hex()

    def copy(self) -> Self:
        """Return a copy of the hash object."""
        copy = type(self)()
        copy._state, copy._tail, copy._length = self._state, self._tail, self._length
        return copy


class RIPEMD160(Digest):
    """RIPEMD-160."""

    __slots__ = ()
    name = "ripemd160"
    digest_size = 20
    block_size = 64
    _algorithm = 0
    _words = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0)
    _order = "<"
    _word = "I"


class SM3(Digest):
    """SM3 (GB/T 32905-2016)."""

    __slots__ = ()
    name = "sm3"
    digest_size = 32
    block_size = 64
    _algorithm = 1
    _words = (
        0x7380166F,
        0x4914B2B9,
        0x172442D7,
        0xDA8A0600,
        0xA96F30BC,
        0x163138AA,
        0xE38DEE4D,
        0xB0FB0E4E,
    )
    _order = ">"
    _word = "I"


class SHA512T224(Digest):
    """SHA-512/224 (FIPS 180-4)."""

    __slots__ = ()
    name = "sha512_224"
    digest_size = 28
    block_size = 128
    _algorithm = 2
    _words = (
        0x8C3D37C819544DA2,
        0x73E1996689DCD4D6,
        0x1DFAB7AE32FF9C82,
        0x679DD514582F9FCF,
        0x0F6D2B697BD44DA8,
        0x77E36F7304C48942,
        0x3F9D85A86A1D36C8,
        0x1112E6AD91D692A1,
    )
    _order = ">"
    _word = "Q"


class SHA512T256(Digest):
    """SHA-512/256 (FIPS 180-4)."""

    __slots__ = ()
    name = "sha512_256"
    digest_size = 32
    block_size = 128
    _algorithm = 2
    _words = (
        0x22312194FC2BF72C,
        0x9F555FA3C84C64C2,
        0x2393B86B6F53B151,
        0x963877195940EABD,
        0x96283EE2A88EFFE3,
        0xBE5E1E2553863992,
        0x2B0199FC2C85B8AA,
        0x0EB72DDC81C52CA2,
    )
    _order = ">"
    _word = "Q"


class MD5SHA1:
    """MD5 and SHA-1, one after the other, as TLS before 1.2 uses them."""

    __slots__ = ("_md5", "_sha1")

    name = "md5-sha1"
    digest_size = 36
    block_size = 64

    def __init__(
        self, data: Buffer = b"", *, usedforsecurity: bool = True, string: Buffer | None = None
    ) -> None:
        data = data if string is None else string
        self._md5: Any = _md5.md5(data)
        self._sha1: Any = _sha1.sha1(data)

    def __repr__(self) -> str:
        return f"<{self.name} _hashlib.HASH object @ {id(self):#x}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle '_hashlib.HASH' object")

    def update(self, data: Buffer, /) -> None:
        """Update this hash object's state with the provided bytes-like object."""
        self._md5.update(data)
        self._sha1.update(data)

    def digest(self) -> bytes:
        """Return the digest value as a bytes object."""
        digest: bytes = self._md5.digest() + self._sha1.digest()
        return digest

    def hexdigest(self) -> str:
        """Return the digest value as a string of hexadecimal digits."""
        return self.digest().hex()

    def copy(self) -> Self:
        """Return a copy of the hash object."""
        copy = type(self)()
        copy._md5, copy._sha1 = self._md5.copy(), self._sha1.copy()
        return copy


def pbkdf2(
    constructor: Callable[..., Any], password: bytes, salt: bytes, iterations: int, size: int
) -> bytes:
    """PBKDF2 (RFC 8018) with HMAC over a hash function that the host does not have."""
    block_size = constructor().block_size
    if len(password) > block_size:
        password = constructor(password).digest()
    password = password.ljust(block_size, b"\0")
    inner = constructor(bytes(byte ^ 0x36 for byte in password))
    outer = constructor(bytes(byte ^ 0x5C for byte in password))

    def mac(message: bytes) -> bytes:
        inside, outside = inner.copy(), outer.copy()
        inside.update(message)
        outside.update(inside.digest())
        digest: bytes = outside.digest()
        return digest

    key = b""
    number = 0
    while len(key) < size:
        number += 1
        message = mac(salt + number.to_bytes(4, "big"))
        total = int.from_bytes(message, "big")
        for _ in range(iterations - 1):
            message = mac(message)
            total ^= int.from_bytes(message, "big")
        key += total.to_bytes(len(message), "big")
    return key[:size]
