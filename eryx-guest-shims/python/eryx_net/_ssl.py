"""CPython's `_ssl` over the host's TLS; `ssl.py` above it is CPython's own.

It offers the client side of TLS 1.2 and 1.3. The host verifies certificates: a program can neither
disable verification nor add certificate authorities unless the embedder permits it, and an attempt
fails instead of being ignored.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from .buffers import to_bytes
from .builtin_functions import make_built_in
from .tls import ca_certificates, certificate, constants
from .tls.certificate import Certificate
from .tls.ciphers import DEFAULT_STRING
from .tls.constants import *  # noqa: F403
from .tls.context import _SSLContext
from .tls.errors import (
    SSLCertVerificationError,
    SSLEOFError,
    SSLError,
    SSLSyscallError,
    SSLWantReadError,
    SSLWantWriteError,
    SSLZeroReturnError,
)
from .tls.memory_bio import MemoryBIO
from .tls.object_identifiers import nid2obj, txt2obj
from .tls.ssl_object import SSLObjectBase as _SSLSocket
from .tls.ssl_object import SSLSession

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
__all__ += [name for name in vars(constants) if not name.startswith("_") and name[:2].isupper()]

# Libraries parse the first word and compare the numbers; the rest of the text names the backend.
OPENSSL_VERSION = "OpenSSL 3.0.0 compatible (rustls, on the sandbox's host)"
OPENSSL_VERSION_NUMBER = 0x30000000
OPENSSL_VERSION_INFO = _OPENSSL_API_VERSION = (3, 0, 0, 0, 0)

_DEFAULT_CIPHERS = DEFAULT_STRING


def RAND_bytes(n: int, /) -> bytes:  # noqa: N802 - CPython's name
    """Returns `n` strong random bytes. Raises ValueError for a negative number."""
    if n < 0:
        raise ValueError("num must be positive")
    return os.urandom(n)


def RAND_status() -> bool:  # noqa: N802
    """Returns whether the random number generator is seeded, which it always is."""
    return True


def RAND_add(string: Any, entropy: float, /) -> None:  # noqa: N802
    """Checks its arguments only: the host's random number generator needs no seed."""
    if not isinstance(string, str):
        to_bytes(string)
    float(entropy)


def get_default_verify_paths() -> tuple[str, str, str, str]:
    """Returns OpenSSL's locations of trust anchors: environment variable and path, file first."""
    return "SSL_CERT_FILE", "/usr/lib/ssl/cert.pem", "SSL_CERT_DIR", "/usr/lib/ssl/certs"


def _test_decode_cert(path: Any, /) -> dict[str, Any]:
    return certificate.decode(ca_certificates.from_file(path).certificates[0])


make_built_in(
    sys.modules[__name__],
    "_ssl",
    ("RAND_add", "RAND_bytes", "RAND_status", "get_default_verify_paths", "nid2obj", "txt2obj"),
)
