"""Certificates a context has loaded: trust anchors, and the program's own chain and key."""

from __future__ import annotations

import os
from typing import Any

from . import certificate, pem
from .der import DerError
from .tls_errors import SSLError, refusal, ssl_error

_CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
_KEYS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")


def _library_error(library: str) -> SSLError:
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


def _read(path: Any) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def from_file(path: Any) -> list[bytes]:
    """The certificates of a PEM file, in DER. Raises OSError, SSLError."""
    try:
        found = [block.data for block in pem.blocks(_read(path)) if block.label in _CERTIFICATES]
        for each in found:
            certificate.check_outline(each)
    except (pem.PemError, DerError):
        raise _library_error("X509") from None
    if not found:
        raise _nothing_found()
    return found


def from_directory(path: Any) -> list[bytes]:
    """The certificates of an OpenSSL directory (`c_rehash`): files named by hash and number."""
    found: list[bytes] = []
    try:
        names = sorted(os.listdir(path))
    except OSError:
        # OpenSSL looks into it only when it needs to, and shrugs then.
        return found
    for name in names:
        stem, dot, number = name.partition(".")
        if dot and len(stem) == 8 and number.isdigit():
            found += from_file(os.path.join(os.fsdecode(path), name))
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
            found = [block.data for block in blocks if block.label in _CERTIFICATES]
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


def own_identity(certfile: Any, keyfile: Any, password: Any) -> tuple[list[bytes], bytes]:
    """The program's certificate chain and private key, in DER. Raises OSError, SSLError."""
    try:
        first = list(pem.blocks(_read(certfile)))
        second = first if keyfile is None else list(pem.blocks(_read(keyfile)))
        chain = [block.data for block in first if block.label in _CERTIFICATES]
        for each in chain:
            certificate.check_outline(each)
    except (pem.PemError, DerError):
        raise _library_error("SSL") from None
    for block in second:
        encrypted = block.label == "ENCRYPTED PRIVATE KEY" or any(
            header.startswith("Proc-Type:") and "ENCRYPTED" in header for header in block.headers
        )
        if encrypted:
            hint = "" if password is None else "; a password does not help"
            raise refusal(
                "encrypted private keys cannot be read in a sandbox" + hint + ": decrypt the key "
                "first, for instance with `openssl pkey`"
            )
    keys = [block.data for block in second if block.label in _KEYS]
    if not chain or not keys:
        raise _library_error("SSL")
    return chain, keys[0]


def shown(authorities: list[bytes]) -> list[dict[str, Any]]:
    """Certificates as `get_ca_certs` shows them."""
    try:
        return [certificate.decode(each) for each in authorities]
    except DerError:
        raise ssl_error("BAD_CERTIFICATE", "bad certificate: it cannot be decoded") from None
