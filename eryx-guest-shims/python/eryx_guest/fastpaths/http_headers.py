"""A fast path for HTTP header fields, which CPython parses with `email.parser`."""

import email.message
import email.parser
import http.client
import re
from typing import Any

# A block of header fields (RFC 9112, 5) without continuation lines, in which every line ends with
# CRLF. `email.parser` parses all other blocks.
_FIELDS = re.compile(r"(?:[!-9;-~]++:[^\r\n]*+\r\n)*+\r\n").fullmatch
_FIELD = re.compile(r"([!-9;-~]++):[ \t]*+([^\r\n]*+)\r\n").findall

_client: Any = http.client
_parse_header_lines = _client._parse_header_lines
_Message: Any = http.client.HTTPMessage
_parser: Any = email.parser
_Parser = _parser.Parser


def install() -> None:
    """Replaces `http.client._parse_header_lines`."""
    _client._parse_header_lines = parse_header_lines


def _email_functions() -> tuple[Any, ...]:
    """Returns the functions that `email.parser` uses, which a program may have patched."""
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


_STOCK_FUNCTIONS = _email_functions()


def parse_header_lines(header_lines: Any, _class: Any = _Message) -> Any:
    """Parses header fields like `http.client._parse_header_lines`, without `email.parser`."""
    joined = b"".join(header_lines)
    if _class is _Message and _email_functions() == _STOCK_FUNCTIONS:
        block = joined.decode("iso-8859-1")
        if _FIELDS(block):
            fields = _FIELD(block)
            if not any(map(_is_composite, fields)):
                message = _Message()
                message._headers = fields
                message._payload = ""
                return message
    return _parse_header_lines([joined], _class)


def _is_composite(field: tuple[str, str]) -> bool:
    """Returns whether `email.parser` would parse a body of several parts."""
    name, value = field
    return len(name) == 12 and name.lower() == "content-type" and value.strip()[:1] in "mM"
