"""Pointers to objects of a data type."""

from typing import Any, NoReturn

from .arrays import Array
from .data import CType_Type, _Word, addressof, sizeof
from .memory import POINTER_SIZE, Block
from .simple import joined


class PyCPointerType(CType_Type):
    """The metaclass of pointers."""

    def __new__(mcs, name: str, bases: Any, namespace: dict[str, Any]) -> Any:
        cls: Any = super().__new__(mcs, name, bases, namespace)
        cls._size_ = cls._align_of_ = POINTER_SIZE
        target = namespace.get("_type_")
        if target is not None:
            if not isinstance(target, CType_Type):
                raise TypeError("_type_ must have storage info")
            if "__pointer_type__" not in vars(target):
                type.__setattr__(target, "__pointer_type__", cls)
        return cls

    def set_type(cls, kind: Any) -> None:
        """Sets the type that an incomplete pointer type refers to."""
        cls._type_ = kind

    def _convert(cls: Any, value: Any) -> Any:
        if value is None:
            return cls()
        if isinstance(value, Array) and issubclass(value._type_, cls._type_):
            return cls._make_to(addressof(value), value)
        if isinstance(value, cls._type_):
            return cls(value)
        raise TypeError(f"expected {cls.__name__} instance instead of {type(value).__name__}")

    def _store_other(cls: Any, block: Block, at: int, value: Any) -> None:
        if value is not None and not isinstance(value, Array):
            super()._store_other(block, at, value)
            return
        block.kept[at] = value
        address = addressof(value) if value is not None else 0
        block.data[at : at + POINTER_SIZE] = address.to_bytes(POINTER_SIZE, "little")

    def _make_to(cls: Any, address: int, kept: Any) -> Any:
        made = cls()
        made._point(address, kept)
        return made


class _Pointer(_Word, metaclass=PyCPointerType):
    """The base class of pointers."""

    _type_: Any
    _has_address = True
    _has_items = True

    def __init__(self, target: Any = None) -> None:
        if not hasattr(self, "_type_"):
            raise TypeError("Cannot create instance: has no _type_")
        self._allocate()
        if target is not None:
            self.contents = target

    def _point(self, address: int, kept: Any) -> None:
        self._bytes()[:] = address.to_bytes(POINTER_SIZE, "little")
        self._block.kept[self._at] = kept

    def _target(self) -> int:
        address = self._address()
        if not address:
            raise ValueError("NULL pointer access")
        return address

    @property
    def contents(self) -> Any:
        """The object that the pointer refers to."""
        return self._type_.from_address(self._target())

    @contents.setter
    def contents(self, target: Any) -> None:
        if not isinstance(target, self._type_):
            raise TypeError(f"expected {self._type_.__name__} instead of {type(target).__name__}")
        self._point(addressof(target), target)

    @contents.deleter
    def contents(self) -> NoReturn:
        raise TypeError("Pointer does not support item deletion")

    def __bool__(self) -> bool:
        return bool(self._address())

    def _place(self, key: Any) -> tuple[Block, int]:
        size = sizeof(self._type_)
        block, offset = Block.at(self._target() + key.__index__() * size)
        block.check(offset, size)
        return block, offset

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            if key.stop is None:
                raise ValueError("slice stop is required")
            indexes = range(key.start or 0, key.stop, key.step or 1)
            return joined(self._type_, [self[index] for index in indexes])
        return self._type_._load_at(*self._place(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        self._type_._store_at(*self._place(key), value)

    def __delitem__(self, key: Any) -> NoReturn:
        raise TypeError("Pointer does not support item deletion")

    @classmethod
    def _has_pointers(cls) -> bool:
        return True


def POINTER(kind: Any, /) -> Any:
    """Returns the type of pointers to a type."""
    import ctypes

    return ctypes.POINTER(kind)


def pointer(obj: Any, /) -> Any:
    """Returns a pointer to an object."""
    return POINTER(type(obj))(obj)
