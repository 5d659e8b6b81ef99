"""Stands in for `eryx:net/tls`: the interpreter's own OpenSSL behind the contract's semantics."""

import base64
import os
import subprocess
from dataclasses import dataclass
from enum import Enum

import real_modules
from componentize_py_types import Err

from . import types

ssl = real_modules.ssl

configs = []
"""Every configuration a session was begun with."""

BUFFER = 64 << 10


class Version(Enum):
    TLS12 = 0
    TLS13 = 1


class Revocation(Enum):
    LEAF = 0
    CHAIN = 1


@dataclass
class Identity:
    chain: list
    key: bytes


@dataclass
class ClientConfig:
    server_name: str
    alpn: list
    verify_peer: bool
    check_hostname: bool
    roots: list
    strict: bool
    revocation: Revocation
    revocation_lists: list
    identity: Identity
    min_version: Version
    max_version: Version
    ciphers: list
    groups: list


@dataclass
class Info:
    version: Version
    cipher: str
    cipher_bits: int
    alpn: bytes
    peer_chain: list
    resumed: bool


def tls_error(error):
    """The contract's case for an error of the real `ssl`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = "certificate has expired" if error.verify_code == 10 else error.verify_message
        return types.TlsError_Certificate(types.CertificateError(error.verify_code, words))
    if isinstance(error, ssl.SSLEOFError):
        return types.TlsError_UnexpectedEof()
    reason = error.reason or ""
    if "ALERT_" in reason:
        return types.TlsError_Alert(reason.split("ALERT_")[1].lower())
    return types.TlsError_Protocol(reason.lower().replace("_", " ") + ".")


def context(config):
    permitted = os.environ.get("FAKE_HOST_UNVERIFIED")
    checks_name = config.check_hostname or config.server_name is not None
    if not (config.verify_peer and checks_name) and not permitted:
        raise Err(types.Error_Tls(types.TlsError_Refused("allow_unverified_tls is off")))
    if config.server_name == "denied.test":
        raise Err(types.Error_Denied("denied.test is blocked"))
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = checks_name if not permitted else config.check_hostname
    if not config.verify_peer:
        made.verify_mode = ssl.CERT_NONE
    roots = os.environ.get("FAKE_HOST_ROOTS")
    if roots:
        made.load_verify_locations(roots)
    if config.alpn:
        made.set_alpn_protocols(list(config.alpn))
    names = {
        None: None,
        Version.TLS12: ssl.TLSVersion.TLSv1_2,
        Version.TLS13: ssl.TLSVersion.TLSv1_3,
    }
    if config.min_version:
        made.minimum_version = names[config.min_version]
    if config.max_version:
        made.maximum_version = names[config.max_version]
    return made


def decrypt_key(key, password):
    """As the host does it, by OpenSSL's program."""
    encrypted = base64.b64decode(key)
    described = openssl("asn1parse -inform DER", encrypted)
    if b"OBJECT" in described and not all(
        name in described for name in (b"PBKDF2", b"aes-", b"-cbc")
    ):
        raise Err(types.Error_Tls(types.TlsError_Refused("use PBES2 and AES")))
    arguments = "pkcs8 -topk8 -nocrypt -inform DER -outform DER -passin env:PASSWORD"
    found = openssl(arguments, encrypted, PASSWORD=base64.b64decode(password).decode())
    if not found:
        raise Err(types.Error_InvalidArgument("the password is wrong"))
    return found


def openssl(arguments, data, **environment):
    return subprocess.run(
        ["openssl", *arguments.split()],
        input=data,
        capture_output=True,
        env={**os.environ, **environment},
    ).stdout


class Session:
    @classmethod
    def client(cls, config):
        configs.append(config)
        self = cls()
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context(config).wrap_bio(
            self.incoming, self.outgoing, server_hostname=config.server_name
        )
        self.done = False
        self.ahead = b""
        self.guarded(self.object.do_handshake, quiet=True)
        return self

    def guarded(self, step, quiet=False):
        try:
            return step()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if not quiet:
                raise Err(types.Error_WouldBlock()) from None
        except ssl.SSLError as error:
            raise Err(types.Error_Tls(tls_error(error))) from None

    def feed(self, ciphertext):
        room = max(0, BUFFER - self.incoming.pending)
        return self.incoming.write(ciphertext[:room])

    def feed_eof(self):
        self.incoming.write_eof()

    def take(self, max):
        return self.outgoing.read(max)

    def handshake(self):
        self.guarded(self.object.do_handshake)
        self.done = True

    def read(self, max):
        if self.ahead:
            data, self.ahead = self.ahead[:max], self.ahead[max:]
            return data
        return self.guarded(lambda: self.object.read(max))

    def write(self, plaintext):
        if self.outgoing.pending >= BUFFER:
            raise Err(types.Error_WouldBlock())
        return self.guarded(lambda: self.object.write(plaintext[:16384]))

    def pending(self):
        return len(self.ahead) + (self.object.pending() if self.done else 0)

    def close(self):
        self.guarded(self.object.unwrap)

    def info(self):
        if not self.done:
            return None
        name, _, bits = self.object.cipher()
        alpn = self.object.selected_alpn_protocol()
        leaf = self.object.getpeercert(True)
        return Info(
            Version.TLS13 if self.object.version() == "TLSv1.3" else Version.TLS12,
            name,
            bits,
            alpn.encode() if alpn else None,
            [leaf] if leaf else [],
            self.object.session_reused,
        )

    def __exit__(self, *exc_info):
        self.object = None

    # What a connection that carries a session does: the same, with a socket below.

    def pump_out(self, sock):
        while self.outgoing.pending:
            data = self.outgoing.read()
            sock.setblocking(True)
            try:
                sock.sendall(data)
            finally:
                sock.setblocking(False)

    def pump(self, sock, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.pump_out(sock)
                data = sock.recv(65536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            finally:
                self.pump_out(sock)

    def carried_handshake(self, sock):
        self.pump(sock, self.object.do_handshake)
        self.done = True

    def carried_read(self, sock, size):
        data = self.pump(sock, lambda: self.object.read(size))
        # A record is decrypted whole: what is asked later has to be announced by `pending`.
        while data and len(data) < size and self.object.pending():
            data += self.object.read(size - len(data))
        return data

    def carried_write(self, sock, data):
        return self.pump(sock, lambda: self.object.write(data))

    def carried_close(self, sock):
        return self.pump(sock, self.object.unwrap)
