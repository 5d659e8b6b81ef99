import xxhash

assert xxhash.xxh32(b"a").hexdigest() == "550d7456"
assert xxhash.xxh64_hexdigest(b"a", seed=7) == xxhash.xxh64(b"a", seed=7).hexdigest()
assert xxhash.xxh64_intdigest(b"") == 0xEF46DB3751D8E999
assert xxhash.xxh3_64_intdigest(b"") == 0x2D06800538D394C2
# Products of 128 bits.
assert xxhash.xxh3_128_hexdigest(b"") == "99aa06d3014798d86001c324468d497f"
long = bytes(range(256)) * 100
for algorithm in (xxhash.xxh32, xxhash.xxh64, xxhash.xxh3_64, xxhash.xxh3_128):
    whole, parts = algorithm(long), algorithm()
    for start in range(0, len(long), 1000):
        parts.update(long[start : start + 1000])
    # C functions with fewer parameters than CPython passes.
    assert parts.digest() == whole.digest() and parts.copy().intdigest() == whole.intdigest()
    assert len(whole.digest()) == whole.digest_size and whole.name.startswith("XXH")
    parts.reset()
    assert parts.hexdigest() == algorithm(b"").hexdigest() and parts.seed == 0
