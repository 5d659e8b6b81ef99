"""A fake `eryx:net/tls` over the interpreter's own OpenSSL."""

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
"""The configurations of all sessions."""

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
    """Returns the case of `tls-error` for an exception of the real `ssl`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        words = "certificate has expired" if error.verify_code == 10 else error.verify_message
        return types.TlsError_Certificate(types.CertificateError(error.verify_code, words))
    if isinstance(error, ssl.SSLEOFError):
        return types.TlsError_UnexpectedEof()
    reason = error.reason or ""
    if "ALERT_" in reason:
        return types.TlsError_Alert(reason.split("ALERT_")[1].lower())
    return types.TlsError_Protocol(reason.lower().replace("_", " ") + ".")


def client_context(config):
    permitted = os.environ.get("FAKE_HOST_UNVERIFIED")
    checks_name = config.check_hostname or config.server_name is not None
    if not (config.verify_peer and checks_name) and not permitted:
        raise Err(types.Error_Tls(types.TlsError_Refused("allow_unverified_tls is off")))
    if config.server_name == "denied.test":
        raise Err(types.Error_Denied("denied.test is blocked"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = checks_name if not permitted else config.check_hostname
    if not config.verify_peer:
        context.verify_mode = ssl.CERT_NONE
    roots = os.environ.get("FAKE_HOST_ROOTS")
    if roots:
        context.load_verify_locations(roots)
    if config.alpn:
        context.set_alpn_protocols(list(config.alpn))
    names = {
        None: None,
        Version.TLS12: ssl.TLSVersion.TLSv1_2,
        Version.TLS13: ssl.TLSVersion.TLSv1_3,
    }
    if config.min_version:
        context.minimum_version = names[config.min_version]
    if config.max_version:
        context.maximum_version = names[config.max_version]
    return context


def decrypt_key(key, password):
    """Decrypts a key like the host, with the `openssl` command."""
    encrypted = base64.b64decode(key)
    structure = openssl("asn1parse -inform DER", encrypted)
    if b"OBJECT" in structure and not all(
        name in structure for name in (b"PBKDF2", b"aes-", b"-cbc")
    ):
        raise Err(types.Error_Tls(types.TlsError_Refused("use PBES2 and AES")))
    arguments = "pkcs8 -topk8 -nocrypt -inform DER -outform DER -passin env:PASSWORD"
    decrypted = openssl(arguments, encrypted, PASSWORD=base64.b64decode(password).decode())
    if not decrypted:
        raise Err(types.Error_InvalidArgument("the password is wrong"))
    return decrypted


def openssl(arguments, data, **environment):
    with real_modules.system_pipes():
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
        self.object = client_context(config).wrap_bio(
            self.incoming, self.outgoing, server_hostname=config.server_name
        )
        self.done = False
        self.ahead = b""
        self.translate(self.object.do_handshake, quiet=True)
        return self

    def translate(self, step, quiet=False):
        try:
            return step()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if not quiet:
                raise Err(types.Error_WouldBlock()) from None
        except ssl.SSLError as error:
            raise Err(types.Error_Tls(tls_error(error))) from None

    def feed(self, ciphertext):
        space = max(0, BUFFER - self.incoming.pending)
        return self.incoming.write(ciphertext[:space])

    def feed_eof(self):
        self.incoming.write_eof()

    def take(self, max):
        return self.outgoing.read(max)

    def handshake(self):
        self.translate(self.object.do_handshake)
        self.done = True

    def read(self, max):
        if self.ahead:
            data, self.ahead = self.ahead[:max], self.ahead[max:]
            return data
        return self.translate(lambda: self.object.read(max))

    def write(self, plaintext):
        if self.outgoing.pending >= BUFFER:
            raise Err(types.Error_WouldBlock())
        return self.translate(lambda: self.object.write(plaintext[:16384]))

    def pending(self):
        return len(self.ahead) + (self.object.pending() if self.done else 0)

    def close(self):
        self.translate(self.object.unwrap)

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

    # The same operations for a connection, over its socket.

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

    def socket_handshake(self, sock):
        self.pump(sock, self.object.do_handshake)
        self.done = True

    def socket_read(self, sock, size):
        data = self.pump(sock, lambda: self.object.read(size))
        # A record is decrypted as a whole: `pending` has to report bytes that are not read here.
        while data and len(data) < size and self.object.pending():
            data += self.object.read(size - len(data))
        return data

    def socket_write(self, sock, data):
        return self.pump(sock, lambda: self.object.write(data))

    def socket_close(self, sock):
        return self.pump(sock, self.object.unwrap)
