"""CA certificates and revocation lists that a context loads: from files, directories and memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from . import certificate, pem
from .der import DerError
from .errors import SSLError, ssl_error

CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
REVOCATION_LIST = "X509 CRL"


class Loaded(NamedTuple):
    """The contents of a file or a directory, in DER."""

    certificates: list[bytes]
    revocation_lists: list[bytes]


def library_error(library: str) -> SSLError:
    """Returns OpenSSL's error for a malformed PEM file."""
    error = SSLError(0x80009, f"[{library}] PEM lib (_ssl.c:1000)")
    error.library = library
    error.reason = None
    return error


def read_file(path: Any) -> bytes:
    """Returns the contents of a file. Raises OSError."""
    with open(path, "rb") as file:
        return file.read()


def from_file(path: Any) -> Loaded:
    """Returns the contents of a PEM file. Raises OSError and SSLError."""
    try:
        blocks = list(pem.blocks(read_file(path)))
        certificates = _certificates(blocks)
    except (pem.PemError, DerError):
        raise library_error("X509") from None
    lists = [block.data for block in blocks if block.label == REVOCATION_LIST]
    if not certificates and not lists:
        raise ssl_error("NO_CERTIFICATE_OR_CRL_FOUND", code=136, library="X509")
    return Loaded(certificates, lists)


def _certificates(blocks: Iterable[pem.Block]) -> list[bytes]:
    """Returns the certificates among blocks. Raises PemError and DerError."""
    certificates = [block.data for block in blocks if block.label in CERTIFICATES]
    for data in certificates:
        certificate.check_outline(data)
    return certificates


def from_directory(path: Any) -> Loaded:
    """Returns the contents of an OpenSSL directory (`c_rehash`).

    Its files are named by hash and number, with an `r` before the number for a revocation list.
    """
    loaded = Loaded([], [])
    try:
        names = sorted(os.listdir(os.fsdecode(path)))
    except OSError:
        # OpenSSL opens the directory only when it needs to, and ignores errors then.
        return loaded
    for name in names:
        stem, dot, number = name.partition(".")
        if dot and len(stem) == 8 and number.removeprefix("r").isdigit():
            file = from_file(os.path.join(os.fsdecode(path), name))
            loaded.certificates.extend(file.certificates)
            loaded.revocation_lists.extend(file.revocation_lists)
    return loaded


def from_data(data: str | bytes) -> list[bytes]:
    """Returns the certificates in PEM text or DER bytes. Raises ValueError and SSLError."""
    if not data:
        raise ValueError("Empty certificate data")
    certificates: list[bytes] = []
    with contextlib.suppress(pem.PemError, DerError):
        if isinstance(data, str):
            certificates = _certificates(pem.blocks(data.encode("ascii")))
        else:
            certificates = certificate.split(data)
    if not certificates:
        reason = "no start line" if isinstance(data, str) else "not enough data"
        raise SSLError(0, f"{reason}: cadata does not contain a certificate (_ssl.c:1000)")
    return certificates


def decode_all(certificates: list[bytes]) -> list[dict[str, Any]]:
    """Returns certificates in the form of `get_ca_certs`."""
    try:
        return [certificate.decode(data) for data in certificates]
    except DerError:
        raise ssl_error("BAD_CERTIFICATE", "bad certificate: it cannot be decoded") from None
