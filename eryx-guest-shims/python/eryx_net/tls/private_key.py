"""Private keys encrypted with a password (PKCS#5, RFC 8018).

The host decrypts them: it needs the key for a handshake anyway, and the guest has no cryptography.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import host
from ..buffers import base64_text
from .der import DerError
from .errors import SSLError

# OpenSSL's limit in bytes.
_LONGEST_PASSWORD = 1024


def password_getter(password: Any) -> Callable[[], bytes] | None:
    """Returns a function that returns the password of `load_cert_chain`, or None without one.

    Raises CPython's exceptions.
    """
    if password is None:
        return None
    if callable(password):
        return lambda: _to_bytes(password(), "password callback must return a string")
    checked = _to_bytes(password, "password should be a string or callable")
    return lambda: checked


def _to_bytes(password: Any, type_error: str) -> bytes:
    if isinstance(password, str):
        password = password.encode()
    if not isinstance(password, (bytes, bytearray)):
        raise TypeError(type_error)
    if len(password) > _LONGEST_PASSWORD:
        raise ValueError(f"password cannot be longer than {_LONGEST_PASSWORD} bytes")
    return bytes(password)


def decrypt(data: bytes, password: bytes) -> bytes:
    """Returns the PKCS#8 key of an EncryptedPrivateKeyInfo (RFC 5958, 3).

    Raises DerError, also for a wrong password, and SSLError for an unsupported scheme.
    """
    decrypt_key = host.interfaces().tls.decrypt_key
    try:
        return bytes(host.call(decrypt_key, base64_text(data), base64_text(password)))
    except SSLError:
        raise
    except OSError as error:
        raise DerError(str(error)) from None
