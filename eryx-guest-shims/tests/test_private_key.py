"""Private keys encrypted by OpenSSL."""

from __future__ import annotations

from pathlib import Path

import pytest

from certificates import openssl
from conftest import Guest
from eryx_net.tls import client_certificate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate and its key, not encrypted."""
    made = tmp_path_factory.mktemp("keys")
    made_key = ("-newkey", "rsa:2048", "-nodes", "-keyout", "plain.pem")
    openssl("req", "-x509", "-subj", "/CN=x", *made_key, "-out", "cert.pem", into=made)
    return made


def encrypt(folder: Path, *how: str) -> None:
    """Encrypt the key with the password `secret`, to `made.pem`."""
    arguments = ("-topk8", "-in", "plain.pem", "-out", "made.pem", "-passout", "pass:secret", *how)
    openssl("pkcs8", *arguments, into=folder)


def test_keys_are_decrypted_with_their_password_alone(folder: Path, guest: Guest) -> None:
    encrypt(folder, "-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA512")
    guest(
        """
        import os, ssl
        from eryx_net.tls import client_certificate, pem
        cert, plain, made = (
            os.path.join(os.environ["FOLDER"], name) for name in ("cert.pem", "plain.pem", "made.pem")
        )
        with open(plain, "rb") as file:
            [block] = pem.blocks(file.read())
        for password in ("secret", b"secret", bytearray(b"secret"), lambda: "secret"):
            assert client_certificate.load(cert, made, password)[1] == block.data
        context = ssl.create_default_context()
        for password, words in (("wrong", "PEM lib"), (None, "pass it as `password`")):
            try:
                context.load_cert_chain(cert, made, password)
            except ssl.SSLError as error:
                assert words in str(error), error
            else:
                raise AssertionError(password)
        """,
        FOLDER=str(folder),
    )


def test_what_cannot_be_decrypted_says_what_can(folder: Path, guest: Guest) -> None:
    encrypt(folder, "-v2", "des3")
    guest(
        """
        import os, ssl
        cert, made = (os.path.join(os.environ["FOLDER"], name) for name in ("cert.pem", "made.pem"))
        try:
            ssl.create_default_context().load_cert_chain(cert, made, "secret")
        except ssl.SSLError as error:
            assert "use PBES2 and AES" in str(error), error
        else:
            raise AssertionError
        """,
        FOLDER=str(folder),
    )


def test_a_password_is_asked_for_only_if_it_is_needed(folder: Path) -> None:
    def never() -> str:
        raise AssertionError("asked")

    client_certificate.load(folder / "cert.pem", folder / "plain.pem", never)
    for password, kind in ((5, TypeError), ("x" * 1025, ValueError)):
        with pytest.raises(kind):
            client_certificate.load(folder / "cert.pem", folder / "plain.pem", password)
