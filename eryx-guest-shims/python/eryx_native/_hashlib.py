"""CPython's `_hashlib`: what `hashlib` and `hmac` have only with OpenSSL.

The hash functions that CPython implements itself are its own. The others run inside the sandbox
(`digests.py`). Keys from passwords are derived by the host.
"""

from __future__ import annotations

import _blake2
import _md5
import _operator
import _sha1
import _sha3
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import _eryx_native
import _hmac
import _sha2

from . import digests

if TYPE_CHECKING:
    from collections.abc import Buffer, Callable

Constructor: TypeAlias = "Callable[..., Any]"


class UnsupportedDigestmodError(ValueError):
    """The digest is not supported."""


openssl_md5 = _md5.md5
openssl_sha1 = _sha1.sha1
openssl_sha224 = _sha2.sha224
openssl_sha256 = _sha2.sha256
openssl_sha384 = _sha2.sha384
openssl_sha512 = _sha2.sha512
openssl_sha3_224 = _sha3.sha3_224
openssl_sha3_256 = _sha3.sha3_256
openssl_sha3_384 = _sha3.sha3_384
openssl_sha3_512 = _sha3.sha3_512
openssl_shake_128 = _sha3.shake_128
openssl_shake_256 = _sha3.shake_256

_CONSTRUCTORS: dict[str, Constructor] = {
    "md5": openssl_md5,
    "sha1": openssl_sha1,
    "sha224": openssl_sha224,
    "sha256": openssl_sha256,
    "sha384": openssl_sha384,
    "sha512": openssl_sha512,
    "sha3_224": openssl_sha3_224,
    "sha3_256": openssl_sha3_256,
    "sha3_384": openssl_sha3_384,
    "sha3_512": openssl_sha3_512,
    "shake_128": openssl_shake_128,
    "shake_256": openssl_shake_256,
    "blake2b": _blake2.blake2b,
    "blake2s": _blake2.blake2s,
    "md5-sha1": digests.MD5SHA1,
    "ripemd160": digests.RIPEMD160,
    "sha512_224": digests.SHA512T224,
    "sha512_256": digests.SHA512T256,
    "sm3": digests.SM3,
}

openssl_md_meth_names = frozenset(_CONSTRUCTORS)

# Other spellings that OpenSSL has, in lower case.
_ALIASES = {
    "sha-1": "sha1",
    "ssl3-md5": "md5",
    "ssl3-sha1": "sha1",
    "rsa-md5": "md5",
    "rsa-sha1": "sha1",
    "rsa-sha1-2": "sha1",
    **{
        spelling: f"sha{size}"
        for size in (224, 256, 384, 512)
        for spelling in (f"sha-{size}", f"sha2-{size}", f"rsa-sha{size}")
    },
    **{
        spelling: f"sha512_{size}"
        for size in (224, 256)
        for spelling in (
            f"sha512-{size}",
            f"sha-512/{size}",
            f"sha2-512/{size}",
            f"rsa-sha512/{size}",
        )
    },
    **{f"sha3-{size}": f"sha3_{size}" for size in (224, 256, 384, 512)},
    **{
        spelling: f"shake_{size}"
        for size in (128, 256)
        for spelling in (f"shake{size}", f"shake-{size}")
    },
    "blake2b512": "blake2b",
    "blake2b-512": "blake2b",
    "blake2s256": "blake2s",
    "blake2s-256": "blake2s",
    "ripemd": "ripemd160",
    "ripemd-160": "ripemd160",
    "rmd160": "ripemd160",
    "rsa-ripemd160": "ripemd160",
    "rsa-sm3": "sm3",
}

# The hash functions of the host, in the order of the WIT.
_HOST_HASHES = {
    name: number
    for number, name in enumerate(
        ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha512_224", "sha512_256")
    )
}
_LARGEST_PASSWORD = 1 << 10
_LARGEST_SALT = 1 << 20
_LARGEST_KEY = 1 << 20
_LARGEST_INT = (1 << 31) - 1

# OpenSSL's limit on the memory of scrypt, if the caller sets none.
_SCRYPT_MEMORY = 32 << 20

_NAMES = {
    constructor: name for name, constructor in _CONSTRUCTORS.items() if not name.startswith("shake")
}


class _HashType(type):
    """Makes all hash objects instances of `HASH`."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls._types)  # type: ignore[attr-defined]


class HASH(metaclass=_HashType):
    """A hash is an object used to calculate a checksum of a string of information."""

    _types = (
        digests.Digest,
        *{
            type(constructor())
            for name, constructor in _CONSTRUCTORS.items()
            if name not in ("shake_128", "shake_256")
        },
    )

    def __new__(cls) -> NoReturn:
        """Raises TypeError: `new` makes hash objects."""
        raise TypeError(f"cannot create '_hashlib.{cls.__name__}' instances")


class HASHXOF(HASH):
    """A hash with a digest of any size."""

    _types = (type(_sha3.shake_128()), type(_sha3.shake_256()))


HMAC = _hmac.HMAC
compare_digest = _operator._compare_digest


def get_fips_mode() -> int:
    """Returns 0: there is no FIPS mode."""
    return 0


def _canonical(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"name must be a string, not {type(name).__name__}")
    lower = name.lower()
    return _ALIASES.get(lower, lower)


def _constructor(name: Any) -> Constructor:
    constructor = _CONSTRUCTORS.get(_canonical(name))
    if constructor is None:
        raise UnsupportedDigestmodError(f"unsupported hash type {name}")
    return constructor


def new(
    name: str, data: Buffer = b"", *, usedforsecurity: bool = True, string: Buffer | None = None
) -> Any:
    """Return a new hash object using the named algorithm."""
    constructor = _constructor(name)
    return constructor(data if string is None else string, usedforsecurity=usedforsecurity)


def _digestmod_name(digestmod: Any) -> str:
    """Returns the name of a digest that CPython's own HMAC has."""
    name = _canonical(digestmod) if isinstance(digestmod, str) else _NAMES.get(digestmod)
    if name is None or name not in _CONSTRUCTORS:
        raise UnsupportedDigestmodError(f"Unsupported digestmod {digestmod}")
    return name


def hmac_new(key: Buffer, msg: Buffer | None = b"", digestmod: Any = None) -> Any:
    """Return a new hmac object."""
    if digestmod is None:
        raise TypeError("Missing required parameter 'digestmod'.")
    try:
        return _hmac.new(key, msg, _digestmod_name(digestmod))
    except _hmac.UnknownHashError as error:
        raise UnsupportedDigestmodError(str(error)) from None


def hmac_digest(key: Buffer, msg: Buffer, digest: Any) -> bytes:
    """Return the HMAC of a message in one call."""
    try:
        result: bytes = _hmac.compute_digest(key, msg, _digestmod_name(digest))
    except _hmac.UnknownHashError as error:
        raise UnsupportedDigestmodError(str(error)) from None
    return result


def _bytes(data: Buffer) -> bytes:
    try:
        return bytes(memoryview(data))
    except TypeError:
        kind = type(data).__name__
        raise TypeError(f"a bytes-like object is required, not {kind!r}") from None


def _password(data: Buffer, constructor: Constructor) -> bytes:
    """Returns the key that HMAC uses: the digest of a long one."""
    password = _bytes(data)
    if len(password) <= _LARGEST_PASSWORD:
        return password
    digest: bytes = constructor(password).digest()
    return digest


def _salt(data: Buffer) -> bytes:
    salt = _bytes(data)
    if len(salt) > _LARGEST_SALT:
        raise OverflowError(f"salt is too long: a sandbox takes at most {_LARGEST_SALT} bytes.")
    return salt


def _check_size(size: int) -> None:
    if size > _LARGEST_KEY:
        raise OverflowError(f"key length is too great: a sandbox takes at most {_LARGEST_KEY}.")


def pbkdf2_hmac(
    hash_name: str, password: Buffer, salt: Buffer, iterations: int, dklen: int | None = None
) -> bytes:
    """Password based key derivation function 2 (PKCS #5 v2.0) with HMAC."""
    if not isinstance(hash_name, str):
        raise TypeError(
            "pbkdf2_hmac() argument 'hash_name' must be str, not " + type(hash_name).__name__
        )
    constructor = _constructor(hash_name)
    name = _canonical(hash_name)
    password = _password(password, constructor)
    salt = _salt(salt)
    iterations = _operator.index(iterations)
    if iterations < 1:
        raise ValueError("iteration value must be greater than 0.")
    if iterations > _LARGEST_INT:
        raise OverflowError("iteration value is too great.")
    if dklen is None:
        dklen = constructor().digest_size
        if not dklen:
            raise ValueError(f"unsupported hash type {hash_name}")
    else:
        dklen = _operator.index(dklen)
    if dklen < 1:
        raise ValueError("key length must be greater than 0.")
    _check_size(dklen)
    number = _HOST_HASHES.get(name)
    if number is None:
        if name.startswith("shake"):
            raise ValueError(f"unsupported hash type {hash_name}")
        return digests.pbkdf2(constructor, password, salt, iterations, dklen)
    return _key(_eryx_native.pbkdf2_hmac(number, password, salt, iterations, dklen))


def scrypt(
    password: Buffer,
    *,
    salt: Buffer,
    n: int,
    r: int,
    p: int,
    maxmem: int = 0,
    dklen: int = 64,
) -> bytes:
    """scrypt password-based key derivation function."""
    password = _password(password, openssl_sha256)
    salt = _salt(salt)
    n, r, p = _operator.index(n), _operator.index(r), _operator.index(p)
    maxmem, dklen = _operator.index(maxmem), _operator.index(dklen)
    if n < 2 or n & n - 1:
        raise ValueError("n must be a power of 2.")
    if not 0 <= maxmem <= _LARGEST_INT:
        raise ValueError(f"maxmem must be positive and smaller than {_LARGEST_INT}")
    if not 1 <= dklen <= _LARGEST_INT:
        raise ValueError(f"dklen must be greater than 0 and smaller than {_LARGEST_INT}")
    _check_size(dklen)
    if r < 1 or p < 1 or r * p >= 1 << 30 or n.bit_length() > 16 * r:
        raise ValueError("Invalid parameter combination for n, r, p, maxmem.")
    needed, allowed = 128 * r * (n + p + 2), maxmem or _SCRYPT_MEMORY
    if needed > allowed:
        raise ValueError(f"memory limit exceeded: scrypt needs {needed} bytes, maxmem is {allowed}")
    return _key(_eryx_native.scrypt(password, salt, n, r, p, dklen))


def _key(result: bytes | str) -> bytes:
    if isinstance(result, str):
        raise MemoryError(result)
    return result
