"""Object identifiers with OpenSSL's numbers (NIDs) and names."""

from __future__ import annotations

_REGISTRY = """
6|rsaEncryption|rsaEncryption|1.2.840.113549.1.1.1
13|CN|commonName|2.5.4.3
14|C|countryName|2.5.4.6
15|L|localityName|2.5.4.7
16|ST|stateOrProvinceName|2.5.4.8
17|O|organizationName|2.5.4.10
18|OU|organizationalUnitName|2.5.4.11
48|emailAddress|emailAddress|1.2.840.113549.1.9.1
49|unstructuredName|unstructuredName|1.2.840.113549.1.9.2
82|subjectKeyIdentifier|X509v3 Subject Key Identifier|2.5.29.14
83|keyUsage|X509v3 Key Usage|2.5.29.15
85|subjectAltName|X509v3 Subject Alternative Name|2.5.29.17
87|basicConstraints|X509v3 Basic Constraints|2.5.29.19
89|certificatePolicies|X509v3 Certificate Policies|2.5.29.32
90|authorityKeyIdentifier|X509v3 Authority Key Identifier|2.5.29.35
99|GN|givenName|2.5.4.42
100|SN|surname|2.5.4.4
101|initials|initials|2.5.4.43
103|crlDistributionPoints|X509v3 CRL Distribution Points|2.5.29.31
105|serialNumber|serialNumber|2.5.4.5
106|title|title|2.5.4.12
107|description|description|2.5.4.13
126|extendedKeyUsage|X509v3 Extended Key Usage|2.5.29.37
129|serverAuth|TLS Web Server Authentication|1.3.6.1.5.5.7.3.1
130|clientAuth|TLS Web Client Authentication|1.3.6.1.5.5.7.3.2
131|codeSigning|Code Signing|1.3.6.1.5.5.7.3.3
132|emailProtection|E-mail Protection|1.3.6.1.5.5.7.3.4
133|timeStamping|Time Stamping|1.3.6.1.5.5.7.3.8
173|name|name|2.5.4.41
174|dnQualifier|dnQualifier|2.5.4.46
177|authorityInfoAccess|Authority Information Access|1.3.6.1.5.5.7.1.1
178|OCSP|OCSP|1.3.6.1.5.5.7.48.1
179|caIssuers|CA Issuers|1.3.6.1.5.5.7.48.2
180|OCSPSigning|OCSP Signing|1.3.6.1.5.5.7.3.9
391|DC|domainComponent|0.9.2342.19200300.100.1.25
408|id-ecPublicKey|id-ecPublicKey|1.2.840.10045.2.1
415|prime256v1|prime256v1|1.2.840.10045.3.1.7
458|UID|userId|0.9.2342.19200300.100.1.1
509|generationQualifier|generationQualifier|2.5.4.44
510|pseudonym|pseudonym|2.5.4.65
660|street|streetAddress|2.5.4.9
661|postalCode|postalCode|2.5.4.17
668|RSA-SHA256|sha256WithRSAEncryption|1.2.840.113549.1.1.11
860|businessCategory|businessCategory|2.5.4.15
864|telephoneNumber|telephoneNumber|2.5.4.20
910|anyExtendedKeyUsage|Any Extended Key Usage|2.5.29.37.0
955|jurisdictionL|jurisdictionLocalityName|1.3.6.1.4.1.311.60.2.1.1
956|jurisdictionST|jurisdictionStateOrProvinceName|1.3.6.1.4.1.311.60.2.1.2
957|jurisdictionC|jurisdictionCountryName|1.3.6.1.4.1.311.60.2.1.3
1089|organizationIdentifier|organizationIdentifier|2.5.4.97
"""

Entry = tuple[int, str, str, str]

_BY_OID: dict[str, Entry] = {}
_BY_NAME: dict[str, Entry] = {}
_BY_NUMBER: dict[int, Entry] = {}
for _line in _REGISTRY.split("\n"):
    if _line:
        _number, _short, _long, _oid = _line.split("|")
        _entry = (int(_number), _short, _long, _oid)
        _BY_OID[_oid] = _BY_NUMBER[int(_number)] = _entry
        _BY_NAME[_short] = _BY_NAME[_long] = _entry


def long_name(oid: str) -> str:
    """Returns the long name of an identifier, or the identifier itself."""
    entry = _BY_OID.get(oid)
    return entry[2] if entry is not None else oid


def short_name(name: str) -> str:
    """Returns the short name for a long name or identifier, or the argument itself."""
    entry = _BY_NAME.get(name) or _BY_OID.get(name)
    return entry[1] if entry is not None else name


def txt2obj(txt: str, name: bool = False) -> Entry:
    """Returns number, short name, long name and dotted form of an identifier.

    With `name`, also accepts names. Raises ValueError for an unknown identifier.
    """
    entry = _BY_OID.get(txt)
    if entry is None and name:
        entry = _BY_NAME.get(txt)
    if entry is None:
        dotted = "." in txt and all(part.isdigit() for part in txt.split("."))
        raise ValueError("Unknown object" if dotted else f"unknown object {txt[:100]!r}")
    return entry


def nid2obj(nid: int, /) -> Entry:
    """Returns number, short name, long name and dotted form by number. Raises ValueError."""
    if nid < 0:
        raise ValueError("NID must be positive.")
    entry = _BY_NUMBER.get(nid)
    if entry is None:
        raise ValueError(f"unknown NID {nid}")
    return entry
