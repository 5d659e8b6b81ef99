"""Client certificates: a certificate chain and its private key, for servers that request one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import ca_certificates, certificate, der, pem, private_key
from .der import DerError, Reader
from .errors import sandbox_error, ssl_error

_PKCS8 = "PRIVATE KEY"
_ENCRYPTED = "ENCRYPTED PRIVATE KEY"
_PKCS1 = "RSA PRIVATE KEY"
_SEC1 = "EC PRIVATE KEY"
_RSA = "1.2.840.113549.1.1.1"
_EC = "1.2.840.10045.2.1"


def load(certfile: Any, keyfile: Any, password: Any) -> tuple[list[bytes], bytes]:
    """Returns the chain and the key of PEM files, in DER. Raises OSError and SSLError."""
    getter = private_key.password_getter(password)
    try:
        blocks = list(pem.blocks(ca_certificates.read_file(certfile)))
        chain = [block.data for block in blocks if block.label in ca_certificates.CERTIFICATES]
        if keyfile is not None:
            blocks = list(pem.blocks(ca_certificates.read_file(keyfile)))
        decrypted = (_decrypt(block, getter) for block in blocks)
        keys = [block for block in decrypted if block.label in (_PKCS8, _PKCS1, _SEC1)]
        if not chain or not keys:
            raise ca_certificates.library_error("SSL")
        matches = _matches(certificate.public_key(chain[0]), keys[0])
    except (pem.PemError, DerError):
        raise ca_certificates.library_error("SSL") from None
    if not matches:
        raise ssl_error("KEY_VALUES_MISMATCH", code=116, library="X509")
    return chain, keys[0].data


def _decrypt(block: pem.Block, password: Callable[[], bytes] | None) -> pem.Block:
    """Returns a block, decrypted if it is an encrypted key. Raises DerError and SSLError."""
    legacy = any(line.startswith("Proc-Type:") and "ENCRYPTED" in line for line in block.headers)
    if not legacy and block.label != _ENCRYPTED:
        return block
    if password is None:
        raise sandbox_error(
            "the private key is encrypted, and a sandbox has no terminal to prompt for its "
            "password: pass it as `password`"
        )
    if not legacy:
        return pem.Block(_PKCS8, [], private_key.decrypt(block.data, password()))
    raise sandbox_error(
        "this kind of encrypted private key cannot be read in a sandbox: use PBES2 and AES, "
        "as `openssl pkcs8 -topk8` does"
    )


def _matches(public: tuple[str, bytes], block: pem.Block) -> bool:
    """Returns whether a private key belongs to a public one, or does not include its public key."""
    algorithm, bits = public
    reader = Reader(block.data).expect(der.SEQUENCE)
    kind = {_PKCS1: _RSA, _SEC1: _EC}.get(block.label)
    if kind is None:
        reader.integer()
        kind = reader.expect(der.SEQUENCE).object_identifier()
        inner = reader.expect(der.OCTET_STRING)
        if kind != algorithm:
            return False
        if kind not in (_RSA, _EC):
            # The encoding of other kinds includes no public key.
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
