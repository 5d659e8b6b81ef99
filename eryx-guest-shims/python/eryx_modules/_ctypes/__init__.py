"""The data types of `ctypes`, in memory of the interpreter. It loads no native code.

Objects have addresses of their own, which `cast`, `string_at` and pointers understand. They are no
addresses of memory: an address that belongs to no object is an error and never a crash.
"""

from .arrays import Array, PyCArrayType
from .data import (
    CArgObject,
    CType_Type,
    _CData,
    _unpickle,
    addressof,
    alignment,
    buffer_info,
    byref,
    resize,
    sizeof,
)
from .functions import (
    FUNCFLAG_CDECL,
    FUNCFLAG_PYTHONAPI,
    FUNCFLAG_USE_ERRNO,
    FUNCFLAG_USE_LASTERROR,
    RTLD_GLOBAL,
    RTLD_LOCAL,
    ArgumentError,
    CFuncPtr,
    PyCFuncPtrType,
    _cast_addr,
    _memmove_addr,
    _memoryview_at_addr,
    _memset_addr,
    _string_at_addr,
    _wstring_at_addr,
    dlclose,
    dlopen,
    dlsym,
    get_errno,
    set_errno,
)
from .pointers import POINTER, PyCPointerType, _Pointer, pointer
from .simple import PyCSimpleType, _SimpleCData
from .structures import CField, PyCStructType, Structure, Union, UnionType

__version__ = "1.1.0"
CTYPES_MAX_ARGCOUNT = 1024
SIZEOF_TIME_T = 8

# Programs see one module. The functions are those of the importer.
for _value in list(globals().values()):
    if isinstance(_value, type) and _value.__module__.startswith(f"{__name__}."):
        _value.__module__ = __name__
_unpickle.__module__ = __name__
