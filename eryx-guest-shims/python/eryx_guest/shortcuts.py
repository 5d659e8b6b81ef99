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

_Message = http.client.HTTPMessage
_Parser = email.parser.Parser

_client: Any = http.client
_parse_header_lines = _client._parse_header_lines
_parse: Any = urllib.parse
_urlsplit = _parse._urlsplit


def install() -> None:
    """Put them in their places."""
    _client._parse_header_lines = header_fields
    _parse._urlsplit = url_parts


def header_fields(header_lines: list[bytes], _class: Any = _Message) -> Any:
    """`http.client._parse_header_lines`: the fields of a message, without the parser of mail."""
    if _class is _Message and email.parser.Parser is _Parser:
        block = b"".join(header_lines).decode("iso-8859-1")
        if _FIELDS(block):
            fields = _FIELD(block)
            if not any(map(_composite, fields)):
                message: Any = _Message()
                message._headers = fields
                message._payload = ""
                return message
    return _parse_header_lines(header_lines, _class)


def _composite(field: tuple[str, str]) -> bool:
    """Whether the parser of mail looks for a body of several parts."""
    name, value = field
    return len(name) == 12 and name.lower() == "content-type" and value.strip()[:1] in "mM"


def url_parts(url: Any, scheme: Any = None, allow_fragments: Any = True) -> Any:
    """`urllib.parse._urlsplit`: what was taken apart just now is remembered.

    Before CPython 3.14, `urlparse` went through the memory of `urlsplit`.
    """
    if (
        url.__class__ is str
        and len(url) <= _LONGEST_URL
        and (scheme is None or scheme.__class__ is str)
        and allow_fragments is True
    ):
        return _remembered(url, scheme)
    return _urlsplit(url, scheme, allow_fragments)


@functools.lru_cache
def _remembered(url: str, scheme: str | None) -> Any:
    return _urlsplit(url, scheme)
