"""The simple data types: numbers, characters and addresses."""

import struct
from typing import Any

from .data import (
    CArgObject,
    CType_Type,
    _CData,
    _Word,
    addressof,
    constant,
    refuse_to_delete,
)
from .memory import POINTER_SIZE, Block, string, wide_string

INTEGERS = "bBhHiIlLqQ"
_NUMBERS = INTEGERS + "fd"
_CODES = _NUMBERS + "cuzZPO?gv"


class PyCSimpleType(CType_Type):
    """The metaclass of simple types."""

    def __new__(
        mcs, name: str, bases: Any, namespace: dict[str, Any], swapped: bool = False
    ) -> Any:
        cls: Any = super().__new__(mcs, name, bases, namespace)
        if not any(isinstance(base, PyCSimpleType) for base in bases):
            return cls
        code = getattr(cls, "_type_", None)
        if not isinstance(code, str) or len(code) != 1 or code not in _CODES:
            raise AttributeError(
                "class must define a '_type_' attribute which must be a single character string "
                f"containing one of '{_CODES}'."
            )
        standard = {"c": "B", "u": "I", "z": "P", "Z": "P", "O": "P", "g": "d", "v": "h"}.get(
            code, code
        )
        cls._size_ = cls._align_of_ = struct.calcsize(standard)
        cls._swapped_ = swapped
        if "_type_" in namespace and code in _NUMBERS + "?" and not swapped:
            other: Any = cls
            if cls._size_ > 1:
                other = mcs(name, bases, {"_type_": code}, swapped=True)
                other.__ctype_be__ = other
                other.__ctype_le__ = cls
            cls.__ctype_le__, cls.__ctype_be__ = cls, other
        return cls

    def __init__(cls, name: str, bases: Any, namespace: Any, swapped: bool = False) -> None:
        super().__init__(name, bases, namespace)

    def _convert(cls: Any, value: Any) -> Any:
        code = cls._type_
        if isinstance(value, _CData | CArgObject):
            items = isinstance(value, _CData) and value._has_items
            if items if code in "zZ" else code == "P" and value._has_address:
                return cls(value._address())
        if code == "P" and isinstance(value, bytes | str):
            return cls(addressof(constant(value)))
        return cls(value)

    def _format(cls: Any) -> tuple[str, list[int]]:
        is_number = cls._type_ in _NUMBERS and not cls._swapped_
        return cls._type_ if is_number else "B", []

    def _load_at(cls, block: Block, at: int) -> Any:
        if _SimpleCData in cls.__bases__:
            return load(cls, block, at)
        return super()._load_at(block, at)

    def _store_other(cls, block: Block, at: int, value: Any) -> None:
        _store(cls, block, at, value)


class _SimpleCData(_Word, metaclass=PyCSimpleType):
    """The base class of simple types."""

    _type_: str
    _swapped_ = False
    _has_address = True

    def __init__(self, value: Any = None) -> None:
        self._allocate()
        if value is not None:
            self.value = value

    def _get_value(self) -> Any:
        return load(type(self), self._block, self._at)

    def _set_value(self, value: Any) -> None:
        _store(type(self), self._block, self._at, value)

    value = property(_get_value, _set_value, refuse_to_delete, "current value")

    def __bool__(self) -> bool:
        return any(self._bytes())

    def __repr__(self) -> str:
        if _SimpleCData not in type(self).__bases__:
            return f"<{type(self).__name__} object at {id(self):#x}>"
        return f"{type(self).__name__}({self.value!r})"

    @classmethod
    def _has_pointers(cls) -> bool:
        return cls._type_ in "zZPO"


def text_code(kind: Any) -> str:
    """Returns "c" for a type of bytes, "u" for one of characters, else an empty string."""
    if isinstance(kind, PyCSimpleType) and (code := getattr(kind, "_type_", "")) in ("c", "u"):
        return str(code)
    return ""


def joined(kind: Any, items: list[Any]) -> Any:
    """Returns the items of a slice: those of a type of text as a string."""
    match text_code(kind):
        case "c":
            return b"".join(items)
        case "u":
            return "".join(items)
    return items


def load(kind: Any, block: Block, at: int) -> Any:
    """Returns the value of a simple type as an object of Python."""
    code = kind._type_
    raw = block.data[at : at + kind._size_]
    if code in INTEGERS:
        return int.from_bytes(raw, "big" if kind._swapped_ else "little", signed=code.islower())
    if code in "fdg":
        code = "d" if code == "g" else code
        return struct.unpack((">" if kind._swapped_ else "<") + code, raw)[0]
    if code in "?v":
        return any(raw)
    if code == "c":
        return bytes(raw)
    if code == "u":
        return chr(int.from_bytes(raw, "little"))
    if code == "O":
        try:
            return block.kept[("O", at)]
        except KeyError:
            raise ValueError("PyObject is NULL") from None
    address = int.from_bytes(raw, "little")
    if code == "P":
        return address or None
    if not address:
        return None
    return string(address) if code == "z" else wide_string(address)


def _store(kind: Any, block: Block, at: int, value: Any) -> None:
    code = kind._type_
    size = kind._size_
    if code in INTEGERS:
        if not hasattr(value, "__index__"):
            raise TypeError(f"an integer is required (got type {type(value).__name__})")
        number = value.__index__() & ((1 << 8 * size) - 1)
        block.data[at : at + size] = number.to_bytes(size, "big" if kind._swapped_ else "little")
    elif code in "fdg":
        code = "d" if code == "g" else code
        if not isinstance(value, int | float) and not hasattr(value, "__float__"):
            raise TypeError(f"must be real number, not {type(value).__name__}")
        try:
            packed = struct.pack((">" if kind._swapped_ else "<") + code, value)
        except OverflowError:
            # As a cast in C does.
            packed = struct.pack("<f", float("inf") if value > 0 else float("-inf"))
        block.data[at : at + size] = packed
    elif code == "?":
        block.data[at] = bool(value)
    elif code == "v":
        # Windows' VARIANT_BOOL, which `ctypes.wintypes` defines everywhere: true is -1.
        block.data[at : at + size] = b"\xff\xff" if value else b"\0\0"
    elif code == "c":
        if isinstance(value, int) and 0 <= value < 256:
            value = bytes([value])
        if not isinstance(value, bytes | bytearray) or len(value) != 1:
            raise TypeError("one character bytes, bytearray, or an integer in range(256) expected")
        block.data[at] = value[0]
    elif code == "u":
        if not isinstance(value, str) or len(value) != 1:
            raise TypeError("a unicode character expected")
        block.data[at : at + size] = ord(value).to_bytes(size, "little")
    elif code == "O":
        block.kept[("O", at)] = value
        block.data[at : at + size] = (id(value) & 0xFFFFFFFF).to_bytes(size, "little")
    else:
        block.data[at : at + size] = _as_address(code, block, at, value).to_bytes(size, "little")


def _as_address(code: str, block: Block, at: int, value: Any) -> int:
    """Returns the address for a pointer type, and keeps what it refers to."""
    block.kept.pop(at, None)
    if value is None:
        return 0
    if isinstance(value, int):
        return value & ((1 << 8 * POINTER_SIZE) - 1)
    if (code == "z" and isinstance(value, bytes)) or (code == "Z" and isinstance(value, str)):
        kept = constant(value)
        block.kept[at] = kept
        return addressof(kept)
    if isinstance(value, _CData | CArgObject) and value._has_address and code in "zZP":
        block.kept[at] = value
        return value._address()
    kinds = {"z": "bytes or integer address", "Z": "unicode string or integer address"}
    expected = kinds.get(code, "cannot be converted to pointer")
    raise TypeError(f"{expected} expected instead of {type(value).__name__} instance")
