"""Values as JSON (RFC 8259): how they pass between a program and its host.

Both sides use this module. A value is `None`, a bool, an int of up to 4,300 digits, a finite float,
a str, bytes, a list or tuple of values, or a dict from str to values. Bytes are written as
`{"$bytes": "base64"}`. All else is refused: nothing changes on its way, except that a tuple arrives
as a list.
"""

# The host side may be as old as Python 3.9.
from __future__ import annotations

import base64
import json
import json.encoder
from typing import Any

# The most nested lists and dicts.
MAX_DEPTH = 100

# The most bytes of JSON that pass between a program and its host at once.
MAX_BYTES = 3 << 20

# The key of the object that stands for bytes.
_BYTES_KEY = "$bytes"

_ATOMS = frozenset({type(None), bool, int, float, str, bytes})


class TooLargeError(ValueError):
    """The JSON of a value has more bytes than it may."""


def encode(value: Any, max_bytes: int, name: str = "value") -> bytes:
    """Returns the JSON of `value` in UTF-8, at most `max_bytes`.

    Raises TypeError or ValueError for a value that JSON cannot express, and TooLargeError. The
    message begins with `name` and the path in it.
    """
    kind = type(value)
    try:
        # The encoder takes several times as long as these.
        if kind is int:
            data: bytes = b"%d" % value
        elif kind is str:
            data = _encode_str(value).encode()
        else:
            if kind not in _ATOMS:
                _Checker(max_bytes).check(value, 0)
            data = _text(value).encode()
    except _RefusalError as refusal:
        raise refusal.exception(name) from None
    except UnicodeEncodeError:
        raise ValueError(
            f"{name}{_refused_place(value)}: a str has surrogates, which UTF-8 cannot encode: "
            "leave them out"
        ) from None
    except ValueError as error:
        name += _refused_place(value)
        # A float that is not finite, or an int of very many digits.
        raise ValueError(f"{name}: {error}") from None
    if len(data) > max_bytes:
        raise TooLargeError(f"{name}: its JSON has {len(data)} bytes; the limit is {max_bytes}")
    return data


def encode_call(args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> bytes:
    """Returns the JSON of the arguments of a call of the function `name`: `[args, kwargs]`.

    Raises TypeError, ValueError or TooLargeError as `encode` does.
    """
    # Most calls have a few arguments, which need no search for values that are not JSON.
    if not kwargs and _ATOMS.issuperset(map(type, args)):
        try:
            data = _text([args, kwargs]).encode()
        except ValueError:
            # `encode` says why.
            pass
        else:
            if len(data) <= MAX_BYTES:
                return data
    return encode([args, kwargs], MAX_BYTES, f"arguments of {name}")


def decode(data: bytes) -> Any:
    """Returns the value of `data`, JSON in UTF-8. Raises ValueError for other text."""
    text = data.decode()
    if _BYTES_KEY in text:
        return json.loads(text, object_hook=_object)
    # What `json.loads` does beside this takes longer than a small value.
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        end = -1
    return value if end == len(text) else json.loads(text)


def _object(members: dict[str, Any]) -> Any:
    if len(members) == 1 and isinstance(text := members.get(_BYTES_KEY), str):
        return base64.b64decode(text, validate=True)
    return members


def _bytes_object(value: bytes) -> dict[str, str]:
    return {_BYTES_KEY: base64.b64encode(value).decode()}


_ENCODER = json.JSONEncoder(
    ensure_ascii=False,
    check_circular=False,
    allow_nan=False,
    separators=(",", ":"),
    default=_bytes_object,
)


_scan: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def _text(value: Any) -> str:
    """Returns the JSON of `value`."""
    return "".join(_chunks(value, 0)) if _chunks is not None else _ENCODER.encode(value)


_encode_str: Any = json.encoder.encode_basestring

# What `_ENCODER.encode` calls. It makes a new one each time, which takes longer than a small value.
_chunks: Any = getattr(json.encoder, "c_make_encoder", None)
if _chunks is not None:
    _chunks = _chunks(None, _ENCODER.default, _encode_str, None, ":", ",", False, False, False)


class _RefusalError(Exception):
    """A part of a value is not JSON."""

    def __init__(self, kind: type[Exception], reason: str) -> None:
        super().__init__()
        self.kind = kind
        self.reason = reason
        # The steps to the part, the last one first.
        self.path: list[str] = []

    def exception(self, name: str) -> Exception:
        """Returns the exception for the value `name`."""
        return self.kind(f"{name}{_place(self.path)}: {self.reason}")


class _Checker:
    """Checks that a value is JSON, before the encoder would change a part of it silently."""

    def __init__(self, max_bytes: int) -> None:
        # Each part has at least one byte.
        self.max_parts = max_bytes
        self.parts = 0
        self.ancestors: set[int] = set()

    def check(self, value: Any, depth: int) -> None:
        """Raises a `_RefusalError` unless `value` is JSON."""
        # `isinstance` would believe the `__class__` of a proxy, which the encoder does not.
        kind = type(value)
        if issubclass(kind, dict):
            self._check_dict(value, depth)
        elif issubclass(kind, (list, tuple)):
            self._check_items(value, value, depth)
        elif not issubclass(kind, (str, int, float, bytes, type(None))):
            raise _RefusalError(
                TypeError,
                f"{kind.__module__}.{kind.__qualname__} is not a JSON type; convert it to a dict, "
                "list, str, int, float, bool, bytes or None",
            )

    def _check_dict(self, value: dict[Any, Any], depth: int) -> None:
        for key in value:
            if not issubclass(type(key), str):
                raise _RefusalError(
                    TypeError,
                    f"the key {_shortened(key)} is not a str; JSON has no other keys, so write "
                    "{str(key): ...}",
                )
        if len(value) == 1 and _BYTES_KEY in value:
            raise _RefusalError(
                ValueError, f'a dict whose only key is "{_BYTES_KEY}" stands for bytes; rename it'
            )
        self._check_items(value, value.values(), depth)

    def _check_items(self, container: Any, items: Any, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise _RefusalError(
                ValueError, f"lists and dicts are nested more than {MAX_DEPTH} levels deep"
            )
        self.parts += len(container)
        if self.parts > self.max_parts:
            raise _RefusalError(
                TooLargeError, f"it is too large: its JSON may have at most {self.max_parts} bytes"
            )
        # Decided without a loop in Python: most containers are large and flat.
        kinds = set(map(type, items))
        if kinds <= _ATOMS:
            return
        if id(container) in self.ancestors:
            raise _RefusalError(ValueError, "it contains itself")
        self.ancestors.add(id(container))
        position: Any = 0
        keys = iter(container) if isinstance(container, dict) else None
        try:
            for position, item in enumerate(items):
                if keys is not None:
                    position = next(keys)
                if type(item) not in _ATOMS:
                    self.check(item, depth + 1)
        except _RefusalError as refusal:
            refusal.path.append(f"[{_shortened(position)}]")
            raise
        self.ancestors.discard(id(container))


def _refused_place(value: Any) -> str:
    """Returns the place of the first part that the encoder refuses in a value that is JSON for a
    `_Checker`.
    """
    return _place(_refused_path(value) or [])


def _refused_path(value: Any) -> list[str] | None:
    """Returns the steps to the first part that the encoder refuses, the last one first; `None` if
    there is none. A `_Checker` has bounded the depth and the number of parts.
    """
    parts: Any
    if isinstance(value, dict):
        parts = ((key, part) for key, item in value.items() for part in (key, item))
    elif isinstance(value, (list, tuple)):
        parts = enumerate(value)
    else:
        try:
            _text(value).encode()
        except ValueError:
            return []
        return None
    for position, part in parts:
        path = _refused_path(part)
        if path is not None:
            path.append(f"[{_shortened(position)}]")
            return path
    return None


def _place(path: list[str]) -> str:
    """Returns the text of a path, whose last step is the first one of `path`."""
    steps = path[::-1]
    if len(steps) > 8:
        steps[4:-4] = ["..."]
    return "".join(steps)


def _shortened(key: Any) -> str:
    kind = type(key)
    text = ascii(key) if issubclass(kind, (str, int, float, bytes, type(None))) else kind.__name__
    return text if len(text) <= 40 else f"{text[:38]}...{text[0]}"
