"""`_ssl._SSLContext`: the settings of a TLS client, checked as CPython checks them."""

from __future__ import annotations

import contextlib
import os
import warnings
from typing import Any

from . import certificate, ciphers, host, identity, pem, trust
from .buffers import base64_text, octets
from .certificate import is_authority
from .der import DerError
from .memory_bio import MemoryBIO
from .names import MAX_NAME
from .tls_constants import (
    CERT_NONE,
    CERT_OPTIONAL,
    CERT_REQUIRED,
    HOSTFLAG_NO_PARTIAL_WILDCARDS,
    OP_ALL,
    OP_CIPHER_SERVER_PREFERENCE,
    OP_ENABLE_MIDDLEBOX_COMPAT,
    OP_NO_COMPRESSION,
    PROTO_MAXIMUM_SUPPORTED,
    PROTO_MINIMUM_SUPPORTED,
    PROTOCOL_TLS,
    PROTOCOL_TLS_CLIENT,
    PROTOCOL_TLS_SERVER,
    VERIFY_CRL_CHECK_CHAIN,
    VERIFY_CRL_CHECK_LEAF,
    VERIFY_X509_STRICT,
    VERIFY_X509_TRUSTED_FIRST,
    OP_NO_SSLv3,
    OP_NO_TLSv1,
    OP_NO_TLSv1_1,
    OP_NO_TLSv1_2,
    OP_NO_TLSv1_3,
    PROTO_SSLv3,
    PROTO_TLSv1,
    PROTO_TLSv1_1,
    PROTO_TLSv1_2,
    PROTO_TLSv1_3,
    PROTOCOL_TLSv1,
    PROTOCOL_TLSv1_1,
    PROTOCOL_TLSv1_2,
)
from .tls_engines import BioTls, Engine, SocketTls
from .tls_errors import SSLError, refusal, ssl_error
from .tls_object import SSLObjectBase

_VERSIONED = {
    PROTOCOL_TLSv1: PROTO_TLSv1,
    PROTOCOL_TLSv1_1: PROTO_TLSv1_1,
    PROTOCOL_TLSv1_2: PROTO_TLSv1_2,
}
_VERSIONS = (
    PROTO_SSLv3,
    PROTO_TLSv1,
    PROTO_TLSv1_1,
    PROTO_TLSv1_2,
    PROTO_TLSv1_3,
    PROTO_MINIMUM_SUPPORTED,
    PROTO_MAXIMUM_SUPPORTED,
)
_DEPRECATED = {PROTO_SSLv3: "SSLv3", PROTO_TLSv1: "TLSv1", PROTO_TLSv1_1: "TLSv1_1"}
_NO_VERSION = OP_NO_SSLv3 | OP_NO_TLSv1 | OP_NO_TLSv1_1 | OP_NO_TLSv1_2 | OP_NO_TLSv1_3
# OpenSSL's names and the numbers of the IANA (tls-parameters, 8).
_CURVES = {
    "prime256v1": 23,
    "secp384r1": 24,
    "secp521r1": 25,
    "X25519": 29,
    "X448": 30,
    "X25519MLKEM768": 4588,
}


def _index(value: Any) -> int:
    if not isinstance(value, int):
        kind = type(value).__name__
        raise TypeError(f"'{kind}' object cannot be interpreted as an integer")
    return int(value)


def _unsigned(value: Any) -> int:
    number = _index(value)
    if number < 0:
        raise OverflowError("can't convert negative int to unsigned")
    if number >= 1 << 64:
        raise OverflowError("Python int too large to convert to C unsigned long")
    return number


class _SSLContext:
    """The settings of TLS connections.

    Whom to trust is the host's decision: certificates loaded here are kept, shown by `get_ca_certs`
    and passed on, but count only where the embedder permits unverified TLS.
    """

    __slots__ = (
        "_alpn",
        "_check_hostname",
        "_cipher_numbers",
        "_curve",
        "_directory",
        "_host_flags",
        "_identity",
        "_maximum",
        "_minimum",
        "_num_tickets",
        "_options",
        "_protocol",
        "_revoked",
        "_roots",
        "_roots_text",
        "_sni_callback",
        "_suites",
        "_verify_flags",
        "_verify_mode",
        "post_handshake_auth",
    )

    _alpn: list[str]
    _check_hostname: bool
    _cipher_numbers: list[int]
    _curve: int | None
    _directory: dict[bytes, str]
    _host_flags: int
    _identity: tuple[list[bytes], bytes] | None
    _maximum: int
    _minimum: int
    _num_tickets: int
    _options: int
    _protocol: int
    _revoked: list[bytes]
    _roots: list[bytes]
    _roots_text: list[str]
    _sni_callback: Any
    _suites: tuple[ciphers.Suite, ...]
    _verify_flags: int
    _verify_mode: int
    post_handshake_auth: bool

    def __new__(cls, protocol: int, /) -> _SSLContext:
        known = (PROTOCOL_TLS, PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER, *_VERSIONED)
        if _index(protocol) not in known:
            raise ValueError(f"invalid or unsupported protocol version {int(protocol)}")
        if protocol not in (PROTOCOL_TLS_CLIENT, PROTOCOL_TLS_SERVER):
            names = {PROTOCOL_TLS: "TLS", PROTOCOL_TLSv1: "TLSv1", PROTOCOL_TLSv1_1: "TLSv1_1"}
            name = names.get(protocol, "TLSv1_2")
            warnings.warn(
                f"ssl.PROTOCOL_{name} is deprecated", category=DeprecationWarning, stacklevel=3
            )
        self = object.__new__(cls)
        self._protocol = int(protocol)
        client = protocol == PROTOCOL_TLS_CLIENT
        self._check_hostname = client
        self._verify_mode = CERT_REQUIRED if client else CERT_NONE
        self._verify_flags = VERIFY_X509_TRUSTED_FIRST
        self._options = (
            OP_ALL
            | OP_NO_SSLv3
            | OP_NO_COMPRESSION
            | OP_CIPHER_SERVER_PREFERENCE
            | OP_ENABLE_MIDDLEBOX_COMPAT
        )
        only = _VERSIONED.get(protocol)
        self._minimum = only if only is not None else PROTO_TLSv1_2
        self._maximum = only if only is not None else PROTO_MAXIMUM_SUPPORTED
        self._alpn = []
        self._suites = ciphers.SUITES
        # None says all, in the host's order.
        self._cipher_numbers = []
        # Found in directories, for when one is needed; by certificate, with its text.
        self._directory = {}
        self._roots = []
        self._roots_text = []
        # Revocation lists.
        self._revoked = []
        self._identity = None
        self._sni_callback = None
        self._curve = None
        self._num_tickets = 2
        self._host_flags = HOSTFLAG_NO_PARTIAL_WILDCARDS
        self.post_handshake_auth = False
        return self

    # Settings.

    @property
    def protocol(self) -> int:
        """The `PROTOCOL_*` it was made with."""
        return self._protocol

    @property
    def check_hostname(self) -> bool:
        """Whether the peer's certificate must be for the name connected to."""
        return self._check_hostname

    @check_hostname.setter
    def check_hostname(self, value: bool) -> None:
        self._check_hostname = bool(value)
        if value and self._verify_mode == CERT_NONE:
            self._verify_mode = CERT_REQUIRED

    @property
    def verify_mode(self) -> int:
        """`CERT_NONE`, `CERT_OPTIONAL` or `CERT_REQUIRED`."""
        return self._verify_mode

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:
        mode = _index(value)
        if mode not in (CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED):
            raise ValueError("invalid value for verify_mode")
        if mode == CERT_NONE and self._check_hostname:
            raise ValueError("Cannot set verify_mode to CERT_NONE when check_hostname is enabled.")
        self._verify_mode = mode

    @property
    def verify_flags(self) -> int:
        """`VERIFY_*` flags."""
        return self._verify_flags

    @verify_flags.setter
    def verify_flags(self, value: int) -> None:
        self._verify_flags = _unsigned(value)

    @property
    def options(self) -> int:
        """`OP_*` flags."""
        return self._options

    @options.setter
    def options(self, value: int) -> None:
        options = _unsigned(value)
        if options & ~self._options & _NO_VERSION:
            warnings.warn(
                "ssl.OP_NO_SSL*/ssl.OP_NO_TLS* options are deprecated",
                category=DeprecationWarning,
                stacklevel=3,
            )
        self._options = options

    @property
    def minimum_version(self) -> int:
        """The lowest protocol version to accept."""
        return self._minimum

    @minimum_version.setter
    def minimum_version(self, value: int) -> None:
        self._check_version(value)
        bounds = {PROTO_MINIMUM_SUPPORTED: PROTO_TLSv1_2, PROTO_MAXIMUM_SUPPORTED: PROTO_TLSv1_3}
        asked = int(value)
        self._minimum = asked if asked == PROTO_MINIMUM_SUPPORTED else bounds.get(asked, asked)

    @property
    def maximum_version(self) -> int:
        """The highest protocol version to offer."""
        return self._maximum

    @maximum_version.setter
    def maximum_version(self, value: int) -> None:
        self._check_version(value)
        asked = int(value)
        # OpenSSL knows TLS 1.0, and bars it too.
        self._maximum = PROTO_TLSv1 if asked == PROTO_MINIMUM_SUPPORTED else asked

    def _check_version(self, value: Any) -> None:
        if _index(value) not in _VERSIONS:
            raise ValueError(f"Unsupported TLS/SSL version {int(value):#x}")
        if value in _DEPRECATED:
            warnings.warn(
                f"ssl.TLSVersion.{_DEPRECATED[value]} is deprecated",
                category=DeprecationWarning,
                stacklevel=4,
            )
        if self._protocol in _VERSIONED:
            raise ValueError("The context's protocol doesn't support modification of the version.")

    @property
    def security_level(self) -> int:
        """OpenSSL's measure of the least strength accepted; what is offered meets level 2."""
        return 2

    @property
    def num_tickets(self) -> int:
        """How many session tickets a server sends."""
        return self._num_tickets

    @num_tickets.setter
    def num_tickets(self, value: int) -> None:
        if self._protocol != PROTOCOL_TLS_SERVER:
            raise ValueError("SSLContext is not a server context.")
        if _index(value) < 0:
            raise ValueError("value must be non-negative")
        self._num_tickets = int(value)

    @property
    def keylog_filename(self) -> str | None:
        """Always None: the keys are the host's."""
        return None

    @keylog_filename.setter
    def keylog_filename(self, value: Any) -> None:
        if value is not None:
            raise refusal("keylog_filename cannot be set in a sandbox: keys stay on the host")

    @property
    def sni_callback(self) -> Any:
        """What a server calls with the name a client asks for. Kept; nothing calls it."""
        return self._sni_callback

    @sni_callback.setter
    def sni_callback(self, value: Any) -> None:
        if self._protocol == PROTOCOL_TLS_CLIENT:
            raise ValueError("sni_callback cannot be set on TLS_CLIENT context")
        if value is not None and not callable(value):
            raise TypeError("not a callable object")
        self._sni_callback = value

    @property
    def _msg_callback(self) -> None:
        return None

    @_msg_callback.setter
    def _msg_callback(self, value: Any) -> None:
        if value is not None:
            raise refusal("TLS messages cannot be observed in a sandbox: they stay on the host")

    def set_ciphers(self, cipherlist: str, /) -> None:
        """Allow only the cipher suites that an OpenSSL cipher string chooses.

        Raises SSLError when it chooses none of those available.
        """
        if not isinstance(cipherlist, str):
            kind = type(cipherlist).__name__
            raise TypeError(f"set_ciphers() argument must be str, not {kind}")
        try:
            self._suites = ciphers.select(cipherlist)
        except ValueError as error:
            raise SSLError(str(error)) from None
        self._cipher_numbers = [suite.number for suite in self._suites]

    def get_ciphers(self) -> list[dict[str, Any]]:
        """The cipher suites allowed, the preferred first."""
        return [suite.shown() for suite in self._suites]

    def _set_alpn_protocols(self, protos: Any, /) -> None:
        """Protocols to offer, each preceded by its length (RFC 7301, 3.1)."""
        wire = octets(protos)
        names = []
        at = 0
        while at < len(wire):
            name = wire[at + 1 : at + 1 + wire[at]]
            if not name or len(name) != wire[at]:
                raise SSLError("malformed ALPN protocol list")
            if not name.isascii():
                raise refusal("ALPN protocols are ASCII in a sandbox, as all registered ones are")
            names.append(name.decode())
            at += 1 + len(name)
        self._alpn = names

    def set_ecdh_curve(self, name: str | bytes, /) -> None:
        """Offer only this group for the key exchange."""
        text = os.fsdecode(name)
        number = _CURVES.get(text)
        if number is None:
            raise ValueError(f"unknown elliptic curve name {text!r}")
        self._curve = number

    def load_dh_params(self, path: Any, /) -> None:
        """Load a server's Diffie-Hellman parameters. Checked; a client has no use for them."""
        if not any(block.label == "DH PARAMETERS" for block in pem.blocks(trust.contents(path))):
            error = SSLError(108, "[PEM: NO_START_LINE] no start line (_ssl.c:1000)")
            error.library = "PEM"
            error.reason = "NO_START_LINE"
            raise error

    def set_psk_client_callback(self, callback: Any) -> None:
        """Use pre-shared keys; not available."""
        raise NotImplementedError("TLS-PSK is not supported by your OpenSSL version.")

    def set_psk_server_callback(self, callback: Any, identity_hint: str | None = None) -> None:
        """Use pre-shared keys; not available."""
        raise NotImplementedError("TLS-PSK is not supported by your OpenSSL version.")

    # Certificates.

    def load_verify_locations(
        self, cafile: Any = None, capath: Any = None, cadata: Any = None
    ) -> None:
        """Load trust anchors from a PEM file, a directory, or PEM text or DER bytes; and revocation
        lists from the first two.
        """
        if cafile is None and capath is None and cadata is None:
            raise TypeError("cafile, capath and cadata cannot be all omitted")
        for name, path in (("cafile", cafile), ("capath", capath)):
            if path is not None and not isinstance(path, (str, bytes, os.PathLike)):
                raise TypeError(f"{name} should be a valid filesystem path")
        found: list[bytes] = []
        if cadata is not None:
            if not isinstance(cadata, str):
                try:
                    cadata = octets(cadata)
                except TypeError:
                    cadata = None
            elif not cadata.isascii():
                cadata = None
            if cadata is None:
                raise TypeError("cadata should be an ASCII string or a bytes-like object")
            found += trust.from_data(cadata)
        if cafile is not None:
            loaded = trust.from_file(cafile)
            found += loaded.certificates
            self._load_lists(loaded.revocation_lists)
        if capath is not None:
            listed = trust.from_directory(capath)
            texts = {each: base64_text(each) for each in listed.certificates}
            self._directory = self._directory | texts
            self._load_lists(listed.revocation_lists)
        self._load(found)

    def _load_lists(self, lists: list[bytes]) -> None:
        self._revoked = list(dict.fromkeys([*self._revoked, *lists]))

    def _load(self, found: list[bytes]) -> None:
        known = set(self._roots)
        new = [each for each in dict.fromkeys(found) if each not in known]
        self._roots = self._roots + new
        self._roots_text = self._roots_text + [base64_text(each) for each in new]

    def set_default_verify_paths(self) -> None:
        """Trust what the system trusts, which the host does anyway; and the files the environment
        names.
        """
        named = os.environ.get("SSL_CERT_FILE")
        if named:
            # OpenSSL passes over one that cannot be read.
            with contextlib.suppress(OSError):
                self.load_verify_locations(cafile=named)

    def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
        """Load a certificate chain and key, for servers that ask for one."""
        for name, path in (("certfile", certfile), ("keyfile", keyfile)):
            missing = path is None and name == "keyfile"
            if not missing and not isinstance(path, (str, bytes, os.PathLike)):
                raise TypeError(f"{name} should be a valid filesystem path")
        self._identity = identity.load(certfile, keyfile, password)

    def _anchors(self) -> list[bytes]:
        """All certificates loaded, those of directories too."""
        return [*self._roots, *self._directory]

    def _notice(self, chain: list[bytes]) -> None:
        """Load what a verified chain led to in a directory, as OpenSSL does on the way."""
        if self._directory and self._verify_mode != CERT_NONE and chain:
            with contextlib.suppress(DerError):
                used = certificate.chain(chain[0], chain[1:] + self._anchors())
                self._load([each for each in used if each in self._directory])

    def get_ca_certs(self, binary_form: bool = False) -> list[Any]:
        """The authorities among the certificates loaded, as dictionaries or in DER."""
        authorities = [each for each in self._roots if is_authority(each)]
        return authorities if binary_form else list(trust.shown(authorities))

    def cert_store_stats(self) -> dict[str, int]:
        """How many certificates are loaded."""
        authorities = sum(map(is_authority, self._roots))
        return {"x509": len(self._roots), "crl": len(self._revoked), "x509_ca": authorities}

    def session_stats(self) -> dict[str, int]:
        """Counts of a server's sessions: none."""
        names = (
            "number connect connect_good connect_renegotiate accept accept_good "
            "accept_renegotiate hits misses timeouts cache_full"
        )
        return dict.fromkeys(names.split(), 0)

    # Connections.

    def _wrap_socket(
        self,
        sock: Any,
        server_side: bool,
        server_hostname: str | None = None,
        *,
        owner: Any = None,
        session: Any = None,
    ) -> SSLObjectBase:
        """TLS on a socket's connection."""
        from ._socket import socket

        if not isinstance(sock, socket):
            raise TypeError(f"_wrap_socket() argument 1 must be _socket.socket, not {type(sock)}")
        config = self._client_config(server_side, server_hostname)
        return self._object(SocketTls(sock, config), server_hostname, owner, session)

    def _wrap_bio(
        self,
        incoming: MemoryBIO,
        outgoing: MemoryBIO,
        server_side: bool,
        server_hostname: str | None = None,
        *,
        owner: Any = None,
        session: Any = None,
    ) -> SSLObjectBase:
        """TLS over two buffers somebody else carries."""
        for name, bio in (("incoming", incoming), ("outgoing", outgoing)):
            if not isinstance(bio, MemoryBIO):
                kind = type(bio).__name__
                raise TypeError(f"_wrap_bio() argument '{name}' must be _ssl.MemoryBIO, not {kind}")
        config = self._client_config(server_side, server_hostname)
        if self._check_hostname and server_hostname is None:
            raise ValueError("check_hostname requires server_hostname")
        return self._object(BioTls(incoming, outgoing, config), server_hostname, owner, session)

    def _object(
        self, engine: Engine, server_hostname: str | None, owner: Any, session: Any
    ) -> SSLObjectBase:
        tls = SSLObjectBase(self, engine, server_hostname, owner)
        if session is not None:
            tls.session = session
        return tls

    def _client_config(self, server_side: bool, server_hostname: str | None) -> Any:
        """What the host is to do for a connection to this name. Raises what cannot be done."""
        if server_side:
            if self._protocol == PROTOCOL_TLS_CLIENT:
                raise SSLError("Cannot create a server socket with a PROTOCOL_TLS_CLIENT context")
            raise refusal(
                "server-side TLS is not implemented in a sandbox: the host makes TLS connections, "
                "it accepts none"
            )
        if self._protocol == PROTOCOL_TLS_SERVER:
            raise SSLError("Cannot create a client socket with a PROTOCOL_TLS_SERVER context")
        if server_hostname is not None and (not server_hostname or server_hostname[0] == "."):
            raise ValueError(
                "server_hostname cannot be an empty string or start with a leading dot."
            )
        if server_hostname is not None and "\0" in server_hostname:
            raise TypeError("server_hostname must be encoded string without null bytes, not str")
        if server_hostname is not None and len(server_hostname) > MAX_NAME:
            raise ssl_error("SSL3_EXT_INVALID_SERVERNAME")
        lowest, highest = self._version_range()
        tls = host.interfaces().tls
        return tls.ClientConfig(
            server_name=server_hostname,
            alpn=self._alpn,
            verify_peer=self._verify_mode != CERT_NONE,
            check_hostname=self._check_hostname,
            roots=self._roots_text if not self._directory else self._all_texts(),
            strict=bool(self._verify_flags & VERIFY_X509_STRICT),
            revocation=self._revocation(),
            revocation_lists=[base64_text(each) for each in self._revoked],
            identity=self._own_identity(),
            min_version=tls.Version[lowest],
            max_version=tls.Version[highest],
            ciphers=self._cipher_numbers,
            groups=[] if self._curve is None else [self._curve],
        )

    def _revocation(self) -> Any:
        depth = self._verify_flags & VERIFY_CRL_CHECK_CHAIN
        if not depth & VERIFY_CRL_CHECK_LEAF:
            return None
        kinds = host.interfaces().tls.Revocation
        return kinds.CHAIN if depth == VERIFY_CRL_CHECK_CHAIN else kinds.LEAF

    def _all_texts(self) -> list[str]:
        return list(dict.fromkeys([*self._roots_text, *self._directory.values()]))

    def _own_identity(self) -> Any:
        if self._identity is None:
            return None
        chain, key = self._identity
        if len(chain) == 1:
            # OpenSSL completes a chain that comes without its issuers from the anchors loaded.
            with contextlib.suppress(DerError):
                chain = certificate.chain(chain[0], self._anchors())
        return host.interfaces().tls.Identity(
            [base64_text(each) for each in chain], base64_text(key)
        )

    def _version_range(self) -> tuple[str, str]:
        highest = PROTO_TLSv1_3 if self._maximum == PROTO_MAXIMUM_SUPPORTED else self._maximum
        left = [
            name
            for version, excluded, name in (
                (PROTO_TLSv1_2, OP_NO_TLSv1_2, "TLS12"),
                (PROTO_TLSv1_3, OP_NO_TLSv1_3, "TLS13"),
            )
            if self._minimum <= version <= highest and not self._options & excluded
        ]
        if not left:
            raise ssl_error("NO_PROTOCOLS_AVAILABLE")
        return left[0], left[-1]


_SSLContext.__module__ = "_ssl"
