"""The hash functions and the derivation of keys that CPython has with OpenSSL."""

import hashlib
import hmac
import io
import pickle

# Digests of b"" and of 1,000 bytes (0 to 249, four times), by OpenSSL through CPython.
DIGESTS = {
    "md5-sha1": (
        "d41d8cd98f00b204e9800998ecf8427eda39a3ee5e6b4b0d3255bfef95601890afd80709",
        "8e180d694724ffd45b63cafd39c9557806a8a11885e2a1a68c7088791ae2a9fb536a93cc",
    ),
    "ripemd160": (
        "9c1185a5c5e9fc54612808977ee8f548b2258d31",
        "6f364337610e9e9cb456366bea203f9612d4d6ae",
    ),
    "sha512_224": (
        "6ed0dd02806fa89e25de060c19d3ac86cabb87d6a0ddd05c333b84f4",
        "8556e8b4b137c31913b545d83cb10ea226c5d433b71adbcbee3c20ae",
    ),
    "sha512_256": (
        "c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a",
        "4796a2d7f671ff28e28294e88357370d78b25664a0fa9c613f1668d0a751bd9c",
    ),
    "sm3": (
        "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b",
        "553bbce894491fb8bcf4631b64c1eaee374be36c8a4e0d6ccdab09934810bc43",
    ),
}
DATA = bytes(range(250)) * 4

for name, (of_nothing, of_data) in DIGESTS.items():
    assert name in hashlib.algorithms_available, name
    made = hashlib.new(name, usedforsecurity=False)
    assert made.name == name and made.hexdigest() == of_nothing, name
    copies = []
    for start in range(0, len(DATA), 97):
        made.update(memoryview(DATA)[start : start + 97])
        copies.append(made.copy())
    assert made.hexdigest() == of_data == made.digest().hex(), name
    copies[3].update(DATA[4 * 97 :])
    assert copies[3].hexdigest() == of_data, name
    assert made.digest_size == len(of_data) // 2
    assert hashlib.file_digest(io.BytesIO(DATA), name).hexdigest() == of_data
    # Every hash function works in HMAC, as a name and as a constructor.
    of_name = hmac.new(b"key", DATA, name)
    of_function = hmac.new(b"key", DATA, lambda *a, name=name: hashlib.new(name, *a))
    assert of_name.digest() == of_function.digest() == hmac.digest(b"key", DATA, name), name
    try:
        pickle.dumps(made)
    except TypeError:
        continue
    raise AssertionError(name)

assert hashlib.algorithms_guaranteed <= hashlib.algorithms_available
assert set(DIGESTS) | hashlib.algorithms_guaranteed == hashlib.algorithms_available
for name in hashlib.algorithms_guaranteed:
    assert getattr(hashlib, name)(b"x", usedforsecurity=False).name == name
    assert hashlib.new(name.upper(), b"x").name == name

SPELLINGS = {
    "SHA-512/256": "sha512_256",
    "sha512-224": "sha512_224",
    "RIPEMD-160": "ripemd160",
    "rmd160": "ripemd160",
    "SHA3-256": "sha3_256",
    "SHAKE128": "shake_128",
    "BLAKE2b512": "blake2b",
    "MD5-SHA1": "md5-sha1",
    "SHA2-256": "sha256",
    "Sha-1": "sha1",
}
for spelling, name in SPELLINGS.items():
    assert hashlib.new(spelling).name == name, spelling
for wrong in "", "sha", "sha257", "ripemd161":
    try:
        hashlib.new(wrong)
    except ValueError as error:
        assert "unsupported hash type" in str(error)
        continue
    raise AssertionError(wrong)

# A message authentication code is the same in all forms.
for function in hashlib.md5, hashlib.sha256, hashlib.sha3_512:
    name = function().name
    forms = [
        hmac.new(b"key", b"message", function).hexdigest(),
        hmac.new(b"key", b"message", name).hexdigest(),
        hmac.digest(b"key", b"message", function).hex(),
        hmac.digest(b"key", b"message", name).hex(),
    ]
    assert len(set(forms)) == 1, (name, forms)
assert hmac.compare_digest("a", "a") and not hmac.compare_digest(b"a", b"b")

# Keys by OpenSSL through CPython: 36 bytes after 7 rounds.
KEYS = {
    "md5": "4cb29cc26964bb9333421374d6f47d59acbb245301b4a9a2108ebbe06dfbbc6c36e29a11",
    "sha1": "d81f4c1a9d3aaa7a1f08795fffdd6ae775189f5dad93a41c514e7371fab429b84641c4ad",
    "sha224": "f9d89a99982045cf4171ceb96767b358c2536ba63bd74d718dcbac6e58e9a546f9ddf3e2",
    "sha256": "41fe90a697b959f6df5a258fd623eedeb6f4dca45923f73ecf8c8b11e2580777d4aa009b",
    "sha384": "6d77ce648451e3f5e024087f14dc37e03e108d259250c5da0a10a4883bb229458c5bdb48",
    "sha512": "1850ed067e39f8e34e7f6cb3d226673866957cc8c6e61ade3a736771a18effbbe570ee27",
    "sha512_224": "e8d8f6524ad7159412e6157e3454b90b722a10aa091667cb4c3c0076bbc8ce927348cd24",
    "sha512_256": "59e4784ced96cc338b90dec01782fb901715b4e740a1c5d009c9185b12c81c691ee7a44f",
    "sha3_256": "5b1e79f41a6f8ab3f44c79054cf61d2c5511e803dea0180a28d06b604ba8ae422aea31cc",
    "ripemd160": "b16122e886152ff2788c7d0bb1925090b248491fec54fbe1fd9649d308eeb24b6f75fac7",
    "sm3": "0ec46e5bc488adaa383ee049a366c08e762900d01a797401f7d332c7110fd6b309393fdd",
    "blake2b": "52f8353a43191449674b23de0a707207ccbbe4c97f3d17819f8d44b4cdecd5453b17e0b1",
    "blake2s": "41afe3a69b30fc59e94b793c0e46f1578f39d4b5e6b1ff18d3138fbe9d0a2348819b3a55",
}
for name, expected in KEYS.items():
    key = hashlib.pbkdf2_hmac(name, b"p" * 1025, memoryview(b"salt"), 7, 36)
    assert key.hex() == expected, name
    whole = hashlib.pbkdf2_hmac(name.upper(), bytearray(b"password"), b"", 1)
    assert len(whole) == hashlib.new(name).digest_size

SCRYPT = hashlib.scrypt(b"password", salt=b"NaCl", n=1024, r=8, p=16, dklen=64)
assert SCRYPT.hex().startswith("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731")
assert hashlib.scrypt(b"p" * 2000, salt=b"", n=2, r=1, p=1, dklen=9).hex() == "e152e189148bd1f80f"


def refused(error, function, *arguments, **keywords):
    try:
        function(*arguments, **keywords)
    except error as raised:
        return str(raised)
    raise AssertionError((function, arguments, keywords))


pbkdf2, scrypt = hashlib.pbkdf2_hmac, hashlib.scrypt
refused(ValueError, pbkdf2, "unknown", b"", b"", 1)
refused(TypeError, pbkdf2, b"sha1", b"", b"", 1)
refused(TypeError, pbkdf2, "sha1", "text", b"", 1)
refused(TypeError, pbkdf2, "sha1", b"", b"", 1.0)
refused(ValueError, pbkdf2, "sha1", b"", b"", 0)
refused(ValueError, pbkdf2, "sha1", b"", b"", 1, 0)
refused(ValueError, pbkdf2, "shake_128", b"", b"", 1, 9)
refused(OverflowError, pbkdf2, "sha1", b"", b"", 1 << 31)
refused(OverflowError, pbkdf2, "sha1", b"", b"", 1, (1 << 20) + 1)
refused(OverflowError, pbkdf2, "sha1", b"", bytes((1 << 20) + 1), 1)
refused(TypeError, scrypt, b"password")
for wrong in {"n": 1}, {"n": 3}, {"r": 0}, {"p": 0}, {"maxmem": -1}, {"dklen": 0}, {"p": 1 << 30}:
    refused(ValueError, scrypt, b"", **{"salt": b"", "n": 2, "r": 1, "p": 1, **wrong})
# OpenSSL's rule: 128 * r * (n + p + 2) bytes, at most 32 MiB unless `maxmem` says otherwise.
enough = 128 * 8 * (16 + 1 + 2)
scrypt(b"", salt=b"", n=16, r=8, p=1, maxmem=enough)
assert "maxmem" in refused(ValueError, scrypt, b"", salt=b"", n=16, r=8, p=1, maxmem=enough - 1)
refused(ValueError, scrypt, b"", salt=b"", n=1 << 15, r=8, p=1)

print("the same")
