"""Private keys encrypted by OpenSSL, and the cipher below them."""

from __future__ import annotations

from pathlib import Path

import pytest

from certificates import openssl
from eryx_net import aes, encrypted_key, identity, pem
from eryx_net.der import DerError
from eryx_net.tls_errors import SSLError

# FIPS 197, appendix C: the first bytes of one counting key, the plaintext, and its ciphertexts.
KEY = bytes(range(32))
PLAIN = bytes.fromhex("00112233445566778899aabbccddeeff")
CIPHERTEXTS = {
    16: "69c4e0d86a7b0430d8cdb78070b4c55a",
    24: "dda97ca4864cdfe06eaf70a0ec0d7191",
    32: "8ea2b7ca516745bfeafc49904b496089",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate and its key, not encrypted."""
    made = tmp_path_factory.mktemp("keys")
    made_key = ("-newkey", "rsa:2048", "-nodes", "-keyout", "plain.pem")
    openssl("req", "-x509", "-subj", "/CN=x", *made_key, "-out", "cert.pem", into=made)
    return made


def encrypted(folder: Path, *how: str) -> Path:
    """The key, encrypted with the password `secret`."""
    arguments = ("-topk8", "-in", "plain.pem", "-out", "made.pem", "-passout", "pass:secret", *how)
    openssl("pkcs8", *arguments, into=folder)
    return folder / "made.pem"


@pytest.mark.parametrize("length", CIPHERTEXTS)
def test_the_cipher_meets_its_standard(length: int) -> None:
    data = bytes.fromhex(CIPHERTEXTS[length])
    assert aes.decipher(KEY[:length], bytes(16), data) == PLAIN
    # Each block is combined with the ciphertext before it.
    both = aes.decipher(KEY[:length], KEY[:16], data + data)
    assert both[:16] == bytes(a ^ b for a, b in zip(PLAIN, KEY[:16], strict=True))
    assert both[16:] == bytes(a ^ b for a, b in zip(PLAIN, data, strict=True))


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    "how",
    [
        ("-v2", "aes-128-cbc"),
        ("-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA1"),
        ("-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512", "-iter", "3"),
    ],
)
def test_keys_are_decrypted_with_their_password_alone(
    folder: Path, how: tuple[str, ...], native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not native:
        monkeypatch.delattr("hashlib.pbkdf2_hmac")
    path = encrypted(folder, *how)
    [plain] = pem.blocks((folder / "plain.pem").read_bytes())
    [block] = pem.blocks(path.read_bytes())
    assert encrypted_key.decrypt(block.data, b"secret") == plain.data
    with pytest.raises(DerError):
        encrypted_key.decrypt(block.data, b"Secret")
    for password in ("secret", b"secret", bytearray(b"secret"), lambda: "secret"):
        _, key = identity.load(folder / "cert.pem", path, password)
        assert key == plain.data
    with pytest.raises(SSLError, match="PEM lib"):
        identity.load(folder / "cert.pem", path, "wrong")
    with pytest.raises(SSLError, match="give its password"):
        identity.load(folder / "cert.pem", path, None)


def test_what_cannot_be_decrypted_says_what_can(folder: Path) -> None:
    path = encrypted(folder, "-v2", "des3")
    with pytest.raises(SSLError, match="use PBES2 and AES"):
        identity.load(folder / "cert.pem", path, "secret")


def test_a_password_is_asked_for_only_if_it_is_needed(folder: Path) -> None:
    def never() -> str:
        raise AssertionError("asked")

    identity.load(folder / "cert.pem", folder / "plain.pem", never)
    for password, kind in ((5, TypeError), ("x" * 1025, ValueError)):
        with pytest.raises(kind):
            identity.load(folder / "cert.pem", folder / "plain.pem", password)
