"""X.509 certificates (RFC 5280), parsed into the form of `getpeercert`."""

from __future__ import annotations

import base64
from typing import Any

from ..addresses import format_ipv4
from . import der
from .der import DerError, Reader
from .object_identifiers import long_name, short_name

ENCODING_PEM = 1
ENCODING_DER = 2

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_SUBJECT_ALT_NAME = "2.5.29.17"
_BASIC_CONSTRAINTS = "2.5.29.19"
_KEY_USAGE = "2.5.29.15"
_CRL_DISTRIBUTION_POINTS = "2.5.29.31"
_AUTHORITY_INFO_ACCESS = "1.3.6.1.5.5.7.1.1"
_OCSP = "1.3.6.1.5.5.7.48.1"
_CA_ISSUERS = "1.3.6.1.5.5.7.48.2"

# GeneralName's alternatives (RFC 5280, 4.2.1.6), context-specific tags.
_OTHER_NAME, _EMAIL, _DNS, _X400, _DIRECTORY, _EDI, _URI, _IP, _REGISTERED = (
    0xA0,
    0x81,
    0x82,
    0xA3,
    0xA4,
    0xA5,
    0x86,
    0x87,
    0x88,
)

Name = tuple[tuple[tuple[str, str], ...], ...]


class Fields:
    """The parsed fields of a certificate. The contents of extensions are not parsed."""

    __slots__ = (
        "extensions",
        "issuer",
        "not_after",
        "not_before",
        "public_key",
        "serial",
        "subject",
        "version",
    )

    def __init__(self, data: bytes) -> None:
        """Parses DER. Raises DerError."""
        outer = Reader(data)
        certificate = outer.expect(der.SEQUENCE)
        if outer:
            raise DerError("bytes after the certificate")
        body = certificate.expect(der.SEQUENCE)
        explicit = body.optional(0xA0)
        self.version = explicit.integer() + 1 if explicit is not None else 1
        self.serial = body.integer()
        body.expect(der.SEQUENCE)  # signature algorithm
        self.issuer = _name(body.expect(der.SEQUENCE))
        validity = body.expect(der.SEQUENCE)
        self.not_before = _time(*validity.element())
        self.not_after = _time(*validity.element())
        self.subject = _name(body.expect(der.SEQUENCE))
        self.public_key = body.expect(der.SEQUENCE)
        self.extensions: dict[str, Reader] = {}
        for unique in (0x81, 0x82):
            body.optional(unique)
        wrapped = body.optional(0xA3)
        if wrapped is not None:
            for extension in wrapped.expect(der.SEQUENCE).elements(der.SEQUENCE):
                oid = extension.object_identifier()
                if extension.peek() == der.BOOLEAN:
                    extension.boolean()
                self.extensions.setdefault(oid, extension.expect(der.OCTET_STRING))


def decode(data: bytes) -> dict[str, Any]:
    """Returns the result of `SSLSocket.getpeercert()` for a certificate. Raises DerError."""
    fields = Fields(data)
    decoded: dict[str, Any] = {
        "subject": fields.subject,
        "issuer": fields.issuer,
        "version": fields.version,
        "serialNumber": _serial(fields.serial),
        "notBefore": fields.not_before,
        "notAfter": fields.not_after,
    }
    names = fields.extensions.get(_SUBJECT_ALT_NAME)
    if names is not None:
        decoded["subjectAltName"] = _alternative_names(names.expect(der.SEQUENCE))
    access = fields.extensions.get(_AUTHORITY_INFO_ACCESS)
    if access is not None:
        locations = _access_locations(access.expect(der.SEQUENCE))
        for key, oid in (("OCSP", _OCSP), ("caIssuers", _CA_ISSUERS)):
            if locations.get(oid):
                decoded[key] = tuple(locations[oid])
    points = fields.extensions.get(_CRL_DISTRIBUTION_POINTS)
    if points is not None:
        uris = _distribution_uris(points.expect(der.SEQUENCE))
        if uris:
            decoded["crlDistributionPoints"] = uris
    return decoded


def public_key(data: bytes) -> tuple[str, bytes]:
    """Returns the algorithm and the bits of a certificate's public key. Raises DerError."""
    info = Fields(data).public_key
    algorithm = info.expect(der.SEQUENCE).object_identifier()
    return algorithm, info.expect(der.BIT_STRING).bytes()[1:]


def check_outline(data: bytes) -> None:
    """Raises DerError unless the outermost elements are those of one certificate.

    The fields are not parsed: a CA bundle has about 150 certificates, most of which are never used.
    """
    outer = Reader(data)
    certificate = outer.expect(der.SEQUENCE)
    if outer:
        raise DerError("bytes after the certificate")
    for tag in (der.SEQUENCE, der.SEQUENCE, der.BIT_STRING):
        certificate.expect(tag)
    if certificate:
        raise DerError("bytes after the signature")


def is_authority(data: bytes) -> bool:
    """Returns whether a certificate may issue others (`X509_check_ca`). Raises DerError."""
    fields = Fields(data)
    constraints = fields.extensions.get(_BASIC_CONSTRAINTS)
    if constraints is not None:
        contents = constraints.expect(der.SEQUENCE)
        return contents.peek() == der.BOOLEAN and contents.boolean()
    if fields.version == 1:
        return fields.subject == fields.issuer
    usage = fields.extensions.get(_KEY_USAGE)
    if usage is None:
        return False
    bits = usage.expect(der.BIT_STRING).bytes()
    # Bit 5 is keyCertSign (RFC 5280, 4.2.1.3); the first octet counts unused bits.
    return len(bits) > 1 and bool(bits[1] & 0x04)


def chain(first: bytes, others: list[bytes]) -> list[bytes]:
    """Returns a certificate, its issuer among `others`, the issuer's issuer, and so on, by name.

    Raises DerError.
    """
    links = [first]
    subjects = {Fields(data).subject: data for data in reversed(others)}
    while (fields := Fields(links[-1])).issuer != fields.subject:
        issuer = subjects.pop(fields.issuer, None)
        if issuer is None:
            break
        links.append(issuer)
    return links


def split(data: bytes) -> list[bytes]:
    """Splits concatenated certificates in DER. Raises DerError for any other contents."""
    reader = Reader(data)
    certificates = []
    start = 0
    while reader:
        contents = reader.expect(der.SEQUENCE)
        end = contents._end
        certificates.append(data[start:end])
        start = end
    for certificate in certificates:
        check_outline(certificate)
    return certificates


def _name(contents: Reader) -> Name:
    parts = []
    for relative in contents.elements(der.SET):
        attributes = []
        for attribute in relative.elements(der.SEQUENCE):
            oid = attribute.object_identifier()
            attributes.append((long_name(oid), der.text(*attribute.element())))
        parts.append(tuple(attributes))
    return tuple(parts)


def _time(tag: int, contents: Reader) -> str:
    """Returns a time in OpenSSL's format: `Jan  5 09:34:43 2018 GMT`."""
    digits = contents.bytes().decode("latin-1")
    if tag == der.UTC_TIME and len(digits) == 13:
        # RFC 5280, 4.1.2.5.1: the years 50 to 99 are 1950 to 1999.
        digits = ("19" if digits[:2] >= "50" else "20") + digits
    elif tag != der.GENERALIZED_TIME or len(digits) != 15:
        raise DerError("a time in a form RFC 5280 does not allow")
    if not (digits[-1] == "Z" and digits[:-1].isdigit() and digits.isascii()):
        raise DerError("a time in a form RFC 5280 does not allow")
    month = int(digits[4:6])
    if not 1 <= month <= 12:
        raise DerError("a month that does not exist")
    clock = f"{digits[8:10]}:{digits[10:12]}:{digits[12:14]}"
    return f"{_MONTHS[month - 1]} {int(digits[6:8]):2d} {clock} {digits[:4]} GMT"


def _serial(number: int) -> str:
    digits = format(abs(number), "X")
    return ("-" if number < 0 else "") + ("0" if len(digits) % 2 else "") + digits


def _ip(packed: bytes) -> str:
    if len(packed) == 4:
        return format_ipv4(packed)
    if len(packed) == 16:
        # OpenSSL's format, not that of RFC 5952.
        return ":".join(format(packed[at] << 8 | packed[at + 1], "X") for at in range(0, 16, 2))
    return "<invalid>"


def _alternative_names(contents: Reader) -> tuple[tuple[str, Any], ...]:
    names: list[tuple[str, Any]] = []
    kinds = {_EMAIL: "email", _DNS: "DNS", _URI: "URI"}
    while contents:
        tag, value = contents.element()
        if tag in kinds:
            names.append((kinds[tag], value.bytes().decode("utf-8", "replace")))
        elif tag == _IP:
            names.append(("IP Address", _ip(value.bytes())))
        elif tag == _DIRECTORY:
            names.append(("DirName", _name(value.expect(der.SEQUENCE))))
        elif tag == _REGISTERED:
            names.append(("Registered ID", long_name(der.dotted(value.bytes()))))
        elif tag in (_OTHER_NAME, _X400, _EDI):
            word = {_OTHER_NAME: "othername", _X400: "X400Name", _EDI: "EdiPartyName"}[tag]
            names.append((word, "<unsupported>"))
        else:
            raise DerError(f"a general name with tag {tag:#04x}")
    return tuple(names)


def _access_locations(contents: Reader) -> dict[str, list[str]]:
    locations: dict[str, list[str]] = {}
    for description in contents.elements(der.SEQUENCE):
        method = description.object_identifier()
        tag, location = description.element()
        if tag == _URI:
            locations.setdefault(method, []).append(location.bytes().decode("utf-8", "replace"))
    return locations


def _distribution_uris(contents: Reader) -> tuple[str, ...]:
    uris = []
    for point in contents.elements(der.SEQUENCE):
        named = point.optional(0xA0)
        if named is None or named.peek() != 0xA0:
            continue
        names = named.expect(0xA0)
        while names:
            tag, value = names.element()
            if tag == _URI:
                uris.append(value.bytes().decode("utf-8", "replace"))
    return tuple(uris)


class Certificate:
    """A certificate of a chain: an element of the result of `get_verified_chain`."""

    __slots__ = ("_data",)

    _data: bytes

    def __new__(cls, *arguments: Any, **named: Any) -> Certificate:
        raise TypeError(f"cannot create '_ssl.{cls.__name__}' instances")

    @classmethod
    def from_der(cls, data: bytes) -> Certificate:
        """Returns the certificate of these DER bytes, which are not checked."""
        self = object.__new__(cls)
        self._data = data
        return self

    def public_bytes(self, format: int = ENCODING_PEM) -> bytes | str:
        """Returns the certificate in DER (bytes) or PEM (str)."""
        if format == ENCODING_DER:
            return self._data
        if format == ENCODING_PEM:
            text = base64.encodebytes(self._data).decode("ascii").replace("\n", "")
            lines = [text[at : at + 64] for at in range(0, len(text), 64)]
            body = "\n".join(lines)
            return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
        raise ValueError("Unsupported format")

    def get_info(self) -> dict[str, Any]:
        """Returns the fields in the form of `getpeercert`."""
        return decode(self._data)

    def __eq__(self, other: object) -> bool:
        return self._data == other._data if isinstance(other, Certificate) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._data)

    def __repr__(self) -> str:
        try:
            # RFC 4514: in reverse order, with the attributes' short names.
            subject = ",".join(
                "+".join(f"{short_name(k)}={v}" for k, v in part)
                for part in reversed(Fields(self._data).subject)
            )
        except DerError:
            subject = "<malformed>"
        return f"<_ssl.Certificate '{subject}'>"


Certificate.__module__ = "_ssl"
