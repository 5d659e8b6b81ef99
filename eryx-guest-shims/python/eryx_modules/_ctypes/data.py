"""What all data types of `ctypes` have in common."""

import math
import struct
from typing import Any, NoReturn

from .memory import NO_CODE, POINTER_SIZE, Block


class CType_Type(type):
    """The metaclass of all data types."""

    def _make(cls: Any, block: Block, offset: int) -> Any:
        made = cls.__new__(cls)
        object.__setattr__(made, "_block", block)
        object.__setattr__(made, "_at", offset)
        return made

    def from_address(cls: Any, address: int) -> Any:
        """Returns an object with the memory at an address."""
        block, offset = Block.at(address)
        block.check(offset, cls._size_)
        return cls._make(block, offset)

    def from_buffer(cls: Any, source: Any, offset: int = 0) -> Any:
        """Returns an object that shares the memory of a writable buffer."""
        if isinstance(source, _CData):
            source._block.check(source._at + offset, cls._size_)
            return cls._make(source._block, source._at + offset)
        view = memoryview(source)
        if view.readonly:
            raise TypeError("underlying buffer is not writable")
        block = Block(view)
        cls._check_buffer(len(block.data), offset)
        return cls._make(block, offset)

    def from_buffer_copy(cls: Any, source: Any, offset: int = 0) -> Any:
        """Returns an object with a copy of a buffer."""
        content = memoryview(source).cast("B")
        cls._check_buffer(len(content), offset)
        return cls._make(Block(bytearray(content[offset : offset + cls._size_])), 0)

    def _check_buffer(cls: Any, size: int, offset: int) -> None:
        if offset < 0:
            raise ValueError("offset cannot be negative")
        least = offset + cls._size_
        if least > size:
            raise ValueError(f"Buffer size too small ({size} instead of at least {least} bytes)")

    def in_dll(cls, library: Any, name: str) -> NoReturn:
        """Raises ValueError: there are no libraries."""
        raise ValueError(f"{name}: {NO_CODE}")

    def from_param(cls: Any, value: Any) -> Any:
        """Converts an argument of a function."""
        if isinstance(value, cls):
            return value
        if isinstance(value, CArgObject) and isinstance(value._obj, getattr(cls, "_type_", cls)):
            return value
        if hasattr(value, "_as_parameter_"):
            return cls.from_param(value._as_parameter_)
        return cls._convert(value)

    def _convert(cls: Any, value: Any) -> Any:
        if isinstance(value, tuple):
            return cls(*value)
        raise TypeError(f"expected {cls.__name__} instance instead of {type(value).__name__}")

    def _format(cls) -> tuple[str, list[int]]:
        """Returns the format of the elements of an array, and its shape. Other data are bytes."""
        return "B", []

    def _load_at(cls, block: Block, at: int) -> Any:
        """Returns an item of this type, as an object of Python if it is a simple one."""
        return cls._make(block, at)

    def _store_at(cls: Any, block: Block, at: int, value: Any) -> None:
        if isinstance(value, cls):
            block.data[at : at + cls._size_] = bytes(value._bytes())
            block.kept[at] = value
        else:
            cls._store_other(block, at, value)

    def _store_other(cls: Any, block: Block, at: int, value: Any) -> None:
        """Stores what is no object of this type."""
        if not isinstance(value, tuple):
            raise TypeError(f"expected {cls.__name__} instance, got {type(value).__name__}")
        block.data[at : at + cls._size_] = bytes(cls(*value)._bytes())


class _CData(metaclass=CType_Type):
    """An object in memory: a block and the offset in it."""

    _size_ = 0
    _align_of_ = 1
    _block: Block
    _at: int

    # Whether an address that is made from the object is the one that it has or refers to, and
    # whether there are items at that address.
    _has_address = False
    _has_items = False

    def _allocate(self) -> None:
        object.__setattr__(self, "_block", Block(bytearray(self._size_)))
        object.__setattr__(self, "_at", 0)

    def _bytes(self) -> Any:
        return self._block.data[self._at : self._at + self._size_]

    def _address(self) -> int:
        """Returns the address that a pointer to the object has."""
        return addressof(self)

    def __buffer__(self, flags: int, /) -> memoryview:
        if sizeof(self) > self._size_:
            # Its own size, by `resize`.
            resized: memoryview = self._block.data[:]
            return resized
        view: Any = self._bytes()
        code, shape = type(self)._format()
        if len(shape) > 1 and math.prod(shape) * struct.calcsize(code) == self._size_ > 0:
            return view.cast(code, shape)  # type: ignore[no-any-return]
        return view.cast(code) if code != "B" and all(shape) else view  # type: ignore[no-any-return]

    @property
    def _b_base_(self) -> Any:
        return None

    @property
    def _objects(self) -> Any:
        return self._block.kept or None

    def __reduce__(self) -> Any:
        kind: Any = type(self)
        if kind._has_pointers():
            raise ValueError("ctypes objects containing pointers cannot be pickled")
        attributes = {
            name: value for name, value in vars(self).items() if name not in ("_block", "_at")
        }
        return _unpickle, (kind, (attributes, bytes(self._bytes())))

    def __setstate__(self, state: tuple[dict[str, Any], bytes], /) -> None:
        attributes, content = state
        self._bytes()[: len(content)] = content
        vars(self).update(attributes)

    @classmethod
    def _has_pointers(cls) -> bool:
        return False


def _unpickle(kind: Any, state: Any, /) -> Any:
    made = kind.__new__(kind)
    made._allocate()
    made.__setstate__(state)
    return made


class _Word(_CData):
    """An object whose memory has an address."""

    def _address(self) -> int:
        return int.from_bytes(self._bytes()[:POINTER_SIZE], "little")


class _Constant(_CData):
    """Bytes that a pointer refers to."""


def constant(value: bytes | str) -> Any:
    """Returns an object with a string, which ends with a null character."""
    content = value + b"\0" if isinstance(value, bytes) else (value + "\0").encode("utf-32-le")
    return _Constant._make(Block(bytearray(content)), 0)


def refuse_to_delete(self: Any) -> NoReturn:
    """Raises TypeError: attributes of C cannot be deleted."""
    raise TypeError("can't delete attribute")


class CArgObject:
    """What `byref` returns."""

    _has_address = True

    def __init__(self, obj: Any, offset: int) -> None:
        self._obj, self._offset = obj, offset

    def _address(self) -> int:
        return addressof(self._obj) + self._offset

    def __repr__(self) -> str:
        return f"<cparam 'P' ({self._address():#x})>"


def byref(obj: Any, offset: int = 0, /) -> Any:
    """Returns a reference to an object, for an argument."""
    if not isinstance(obj, _CData):
        raise TypeError(f"byref() argument must be a ctypes instance, not '{type(obj).__name__}'")
    return CArgObject(obj, offset)


def addressof(obj: Any, /) -> int:
    """Returns the address of an object."""
    if not isinstance(obj, _CData):
        raise TypeError("invalid type")
    return obj._block.address + obj._at


def sizeof(obj: Any, /) -> int:
    """Returns the size of a type or an object in bytes."""
    if isinstance(obj, _CData) and obj._at == 0 and obj._block.kept.get("resized"):
        return len(obj._block.data)
    if isinstance(obj, _CData | CType_Type):
        return int(obj._size_)  # type: ignore[union-attr]
    raise TypeError("this type has no size")


def alignment(obj: Any, /) -> int:
    """Returns the alignment of a type or an object in bytes."""
    if isinstance(obj, _CData | CType_Type):
        return int(obj._align_of_)  # type: ignore[union-attr]
    raise TypeError("no alignment info")


def resize(obj: Any, size: int, /) -> None:
    """Gives an object more memory."""
    if not isinstance(obj, _CData):
        raise TypeError("excepted ctypes instance")
    if size < obj._size_:
        raise ValueError(f"minimum size is {obj._size_}")
    grown = bytearray(size)
    grown[: len(obj._block.data)] = obj._block.data
    block = Block(grown)
    block.kept = obj._block.kept | {"resized": True}
    obj._block = block


def buffer_info(kind: Any, /) -> tuple[str, int, tuple[int, ...]]:
    """Returns the format, the number of dimensions and the shape of a type."""
    code, shape = kind._format()
    return ("<" + code if code != "B" else "B"), len(shape), tuple(shape)
