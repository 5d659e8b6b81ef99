"""AES (FIPS 197) in CBC mode (NIST SP 800-38A), deciphering alone: enough to read a private key."""

from __future__ import annotations


def _double(value: int) -> int:
    return (value << 1) ^ (0x11B if value & 0x80 else 0)


def _multiply(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = _double(a)
        b >>= 1
    return product


def _substitution() -> bytes:
    """The S-box: inverses in GF(2^8), and an affine map of them (FIPS 197, 5.1.1)."""
    box = bytearray(256)
    value = inverse = 1
    while True:
        value = _multiply(value, 3)
        # 0xF6 is the inverse of 3.
        inverse = _multiply(inverse, 0xF6)
        rotated = inverse
        total = inverse ^ 0x63
        for _ in range(4):
            rotated = (rotated << 1 | rotated >> 7) & 0xFF
            total ^= rotated
        box[value] = total
        if value == 1:
            break
    box[0] = 0x63
    return bytes(box)


_BOX = _substitution()
_INVERSE_BOX = bytes(_BOX.index(value) for value in range(256))
_TIMES = {factor: bytes(_multiply(v, factor) for v in range(256)) for factor in (9, 11, 13, 14)}
# Where each byte of a state comes from when its rows are shifted back.
_SHIFTED = tuple((column - row) % 4 * 4 + row for column in range(4) for row in range(4))


def _round_keys(key: bytes) -> list[bytes]:
    words = [key[at : at + 4] for at in range(0, len(key), 4)]
    length = len(words)
    constant = 1
    while len(words) < 4 * (length + 7):
        word = words[-1]
        if len(words) % length == 0:
            word = bytes(_BOX[value] for value in word[1:] + word[:1])
            word = bytes((word[0] ^ constant, *word[1:]))
            constant = _double(constant)
        elif length == 8 and len(words) % length == 4:
            word = bytes(_BOX[value] for value in word)
        words.append(_exclusive(words[-length], word))
    return [b"".join(words[at : at + 4]) for at in range(0, len(words), 4)]


def _exclusive(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def _unmixed(state: bytes) -> bytes:
    nine, eleven, thirteen, fourteen = (_TIMES[factor] for factor in (9, 11, 13, 14))
    mixed = bytearray()
    for at in range(0, 16, 4):
        a, b, c, d = state[at : at + 4]
        mixed += bytes(
            (
                fourteen[a] ^ eleven[b] ^ thirteen[c] ^ nine[d],
                nine[a] ^ fourteen[b] ^ eleven[c] ^ thirteen[d],
                thirteen[a] ^ nine[b] ^ fourteen[c] ^ eleven[d],
                eleven[a] ^ thirteen[b] ^ nine[c] ^ fourteen[d],
            )
        )
    return bytes(mixed)


def decipher(key: bytes, vector: bytes, data: bytes) -> bytes:
    """Decipher whole blocks. The key has 16, 24 or 32 bytes, the vector 16."""
    keys = _round_keys(key)
    found = bytearray()
    for at in range(0, len(data), 16):
        block = data[at : at + 16]
        state = _exclusive(block, keys[-1])
        for round_key in reversed(keys[:-1]):
            state = bytes(_INVERSE_BOX[state[source]] for source in _SHIFTED)
            state = _exclusive(state, round_key)
            if round_key is not keys[0]:
                state = _unmixed(state)
        found += _exclusive(state, vector)
        vector = block
    return bytes(found)
