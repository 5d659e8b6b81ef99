"""Trust anchors a context loads, from files, directories and memory."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from . import certificate, pem
from .der import DerError
from .tls_errors import SSLError, ssl_error

CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
REVOCATION_LIST = "X509 CRL"


class Loaded(NamedTuple):
    """What a file or a directory holds, in DER."""

    certificates: list[bytes]
    revocation_lists: list[bytes]


def library_error(library: str) -> SSLError:
    """What OpenSSL says of a PEM file it cannot make sense of."""
    error = SSLError(0x80009, f"[{library}] PEM lib (_ssl.c:1000)")
    error.library = library
    error.reason = None
    return error


def _nothing_found() -> SSLError:
    error = SSLError(
        136, "[X509: NO_CERTIFICATE_OR_CRL_FOUND] no certificate or crl found (_ssl.c:1000)"
    )
    error.library = "X509"
    error.reason = "NO_CERTIFICATE_OR_CRL_FOUND"
    return error


def contents(path: Any) -> bytes:
    """A file's contents. Raises OSError."""
    with open(path, "rb") as file:
        return file.read()


def from_file(path: Any) -> Loaded:
    """The contents of a PEM file. Raises OSError, SSLError."""
    try:
        blocks = list(pem.blocks(contents(path)))
        found = [block.data for block in blocks if block.label in CERTIFICATES]
        for each in found:
            certificate.check_outline(each)
    except (pem.PemError, DerError):
        raise library_error("X509") from None
    lists = [block.data for block in blocks if block.label == REVOCATION_LIST]
    if not found and not lists:
        raise _nothing_found()
    return Loaded(found, lists)


def from_directory(path: Any) -> Loaded:
    """The contents of an OpenSSL directory (`c_rehash`): files named by hash and number, with an
    `r` before the number where it is a revocation list's.
    """
    found = Loaded([], [])
    try:
        names = sorted(os.listdir(os.fsdecode(path)))
    except OSError:
        # OpenSSL looks into it only when it needs to, and shrugs then.
        return found
    for name in names:
        stem, dot, number = name.partition(".")
        if dot and len(stem) == 8 and number.removeprefix("r").isdigit():
            inside = from_file(os.path.join(os.fsdecode(path), name))
            found.certificates.extend(inside.certificates)
            found.revocation_lists.extend(inside.revocation_lists)
    return found


def from_data(data: str | bytes) -> list[bytes]:
    """The certificates in PEM text or DER bytes. Raises ValueError, SSLError."""
    if not data:
        raise ValueError("Empty certificate data")
    found: list[bytes] = []
    if isinstance(data, str):
        what = "no start line"
        try:
            blocks = pem.blocks(data.encode("ascii"))
            found = [block.data for block in blocks if block.label in CERTIFICATES]
            for each in found:
                certificate.check_outline(each)
        except (pem.PemError, DerError):
            found = []
    else:
        what = "not enough data"
        try:
            found = certificate.split(data)
        except DerError:
            found = []
    if not found:
        raise SSLError(0, f"{what}: cadata does not contain a certificate (_ssl.c:1000)")
    return found


def shown(authorities: list[bytes]) -> list[dict[str, Any]]:
    """Certificates as `get_ca_certs` shows them."""
    try:
        return [certificate.decode(each) for each in authorities]
    except DerError:
        raise ssl_error("BAD_CERTIFICATE", "bad certificate: it cannot be decoded") from None
