"""Shortcuts through the standard library, for what nearly every request meets.

Each stands before a function of CPython, gives what that would have given, and hands on whatever it
does not know. Compiled to WebAssembly, Python takes twice its time, and these two take a third of
that of a request.
"""

import email.message
import email.parser
import functools
import http.client
import re
import urllib.parse
from typing import Any

# A block of header fields as RFC 9112 (5) has them: no line that continues the one before it, and
# no line that ends otherwise. Whatever else the parser of mail would make something of, it gets.
_FIELDS = re.compile(r"(?:[!-9;-~]++:[^\r\n]*+\r\n)*+\r\n").fullmatch
_FIELD = re.compile(r"([!-9;-~]++):[ \t]*+([^\r\n]*+)\r\n").findall

# Longer ones are not remembered.
_LONGEST_URL = 2048

_client: Any = http.client
_parse_header_lines = _client._parse_header_lines
_Message: Any = http.client.HTTPMessage
_parser: Any = email.parser
_Parser = _parser.Parser

_parse: Any = urllib.parse
_urlsplit = _parse._urlsplit
_clear_cache = _parse.clear_cache


def install() -> None:
    """Put them in their places."""
    _client._parse_header_lines = header_fields
    _parse._urlsplit = url_parts
    _parse.clear_cache = clear_cache


def _mail() -> tuple[Any, ...]:
    """What the parser of mail goes through: a program may have put something else in its place."""
    return (
        _client.email.parser,
        _parser.Parser,
        _Parser.parsestr,
        _Parser.parse,
        _parser.FeedParser,
        _Message.set_raw,
        _Message.set_payload,
        _Message.get_content_type,
    )


_MAIL = _mail()


def header_fields(header_lines: Any, _class: Any = _Message) -> Any:
    """`http.client._parse_header_lines`: the fields of a message, without the parser of mail."""
    joined = b"".join(header_lines)
    if _class is _Message and _mail() == _MAIL:
        block = joined.decode("iso-8859-1")
        if _FIELDS(block):
            fields = _FIELD(block)
            if not any(map(_composite, fields)):
                message = _Message()
                message._headers = fields
                message._payload = ""
                return message
    return _parse_header_lines([joined], _class)


def _composite(field: tuple[str, str]) -> bool:
    """Whether the parser of mail looks for a body of several parts."""
    name, value = field
    return len(name) == 12 and name.lower() == "content-type" and value.strip()[:1] in "mM"


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
