# Calls the native module, and through it the host, with arguments that its Python modules never pass.
import itertools
import random

import _eryx_native as native

LARGE = [0, 1, 2, 7, 2**16, 2**20, 2**20 + 1, 2**31 - 1, 2**31, 2**32 - 1]
choice = random.Random(3)


def attempt(function, *arguments):
    try:
        return function(*arguments)
    except (ValueError, TypeError, OverflowError, MemoryError, SystemError):
        return None


# Keys of any size and cost: all but small ones are refused before anything is allocated.
for hash, size in itertools.product([0, 7], LARGE):
    key = attempt(native.pbkdf2_hmac, hash, b"", b"", 1, size)
    if isinstance(key, bytes) and (len(key) != size or size > 2**20):
        print("ESCAPED: a key of", len(key))
if not isinstance(native.pbkdf2_hmac(0, b"", b"", 0, 16), str):
    print("ACCEPTED: no rounds")
for password, salt in (bytes(2**21), b""), (b"", bytes(2**21)):
    for key in (
        native.pbkdf2_hmac(3, password, salt, 1, 16),
        native.scrypt(password, salt, 2, 1, 1, 16),
    ):
        if not isinstance(key, str):
            print("ACCEPTED: a large argument")
for n, r, p in itertools.product([*LARGE, 2**40, 2**63, 2**64 - 1], LARGE, LARGE):
    if n * max(r, 1) + r * max(p, 1) < 2**21:
        continue
    key = attempt(native.scrypt, b"", b"", n, r, p, 16)
    if isinstance(key, bytes):
        print("ACCEPTED: an scrypt of", n, r, p)

# Streams of one library in functions of another, and garbage for all.
streams = [
    native.bz2_compressor(9),
    native.bz2_decompressor(),
    native.lzma_decompressor(0, 2**64 - 1, b""),
    native.zstd_compressor(),
    native.zstd_decompressor(),
    native.zstd_digest(b"raw content", None),
    native.zstd_digest(b"raw content", 3),
]
values = [*streams, *LARGE, -1, None, b"", b"x" * 100, choice.randbytes(500), "text", ()]
functions = [getattr(native, name) for name in dir(native) if not name.startswith("__")]
functions = [f for f in functions if callable(f) and f.__name__ not in ("pbkdf2_hmac", "scrypt")]
for _ in range(20_000):
    function = choice.choice(functions)
    attempt(function, *(choice.choice(values) for _ in range(choice.randrange(5))))
for _ in range(2_000):
    stream = choice.choice(streams)
    data = choice.choice([b"", choice.randbytes(300), b"x" * 100])
    attempt(
        stream.run,
        data,
        choice.choice([0, 1, 300]),
        choice.choice([-1, 0, 9]),
        choice.choice([0, 1, 2]),
    )
print("alive")
