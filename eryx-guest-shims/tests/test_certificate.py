"""Certificates against CPython's own decoder, and malformed input."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certificates import CertificateAuthority
from eryx_net.tls import ca_certificates, certificate, der, pem


def decoded_by_cpython(path: Path) -> object:
    """Returns the result of CPython's own decoder, which exists for its tests."""
    return ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]


def read_der(path: Path) -> bytes:
    """Returns the certificate of a PEM file in DER."""
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
def test_a_decoded_certificate_matches_cpython(
    ca: CertificateAuthority, name: str, extensions: str, subject: str
) -> None:
    path = ca.issue(name, extensions, subject=subject)
    assert certificate.decode(read_der(path)) == decoded_by_cpython(path)


def test_a_certificate_with_every_extension_matches_cpython(ca: CertificateAuthority) -> None:
    path = ca.directory / "server.pem"
    decoded = certificate.decode(read_der(path))
    assert decoded == decoded_by_cpython(path)
    kinds = {kind for kind, _ in decoded["subjectAltName"]}
    assert {"DNS", "IP Address", "email", "URI", "DirName", "Registered ID", "othername"} <= kinds


@pytest.mark.parametrize("days", [1, 30_000])
def test_utc_time_and_generalized_time_match_cpython(ca: CertificateAuthority, days: int) -> None:
    path = ca.issue(f"days{days}", "[extensions]\n", days=days)
    decoded = certificate.decode(read_der(path))
    assert decoded == decoded_by_cpython(path)
    assert ssl.cert_time_to_seconds(decoded["notAfter"]) > ssl.cert_time_to_seconds(
        decoded["notBefore"]
    )


def test_the_ca_bundle_of_the_system_matches_cpython() -> None:
    bundle = ssl.get_default_verify_paths().cafile
    if bundle is None:
        pytest.skip("this machine has no CA bundle")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(bundle)
    authorities = filter(certificate.is_authority, ca_certificates.from_file(bundle).certificates)
    decoded = {data: certificate.decode(data) for data in authorities}
    assert set(decoded) == set(context.get_ca_certs(True))
    expected = context.get_ca_certs()
    assert len(expected) == len(decoded)
    for fields in expected:
        assert fields in decoded.values()


def test_is_authority_is_true_for_a_ca_certificate_only(ca: CertificateAuthority) -> None:
    assert certificate.is_authority(read_der(ca.root))
    assert not certificate.is_authority(read_der(ca.directory / "server.pem"))


@given(st.data())
def test_a_damaged_certificate_raises_no_other_exception_than_der_error(
    ca: CertificateAuthority, data: st.DataObject
) -> None:
    whole = read_der(ca.directory / "server.pem")
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    truncated = bytes(damaged[: data.draw(st.integers(0, len(whole)))])
    for candidate in (bytes(damaged), truncated):
        try:
            certificate.decode(candidate)
            certificate.is_authority(candidate)
        except der.DerError:
            continue


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_der_error(data: bytes) -> None:
    with pytest.raises(der.DerError):
        certificate.Fields(data)


@pytest.mark.parametrize(
    "encoded",
    [
        b"\x30",
        b"\x30\x80\x00\x00",  # indefinite length
        b"\x30\x81\x01\x00",  # a length that fits in one byte
        b"\x30\x82\x00\x80" + bytes(128),  # a length with a leading zero
        b"\x30\x85\x00\x00\x00\x00\x01\x00",  # a length of five bytes
        b"\x30\x02\x00",  # truncated
        b"\x1f\x81\x01\x00",  # a long tag
    ],
)
def test_malformed_der_lengths_raise_der_error(encoded: bytes) -> None:
    with pytest.raises(der.DerError):
        der.Reader(encoded).element()


@pytest.mark.parametrize("encoded", [b"\x02\x00", b"\x02\x02\x00\x01", b"\x02\x02\xff\xff"])
def test_malformed_der_integers_raise_der_error(encoded: bytes) -> None:
    with pytest.raises(der.DerError):
        der.Reader(encoded).integer()


@pytest.mark.parametrize(
    ("contents", "dotted"),
    [(b"\x55\x04\x03", "2.5.4.3"), (b"\x2a\x86\x48", "1.2.840"), (b"\x88\x37", "2.999")],
)
def test_object_identifiers_are_formatted_in_dotted_form(contents: bytes, dotted: str) -> None:
    assert der.dotted(contents) == dotted


@pytest.mark.parametrize("contents", [b"", b"\x86", b"\x55\x80\x01", b"\x81" * 200 + b"\x01"])
def test_malformed_object_identifiers_raise_der_error(contents: bytes) -> None:
    with pytest.raises(der.DerError):
        der.dotted(contents)


def test_pem_blocks_are_parsed_between_other_text() -> None:
    text = b"noise\n-----BEGIN A-----\nX: y\n\naGk=\n-----END A-----\nmore\r\n-----BEGIN B-----\r\naG8=\r\n-----END B-----"
    found = [(block.label, block.headers, block.data) for block in pem.blocks(text)]
    assert found == [("A", ["X: y"], b"hi"), ("B", [], b"ho")]
    for broken in (b"-----BEGIN A-----\naGk=\n", b"-----BEGIN A-----\n!\n-----END A-----\n"):
        with pytest.raises(pem.PemError):
            list(pem.blocks(broken))


def test_a_certificate_of_a_chain_converts_to_der_and_pem_and_compares(
    ca: CertificateAuthority,
) -> None:
    data = read_der(ca.root)
    converted = certificate.Certificate.from_der(data)
    assert converted.public_bytes(certificate.ENCODING_DER) == data
    assert ssl.PEM_cert_to_DER_cert(str(converted.public_bytes())) == data
    same = certificate.Certificate.from_der(bytes(data))
    assert converted == same
    assert hash(converted) == hash(same)
    assert converted.get_info() == certificate.decode(data)
    assert "Test Root" in repr(converted)
