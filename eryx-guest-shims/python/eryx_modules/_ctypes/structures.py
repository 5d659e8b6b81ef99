"""Structures and unions, and their fields."""

from typing import Any, NoReturn

from .data import CType_Type, _CData, alignment, sizeof
from .simple import INTEGERS, PyCSimpleType, load


class CField:
    """A field of a structure or a union."""

    def __init__(self, name: str, kind: Any, offset: int, bits: tuple[int, int] | None) -> None:
        self.name, self.type, self.offset = name, kind, offset
        self.byte_offset, self.byte_size = offset, sizeof(kind)
        self.is_bitfield = bits is not None
        self.bit_offset, self.bit_size = bits or (0, 8 * self.byte_size)
        self.size = self.bit_size << 16 | self.bit_offset if bits else self.byte_size
        self.is_anonymous = False

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        value = self.type._load_at(instance._block, instance._at + self.offset)
        if self.is_bitfield:
            value = value >> self.bit_offset & ((1 << self.bit_size) - 1)
            if self.type._type_.islower() and value >> (self.bit_size - 1):
                value -= 1 << self.bit_size
        return value

    def __delete__(self, instance: Any) -> NoReturn:
        raise TypeError("can't delete attribute")

    def __set__(self, instance: Any, value: Any) -> None:
        at = instance._at + self.offset
        if self.is_bitfield:
            mask = (1 << self.bit_size) - 1
            word = load(self.type, instance._block, at) & ~(mask << self.bit_offset)
            value = word | (int(value) & mask) << self.bit_offset
        self.type._store_at(instance._block, at, value)

    def __repr__(self) -> str:
        if self.is_bitfield:
            size = f"bit_size={self.bit_size}, bit_offset={self.bit_offset}"
        else:
            size = f"size={self.byte_size}"
        name = f"{self.name!r} type={self.type.__name__}"
        return f"<{type(self).__module__}.CField {name}, ofs={self.offset}, {size}>"


CField.__module__ = "ctypes"


def _add_anonymous(cls: Any, member: CField) -> None:
    """Adds the fields of an anonymous member to a type."""
    member.is_anonymous = True
    for name in member.type._names_:
        inner = getattr(member.type, name)
        bits = (inner.bit_offset, inner.bit_size) if inner.is_bitfield else None
        field = CField(name, inner.type, member.offset + inner.offset, bits)
        type.__setattr__(cls, name, field)
        if inner.is_anonymous:
            _add_anonymous(cls, field)


class _FieldsType(CType_Type):
    """The metaclass of structures and unions."""

    _is_struct = True

    def __init__(cls, name: str, bases: Any, namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        if "_fields_" in namespace:
            cls._fields_ = namespace["_fields_"]

    def __setattr__(cls, name: str, value: Any) -> None:
        if name == "_fields_":
            _lay_out(cls, list(value), cls._is_struct)
        super().__setattr__(name, value)


class PyCStructType(_FieldsType):
    """The metaclass of structures."""


class UnionType(_FieldsType):
    """The metaclass of unions."""

    _is_struct = False


def _lay_out(cls: Any, fields: list[Any], is_struct: bool) -> None:
    """Places fields as C compilers of System V do, or with `_pack_` as Microsoft's."""
    base: Any = cls.__base__
    pack = getattr(cls, "_pack_", None)
    align = max(base._align_of_, getattr(cls, "_align_", 0) or 1)
    bit = base._size_ * 8 if is_struct else 0
    size = base._size_
    names = list(getattr(base, "_names_", ()))
    for field in fields:
        name, kind, *width = field
        if not isinstance(kind, CType_Type):
            raise TypeError("second item in _fields_ tuple must be a C type")
        own_align = alignment(kind)
        if pack:
            own_align = min(pack, own_align)
        own_bits = sizeof(kind) * 8
        start = bit if is_struct else 0
        bits = None
        if width:
            code = getattr(kind, "_type_", None)
            if not isinstance(kind, PyCSimpleType) or str(code) not in INTEGERS + "?":
                raise TypeError(f"bit fields not allowed for type {kind.__name__}")
            count = width[0]
            if not 0 < count <= own_bits:
                raise ValueError(f"number of bits invalid for bit field {name!r}")
            slot = start // (own_align * 8) * own_align * 8
            if start + count > slot + own_bits:
                start = -(-start // (own_align * 8)) * own_align * 8
                slot = start
            place = start - slot
            if hasattr(cls, "_swappedbytes_"):
                place = own_bits - count - place
            bits = (place, count)
            offset, end = slot // 8, start + count
        else:
            start = -(-start // (own_align * 8)) * own_align * 8
            offset, end = start // 8, start + own_bits
        type.__setattr__(cls, name, CField(name, kind, offset, bits))
        names.append(name)
        bit = end
        size = max(size, -(-end // 8))
        align = max(align, own_align)
    for name in getattr(cls, "_anonymous_", ()):
        member = cls.__dict__.get(name)
        if not isinstance(member, CField):
            raise AttributeError(name)
        _add_anonymous(cls, member)
    cls._names_ = tuple(names)
    cls._size_ = -(-size // align) * align
    cls._align_of_ = align


class _Fields(_CData):
    """What structures and unions have in common."""

    _names_: tuple[str, ...] = ()

    def __init__(self, *values: Any, **named: Any) -> None:
        self._allocate()
        if len(values) > len(self._names_):
            raise TypeError("too many initializers")
        for name, value in zip(self._names_, values, strict=False):
            if name in named:
                raise TypeError(f"duplicate values for field {name!r}")
            setattr(self, name, value)
        for name, value in named.items():
            setattr(self, name, value)

    @classmethod
    def _has_pointers(cls) -> bool:
        fields = (getattr(cls, name) for name in cls._names_)
        return any(field.type._has_pointers() for field in fields)


class Structure(_Fields, metaclass=PyCStructType):
    """The base class of structures."""


class Union(_Fields, metaclass=UnionType):
    """The base class of unions."""
