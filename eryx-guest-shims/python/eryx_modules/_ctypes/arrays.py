"""Arrays of a data type."""

from types import GenericAlias
from typing import Any, NoReturn

from .data import CType_Type, _CData, alignment, refuse_to_delete, sizeof
from .memory import Block
from .simple import joined, text_code


class PyCArrayType(CType_Type):
    """The metaclass of arrays."""

    def __new__(mcs, name: str, bases: Any, namespace: dict[str, Any]) -> Any:
        cls: Any = super().__new__(mcs, name, bases, namespace)
        if any(isinstance(base, PyCArrayType) for base in bases):
            length, kind = getattr(cls, "_length_", None), getattr(cls, "_type_", None)
            if not isinstance(length, int):
                raise AttributeError("class must define a '_length_' attribute")
            if length < 0:
                raise ValueError("The '_length_' attribute must not be negative")
            if kind is None:
                raise AttributeError("class must define a '_type_' attribute")
            cls._size_ = length * sizeof(kind)
            cls._align_of_ = alignment(kind)
            code = text_code(kind)
            if code:
                cls.value = _char_value if code == "c" else _wide_value
            if code == "c":
                cls.raw = _raw_value
        return cls

    def _convert(cls: Any, value: Any) -> Any:
        if isinstance(value, bytes | str) and text_code(cls._type_):
            made = cls()
            made.value = value
            return made
        return super()._convert(value)

    def _format(cls: Any) -> tuple[str, list[int]]:
        code, shape = cls._type_._format()
        return code, [cls._length_, *shape]

    def _load_at(cls: Any, block: Block, at: int) -> Any:
        made = super()._load_at(block, at)
        return made.value if text_code(cls._type_) else made

    def _store_other(cls: Any, block: Block, at: int, value: Any) -> None:
        if isinstance(value, bytes | str):
            cls._make(block, at).value = value
        else:
            super()._store_other(block, at, value)


class Array(_CData, metaclass=PyCArrayType):
    """The base class of arrays."""

    _length_: int
    _type_: Any
    _has_address = True
    _has_items = True

    def __init__(self, *values: Any) -> None:
        self._allocate()
        if len(values) > self._length_:
            raise IndexError("invalid index")
        for index, value in enumerate(values):
            self[index] = value

    def __len__(self) -> int:
        return self._length_

    def _place(self, index: int) -> int:
        if index < 0:
            index += self._length_
        if not 0 <= index < self._length_:
            raise IndexError("invalid index")
        return self._at + index * sizeof(self._type_)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            indexes = range(*key.indices(self._length_))
            return joined(self._type_, [self[index] for index in indexes])
        return self._type_._load_at(self._block, self._place(key.__index__()))

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, slice):
            indexes = range(*key.indices(self._length_))
            if len(indexes) != len(value):
                raise ValueError("Can only assign sequence of same size")
            for index, item in zip(indexes, value, strict=True):
                self[index] = item
            return
        self._type_._store_at(self._block, self._place(key.__index__()), value)

    def __delitem__(self, key: Any) -> NoReturn:
        raise TypeError("Array does not support item deletion")

    @classmethod
    def _has_pointers(cls) -> bool:
        return bool(cls._type_._has_pointers())

    @classmethod
    def __class_getitem__(cls, item: Any) -> Any:
        return GenericAlias(cls, item)


def _get_chars(self: Any) -> bytes:
    return bytes(self._bytes()).partition(b"\0")[0]


def _set_chars(self: Any, value: Any) -> None:
    if not isinstance(value, bytes | bytearray):
        raise TypeError(f"bytes expected instead of {type(value).__name__} instance")
    if len(value) > self._size_:
        raise ValueError("byte string too long")
    content = bytes(value) + (b"\0" if len(value) < self._size_ else b"")
    self._block.data[self._at : self._at + len(content)] = content


def _get_raw(self: Any) -> bytes:
    return bytes(self._bytes())


def _set_raw(self: Any, value: Any) -> None:
    content = memoryview(value).cast("B")
    if len(content) > self._size_:
        raise ValueError("byte string too long")
    self._block.data[self._at : self._at + len(content)] = content


def _get_wide(self: Any) -> str:
    return bytes(self._bytes()).decode("utf-32-le", "surrogatepass").partition("\0")[0]


def _set_wide(self: Any, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError(f"unicode string expected instead of {type(value).__name__} instance")
    if len(value) > self._length_:
        raise ValueError("string too long")
    content = (value + ("\0" if len(value) < self._length_ else "")).encode(
        "utf-32-le", "surrogatepass"
    )
    self._block.data[self._at : self._at + len(content)] = content


def _refuse_to_delete_raw(self: Any) -> NoReturn:
    raise AttributeError("cannot delete attribute")


_char_value = property(_get_chars, _set_chars, refuse_to_delete, "string value")
_raw_value = property(_get_raw, _set_raw, _refuse_to_delete_raw, "value")
_wide_value = property(_get_wide, _set_wide, refuse_to_delete, "string value")


_arrays: dict[Any, Any] = {}


def _array_type(cls: CType_Type, length: int) -> Any:
    if length < 0:
        raise ValueError(f"Array length must be >= 0, not {length}")
    key = (cls, length)
    found = _arrays.get(key)
    if found is None:
        name = f"{cls.__name__}_Array_{length}"
        found = PyCArrayType(name, (Array,), {"_length_": length, "_type_": cls})
        found.__module__ = cls.__module__
        _arrays[key] = found
    return found


# The other types do not know arrays.
CType_Type.__mul__ = CType_Type.__rmul__ = _array_type  # type: ignore[attr-defined, operator]
