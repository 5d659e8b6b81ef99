"""Header fields, which CPython reads with its parser of mail."""

import email.message
import email.parser
import http.client
import re
from typing import Any

# A block of header fields as RFC 9112 (5) has them: no line that continues the one before it, and
# no line that ends otherwise. Whatever else the parser of mail would make something of, it gets.
_FIELDS = re.compile(r"(?:[!-9;-~]++:[^\r\n]*+\r\n)*+\r\n").fullmatch
_FIELD = re.compile(r"([!-9;-~]++):[ \t]*+([^\r\n]*+)\r\n").findall

_client: Any = http.client
_parse_header_lines = _client._parse_header_lines
_Message: Any = http.client.HTTPMessage
_parser: Any = email.parser
_Parser = _parser.Parser


def install() -> None:
    """Put it in its place."""
    _client._parse_header_lines = header_fields


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
