"""A temporary certificate authority, created with the `openssl` command."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

ALL_EXTENSIONS = """
[extensions]
basicConstraints = critical, CA:false
subjectAltName = @names
authorityInfoAccess = OCSP;URI:http://ocsp.example/, caIssuers;URI:http://ca.example/ca.der
crlDistributionPoints = URI:http://crl.example/1.crl, URI:http://crl.example/2.crl
[names]
DNS.1 = server.test
DNS.2 = *.server.test
DNS.3 = localhost
IP.1 = 127.0.0.1
IP.2 = 2001:db8::1
email.1 = someone@server.test
URI.1 = https://server.test/
RID.1 = 1.2.3.4.5
otherName.1 = 1.2.3.4;UTF8:other
dirName.1 = directory
[directory]
C = UK
O = Organization of "quotes", ünïcode
CN = Directory
"""


def openssl(*arguments: object, into: Path) -> None:
    """Runs `openssl` in a directory."""
    subprocess.run(
        ["openssl", *map(str, arguments)], cwd=into, check=True, capture_output=True, timeout=60
    )


class CertificateAuthority:
    """A root certificate and those it issued, as PEM files in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "root.pem"
        openssl(
            *("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30").split(),
            *("-keyout", "root.key", "-out", "root.pem", "-subj", "/O=Test/CN=Test Root"),
            *("-addext", "basicConstraints=critical,CA:true"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            into=directory,
        )

    def issue(self, name: str, extensions: str, *, days: int = 20, subject: str = "") -> Path:
        """Issues the certificate `name.pem` with the key `name.key`."""
        directory = self.directory
        (directory / f"{name}.cnf").write_text(extensions)
        openssl(
            *("req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -utf8").split(),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
            *("-subj", subject or f"/C=DE/ST=Berlin/O=Test/OU=One/CN={name}"),
            into=directory,
        )
        openssl(
            *("x509 -req -CA root.pem -CAkey root.key -CAcreateserial").split(),
            *("-in", f"{name}.csr", "-out", f"{name}.pem", "-days", days),
            *("-extfile", f"{name}.cnf", "-extensions", "extensions"),
            into=directory,
        )
        return directory / f"{name}.pem"

    def server(self, name: str, **settings: object) -> ssl.SSLContext:
        """Returns the context of a server with an issued certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        for key, value in settings.items():
            setattr(context, key, value)
        return context
