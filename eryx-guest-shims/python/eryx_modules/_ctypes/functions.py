"""Functions: those of Python as callbacks, and those of C that `ctypes` wraps."""

import errno
import sys
from typing import Any, NoReturn

from .data import CArgObject, CType_Type, _CData, _Word, addressof, constant
from .memory import NO_CODE, POINTER_SIZE, Block, string, wide_string
from .pointers import PyCPointerType
from .simple import PyCSimpleType, _SimpleCData

RTLD_LOCAL, RTLD_GLOBAL = 0, 256
FUNCFLAG_CDECL, FUNCFLAG_PYTHONAPI, FUNCFLAG_USE_ERRNO, FUNCFLAG_USE_LASTERROR = 1, 4, 8, 16

# The addresses of the functions of C that `ctypes` wraps.
_memmove_addr, _memset_addr, _string_at_addr, _cast_addr, _wstring_at_addr = 16, 32, 48, 64, 80
_memoryview_at_addr = 96


class ArgumentError(Exception):
    """An argument cannot be converted to its type."""


ArgumentError.__module__ = "ctypes"


class PyCFuncPtrType(CType_Type):
    """The metaclass of functions."""


class CFuncPtr(_Word, metaclass=PyCFuncPtrType):
    """A function: of Python, called as a callback would be, or one that `ctypes` wraps."""

    _size_ = _align_of_ = POINTER_SIZE
    _flags_ = FUNCFLAG_CDECL
    _restype_: Any = None
    _argtypes_: Any = ()
    _has_address = True

    def __init__(self, target: Any = None, *others: Any) -> None:
        self._allocate()
        self._function: Any = None
        self._address_ = 0
        if isinstance(target, tuple):
            raise AttributeError(f"{target[0]}: {NO_CODE}")
        if isinstance(target, int):
            self._address_ = target
            self._function = _FUNCTIONS.get(target)
        elif callable(target):
            self._function = target
            self._address_ = self._block.address
        elif target is not None:
            raise TypeError("argument must be callable or integer function address")
        self._bytes()[:] = self._address_.to_bytes(POINTER_SIZE, "little")
        self.restype = type(self)._restype_
        self.argtypes = type(self)._argtypes_
        self.errcheck: Any = None

    def __call__(self, *arguments: Any) -> Any:
        if self._function is None:
            raise ValueError(f"the function at {self._address_:#x} does not exist: {NO_CODE}")
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
        if isinstance(self.restype, PyCSimpleType):
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
    raise OSError(errno.ENOEXEC, f"cannot load the library {name!r}: {NO_CODE}")


def dlsym(handle: int, name: str, /) -> NoReturn:
    """Raises OSError: there are no functions."""
    raise OSError(errno.ENOEXEC, f"{name}: {NO_CODE}")


def dlclose(handle: int, /) -> None:
    """Closes the handle of a library."""


def _location(value: Any) -> int:
    if isinstance(value, int):
        return value
    if isinstance(value, bytes | str):
        kept = constant(value)
        _kept_constants.append(kept)
        del _kept_constants[:-16]
        return addressof(kept)
    if isinstance(value, _CData | CArgObject):
        return value._address()
    raise ArgumentError(f"argument 1: TypeError: wrong type {type(value).__name__}")


# The arguments of the last calls, which their results may refer to.
_kept_constants: list[Any] = []


def _memmove(destination: Any, source: Any, count: int) -> int:
    content = (
        bytes(memoryview(source).cast("B")[:count])
        if isinstance(source, bytes | bytearray)
        else string(_location(source), count)
    )
    block, offset = Block.at(_location(destination))
    block.check(offset, count)
    block.data[offset : offset + count] = content[:count]
    return block.address + offset


def _memset(destination: Any, value: int, count: int) -> int:
    block, offset = Block.at(_location(destination))
    block.check(offset, count)
    block.data[offset : offset + count] = bytes([value & 0xFF]) * count
    return block.address + offset


def _string_at(where: Any, size: int = -1) -> bytes:
    if isinstance(where, bytes):
        return where.partition(b"\0")[0] if size < 0 else where[:size]
    return string(_location(where), size)


def _wstring_at(where: Any, size: int = -1) -> str:
    if isinstance(where, str):
        return where.partition("\0")[0] if size < 0 else where[:size]
    return wide_string(_location(where), size)


def _memoryview_at(where: Any, size: int, readonly: Any = False) -> memoryview:
    block, offset = Block.at(_location(where))
    block.check(offset, size)
    view: memoryview = block.data[offset : offset + size]
    return view.toreadonly() if readonly else view


def _cast(obj: Any, original: Any, kind: Any) -> Any:
    code = getattr(kind, "_type_", None)
    if not (
        isinstance(kind, PyCPointerType | PyCFuncPtrType)
        or (isinstance(kind, PyCSimpleType) and code in ("P", "z", "Z", "O"))
    ):
        raise TypeError(f"cast() argument 2 must be a pointer, not {kind.__name__}")
    address = 0 if obj is None else _location(obj)
    made: Any = kind()
    made._bytes()[:] = address.to_bytes(POINTER_SIZE, "little")
    kept = Block.find(address)
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
