"""Compression in a sandbox, against what CPython's own modules on the host made of the same data.

`VECTORS` is JSON: streams of the host, by the name of their format, with the SHA-256 of their
content. The program prints streams of its own for the host to read.
"""

import array
import base64
import bz2
import hashlib
import io
import json
import lzma
import pickle
import random
import shutil
import tarfile
import zipfile

from compression import zstd

choice = random.Random(1)


def parts(data):
    start = 0
    while start < len(data):
        size = choice.choice([1, 9, 1000, 70_000])
        yield data[start : start + size]
        start += size


def content_of(decompressor, stream):
    """Returns the content, with input and output in parts of random sizes."""
    content = []
    source = parts(stream)
    while not decompressor.eof:
        data = next(source, b"") if decompressor.needs_input else b""
        limit = choice.choice([-1, 1, 500, 65_536])
        content.append(decompressor.decompress(data, max_length=limit))
        assert limit < 0 or len(content[-1]) <= limit
    return b"".join(content), decompressor.unused_data + b"".join(source)


def raises(error, function, *arguments, **keywords):
    try:
        function(*arguments, **keywords)
    except error as raised:
        return str(raised)
    raise AssertionError((error, function, arguments, keywords))


FILTERS = [{"id": lzma.FILTER_DELTA, "dist": 4}, {"id": lzma.FILTER_LZMA2, "preset": 1, "lc": 2}]
DECOMPRESSORS = {
    "bz2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
    "alone": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE),
    "raw": lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=FILTERS),
    "zstd": zstd.ZstdDecompressor,
}
COMPRESSORS = {
    "bz2": bz2.BZ2Compressor,
    "xz": lambda: lzma.LZMACompressor(check=lzma.CHECK_SHA256, preset=3),
    "alone": lambda: lzma.LZMACompressor(lzma.FORMAT_ALONE),
    "raw": lambda: lzma.LZMACompressor(lzma.FORMAT_RAW, filters=FILTERS),
    "zstd": zstd.ZstdCompressor,
}
ERRORS = (OSError, lzma.LZMAError, zstd.ZstdError, EOFError, MemoryError)

own = {}
damages = 0
for vector in json.loads(VECTORS):
    name, stream = vector["format"], base64.b64decode(vector["stream"])
    content, rest = content_of(DECOMPRESSORS[name](), stream + b"behind")
    assert hashlib.sha256(content).hexdigest() == vector["sha256"], name
    assert rest == b"behind", name
    compressor = COMPRESSORS[name]()
    compressed = b"".join([compressor.compress(part) for part in parts(content)])
    compressed += compressor.flush()
    assert content_of(DECOMPRESSORS[name](), compressed) == (content, b"")
    own.setdefault(name, []).append(base64.b64encode(compressed).decode())
    # Damaged and cut streams end with an error of the module, or without the end of the stream.
    for _ in range(20):
        damaged = bytearray(compressed)
        if choice.random() < 0.5:
            del damaged[choice.randrange(len(damaged)) :]
        else:
            damaged[choice.randrange(len(damaged))] ^= 1 << choice.randrange(8)
        decompressor = DECOMPRESSORS[name]()
        try:
            decompressor.decompress(bytes(damaged))
        except ERRORS:
            damages += 1

assert damages > 50

# The objects have the attributes and errors of CPython's.
for name, make in DECOMPRESSORS.items():
    decompressor, compressor = make(), COMPRESSORS[name]()
    assert (decompressor.eof, decompressor.needs_input, decompressor.unused_data) == (
        False,
        True,
        b"",
    )
    raises(AttributeError, setattr, decompressor, "eof", True)
    raises(TypeError, decompressor.decompress, "text")
    raises(TypeError, compressor.compress, "text")
    for each in decompressor, compressor:
        raises(TypeError, pickle.dumps, each)
    stream = compressor.compress(array.array("I", [1, 2, 3])) + compressor.flush()
    assert decompressor.decompress(stream) == bytes(array.array("I", [1, 2, 3]))
    assert decompressor.eof and not decompressor.needs_input
    raises(EOFError, decompressor.decompress, b"")
    if name != "zstd":
        raises(ValueError, compressor.compress, b"")
        raises(ValueError, compressor.flush)
raises(ValueError, bz2.BZ2Compressor, 0)
raises(ValueError, lzma.LZMACompressor, lzma.FORMAT_RAW)
raises(lzma.LZMAError, lzma.LZMACompressor, preset=10)
raises(ValueError, lzma.LZMACompressor, filters=[{"id": 77}])
raises(TypeError, lzma.LZMACompressor, filters=["lzma"])
raises(lzma.LZMAError, lzma.LZMADecompressor(memlimit=1 << 16).decompress, lzma.compress(b"x"))
assert lzma.is_check_supported(lzma.CHECK_SHA256) and not lzma.is_check_supported(2)
decompressor = lzma.LZMADecompressor()
assert decompressor.check == lzma.CHECK_UNKNOWN
decompressor.decompress(lzma.compress(b"x", check=lzma.CHECK_CRC32))
assert decompressor.check == lzma.CHECK_CRC32

# Zstandard: levels, options, flushes, dictionaries.
samples = [b"name=%d kind=%d\n" % (n, n % 7) * 9 for n in range(400)]
dictionary = zstd.train_dict(samples, 4096)
assert len(dictionary) <= 4096 and dictionary.dict_id
for used in dictionary, dictionary.as_digested_dict, dictionary.as_undigested_dict:
    compressed = zstd.compress(samples[3], zstd_dict=used)
    assert zstd.get_frame_info(compressed).dictionary_id == dictionary.dict_id
    assert zstd.get_frame_size(compressed + b"rest") == len(compressed)
    assert zstd.decompress(compressed, zstd_dict=dictionary) == samples[3]
    raises(zstd.ZstdError, zstd.decompress, compressed)
raw = zstd.ZstdDict(b"raw content of a dictionary" * 9, is_raw=True)
compressed = zstd.compress(b"raw content of a", zstd_dict=raw.as_prefix)
assert zstd.decompress(compressed, zstd_dict=raw.as_prefix) == b"raw content of a"
finalized = zstd.finalize_dict(raw, samples, 2000, 3)
assert zstd.decompress(zstd.compress(b"x", zstd_dict=finalized), zstd_dict=finalized) == b"x"
raises(ValueError, zstd.ZstdDict, b"no dictionary at all")
raises(ValueError, zstd.ZstdCompressor, 23)
raises(TypeError, zstd.ZstdCompressor, 3, {})
parameter = zstd.CompressionParameter
assert "illegal value 100" in raises(
    ValueError, zstd.compress, b"", options={parameter.window_log: 100}
)
options = {parameter.checksum_flag: 1, parameter.strategy: zstd.Strategy.btultra2}
assert zstd.decompress(zstd.compress(b"x" * 999, options=options)) == b"x" * 999
assert parameter.nb_workers.bounds() == (0, 0)
compressor = zstd.ZstdCompressor()
compressor.set_pledged_input_size(3)
block = compressor.compress(b"abc", compressor.FLUSH_BLOCK)
assert zstd.ZstdDecompressor().decompress(block) == b"abc" and compressor.last_mode == 1
raises(zstd.ZstdError, compressor.compress, b"more than the pledged size", compressor.FLUSH_FRAME)
assert compressor.last_mode == compressor.FLUSH_FRAME

# Archives, in memory and as files.
files = {f"folder/{n}.txt": bytes([n]) * n * 1000 for n in range(5)}
for mode in "gz", "bz2", "xz", "zst":
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{mode}") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as archive:
        assert {m.name: archive.extractfile(m).read() for m in archive} == files, mode
        archive.extractall(f"from-{mode}", filter="data")
    for kind, suffix in ("gztar", "gz"), ("bztar", "bz2"), ("xztar", "xz"), ("zstdtar", "zst"):
        if suffix == mode:
            made = shutil.make_archive("made", kind, f"from-{mode}")
            shutil.unpack_archive(made, f"again-{mode}", filter="data")
    assert open(f"again-{mode}/folder/3.txt", "rb").read() == files["folder/3.txt"]
for method in zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_ZSTANDARD:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    with zipfile.ZipFile(buffer) as archive:
        assert archive.testzip() is None and archive.read("folder/4.txt") == files["folder/4.txt"]
        assert archive.getinfo("folder/4.txt").compress_type == method
for module in bz2, lzma, zstd:
    with module.open("file", "wt") as file:
        file.writelines(f"{n}\n" for n in range(1000))
    with module.open("file", "rt") as file:
        assert [int(line) for line in file] == list(range(1000))
    with module.open("file") as file:
        file.seek(100)
        assert file.read(3) == b"\n37" and file.tell() == 103

print(json.dumps(own))
