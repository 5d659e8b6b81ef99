"""URLs, which programs take apart again and again."""

import functools
import urllib.parse
from typing import Any

# Longer ones are not remembered.
_LONGEST_URL = 2048

_parse: Any = urllib.parse
_urlsplit = _parse._urlsplit
_clear_cache = _parse.clear_cache


def install() -> None:
    """Put them in their places."""
    _parse._urlsplit = url_parts
    _parse.clear_cache = clear_cache


def _rules() -> tuple[Any, ...]:
    """What a URL is taken apart by: a program may have put something else in its place."""
    return (
        _parse._checknetloc,
        _parse._check_bracketed_netloc,
        _parse.scheme_chars,
        _parse._UNSAFE_URL_BYTES_TO_REMOVE,
    )


_RULES = _rules()


def url_parts(url: Any, scheme: Any = None, allow_fragments: Any = True) -> Any:
    """`urllib.parse._urlsplit`: what was taken apart just now is remembered.

    Before CPython 3.14, `urlparse` went through the memory of `urlsplit`.
    """
    if (
        url.__class__ is str
        and len(url) <= _LONGEST_URL
        and (scheme is None or scheme.__class__ is str)
        and allow_fragments is True
        and _rules() == _RULES
    ):
        return _remembered(url, scheme)
    return _urlsplit(url, scheme, allow_fragments)


def clear_cache() -> None:
    """`urllib.parse.clear_cache`: forget those, too."""
    _clear_cache()
    _remembered.cache_clear()


@functools.lru_cache
def _remembered(url: str, scheme: str | None) -> Any:
    return _urlsplit(url, scheme)
