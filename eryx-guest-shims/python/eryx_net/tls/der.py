"""A strict DER parser (ITU-T X.690): definite minimal lengths, and no trailing bytes."""

from __future__ import annotations

from collections.abc import Iterator

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
UTF8_STRING = 0x0C
NUMERIC_STRING = 0x12
PRINTABLE_STRING = 0x13
T61_STRING = 0x14
IA5_STRING = 0x16
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
VISIBLE_STRING = 0x1A
UNIVERSAL_STRING = 0x1C
BMP_STRING = 0x1E
SEQUENCE = 0x30
SET = 0x31


class DerError(ValueError):
    """The bytes are not valid DER, or not the expected structure."""


class Reader:
    """A position in the contents of one element."""

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._at = start
        self._end = len(data) if end is None else end

    def __bool__(self) -> bool:
        """Returns whether bytes are left."""
        return self._at < self._end

    def peek(self) -> int | None:
        """Returns the tag of the next element, None at the end."""
        return self._data[self._at] if self else None

    def element(self) -> tuple[int, Reader]:
        """Reads the next element; returns its tag and a reader of its contents."""
        data, at = self._data, self._at
        if at + 2 > self._end:
            raise DerError("an element is cut short")
        tag, length = data[at], data[at + 1]
        if tag & 0x1F == 0x1F:
            raise DerError("a tag of several bytes")
        at += 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4 or at + size > self._end:
                raise DerError("a length that is indefinite or too long")
            length = int.from_bytes(data[at : at + size], "big")
            at += size
            if length < 0x80 or length >> (8 * (size - 1)) == 0:
                raise DerError("a length that is not minimal")
        if at + length > self._end:
            raise DerError("an element is cut short")
        self._at = at + length
        return tag, Reader(data, at, at + length)

    def expect(self, tag: int) -> Reader:
        """Reads the contents of the next element, which must have this tag."""
        actual, contents = self.element()
        if actual != tag:
            raise DerError(f"tag {actual:#04x} instead of {tag:#04x}")
        return contents

    def optional(self, tag: int) -> Reader | None:
        """Reads the contents of the next element if it has this tag."""
        return self.expect(tag) if self.peek() == tag else None

    def elements(self, tag: int) -> Iterator[Reader]:
        """Reads the contents of all remaining elements, which must have this tag."""
        while self:
            yield self.expect(tag)

    def bytes(self) -> bytes:
        """Reads all remaining bytes."""
        data = self._data[self._at : self._end]
        self._at = self._end
        return data

    def boolean(self) -> bool:
        """Reads a BOOLEAN."""
        value = self.expect(BOOLEAN).bytes()
        if value not in (b"\x00", b"\xff"):
            raise DerError("a boolean that is neither true nor false")
        return value == b"\xff"

    def integer(self) -> int:
        """Reads an INTEGER."""
        value = self.expect(INTEGER).bytes()
        if not value or (
            len(value) > 1 and value[0] in (0, 0xFF) and value[0] >> 7 == value[1] >> 7
        ):
            raise DerError("an integer that is not minimal")
        return int.from_bytes(value, "big", signed=True)

    def object_identifier(self) -> str:
        """Reads an OBJECT IDENTIFIER; returns its dotted form."""
        return dotted(self.expect(OBJECT_IDENTIFIER).bytes())


def dotted(value: bytes) -> str:
    """Returns the dotted form of an OBJECT IDENTIFIER's contents."""
    if not value or value[-1] & 0x80 or len(value) > 128:
        raise DerError("an object identifier that is cut short or too long")
    arcs: list[int] = []
    number = 0
    fresh = True
    for octet in value:
        if fresh and octet == 0x80:
            raise DerError("an object identifier that is not minimal")
        number = number << 7 | octet & 0x7F
        fresh = not octet & 0x80
        if fresh:
            arcs.append(number)
            number = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


_ENCODINGS = {
    UTF8_STRING: "utf-8",
    NUMERIC_STRING: "latin-1",
    PRINTABLE_STRING: "latin-1",
    T61_STRING: "latin-1",
    IA5_STRING: "latin-1",
    VISIBLE_STRING: "latin-1",
    UNIVERSAL_STRING: "utf-32-be",
    BMP_STRING: "utf-16-be",
}


def text(tag: int, contents: Reader) -> str:
    """Returns the text of a character string of any type that a name may contain."""
    encoding = _ENCODINGS.get(tag)
    if encoding is None:
        raise DerError(f"tag {tag:#04x} instead of a character string")
    try:
        return contents.bytes().decode(encoding)
    except UnicodeDecodeError:
        raise DerError("a character string in the wrong encoding") from None
