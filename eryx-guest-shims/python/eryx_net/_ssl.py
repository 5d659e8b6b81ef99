"""CPython's `_ssl` over the host's TLS; `ssl.py` on top of it stays CPython's own.

The client side of TLS 1.2 and 1.3. Trust is the host's: verification cannot be switched off and no
authority added unless the embedder permits it, and an attempt fails rather than being ignored.
"""

from __future__ import annotations

import os
from typing import Any

from . import certificate, tls_constants, trust
from .buffers import octets
from .certificate import Certificate
from .ciphers import DEFAULT_STRING
from .memory_bio import MemoryBIO
from .object_identifiers import nid2obj, txt2obj
from .tls_constants import *  # noqa: F403
from .tls_context import _SSLContext
from .tls_errors import (
    SSLCertVerificationError,
    SSLEOFError,
    SSLError,
    SSLSyscallError,
    SSLWantReadError,
    SSLWantWriteError,
    SSLZeroReturnError,
)
from .tls_object import SSLObjectBase as _SSLSocket
from .tls_object import SSLSession

__all__ = [
    "OPENSSL_VERSION",
    "OPENSSL_VERSION_INFO",
    "OPENSSL_VERSION_NUMBER",
    "_DEFAULT_CIPHERS",
    "_OPENSSL_API_VERSION",
    "Certificate",
    "MemoryBIO",
    "RAND_add",
    "RAND_bytes",
    "RAND_status",
    "SSLCertVerificationError",
    "SSLEOFError",
    "SSLError",
    "SSLSession",
    "SSLSyscallError",
    "SSLWantReadError",
    "SSLWantWriteError",
    "SSLZeroReturnError",
    "_SSLContext",
    "_SSLSocket",
    "get_default_verify_paths",
    "nid2obj",
    "txt2obj",
]
__all__ += [name for name in vars(tls_constants) if not name.startswith("_") and name[:2].isupper()]

# Libraries look for the first word and compare the numbers; the rest says what it really is.
OPENSSL_VERSION = "OpenSSL 3.0.0 compatible (rustls, on the sandbox's host)"
OPENSSL_VERSION_NUMBER = 0x30000000
OPENSSL_VERSION_INFO = _OPENSSL_API_VERSION = (3, 0, 0, 0, 0)

_DEFAULT_CIPHERS = DEFAULT_STRING


def RAND_bytes(n: int, /) -> bytes:  # noqa: N802 - CPython's name
    """Strong random bytes. Raises ValueError for a negative number."""
    if n < 0:
        raise ValueError("num must be positive")
    return os.urandom(n)


def RAND_status() -> bool:  # noqa: N802
    """Whether there is enough randomness: always."""
    return True


def RAND_add(string: Any, entropy: float, /) -> None:  # noqa: N802
    """Mix in randomness of the program's own; the host's generator has no need of it."""
    if not isinstance(string, str):
        octets(string)
    float(entropy)


def get_default_verify_paths() -> tuple[str, str, str, str]:
    """Where OpenSSL would look for trust anchors: variable and path of file and directory."""
    return "SSL_CERT_FILE", "/usr/lib/ssl/cert.pem", "SSL_CERT_DIR", "/usr/lib/ssl/certs"


def _test_decode_cert(path: Any, /) -> dict[str, Any]:
    return certificate.decode(trust.from_file(path).certificates[0])
