"""Client certificates with private keys that OpenSSL encrypted."""

from __future__ import annotations

from pathlib import Path

import pytest

from certificates import openssl
from conftest import Guest
from eryx_net.tls import client_certificate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate `cert.pem` and its key `plain.pem`, not encrypted."""
    path = tmp_path_factory.mktemp("keys")
    new_key = ("-newkey", "rsa:2048", "-nodes", "-keyout", "plain.pem")
    openssl("req", "-x509", "-subj", "/CN=x", *new_key, "-out", "cert.pem", into=path)
    return path


def encrypt(folder: Path, *options: str) -> None:
    """Encrypts the key with the password `secret`, into `encrypted.pem`."""
    files = ("-in", "plain.pem", "-out", "encrypted.pem")
    openssl("pkcs8", "-topk8", *files, "-passout", "pass:secret", *options, into=folder)


def test_an_encrypted_key_loads_with_its_password_only(folder: Path, guest: Guest) -> None:
    encrypt(folder, "-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA512")
    guest(
        """
        import os, ssl
        from eryx_net.tls import client_certificate, pem
        cert, plain, encrypted = (
            os.path.join(os.environ["FOLDER"], name + ".pem") for name in ("cert", "plain", "encrypted")
        )
        with open(plain, "rb") as file:
            [block] = pem.blocks(file.read())
        for password in ("secret", b"secret", bytearray(b"secret"), lambda: "secret"):
            assert client_certificate.load(cert, encrypted, password)[1] == block.data
        context = ssl.create_default_context()
        for password, words in (("wrong", "PEM lib"), (None, "pass it as `password`")):
            try:
                context.load_cert_chain(cert, encrypted, password)
            except ssl.SSLError as error:
                assert words in str(error), error
            else:
                raise AssertionError(password)
        """,
        FOLDER=str(folder),
    )


def test_an_unsupported_key_encryption_names_the_supported_one(folder: Path, guest: Guest) -> None:
    encrypt(folder, "-v2", "des3")
    guest(
        """
        import os, ssl
        cert, encrypted = (os.path.join(os.environ["FOLDER"], name + ".pem") for name in ("cert", "encrypted"))
        try:
            ssl.create_default_context().load_cert_chain(cert, encrypted, "secret")
        except ssl.SSLError as error:
            assert "use PBES2 and AES" in str(error), error
        else:
            raise AssertionError
        """,
        FOLDER=str(folder),
    )


def test_the_password_callback_is_not_called_for_a_plain_key(folder: Path) -> None:
    def never() -> str:
        raise AssertionError("called")

    client_certificate.load(folder / "cert.pem", folder / "plain.pem", never)
    for password, kind in ((5, TypeError), ("x" * 1025, ValueError)):
        with pytest.raises(kind):
            client_certificate.load(folder / "cert.pem", folder / "plain.pem", password)
