"""Private keys encrypted with a password (PKCS#5, RFC 8018), as OpenSSL writes them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from . import der
from .aes import decipher
from .der import DerError, Reader

_PBES2 = "1.2.840.113549.1.5.13"
_PBKDF2 = "1.2.840.113549.1.5.12"
_DIGESTS = {
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}
# AES in CBC mode (NIST's registration of object identifiers), with the length of the key.
_CIPHERS = {
    "2.16.840.1.101.3.4.1.2": 16,
    "2.16.840.1.101.3.4.1.22": 24,
    "2.16.840.1.101.3.4.1.42": 32,
}
# What OpenSSL has room for.
_LONGEST = 1024


class UnknownSchemeError(ValueError):
    """Encrypted in another way than those above."""


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

    Raises DerError, also for a wrong password, and UnknownSchemeError.
    """
    outer = Reader(data).expect(der.SEQUENCE)
    scheme = outer.expect(der.SEQUENCE)
    encrypted = outer.expect(der.OCTET_STRING).bytes()
    if scheme.object_identifier() != _PBES2:
        raise UnknownSchemeError("not PBES2")
    parameters = scheme.expect(der.SEQUENCE)
    derivation = parameters.expect(der.SEQUENCE)
    encryption = parameters.expect(der.SEQUENCE)
    length = _CIPHERS.get(encryption.object_identifier())
    if derivation.object_identifier() != _PBKDF2 or length is None:
        raise UnknownSchemeError("not PBKDF2 and AES-CBC")
    vector = encryption.expect(der.OCTET_STRING).bytes()
    key = _derived(derivation.expect(der.SEQUENCE), password, length)
    if len(vector) != 16 or not encrypted or len(encrypted) % 16:
        raise DerError("not whole blocks")
    plain = decipher(key, vector, encrypted)
    padding = plain[-1]
    if not 1 <= padding <= 16 or plain[-padding:] != bytes((padding,)) * padding:
        raise DerError("the password is wrong")
    plain = plain[:-padding]
    # A wrong password gets this far once in 256 times.
    contents = Reader(plain)
    contents.expect(der.SEQUENCE)
    if contents:
        raise DerError("the password is wrong")
    return plain


def _derived(settings: Reader, password: bytes, length: int) -> bytes:
    """PBKDF2 (RFC 8018, 5.2); WASI's hashlib has none."""
    salt = settings.expect(der.OCTET_STRING).bytes()
    rounds = settings.integer()
    settings.optional(der.INTEGER)
    digest = "sha1"
    if settings:
        found = _DIGESTS.get(settings.expect(der.SEQUENCE).object_identifier())
        if found is None:
            raise UnknownSchemeError("an unknown digest")
        digest = found
    if hasattr(hashlib, "pbkdf2_hmac"):
        return hashlib.pbkdf2_hmac(digest, password, salt, rounds, length)
    keyed = hmac.new(password, digestmod=digest)
    key = b""
    block = 0
    while len(key) < length:
        block += 1
        value = salt + block.to_bytes(4, "big")
        total = 0
        for _ in range(rounds):
            step = keyed.copy()
            step.update(value)
            value = step.digest()
            total ^= int.from_bytes(value, "big")
        key += total.to_bytes(keyed.digest_size, "big")
    return key[:length]
