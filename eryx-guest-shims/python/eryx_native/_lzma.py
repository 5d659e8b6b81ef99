"""CPython's `_lzma`: LZMA compression, with its filters and formats."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from operator import index
from typing import TYPE_CHECKING, Any, NoReturn, Self, final

import _eryx_native

from .compression import Compressor
from .decompression import Decompressor

if TYPE_CHECKING:
    from collections.abc import Buffer, Sequence

__all__ = [
    "CHECK_CRC32",
    "CHECK_CRC64",
    "CHECK_ID_MAX",
    "CHECK_NONE",
    "CHECK_SHA256",
    "CHECK_UNKNOWN",
    "FILTER_ARM",
    "FILTER_ARMTHUMB",
    "FILTER_DELTA",
    "FILTER_IA64",
    "FILTER_LZMA1",
    "FILTER_LZMA2",
    "FILTER_POWERPC",
    "FILTER_SPARC",
    "FILTER_X86",
    "FORMAT_ALONE",
    "FORMAT_AUTO",
    "FORMAT_RAW",
    "FORMAT_XZ",
    "MF_BT2",
    "MF_BT3",
    "MF_BT4",
    "MF_HC3",
    "MF_HC4",
    "MODE_FAST",
    "MODE_NORMAL",
    "PRESET_DEFAULT",
    "PRESET_EXTREME",
    "LZMACompressor",
    "LZMADecompressor",
    "LZMAError",
    "is_check_supported",
]

FORMAT_AUTO = 0
FORMAT_XZ = 1
FORMAT_ALONE = 2
FORMAT_RAW = 3

CHECK_NONE = 0
CHECK_CRC32 = 1
CHECK_CRC64 = 4
CHECK_SHA256 = 10
CHECK_ID_MAX = 15
CHECK_UNKNOWN = 16

FILTER_LZMA1 = 0x4000000000000001
FILTER_LZMA2 = 0x21
FILTER_DELTA = 0x03
FILTER_X86 = 0x04
FILTER_POWERPC = 0x05
FILTER_IA64 = 0x06
FILTER_ARM = 0x07
FILTER_ARMTHUMB = 0x08
FILTER_SPARC = 0x09

MF_HC3 = 0x03
MF_HC4 = 0x04
MF_BT2 = 0x12
MF_BT3 = 0x13
MF_BT4 = 0x14
MODE_FAST = 1
MODE_NORMAL = 2
PRESET_DEFAULT = 6
PRESET_EXTREME = 1 << 31

_LZMA_FILTERS = (FILTER_LZMA1, FILTER_LZMA2)
_BCJ_FILTERS = (
    FILTER_X86,
    FILTER_POWERPC,
    FILTER_IA64,
    FILTER_ARM,
    FILTER_ARMTHUMB,
    FILTER_SPARC,
)
_LZMA_OPTIONS = ("dict_size", "lc", "lp", "pb", "mode", "nice_len", "mf", "depth")
_MAX_FILTERS = 4
_FILTER = struct.Struct("=Q8I")

# The size down to which the dictionary of a preset is made smaller if there is no more memory.
_LEAST_DICT_SIZE = 1 << 20

# The codes of liblzma (`lzma_ret`).
_OPTIONS_ERROR = 8
_MESSAGES = {
    3: "Unsupported integrity check",
    6: "Memory usage limit exceeded",
    7: "Input format not supported by decoder",
    _OPTIONS_ERROR: "Invalid or unsupported options",
    9: "Corrupt input data",
    10: "Insufficient buffer space",
    11: "Internal error",
}


class LZMAError(Exception):
    """Call to liblzma failed."""


def _fail(code: int, text: str | None = None) -> NoReturn:
    """Raises the exception for an error of liblzma."""
    raise LZMAError(_MESSAGES.get(code, f"Unrecognized error from liblzma: {code}"))


def _unsigned(value: Any, bits: int) -> int:
    number = index(value)
    if not 0 <= number < 1 << bits:
        raise OverflowError("Value too large for uint32_t type")
    return number


def _preset_options(preset: int) -> list[int]:
    options = _eryx_native.lzma_preset(preset)
    if options is None:
        raise LZMAError(f"Invalid compression preset: {preset}")
    return list(options)


def _pack(id: int, options: Sequence[int]) -> bytes:
    return _FILTER.pack(id, *options, *[0] * (len(_LZMA_OPTIONS) - len(options)))


def _pack_filter(spec: Any) -> bytes:
    """Returns one filter in the form that `_eryx_native` takes."""
    if not isinstance(spec, Mapping) and not hasattr(spec, "keys"):
        raise TypeError("Filter specifier must be a dict or dict-like object")
    try:
        id = spec["id"]
    except KeyError:
        raise ValueError('Filter specifier must have an "id" entry') from None
    id = _unsigned(id, 64)
    options = {key: value for key, value in dict(spec).items() if key != "id"}
    if id in _LZMA_FILTERS:
        values = _preset_options(_unsigned(options.pop("preset", PRESET_DEFAULT), 32))
        for position, name in enumerate(_LZMA_OPTIONS):
            if name in options:
                values[position] = _unsigned(options.pop(name), 32)
        if options:
            raise ValueError("Invalid filter specifier for LZMA filter")
        return _pack(id, values)
    if id == FILTER_DELTA:
        distance = _unsigned(options.pop("dist", 1), 32)
        if options:
            raise ValueError("Invalid filter specifier for delta filter")
        return _pack(id, [distance])
    if id in _BCJ_FILTERS:
        start = _unsigned(options.pop("start_offset", 0), 32)
        if options:
            raise ValueError("Invalid filter specifier for BCJ filter")
        return _pack(id, [start])
    raise ValueError(f"Invalid filter ID: {id}")


def _pack_filters(filters: Sequence[Any]) -> bytes:
    if isinstance(filters, Mapping):
        raise TypeError(f"{type(filters).__name__} is not a sequence")
    if len(filters) > _MAX_FILTERS:
        raise ValueError(f"Too many filters - liblzma supports a maximum of {_MAX_FILTERS}")
    return b"".join(_pack_filter(filters[i]) for i in range(len(filters)))


@final
class LZMACompressor(Compressor):
    """Create a compressor object for compressing data incrementally.

    *format* specifies the container format to use for the output: FORMAT_XZ,
    FORMAT_ALONE or FORMAT_RAW.

    *check* specifies the integrity check of FORMAT_XZ; -1 is the default of the
    format.

    The settings used by the compressor can be specified either as a preset
    compression level (with the 'preset' argument), or in detail as a custom
    filter chain (with the 'filters' argument).
    """

    __slots__ = ()

    def __new__(
        cls,
        format: int = FORMAT_XZ,
        check: int = -1,
        preset: int | None = None,
        filters: Sequence[Any] | None = None,
    ) -> Self:
        """Returns a new compressor."""
        format, check = index(format), index(check)
        if preset is not None and filters is not None:
            raise ValueError("Cannot specify both preset and filter chain")
        level = PRESET_DEFAULT if preset is None else _unsigned(preset, 32)
        if format != FORMAT_XZ and check not in (-1, CHECK_NONE):
            raise ValueError("Integrity checks are only supported by FORMAT_XZ")
        if format == FORMAT_XZ:
            if check == -1:
                check = CHECK_CRC64
            if filters is None:
                # An invalid preset is one of the options here.
                if _eryx_native.lzma_preset(level) is None:
                    _fail(_OPTIONS_ERROR)
                packed = _pack(FILTER_LZMA2, _preset_options(level))
            else:
                packed = _pack_filters(filters)
        elif format == FORMAT_ALONE:
            if filters is None:
                packed = _pack(FILTER_LZMA1, _preset_options(level))
            else:
                packed = _pack_filters(filters)
                if len(filters) != 1 or filters[0]["id"] != FILTER_LZMA1:
                    raise ValueError(
                        "Invalid filter chain for FORMAT_ALONE - must be a single LZMA1 filter"
                    )
        elif format == FORMAT_RAW:
            if filters is None:
                raise ValueError("Must specify filters for FORMAT_RAW")
            packed = _pack_filters(filters)
        else:
            raise ValueError(f"Invalid container format: {format}")
        while True:
            try:
                stream = _eryx_native.lzma_compressor(format, max(check, CHECK_NONE), packed)
                break
            except MemoryError:
                # As the command `xz` does under a limit: the encoder of a preset needs eleven times
                # the size of its dictionary, and a smaller dictionary makes a valid stream, too.
                id, *options = _FILTER.unpack(packed[-_FILTER.size :])
                if filters is not None or options[0] <= _LEAST_DICT_SIZE:
                    raise
                options[0] //= 2
                packed = _pack(id, options)
        if isinstance(stream, int):
            _fail(stream)
        self = super().__new__(cls)
        self._begin(stream)
        return self

    def _fail(self, code: int, text: str | None) -> NoReturn:
        _fail(code, text)


@final
class LZMADecompressor(Decompressor):
    """Create a decompressor object for decompressing data incrementally.

    *format* specifies the container format of the input stream; FORMAT_AUTO
    detects FORMAT_XZ and FORMAT_ALONE.

    *memlimit* can be specified to limit the amount of memory used by the
    decompressor.

    *filters* is the filter chain of FORMAT_RAW.
    """

    __slots__ = ()

    def __new__(
        cls,
        format: int = FORMAT_AUTO,
        memlimit: int | None = None,
        filters: Sequence[Any] | None = None,
    ) -> Self:
        """Returns a new decompressor."""
        format = index(format)
        if memlimit is not None and format == FORMAT_RAW:
            raise ValueError("Cannot specify memory limit with FORMAT_RAW")
        if format == FORMAT_RAW and filters is None:
            raise ValueError("Must specify filters for FORMAT_RAW")
        if format != FORMAT_RAW and filters is not None:
            raise ValueError("Cannot specify filters except with FORMAT_RAW")
        if format not in (FORMAT_AUTO, FORMAT_XZ, FORMAT_ALONE, FORMAT_RAW):
            raise ValueError(f"Invalid container format: {format}")
        limit = (1 << 64) - 1 if memlimit is None else _unsigned(memlimit, 64)
        packed = b"" if filters is None else _pack_filters(filters)
        stream = _eryx_native.lzma_decompressor(format, limit, packed)
        if isinstance(stream, int):
            _fail(stream)
        self = super().__new__(cls)
        self._begin(stream)
        return self

    def decompress(self, data: Buffer, max_length: int = -1) -> bytes:
        """Decompress *data*, returning uncompressed data as bytes.

        If *max_length* is nonnegative, returns at most *max_length* bytes of
        decompressed data.
        """
        if self._eof:
            raise EOFError("Already at end of stream")
        return self._run(data, max_length)

    @property
    def check(self) -> int:
        """ID of the integrity check used by the input stream."""
        check: int = _eryx_native.lzma_check(self._stream)
        return check

    def _fail(self, code: int, text: str | None) -> NoReturn:
        _fail(code, text)


def is_check_supported(check_id: int, /) -> bool:
    """Test whether the given integrity check is supported."""
    return bool(_eryx_native.lzma_check_is_supported(check_id))


def _encode_filter_properties(filter: Any, /) -> bytes:
    """Return a bytes object encoding the options (properties) of the filter."""
    properties = _eryx_native.lzma_encode_properties(_pack_filter(filter))
    if isinstance(properties, int):
        _fail(properties)
    result: bytes = properties
    return result


def _decode_filter_properties(filter_id: int, encoded_props: Buffer, /) -> dict[str, int]:
    """Return a dict describing a filter with the given encoded options."""
    id = _unsigned(filter_id, 64)
    options = _eryx_native.lzma_decode_properties(id, encoded_props)
    if isinstance(options, int):
        _fail(options)
    names: Sequence[str] = ()
    if id == FILTER_LZMA1:
        names = _LZMA_OPTIONS[:4]
    elif id == FILTER_LZMA2:
        names = ("dict_size",)
    elif id == FILTER_DELTA:
        names = ("dist",)
    elif id in _BCJ_FILTERS:
        names = ("start_offset",) if options is not None else ()
    else:
        raise ValueError(f"Invalid filter ID: {id}")
    return {"id": id, **dict(zip(names, options or (), strict=False))}
