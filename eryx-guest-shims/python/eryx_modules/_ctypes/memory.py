"""Memory with addresses of its own, which belong to no memory of the interpreter."""

import bisect
import struct
import weakref
from typing import Any, ClassVar

NO_CODE = (
    "ctypes loads no libraries in a sandbox; use a package in pure Python, or one compiled for "
    "sandboxes"
)

POINTER_SIZE = struct.calcsize("P")


class Block:
    """Memory with an address."""

    __slots__ = ("__weakref__", "address", "data", "kept")

    _next = 1 << 20
    _by_address: ClassVar["weakref.WeakValueDictionary[int, Block]"] = weakref.WeakValueDictionary()
    _addresses: ClassVar[list[int]] = []

    def __init__(self, data: Any) -> None:
        self.data: Any = memoryview(data).cast("B")
        self.kept: dict[Any, Any] = {}
        self.address = Block._next
        Block._next += (len(self.data) + 31) // 16 * 16
        if Block._next >= 1 << 32:
            raise MemoryError("ctypes has no addresses left")
        Block._by_address[self.address] = self
        Block._addresses.append(self.address)
        if len(Block._addresses) > 2 * len(Block._by_address) + 64:
            Block._addresses = sorted(Block._by_address)

    @classmethod
    def find(cls, address: int) -> "Block | None":
        """Returns the block that starts at an address."""
        return cls._by_address.get(address)

    @classmethod
    def at(cls, address: int) -> "tuple[Block, int]":
        """Returns the block that has an address, and the offset in it."""
        index = bisect.bisect_right(cls._addresses, address) - 1
        while index >= 0:
            block = cls._by_address.get(cls._addresses[index])
            if block is not None:
                offset = address - block.address
                if 0 <= offset <= len(block.data):
                    return block, offset
                break
            index -= 1
        raise ValueError(f"the address {address:#x} belongs to no object of ctypes")

    def check(self, offset: int, size: int) -> None:
        """Raises ValueError for bytes that are not all in this block."""
        if offset < 0 or offset + size > len(self.data):
            raise ValueError(f"{size} bytes at offset {offset} are outside of the object")


def string(address: int, size: int = -1) -> bytes:
    """Returns the bytes at an address, by default up to the first null byte."""
    block, offset = Block.at(address)
    if size < 0:
        return bytes(block.data[offset:]).partition(b"\0")[0]
    block.check(offset, size)
    return bytes(block.data[offset : offset + size])


def wide_string(address: int, size: int = -1) -> str:
    """Returns the wide characters at an address, by default up to the first null character."""
    block, offset = Block.at(address)
    if size >= 0:
        block.check(offset, 4 * size)
        return bytes(block.data[offset : offset + 4 * size]).decode("utf-32-le", "surrogatepass")
    content = bytes(block.data[offset:])
    content = content[: len(content) // 4 * 4]
    return content.decode("utf-32-le", "surrogatepass").partition("\0")[0]
