"""A cache for `urllib.parse._urlsplit`, as programs parse the same URLs repeatedly."""

import functools
import urllib.parse
from typing import Any

# The length of the longest cached URL in characters.
_MAX_URL = 2048

_parse: Any = urllib.parse
_urlsplit = _parse._urlsplit
_clear_cache = _parse.clear_cache


def install() -> None:
    """Replaces `_urlsplit` and `clear_cache` of `urllib.parse`."""
    _parse._urlsplit = urlsplit
    _parse.clear_cache = clear_cache


def _urlsplit_globals() -> tuple[Any, ...]:
    """Returns the globals that `_urlsplit` uses, which a program may have patched."""
    return (
        _parse._checknetloc,
        _parse._check_bracketed_netloc,
        _parse.scheme_chars,
        _parse._UNSAFE_URL_BYTES_TO_REMOVE,
    )


_STOCK_GLOBALS = _urlsplit_globals()


def urlsplit(url: Any, scheme: Any = None, allow_fragments: Any = True) -> Any:
    """Splits a URL like `urllib.parse._urlsplit`, from a cache.

    Before CPython 3.14, `urlparse` used the cache of `urlsplit`.
    """
    if (
        url.__class__ is str
        and len(url) <= _MAX_URL
        and (scheme is None or scheme.__class__ is str)
        and allow_fragments is True
        and _urlsplit_globals() == _STOCK_GLOBALS
    ):
        return _cached_urlsplit(url, scheme)
    return _urlsplit(url, scheme, allow_fragments)


def clear_cache() -> None:
    """Clears the caches like `urllib.parse.clear_cache`, and this one."""
    _clear_cache()
    _cached_urlsplit.cache_clear()


@functools.lru_cache
def _cached_urlsplit(url: str, scheme: str | None) -> Any:
    return _urlsplit(url, scheme)
