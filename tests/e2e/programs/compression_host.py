"""The side of the host of `compression.py`: makes streams, and reads those of the sandbox.

python3 compression_host.py make
python3 compression_host.py check < streams.json
"""

import base64
import bz2
import hashlib
import json
import lzma
import random
import sys

try:
    from compression import zstd
except ImportError:
    # Before Python 3.14.
    zstd = None

FILTERS = [{"id": lzma.FILTER_DELTA, "dist": 4}, {"id": lzma.FILTER_LZMA2, "preset": 1, "lc": 2}]


def compress(name: str, data: bytes) -> bytes | None:
    """Returns a stream of the format, None if this Python cannot make it."""
    if name == "bz2":
        return bz2.compress(data, 1 + len(data) % 9)
    if name == "xz":
        return lzma.compress(data, preset=len(data) % 4)
    if name == "alone":
        return lzma.compress(data, lzma.FORMAT_ALONE)
    if name == "raw":
        return lzma.compress(data, lzma.FORMAT_RAW, filters=FILTERS)
    return None if zstd is None else zstd.compress(data)


def decompress(name: str, stream: bytes) -> bytes | None:
    """Returns the content of a stream, None if this Python cannot read it."""
    if name == "bz2":
        return bz2.decompress(stream)
    if name in ("xz", "alone"):
        return lzma.decompress(stream)
    if name == "raw":
        return lzma.decompress(stream, lzma.FORMAT_RAW, filters=FILTERS)
    return None if zstd is None else zstd.decompress(stream)


def contents() -> list[bytes]:
    """Returns data of all kinds, the same in every run."""
    choice = random.Random(7)
    words = [b"one ", b"two ", b"three\n"]
    text = b"".join(choice.choice(words) for _ in range(30_000))
    return [b"", b"x", choice.randbytes(3000), bytes(300_000), text]


def make() -> None:
    """Prints the streams of this Python."""
    vectors = []
    for data in contents():
        for name in ("bz2", "xz", "alone", "raw", "zstd"):
            stream = compress(name, data)
            if stream is not None:
                vectors.append(
                    {
                        "format": name,
                        "stream": base64.b64encode(stream).decode(),
                        "sha256": hashlib.sha256(data).hexdigest(),
                    }
                )
    for stream, content in ZSTD:
        digest = hashlib.sha256(content).hexdigest()
        vectors.append({"format": "zstd", "stream": stream, "sha256": digest})
    print(json.dumps(vectors))


def check() -> None:
    """Compares the content of the streams on standard input."""
    checked = 0
    for name, streams in json.load(sys.stdin).items():
        for stream, data in zip(streams, contents(), strict=False):
            content = decompress(name, base64.b64decode(stream))
            if content is not None:
                assert content == data, name
                checked += 1
    print(checked)


# Streams of zstd 1.5, one with a checksum, one made in pieces without its size.
ZSTD: list[tuple[str, bytes]] = [
    ("KLUv/WR4aF0AABhhYmMBAHKpuxsCiOoDRg==", b"abc" * 9000),
    (
        "KLUv/QBIjAAASHN0cmVhbWVkIAEAkMi+HAFdAAAodHdpY2UBACYqWg==",
        b"streamed " * 700 + b"twice " * 9,
    ),
]

if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]]()
