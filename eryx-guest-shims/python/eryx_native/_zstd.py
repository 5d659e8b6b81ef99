"""CPython's `_zstd`: Zstandard compression and its dictionaries."""

from __future__ import annotations

from array import array
from operator import index
from typing import TYPE_CHECKING, Any, NoReturn, Self, final

import _eryx_native

from .decompression import Decompressor

if TYPE_CHECKING:
    from collections.abc import Buffer

zstd_version: str = _eryx_native.zstd_version
zstd_version_number: int = _eryx_native.zstd_version_number
ZSTD_CLEVEL_DEFAULT: int = _eryx_native.zstd_default_level
ZSTD_DStreamOutSize: int = _eryx_native.zstd_output_size

# The parameters of a compressor (`ZSTD_cParameter`).
ZSTD_c_compressionLevel = 100
ZSTD_c_windowLog = 101
ZSTD_c_hashLog = 102
ZSTD_c_chainLog = 103
ZSTD_c_searchLog = 104
ZSTD_c_minMatch = 105
ZSTD_c_targetLength = 106
ZSTD_c_strategy = 107
ZSTD_c_enableLongDistanceMatching = 160
ZSTD_c_ldmHashLog = 161
ZSTD_c_ldmMinMatch = 162
ZSTD_c_ldmBucketSizeLog = 163
ZSTD_c_ldmHashRateLog = 164
ZSTD_c_contentSizeFlag = 200
ZSTD_c_checksumFlag = 201
ZSTD_c_dictIDFlag = 202
ZSTD_c_nbWorkers = 400
ZSTD_c_jobSize = 401
ZSTD_c_overlapLog = 402

# The parameter of a decompressor (`ZSTD_dParameter`).
ZSTD_d_windowLogMax = 100

# The strategies of a compressor (`ZSTD_strategy`).
ZSTD_fast = 1
ZSTD_dfast = 2
ZSTD_greedy = 3
ZSTD_lazy = 4
ZSTD_lazy2 = 5
ZSTD_btlazy2 = 6
ZSTD_btopt = 7
ZSTD_btultra = 8
ZSTD_btultra2 = 9

_COMPRESSION_PARAMETERS = {
    ZSTD_c_compressionLevel: "compression_level",
    ZSTD_c_windowLog: "window_log",
    ZSTD_c_hashLog: "hash_log",
    ZSTD_c_chainLog: "chain_log",
    ZSTD_c_searchLog: "search_log",
    ZSTD_c_minMatch: "min_match",
    ZSTD_c_targetLength: "target_length",
    ZSTD_c_strategy: "strategy",
    ZSTD_c_enableLongDistanceMatching: "enable_long_distance_matching",
    ZSTD_c_ldmHashLog: "ldm_hash_log",
    ZSTD_c_ldmMinMatch: "ldm_min_match",
    ZSTD_c_ldmBucketSizeLog: "ldm_bucket_size_log",
    ZSTD_c_ldmHashRateLog: "ldm_hash_rate_log",
    ZSTD_c_contentSizeFlag: "content_size_flag",
    ZSTD_c_checksumFlag: "checksum_flag",
    ZSTD_c_dictIDFlag: "dict_id_flag",
    ZSTD_c_nbWorkers: "nb_workers",
    ZSTD_c_jobSize: "job_size",
    ZSTD_c_overlapLog: "overlap_log",
}
_DECOMPRESSION_PARAMETERS = {ZSTD_d_windowLogMax: "window_log_max"}

# How a dictionary is loaded.
_DIGESTED = 0
_UNDIGESTED = 1
_PREFIX = 2

_CONTENT_SIZE_UNKNOWN = (1 << 64) - 1
_CONTENT_SIZE_ERROR = (1 << 64) - 2

_parameter_types: tuple[type, type] | None = None
"""The enumerations of the parameters of compressors and of decompressors."""


class ZstdError(Exception):
    """An error occurred in the zstd library."""


def _c_int(value: Any, message: str) -> int:
    number = index(value)
    if not -(1 << 31) <= number < 1 << 31:
        raise ValueError(message)
    return number


def _is_of(key: Any, position: int) -> bool:
    return _parameter_types is not None and type(key) is _parameter_types[position]


def _set_parameter(stream: Any, key: int, value: int, compresses: bool) -> None:
    if _eryx_native.zstd_set_parameter(stream, key, value) is None:
        return
    names = _COMPRESSION_PARAMETERS if compresses else _DECOMPRESSION_PARAMETERS
    kind = "compression" if compresses else "decompression"
    name = names.get(key, f"unknown parameter (key {key})")
    bounds = _eryx_native.zstd_bounds(key, compresses)
    if isinstance(bounds, str):
        raise ValueError(f"invalid {kind} parameter '{name}'")
    raise ValueError(
        f"{kind} parameter '{name}' received an illegal value {value}; "
        f"the valid range is [{bounds[0]}, {bounds[1]}]"
    )


def _set_options(stream: Any, options: Any, compresses: bool) -> int | None:
    """Sets the parameters, and returns the compression level among them."""
    kind = "compression" if compresses else "decompression"
    if not isinstance(options, dict):
        raise TypeError(
            f"{'ZstdCompressor' if compresses else 'ZstdDecompressor'}() argument 'options' "
            f"must be dict, not {type(options).__name__}"
        )
    level = None
    for key, value in options.items():
        if _is_of(key, 1 if compresses else 0):
            other = "DecompressionParameter" if compresses else "CompressionParameter"
            raise TypeError(f"{kind} options dictionary key must not be a {other} attribute")
        key = _c_int(key, f"dictionary key out of range: {key!r}")
        value = _c_int(value, f"dictionary value out of range: {value!r}")
        if compresses and key == ZSTD_c_compressionLevel:
            _check_level(value)
            level = value
        _set_parameter(stream, key, value, compresses)
    return level


def _check_level(level: int) -> None:
    least, largest = _eryx_native.zstd_least_level, _eryx_native.zstd_largest_level
    if not least <= level <= largest:
        raise ValueError(
            f"illegal compression level {level}; the valid range is [{least}, {largest}]"
        )


@final
class ZstdDict:
    """Represents a Zstandard dictionary.

      dict_content
        The content of a Zstandard dictionary as a bytes-like object.
      is_raw
        If true, perform no checks on *dict_content*, useful for some
        advanced cases. Otherwise, check that the content represents
        a Zstandard dictionary created by the zstd library or CLI.

    The dictionary can be used for compression or decompression, and can be shared
    by multiple ZstdCompressor or ZstdDecompressor objects.
    """

    __slots__ = ("_content", "_digested", "_id")

    _content: bytes
    _digested: dict[int | None, Any]
    _id: int

    def __new__(cls, dict_content: Buffer, /, *, is_raw: bool = False) -> Self:
        """Returns a new dictionary."""
        self = super().__new__(cls)
        self._content = bytes(memoryview(dict_content))
        # Prepared dictionaries, by the compression level; None for decompression.
        self._digested = {}
        if len(self._content) < 8:
            raise ValueError(
                "Zstandard dictionary content too short (must have at least eight bytes)"
            )
        self._id = _eryx_native.zstd_dictionary_id(self._content)
        if not is_raw and not self._id:
            raise ValueError("invalid Zstandard dictionary")
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    def __len__(self) -> int:
        return len(self._content)

    def __repr__(self) -> str:
        return f"<ZstdDict dict_id={self._id} dict_size={len(self._content)}>"

    @property
    def dict_content(self) -> bytes:
        """The content of a Zstandard dictionary, as a bytes object."""
        return self._content

    @property
    def dict_id(self) -> int:
        """The Zstandard dictionary, an int between 0 and 2**32; 0 for a raw content dictionary."""
        return self._id

    @property
    def as_digested_dict(self) -> tuple[ZstdDict, int]:
        """Load as a digested dictionary to compressor."""
        return self, _DIGESTED

    @property
    def as_undigested_dict(self) -> tuple[ZstdDict, int]:
        """Load as an undigested dictionary to compressor."""
        return self, _UNDIGESTED

    @property
    def as_prefix(self) -> tuple[ZstdDict, int]:
        """Load as a prefix to compressor/decompressor."""
        return self, _PREFIX

    def _digest(self, level: int | None) -> Any:
        """Returns the dictionary prepared for a compression level, or None for decompression."""
        digested = self._digested.get(level)
        if digested is None:
            digested = _eryx_native.zstd_digest(self._content, level)
            if digested is None:
                raise ZstdError(
                    f"Failed to create a ZSTD_{'D' if level is None else 'C'}Dict instance from "
                    "Zstandard dictionary content."
                )
            self._digested[level] = digested
        return digested


def _load_dict(stream: Any, dictionary: Any, default: int, level: int | None, use: str) -> None:
    kind = default
    if type(dictionary) is tuple and len(dictionary) == 2 and isinstance(dictionary[1], int):
        dictionary, kind = dictionary
    if not isinstance(dictionary, ZstdDict) or kind not in (_DIGESTED, _UNDIGESTED, _PREFIX):
        raise TypeError("zstd_dict argument should be a ZstdDict object.")
    content = dictionary._digest(level) if kind == _DIGESTED else dictionary._content
    error = _eryx_native.zstd_load(stream, content, kind)
    if error is not None:
        raise ZstdError(f"Unable to load Zstandard dictionary or prefix for {use}: {error}")


@final
class ZstdCompressor:
    """Create a compressor object for compressing data incrementally.

    level
      The compression level to use. Defaults to COMPRESSION_LEVEL_DEFAULT.
    options
      A dict object that contains advanced compression parameters.
    zstd_dict
      A ZstdDict object, a pre-trained Zstandard dictionary.
    """

    __slots__ = ("_last_mode", "_stream")

    CONTINUE = 0
    FLUSH_BLOCK = 1
    FLUSH_FRAME = 2

    _last_mode: int
    _stream: Any

    def __new__(cls, level: int | None = None, options: Any = None, zstd_dict: Any = None) -> Self:
        """Returns a new compressor."""
        self = super().__new__(cls)
        self._stream = _eryx_native.zstd_compressor()
        self._last_mode = self.FLUSH_FRAME
        used_level: int | None = None
        if level is not None:
            if options is not None:
                raise TypeError("Only one of level or options should be used.")
            if not isinstance(level, int):
                raise TypeError("invalid type for level, expected int")
            used_level = _c_int(level, "compression level out of range")
            _check_level(used_level)
            _set_parameter(self._stream, ZSTD_c_compressionLevel, used_level, True)
        elif options is not None:
            used_level = _set_options(self._stream, options, True)
        if zstd_dict is not None:
            _load_dict(self._stream, zstd_dict, _UNDIGESTED, used_level or 0, "compression")
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    @property
    def last_mode(self) -> int:
        """The last mode used to this compressor object. Initialized to .FLUSH_FRAME."""
        return self._last_mode

    def compress(self, data: Buffer, mode: int = CONTINUE) -> bytes:
        """Provide data to the compressor object; return compressed data if possible."""
        if mode not in (self.CONTINUE, self.FLUSH_BLOCK, self.FLUSH_FRAME):
            raise ValueError(
                "mode argument wrong value, it should be one of ZstdCompressor.CONTINUE, "
                "ZstdCompressor.FLUSH_BLOCK, ZstdCompressor.FLUSH_FRAME."
            )
        return self._run(data, mode)

    def flush(self, mode: int = FLUSH_FRAME) -> bytes:
        """Finish the compression process; return the rest of the compressed data."""
        if mode not in (self.FLUSH_BLOCK, self.FLUSH_FRAME):
            raise ValueError(
                "mode argument wrong value, it should be ZstdCompressor.FLUSH_FRAME or "
                "ZstdCompressor.FLUSH_BLOCK."
            )
        return self._run(b"", mode)

    def set_pledged_input_size(self, size: int | None, /) -> None:
        """Set the uncompressed content size to be written into the frame header.

        It can only be called between frames. None means that the size is unknown.
        """
        if size is None:
            size = _CONTENT_SIZE_UNKNOWN
        elif not isinstance(size, int):
            raise TypeError(f"size must be an int or None, not {type(size).__name__}")
        elif not 0 <= size < _CONTENT_SIZE_ERROR:
            raise ValueError(
                "size argument should be a positive int less than the 64-bit value "
                f"{_CONTENT_SIZE_ERROR}"
            )
        if self._last_mode != self.FLUSH_FRAME:
            raise ValueError(
                "set_pledged_input_size() method must be called when last_mode == FLUSH_FRAME"
            )
        error = _eryx_native.zstd_pledge(self._stream, size)
        if error is not None:
            raise ZstdError(f"Unable to set pledged uncompressed content size: {error}")

    def _run(self, data: Buffer, mode: int) -> bytes:
        # A failed call ends the frame.
        self._last_mode = self.FLUSH_FRAME
        try:
            result = self._stream.run(data, 0, -1, mode)
        except MemoryError:
            _eryx_native.zstd_reset(self._stream)
            raise
        if len(result) == 2:
            _eryx_native.zstd_reset(self._stream)
            raise ZstdError(f"Unable to compress Zstandard data: {result[1]}")
        self._last_mode = mode
        output: bytes = result[0]
        return output


@final
class ZstdDecompressor(Decompressor):
    """Create a decompressor object for decompressing data incrementally.

    zstd_dict
      A ZstdDict object, a pre-trained Zstandard dictionary.
    options
      A dict object that contains advanced decompression parameters.
    """

    __slots__ = ()

    def __new__(cls, zstd_dict: Any = None, options: Any = None) -> Self:
        """Returns a new decompressor."""
        self = super().__new__(cls)
        self._begin(_eryx_native.zstd_decompressor())
        if zstd_dict is not None:
            _load_dict(self._stream, zstd_dict, _DIGESTED, None, "decompression")
        if options is not None:
            _set_options(self._stream, options, False)
        return self

    def decompress(self, data: Buffer, max_length: int = -1) -> bytes:
        """Decompress *data*, returning uncompressed bytes if possible, or b'' otherwise.

        If *max_length* is nonnegative, returns at most *max_length* bytes of
        decompressed data.
        """
        if self._eof:
            raise EOFError("Already at the end of a Zstandard frame.")
        try:
            return self._run(data, max_length)
        except MemoryError:
            self._reset()
            raise

    def _reset(self) -> None:
        _eryx_native.zstd_reset(self._stream)
        self._buffer, self._offset = b"", 0
        self._needs_input = True

    def _fail(self, code: int, text: str | None) -> NoReturn:
        self._reset()
        raise ZstdError(f"Unable to decompress Zstandard data: {text}")


def _train(
    content: bytes | None, samples: bytes, sizes: tuple[int, ...], size: int, level: int, use: str
) -> bytes:
    if size <= 0:
        raise ValueError("dict_size argument should be positive number.")
    if min(sizes, default=0) < 0 or sum(sizes) != len(samples):
        raise ValueError("The samples size tuple doesn't match the concatenation's size.")
    result = _eryx_native.zstd_train(content, samples, array("L", sizes), size, level)
    if isinstance(result, str):
        raise ZstdError(f"Unable to {use} the Zstandard dictionary: {result}")
    dictionary: bytes = result
    return dictionary


def train_dict(samples_bytes: bytes, samples_sizes: tuple[int, ...], dict_size: int, /) -> bytes:
    """Train a Zstandard dictionary on sample data."""
    return _train(None, samples_bytes, samples_sizes, dict_size, 0, "train")


def finalize_dict(
    custom_dict_bytes: bytes,
    samples_bytes: bytes,
    samples_sizes: tuple[int, ...],
    dict_size: int,
    compression_level: int,
    /,
) -> bytes:
    """Finalize a Zstandard dictionary."""
    return _train(
        custom_dict_bytes, samples_bytes, samples_sizes, dict_size, compression_level, "finalize"
    )


def get_param_bounds(parameter: int, is_compress: bool) -> tuple[int, int]:
    """Get CompressionParameter/DecompressionParameter bounds."""
    bounds = _eryx_native.zstd_bounds(parameter, is_compress)
    if isinstance(bounds, str):
        kind = "compression" if is_compress else "decompression"
        raise ZstdError(f"Unable to get zstd {kind} parameter bounds: {bounds}")
    result: tuple[int, int] = bounds
    return result


def get_frame_size(frame_buffer: Buffer) -> int:
    """Get the size of a Zstandard frame, including the header and optional checksum."""
    size = _eryx_native.zstd_frame_size(frame_buffer)
    if isinstance(size, str):
        raise ZstdError(
            "Error when finding the compressed size of a Zstandard frame. Ensure the frame_buffer "
            "argument starts from the beginning of a frame, and its length is not less than this "
            f"complete frame. Zstd error message: {size}."
        )
    result: int = size
    return result


def get_frame_info(frame_buffer: Buffer) -> tuple[int | None, int]:
    """Get Zstandard frame information from a frame header."""
    info = _eryx_native.zstd_frame_info(frame_buffer)
    if info is None:
        raise ZstdError(
            "Error when getting information from the header of a Zstandard frame. Ensure the "
            "frame_buffer argument starts from the beginning of a frame, and its length is not "
            "less than the frame header (6~18 bytes)."
        )
    result: tuple[int | None, int] = info
    return result


def set_parameter_types(c_parameter_type: type, d_parameter_type: type) -> None:
    """Set CompressionParameter and DecompressionParameter types for validity check."""
    global _parameter_types
    if not isinstance(c_parameter_type, type) or not isinstance(d_parameter_type, type):
        raise TypeError("set_parameter_types() takes types")
    _parameter_types = c_parameter_type, d_parameter_type
