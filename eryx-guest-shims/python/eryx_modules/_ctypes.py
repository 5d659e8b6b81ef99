"""The data types of `ctypes`, in memory of the interpreter. It loads no native code.

Objects have addresses of their own, which `cast`, `string_at` and pointers understand. They are no
addresses of memory: an address that belongs to no object is an error and never a crash.
"""

import bisect
import errno
import math
import struct
import sys
import weakref
from typing import Any, ClassVar, NoReturn

__version__ = "1.1.0"
RTLD_LOCAL, RTLD_GLOBAL = 0, 256
FUNCFLAG_CDECL, FUNCFLAG_PYTHONAPI, FUNCFLAG_USE_ERRNO, FUNCFLAG_USE_LASTERROR = 1, 4, 8, 16
CTYPES_MAX_ARGCOUNT = 1024
SIZEOF_TIME_T = 8

_NO_CODE = (
    "ctypes loads no libraries in a sandbox; use a package in pure Python, or one compiled for "
    "sandboxes"
)

_POINTER_SIZE = struct.calcsize("P")

# The addresses of the functions of C that `ctypes` wraps.
_memmove_addr, _memset_addr, _string_at_addr, _cast_addr, _wstring_at_addr = 16, 32, 48, 64, 80
_memoryview_at_addr = 96


class ArgumentError(Exception):
    """An argument cannot be converted to its type."""


ArgumentError.__module__ = "ctypes"


class _Block:
    """Memory with an address."""

    __slots__ = ("__weakref__", "address", "data", "kept")

    _next = 1 << 20
    _by_address: ClassVar["weakref.WeakValueDictionary[int, _Block]"] = (
        weakref.WeakValueDictionary()
    )
    _addresses: ClassVar[list[int]] = []

    def __init__(self, data: Any) -> None:
        self.data: Any = memoryview(data).cast("B")
        self.kept: dict[Any, Any] = {}
        self.address = _Block._next
        _Block._next += (len(self.data) + 31) // 16 * 16
        if _Block._next >= 1 << 32:
            raise MemoryError("ctypes has no addresses left")
        _Block._by_address[self.address] = self
        _Block._addresses.append(self.address)
        if len(_Block._addresses) > 2 * len(_Block._by_address) + 64:
            _Block._addresses = sorted(_Block._by_address)

    @classmethod
    def at(cls, address: int) -> "tuple[_Block, int]":
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


def _fits(block: _Block, offset: int, size: int) -> None:
    if offset < 0 or offset + size > len(block.data):
        raise ValueError(f"{size} bytes at offset {offset} are outside of the object")


class _Type(type):
    """The metaclass of all data types."""

    def __mul__(cls, length: int) -> Any:
        if length < 0:
            raise ValueError(f"Array length must be >= 0, not {length}")
        key = (cls, length)
        found = _arrays.get(key)
        if found is None:
            name = f"{cls.__name__}_Array_{length}"
            found = _ArrayType(name, (Array,), {"_length_": length, "_type_": cls})
            found.__module__ = cls.__module__
            _arrays[key] = found
        return found

    __rmul__ = __mul__

    def _make(cls: Any, block: _Block, offset: int) -> Any:
        made = cls.__new__(cls)
        object.__setattr__(made, "_block", block)
        object.__setattr__(made, "_at", offset)
        return made

    def from_address(cls: Any, address: int) -> Any:
        """Returns an object with the memory at an address."""
        block, offset = _Block.at(address)
        _fits(block, offset, cls._size_)
        return cls._make(block, offset)

    def from_buffer(cls: Any, source: Any, offset: int = 0) -> Any:
        """Returns an object that shares the memory of a writable buffer."""
        if isinstance(source, _Data):
            _fits(source._block, source._at + offset, cls._size_)
            return cls._make(source._block, source._at + offset)
        view = memoryview(source)
        if view.readonly:
            raise TypeError("underlying buffer is not writable")
        block = _Block(view)
        if offset < 0:
            raise ValueError("offset cannot be negative")
        if offset + cls._size_ > len(block.data):
            raise ValueError(
                f"Buffer size too small ({len(block.data)} instead of at least "
                f"{offset + cls._size_} bytes)"
            )
        return cls._make(block, offset)

    def from_buffer_copy(cls: Any, source: Any, offset: int = 0) -> Any:
        """Returns an object with a copy of a buffer."""
        content = memoryview(source).cast("B")
        if offset < 0:
            raise ValueError("offset cannot be negative")
        if offset + cls._size_ > len(content):
            raise ValueError(
                f"Buffer size too small ({len(content)} instead of at least "
                f"{offset + cls._size_} bytes)"
            )
        return cls._make(_Block(bytearray(content[offset : offset + cls._size_])), 0)

    def in_dll(cls, library: Any, name: str) -> NoReturn:
        """Raises ValueError: there are no libraries."""
        raise ValueError(f"{name}: {_NO_CODE}")

    def from_param(cls: Any, value: Any) -> Any:
        """Converts an argument of a function."""
        if isinstance(value, cls):
            return value
        if isinstance(value, _Reference) and isinstance(value._obj, getattr(cls, "_type_", cls)):
            return value
        if hasattr(value, "_as_parameter_"):
            return cls.from_param(value._as_parameter_)
        return cls._convert(value)

    def _convert(cls: Any, value: Any) -> Any:
        if isinstance(value, tuple):
            return cls(*value)
        raise TypeError(f"expected {cls.__name__} instance instead of {type(value).__name__}")


_arrays: dict[Any, Any] = {}


class _Data(metaclass=_Type):
    """An object in memory: a block and the offset in it."""

    _size_ = 0
    _align_of_ = 1
    _block: _Block
    _at: int

    def _allocate(self) -> None:
        object.__setattr__(self, "_block", _Block(bytearray(self._size_)))
        object.__setattr__(self, "_at", 0)

    def _bytes(self) -> Any:
        return self._block.data[self._at : self._at + self._size_]

    def __buffer__(self, flags: int, /) -> memoryview:
        if sizeof(self) > self._size_:
            # Its own size, by `resize`.
            resized: memoryview = self._block.data[:]
            return resized
        view: Any = self._bytes()
        code, shape = _format(type(self))
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


def _format(kind: Any) -> tuple[str, list[int]]:
    """Returns the format of the elements of an array, and its shape. Other data are bytes."""
    shape = []
    while issubclass(kind, Array):
        shape.append(kind._length_)
        kind = kind._type_
    is_number = issubclass(kind, _SimpleCData) and kind._type_ in _NUMBERS and not kind._swapped_
    return kind._type_ if is_number else "B", shape


_INTEGERS = "bBhHiIlLqQ"
_NUMBERS = _INTEGERS + "fd"
_CODES = _NUMBERS + "cuzZPO?gv"


class _SimpleType(_Type):
    """The metaclass of simple types: numbers, characters and addresses."""

    def __new__(
        mcs, name: str, bases: Any, namespace: dict[str, Any], swapped: bool = False
    ) -> Any:
        cls: Any = super().__new__(mcs, name, bases, namespace)
        if not any(isinstance(base, _SimpleType) for base in bases):
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
        if code == "P" and isinstance(
            value, Array | _Pointer | CFuncPtr | _SimpleCData | _Reference
        ):
            return cls(addressof(value) if isinstance(value, Array) else _address_in(value))
        if code in "zZ" and isinstance(value, Array | _Pointer):
            return cls(addressof(value) if isinstance(value, Array) else value._address())
        if code == "P" and isinstance(value, bytes | str):
            return cls(addressof(_constant(value)))
        return cls(value)


def _address_in(value: Any) -> int:
    if isinstance(value, _Reference):
        return addressof(value._obj) + value._offset
    if isinstance(value, CFuncPtr):
        return value._address_
    return int.from_bytes(value._bytes()[:_POINTER_SIZE], "little")


class _SimpleCData(_Data, metaclass=_SimpleType):
    """The base class of simple types."""

    _type_: str
    _swapped_ = False

    def __init__(self, value: Any = None) -> None:
        self._allocate()
        if value is not None:
            self.value = value

    @property
    def value(self) -> Any:
        """The value as an object of Python."""
        return _load(type(self), self._block, self._at)

    @value.setter
    def value(self, value: Any) -> None:
        _store(type(self), self._block, self._at, value)

    @value.deleter
    def value(self) -> NoReturn:
        raise TypeError("can't delete attribute")

    def __bool__(self) -> bool:
        return any(self._bytes())

    def __repr__(self) -> str:
        if _SimpleCData not in type(self).__bases__:
            return f"<{type(self).__name__} object at {id(self):#x}>"
        return f"{type(self).__name__}({self.value!r})"

    @classmethod
    def _has_pointers(cls) -> bool:
        return cls._type_ in "zZPO"


def _load(kind: Any, block: _Block, at: int) -> Any:
    code = kind._type_
    raw = block.data[at : at + kind._size_]
    if code in _INTEGERS:
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
    return _string(address) if code == "z" else _wide_string(address)


def _store(kind: Any, block: _Block, at: int, value: Any) -> None:
    code = kind._type_
    size = kind._size_
    if code in _INTEGERS:
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


def _as_address(code: str, block: _Block, at: int, value: Any) -> int:
    """Returns the address for a pointer type, and keeps what it refers to."""
    block.kept.pop(at, None)
    if value is None:
        return 0
    if isinstance(value, int):
        return value & ((1 << 8 * _POINTER_SIZE) - 1)
    if (code == "z" and isinstance(value, bytes)) or (code == "Z" and isinstance(value, str)):
        constant = _constant(value)
        block.kept[at] = constant
        return addressof(constant)
    if isinstance(value, _Data | _Reference) and code in "zZP":
        block.kept[at] = value
        return addressof(value) if isinstance(value, Array) else _address_in(value)
    kinds = {"z": "bytes or integer address", "Z": "unicode string or integer address"}
    expected = kinds.get(code, "cannot be converted to pointer")
    raise TypeError(f"{expected} expected instead of {type(value).__name__} instance")


class _Raw(_Data):
    """Bytes that a pointer refers to."""


def _constant(value: bytes | str) -> Any:
    content = value + b"\0" if isinstance(value, bytes) else (value + "\0").encode("utf-32-le")
    return _Raw._make(_Block(bytearray(content)), 0)


def _string(address: int, size: int = -1) -> bytes:
    block, offset = _Block.at(address)
    if size < 0:
        return bytes(block.data[offset:]).partition(b"\0")[0]
    _fits(block, offset, size)
    return bytes(block.data[offset : offset + size])


def _wide_string(address: int, size: int = -1) -> str:
    block, offset = _Block.at(address)
    if size >= 0:
        _fits(block, offset, 4 * size)
        return bytes(block.data[offset : offset + 4 * size]).decode("utf-32-le", "surrogatepass")
    content = bytes(block.data[offset:])
    content = content[: len(content) // 4 * 4]
    return content.decode("utf-32-le", "surrogatepass").partition("\0")[0]


class _ArrayType(_Type):
    """The metaclass of arrays."""

    def __new__(mcs, name: str, bases: Any, namespace: dict[str, Any]) -> Any:
        cls: Any = super().__new__(mcs, name, bases, namespace)
        if any(isinstance(base, _ArrayType) for base in bases):
            length, kind = getattr(cls, "_length_", None), getattr(cls, "_type_", None)
            if not isinstance(length, int):
                raise AttributeError("class must define a '_length_' attribute")
            if length < 0:
                raise ValueError("The '_length_' attribute must not be negative")
            if kind is None:
                raise AttributeError("class must define a '_type_' attribute")
            cls._size_ = length * sizeof(kind)
            cls._align_of_ = alignment(kind)
            code = getattr(kind, "_type_", None)
            if isinstance(kind, _SimpleType) and code in ("c", "u"):
                cls.value = _char_value if code == "c" else _wide_value
                if code == "c":
                    cls.raw = _raw_value
        return cls

    def _convert(cls: Any, value: Any) -> Any:
        if isinstance(value, bytes | str) and getattr(cls._type_, "_type_", None) in ("c", "u"):
            made = cls()
            made.value = value
            return made
        return super()._convert(value)


class Array(_Data, metaclass=_ArrayType):
    """The base class of arrays."""

    _length_: int
    _type_: Any

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
            items = [self[index] for index in range(*key.indices(self._length_))]
            code = getattr(self._type_, "_type_", None)
            if isinstance(self._type_, _SimpleType) and code in ("c", "u"):
                return b"".join(items) if code == "c" else "".join(items)
            return items
        return _get(self._type_, self._block, self._place(key.__index__()))

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, slice):
            indexes = range(*key.indices(self._length_))
            if len(indexes) != len(value):
                raise ValueError("Can only assign sequence of same size")
            for index, item in zip(indexes, value, strict=True):
                self[index] = item
            return
        _set(self._type_, self._block, self._place(key.__index__()), value)

    def __delitem__(self, key: Any) -> NoReturn:
        raise TypeError("Array does not support item deletion")

    @classmethod
    def _has_pointers(cls) -> bool:
        return bool(cls._type_._has_pointers())

    @classmethod
    def __class_getitem__(cls, item: Any) -> Any:
        import types

        return types.GenericAlias(cls, item)


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


def _refuse_to_delete(self: Any) -> NoReturn:
    raise TypeError("can't delete attribute")


def _refuse_to_delete_raw(self: Any) -> NoReturn:
    raise AttributeError("cannot delete attribute")


_char_value = property(_get_chars, _set_chars, _refuse_to_delete, "string value")
_raw_value = property(_get_raw, _set_raw, _refuse_to_delete_raw, "value")
_wide_value = property(_get_wide, _set_wide, _refuse_to_delete, "string value")


def _get(kind: Any, block: _Block, at: int) -> Any:
    """Returns the item of a type, as an object of Python if it is a simple one."""
    if isinstance(kind, _SimpleType) and _SimpleCData in kind.__bases__:
        return _load(kind, block, at)
    made = kind._make(block, at)
    return made.value if isinstance(kind, _ArrayType) and _is_text(kind) else made


def _is_text(kind: Any) -> bool:
    item = kind._type_
    return isinstance(item, _SimpleType) and getattr(item, "_type_", None) in ("c", "u")


def _set(kind: Any, block: _Block, at: int, value: Any) -> None:
    if isinstance(value, kind):
        block.data[at : at + kind._size_] = bytes(value._bytes())
        block.kept[at] = value
    elif isinstance(kind, _SimpleType):
        _store(kind, block, at, value)
    elif isinstance(kind, _PointerType) and (value is None or isinstance(value, Array)):
        block.kept[at] = value
        address = addressof(value) if value is not None else 0
        block.data[at : at + _POINTER_SIZE] = address.to_bytes(_POINTER_SIZE, "little")
    elif isinstance(kind, _ArrayType) and isinstance(value, bytes | str):
        kind._make(block, at).value = value
    elif isinstance(value, tuple):
        block.data[at : at + kind._size_] = bytes(kind(*value)._bytes())
    else:
        raise TypeError(f"expected {kind.__name__} instance, got {type(value).__name__}")


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
        value = _get(self.type, instance._block, instance._at + self.offset)
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
            word = _load(self.type, instance._block, at) & ~(mask << self.bit_offset)
            value = word | (int(value) & mask) << self.bit_offset
        _set(self.type, instance._block, at, value)

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


class _FieldsType(_Type):
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


class _StructureType(_FieldsType):
    """The metaclass of structures."""


class _UnionType(_FieldsType):
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
        if not isinstance(kind, _Type):
            raise TypeError("second item in _fields_ tuple must be a C type")
        own_align = alignment(kind)
        if pack:
            own_align = min(pack, own_align)
        own_bits = sizeof(kind) * 8
        start = bit if is_struct else 0
        bits = None
        if width:
            code = getattr(kind, "_type_", None)
            if not isinstance(kind, _SimpleType) or str(code) not in _INTEGERS + "?":
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


class _Fields(_Data):
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


class Structure(_Fields, metaclass=_StructureType):
    """The base class of structures."""


class Union(_Fields, metaclass=_UnionType):
    """The base class of unions."""


class _PointerType(_Type):
    """The metaclass of pointers."""

    def __new__(mcs, name: str, bases: Any, namespace: dict[str, Any]) -> Any:
        cls: Any = super().__new__(mcs, name, bases, namespace)
        cls._size_ = cls._align_of_ = _POINTER_SIZE
        target = namespace.get("_type_")
        if target is not None:
            if not isinstance(target, _Type):
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

    def _make_to(cls: Any, address: int, kept: Any) -> Any:
        made = cls()
        made._point(address, kept)
        return made


class _Pointer(_Data, metaclass=_PointerType):
    """The base class of pointers."""

    _type_: Any

    def __init__(self, target: Any = None) -> None:
        if not hasattr(self, "_type_"):
            raise TypeError("Cannot create instance: has no _type_")
        self._allocate()
        if target is not None:
            self.contents = target

    def _point(self, address: int, kept: Any) -> None:
        self._bytes()[:] = address.to_bytes(_POINTER_SIZE, "little")
        self._block.kept[self._at] = kept

    def _address(self) -> int:
        return int.from_bytes(self._bytes(), "little")

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

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            if key.stop is None:
                raise ValueError("slice stop is required")
            indexes = range(key.start or 0, key.stop, key.step or 1)
            items = [self[index] for index in indexes]
            code = getattr(self._type_, "_type_", None)
            if isinstance(self._type_, _SimpleType) and code in ("c", "u"):
                return b"".join(items) if code == "c" else "".join(items)
            return items
        block, offset = _Block.at(self._target() + key.__index__() * sizeof(self._type_))
        _fits(block, offset, sizeof(self._type_))
        return _get(self._type_, block, offset)

    def __setitem__(self, key: Any, value: Any) -> None:
        block, offset = _Block.at(self._target() + key.__index__() * sizeof(self._type_))
        _fits(block, offset, sizeof(self._type_))
        _set(self._type_, block, offset, value)

    def __delitem__(self, key: Any) -> NoReturn:
        raise TypeError("Pointer does not support item deletion")

    @classmethod
    def _has_pointers(cls) -> bool:
        return True


class _FunctionType(_Type):
    """The metaclass of functions."""


class CFuncPtr(_Data, metaclass=_FunctionType):
    """A function: of Python, called as a callback would be, or one that `ctypes` wraps."""

    _size_ = _align_of_ = _POINTER_SIZE
    _flags_ = FUNCFLAG_CDECL
    _restype_: Any = None
    _argtypes_: Any = ()

    def __init__(self, target: Any = None, *others: Any) -> None:
        self._allocate()
        self._function: Any = None
        self._address_ = 0
        if isinstance(target, tuple):
            raise AttributeError(f"{target[0]}: {_NO_CODE}")
        if isinstance(target, int):
            self._address_ = target
            self._function = _FUNCTIONS.get(target)
        elif callable(target):
            self._function = target
            self._address_ = self._block.address
        elif target is not None:
            raise TypeError("argument must be callable or integer function address")
        self._bytes()[:] = self._address_.to_bytes(_POINTER_SIZE, "little")
        self.restype = type(self)._restype_
        self.argtypes = type(self)._argtypes_
        self.errcheck: Any = None

    def __call__(self, *arguments: Any) -> Any:
        if self._function is None:
            raise ValueError(f"the function at {self._address_:#x} does not exist: {_NO_CODE}")
        if self._address_ in _FUNCTIONS:
            return self._function(*arguments)
        types = self.argtypes or ()
        if len(arguments) < len(types):
            raise TypeError(
                f"this function takes at least {len(types)} argument{'s' * (len(types) != 1)} "
                f"({len(arguments)} given)"
            )
        converted = []
        for number, (kind, argument) in enumerate(zip(types, arguments, strict=False), 1):
            try:
                value = kind.from_param(argument)
            except Exception as error:
                raise ArgumentError(f"argument {number}: {type(error).__name__}: {error}") from None
            converted.append(_plain(kind, value))
        result = self._function(*converted, *arguments[len(types) :])
        if self.restype is None:
            return None
        if isinstance(self.restype, _SimpleType):
            return self.restype(result).value
        return result

    def __bool__(self) -> bool:
        return bool(self._address_)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {id(self):#x}>"

    @classmethod
    def _has_pointers(cls) -> bool:
        return True


def _plain(kind: Any, value: Any) -> Any:
    """Returns an argument as a callback gets it."""
    if isinstance(value, _SimpleCData) and _SimpleCData in kind.__bases__:
        return value.value
    return value


class _Reference:
    """What `byref` returns."""

    def __init__(self, obj: Any, offset: int) -> None:
        self._obj, self._offset = obj, offset

    def __repr__(self) -> str:
        return f"<cparam 'P' ({addressof(self._obj) + self._offset:#x})>"


_Reference.__name__ = _Reference.__qualname__ = "CArgObject"


def byref(obj: Any, offset: int = 0, /) -> Any:
    """Returns a reference to an object, for an argument."""
    if not isinstance(obj, _Data):
        raise TypeError(f"byref() argument must be a ctypes instance, not '{type(obj).__name__}'")
    return _Reference(obj, offset)


def addressof(obj: Any, /) -> int:
    """Returns the address of an object."""
    if not isinstance(obj, _Data):
        raise TypeError("invalid type")
    return obj._block.address + obj._at


def sizeof(obj: Any, /) -> int:
    """Returns the size of a type or an object in bytes."""
    if isinstance(obj, _Data) and obj._at == 0 and obj._block.kept.get("resized"):
        return len(obj._block.data)
    if isinstance(obj, _Data | _Type):
        return int(obj._size_)  # type: ignore[union-attr]
    raise TypeError("this type has no size")


def alignment(obj: Any, /) -> int:
    """Returns the alignment of a type or an object in bytes."""
    if isinstance(obj, _Data | _Type):
        return int(obj._align_of_)  # type: ignore[union-attr]
    raise TypeError("no alignment info")


def resize(obj: Any, size: int, /) -> None:
    """Gives an object more memory."""
    if not isinstance(obj, _Data):
        raise TypeError("excepted ctypes instance")
    if size < obj._size_:
        raise ValueError(f"minimum size is {obj._size_}")
    grown = bytearray(size)
    grown[: len(obj._block.data)] = obj._block.data
    block = _Block(grown)
    block.kept = obj._block.kept | {"resized": True}
    obj._block = block


def buffer_info(kind: Any, /) -> tuple[str, int, tuple[int, ...]]:
    """Returns the format, the number of dimensions and the shape of a type."""
    shape = []
    while isinstance(kind, _ArrayType):
        shape.append(kind._length_)  # type: ignore[attr-defined]
        kind = kind._type_  # type: ignore[attr-defined]
    code = _format(kind)[0]
    return ("<" + code if code != "B" else "B"), len(shape), tuple(shape)


_errno = 0


def get_errno() -> int:
    """Returns the errno of functions that `ctypes` calls."""
    return _errno


def set_errno(value: int, /) -> int:
    """Sets the errno of functions that `ctypes` calls, and returns the old one."""
    global _errno
    previous, _errno = _errno, value
    return previous


def dlopen(name: Any, flag: int = RTLD_LOCAL, /) -> int:
    """Raises OSError for a library. `None` is the interpreter itself, without its functions."""
    if name is None:
        return 0
    sys.audit("ctypes.dlopen", name)
    raise OSError(errno.ENOEXEC, f"cannot load the library {name!r}: {_NO_CODE}")


def dlsym(handle: int, name: str, /) -> NoReturn:
    """Raises OSError: there are no functions."""
    raise OSError(errno.ENOEXEC, f"{name}: {_NO_CODE}")


def dlclose(handle: int, /) -> None:
    """Closes the handle of a library."""


def POINTER(kind: Any, /) -> Any:
    """Returns the type of pointers to a type."""
    import ctypes

    return ctypes.POINTER(kind)


def pointer(obj: Any, /) -> Any:
    """Returns a pointer to an object."""
    return POINTER(type(obj))(obj)


def _location(value: Any) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, Array | Structure | Union):
        return addressof(value)
    if isinstance(value, bytes | str):
        constant = _constant(value)
        _kept_constants.append(constant)
        del _kept_constants[:-16]
        return addressof(constant)
    if isinstance(value, _Data | _Reference):
        return _address_in(value)
    raise ArgumentError(f"argument 1: TypeError: wrong type {type(value).__name__}")


# The arguments of the last calls, which their results may refer to.
_kept_constants: list[Any] = []


def _memmove(destination: Any, source: Any, count: int) -> int:
    content = (
        bytes(memoryview(source).cast("B")[:count])
        if isinstance(source, bytes | bytearray)
        else _string(_location(source), count)
    )
    block, offset = _Block.at(_location(destination))
    _fits(block, offset, count)
    block.data[offset : offset + count] = content[:count]
    return block.address + offset


def _memset(destination: Any, value: int, count: int) -> int:
    block, offset = _Block.at(_location(destination))
    _fits(block, offset, count)
    block.data[offset : offset + count] = bytes([value & 0xFF]) * count
    return block.address + offset


def _string_at(where: Any, size: int = -1) -> bytes:
    if isinstance(where, bytes):
        return where.partition(b"\0")[0] if size < 0 else where[:size]
    return _string(_location(where), size)


def _wstring_at(where: Any, size: int = -1) -> str:
    if isinstance(where, str):
        return where.partition("\0")[0] if size < 0 else where[:size]
    return _wide_string(_location(where), size)


def _memoryview_at(where: Any, size: int, readonly: Any = False) -> memoryview:
    block, offset = _Block.at(_location(where))
    _fits(block, offset, size)
    view: memoryview = block.data[offset : offset + size]
    return view.toreadonly() if readonly else view


def _cast(obj: Any, original: Any, kind: Any) -> Any:
    code = getattr(kind, "_type_", None)
    if not (
        isinstance(kind, _PointerType | _FunctionType)
        or (isinstance(kind, _SimpleType) and code in ("P", "z", "Z", "O"))
    ):
        raise TypeError(f"cast() argument 2 must be a pointer, not {kind.__name__}")
    address = 0 if obj is None else _location(obj)
    made: Any = kind()
    made._bytes()[:] = address.to_bytes(_POINTER_SIZE, "little")
    kept = _Block._by_address.get(address)
    made._block.kept[made._at] = (obj, kept, list(_kept_constants[-1:]))
    if isinstance(made, CFuncPtr):
        made._address_ = address
        made._function = getattr(obj, "_function", None)
    return made


_FUNCTIONS: dict[int, Any] = {
    _memmove_addr: _memmove,
    _memset_addr: _memset,
    _string_at_addr: _string_at,
    _wstring_at_addr: _wstring_at,
    _memoryview_at_addr: _memoryview_at,
    _cast_addr: _cast,
}
