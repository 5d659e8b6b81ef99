"""Certificates, against CPython's own decoder and against damage."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificates import Authority
from eryx_net.tls import ca_certificates, certificate, der, pem


def genuine(path: Path) -> object:
    """CPython's own decoder, which exists for its tests."""
    return ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]


def loaded(path: Path) -> bytes:
    """A certificate in DER."""
    return ca_certificates.from_file(path).certificates[0]


@pytest.mark.parametrize(
    ("name", "extensions", "subject"),
    [
        ("plain", "[extensions]\n", ""),
        ("ca", "[extensions]\nbasicConstraints=critical,CA:true,pathlen:0\n", ""),
        ("unicode", "[extensions]\nsubjectAltName=DNS:xn--nxasmq6b\n", "/C=GR/O=Ελληνικά/CN=ü"),
        ("multiple", "[extensions]\n", "/DC=org/DC=example/CN=a/UID=b/emailAddress=c@d.example"),
        ("together", "[extensions]\n", "/CN=a+OU=b/serialNumber=12/GN=G/SN=S/title=T/street=1"),
        ("custom", "[extensions]\nsubjectAltName=RID:2.5.4.3\n", "/1.2.3.4.5.6=x/CN=y"),
        (
            "policies",
            "[extensions]\ncertificatePolicies=1.2.3.4\nextendedKeyUsage=serverAuth\n",
            "",
        ),
        ("points", "[extensions]\ncrlDistributionPoints=URI:ldap://x/,URI:http://y/\n", ""),
    ],
)
def test_a_certificate_reads_as_cpython_reads_it(
    authority: Authority, name: str, extensions: str, subject: str
) -> None:
    path = authority.issue(name, extensions, subject=subject)
    assert certificate.decode(loaded(path)) == genuine(path)


def test_every_extension_together_reads_as_cpython_reads_it(authority: Authority) -> None:
    path = authority.directory / "server.pem"
    shown = certificate.decode(loaded(path))
    assert shown == genuine(path)
    kinds = {kind for kind, _ in shown["subjectAltName"]}
    assert {"DNS", "IP Address", "email", "URI", "DirName", "Registered ID", "othername"} <= kinds


@pytest.mark.parametrize("days", [1, 30_000])
def test_both_forms_of_time_are_read(authority: Authority, days: int) -> None:
    path = authority.issue(f"days{days}", "[extensions]\n", days=days)
    shown = certificate.decode(loaded(path))
    assert shown == genuine(path)
    assert ssl.cert_time_to_seconds(shown["notAfter"]) > ssl.cert_time_to_seconds(
        shown["notBefore"]
    )


def test_the_bundle_of_the_machine_reads_as_cpython_reads_it() -> None:
    bundle = ssl.get_default_verify_paths().cafile
    if bundle is None:
        pytest.skip("this machine has no bundle of authorities")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(bundle)
    found = ca_certificates.from_file(bundle).certificates
    ours = {each: certificate.decode(each) for each in found if certificate.is_authority(each)}
    assert set(ours) == set(context.get_ca_certs(True))
    theirs = context.get_ca_certs()
    assert len(theirs) == len(ours)
    for shown in theirs:
        assert shown in ours.values()


def test_authorities_are_told_from_others(authority: Authority) -> None:
    assert certificate.is_authority(loaded(authority.root))
    assert not certificate.is_authority(loaded(authority.directory / "server.pem"))


@given(st.data())
def test_damaged_certificates_are_refused_and_nothing_else_happens(
    authority: Authority, data: st.DataObject
) -> None:
    whole = loaded(authority.directory / "server.pem")
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(whole)))])
    for candidate in (bytes(damaged), cut):
        try:
            certificate.decode(candidate)
            certificate.is_authority(candidate)
        except der.DerError:
            continue


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_no_certificate(data: bytes) -> None:
    with pytest.raises(der.DerError):
        certificate.Fields(data)


@pytest.mark.parametrize(
    "encoded",
    [
        b"\x30",
        b"\x30\x80\x00\x00",  # indefinite length
        b"\x30\x81\x01\x00",  # a length that fits in one byte
        b"\x30\x82\x00\x80" + bytes(128),  # a length with a zero in front
        b"\x30\x85\x00\x00\x00\x00\x01\x00",  # a length of five bytes
        b"\x30\x02\x00",  # cut short
        b"\x1f\x81\x01\x00",  # a long tag
    ],
)
def test_lengths_are_read_strictly(encoded: bytes) -> None:
    with pytest.raises(der.DerError):
        der.Reader(encoded).element()


@pytest.mark.parametrize("encoded", [b"\x02\x00", b"\x02\x02\x00\x01", b"\x02\x02\xff\xff"])
def test_integers_are_read_strictly(encoded: bytes) -> None:
    with pytest.raises(der.DerError):
        der.Reader(encoded).integer()


@pytest.mark.parametrize(
    ("contents", "dotted"),
    [(b"\x55\x04\x03", "2.5.4.3"), (b"\x2a\x86\x48", "1.2.840"), (b"\x88\x37", "2.999")],
)
def test_object_identifiers_are_dotted(contents: bytes, dotted: str) -> None:
    assert der.dotted(contents) == dotted


@pytest.mark.parametrize("contents", [b"", b"\x86", b"\x55\x80\x01", b"\x81" * 200 + b"\x01"])
def test_object_identifiers_are_read_strictly(contents: bytes) -> None:
    with pytest.raises(der.DerError):
        der.dotted(contents)


def test_pem_blocks_are_found_between_other_text() -> None:
    text = b"noise\n-----BEGIN A-----\nX: y\n\naGk=\n-----END A-----\nmore\r\n-----BEGIN B-----\r\naG8=\r\n-----END B-----"
    found = [(block.label, block.headers, block.data) for block in pem.blocks(text)]
    assert found == [("A", ["X: y"], b"hi"), ("B", [], b"ho")]
    for broken in (b"-----BEGIN A-----\naGk=\n", b"-----BEGIN A-----\n!\n-----END A-----\n"):
        with pytest.raises(pem.PemError):
            list(pem.blocks(broken))


def test_a_certificate_of_a_chain_converts_and_compares(authority: Authority) -> None:
    data = loaded(authority.root)
    made = certificate.Certificate.from_der(data)
    assert made.public_bytes(certificate.ENCODING_DER) == data
    assert ssl.PEM_cert_to_DER_cert(str(made.public_bytes())) == data
    same = certificate.Certificate.from_der(bytes(data))
    assert made == same
    assert hash(made) == hash(same)
    assert made.get_info() == certificate.decode(data)
    assert "Test Root" in repr(made)
