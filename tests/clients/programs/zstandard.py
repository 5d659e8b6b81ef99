import io

import zstandard

assert zstandard.backend == "cext", zstandard.backend
content = b"".join(b"line %d of a text that repeats\n" % number for number in range(20_000))
for level in (-5, 1, 3, 19):
    compressed = zstandard.ZstdCompressor(level=level, write_checksum=True).compress(content)
    assert len(compressed) < len(content) / 3
    assert zstandard.ZstdDecompressor().decompress(compressed) == content
reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(compressed))
assert reader.read(100) == content[:100] and reader.readall() == content[100:]
dictionary = zstandard.train_dictionary(
    4096, [content[at : at + 500] for at in range(0, 99_000, 99)]
)
small = zstandard.ZstdCompressor(dict_data=dictionary).compress(content[:200])
assert zstandard.ZstdDecompressor(dict_data=dictionary).decompress(small) == content[:200]
try:
    zstandard.ZstdDecompressor().decompress(compressed[:-1] + b"?")
except zstandard.ZstdError as error:
    assert "checksum" in str(error), error
else:
    raise AssertionError("a wrong checksum")
