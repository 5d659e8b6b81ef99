"""A program's own certificate chain and private key, for servers that ask for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import certificate, der, encrypted_key, pem, trust
from .der import DerError, Reader
from .tls_errors import SSLError, refusal

_PKCS8 = "PRIVATE KEY"
_ENCRYPTED = "ENCRYPTED PRIVATE KEY"
_PKCS1 = "RSA PRIVATE KEY"
_SEC1 = "EC PRIVATE KEY"
_RSA = "1.2.840.113549.1.1.1"
_ELLIPTIC = "1.2.840.10045.2.1"


def load(certfile: Any, keyfile: Any, password: Any) -> tuple[list[bytes], bytes]:
    """The chain and key of PEM files, in DER. Raises OSError, SSLError."""
    getter = encrypted_key.password_getter(password)
    try:
        first = list(pem.blocks(trust.contents(certfile)))
        second = first if keyfile is None else list(pem.blocks(trust.contents(keyfile)))
        chain = [block.data for block in first if block.label in trust.CERTIFICATES]
        opened = (_opened(block, getter) for block in second)
        keys = [block for block in opened if block.label in (_PKCS8, _PKCS1, _SEC1)]
        if not chain or not keys:
            raise trust.library_error("SSL")
        matches = _matches(certificate.public_key(chain[0]), keys[0])
    except (pem.PemError, DerError):
        raise trust.library_error("SSL") from None
    if not matches:
        error = SSLError(116, "[X509: KEY_VALUES_MISMATCH] key values mismatch (_ssl.c:1000)")
        error.library = "X509"
        error.reason = "KEY_VALUES_MISMATCH"
        raise error
    return chain, keys[0].data


def _opened(block: pem.Block, password: Callable[[], bytes] | None) -> pem.Block:
    """A block as it is, or an encrypted key without its encryption. Raises DerError, SSLError."""
    old = any(line.startswith("Proc-Type:") and "ENCRYPTED" in line for line in block.headers)
    if not old and block.label != _ENCRYPTED:
        return block
    if password is None:
        raise refusal("the private key is encrypted, and nobody can be asked: give its password")
    if not old:
        return pem.Block(_PKCS8, [], encrypted_key.decrypt(block.data, password()))
    raise refusal(
        "this kind of encrypted private key cannot be read in a sandbox: use PBES2 and AES, "
        "as `openssl pkcs8 -topk8` does"
    )


def _matches(public: tuple[str, bytes], block: pem.Block) -> bool:
    """Whether a private key is that of a public one, as far as its own encoding tells."""
    algorithm, bits = public
    reader = Reader(block.data).expect(der.SEQUENCE)
    kind = {_PKCS1: _RSA, _SEC1: _ELLIPTIC}.get(block.label)
    if kind is None:
        reader.integer()
        kind = reader.expect(der.SEQUENCE).object_identifier()
        inner = reader.expect(der.OCTET_STRING)
        if kind != algorithm:
            return False
        if kind not in (_RSA, _ELLIPTIC):
            # The others hold no public key to compare.
            return True
        reader = inner.expect(der.SEQUENCE)
    if kind != algorithm:
        return False
    reader.integer()
    if kind == _RSA:
        numbers = Reader(bits).expect(der.SEQUENCE)
        return (reader.integer(), reader.integer()) == (numbers.integer(), numbers.integer())
    reader.expect(der.OCTET_STRING)
    reader.optional(0xA0)
    own = reader.optional(0xA1)
    return own is None or own.expect(der.BIT_STRING).bytes()[1:] == bits
