"""Private keys encrypted with a password (PKCS#5, RFC 8018). The host decrypts them: it is given
the key anyway, for a handshake, and WASI has no cryptography to do it with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import host
from .buffers import base64_text
from .der import DerError
from .tls_errors import SSLError

# What OpenSSL has room for.
_LONGEST = 1024


def password_getter(password: Any) -> Callable[[], bytes] | None:
    """What gives the password of `load_cert_chain`; None without one. Raises as CPython does."""
    if password is None:
        return None
    if callable(password):
        return lambda: _octets(password(), "password callback must return a string")
    known = _octets(password, "password should be a string or callable")
    return lambda: known


def _octets(password: Any, complaint: str) -> bytes:
    if isinstance(password, str):
        password = password.encode()
    if not isinstance(password, (bytes, bytearray)):
        raise TypeError(complaint)
    if len(password) > _LONGEST:
        raise ValueError(f"password cannot be longer than {_LONGEST} bytes")
    return bytes(password)


def decrypt(data: bytes, password: bytes) -> bytes:
    """The PKCS#8 key in an EncryptedPrivateKeyInfo (RFC 5958, 3).

    Raises DerError, also for a wrong password, and SSLError for a scheme the host does not read.
    """
    decrypted = host.interfaces().tls.decrypt_key
    try:
        return bytes(host.call(decrypted, base64_text(data), base64_text(password)))
    except SSLError:
        raise
    except OSError as error:
        raise DerError(str(error)) from None
