"""`_ssl._SSLContext`: the settings of a TLS client, with the checks of CPython."""

from __future__ import annotations

import contextlib
import os
import warnings
from typing import Any

from .. import host
from ..buffers import base64_text, to_bytes
from ..dns.hostname import MAX_NAME
from ..sockets.socket_object import socket
from . import ca_certificates, certificate, ciphers, client_certificate, pem
from .backends import Backend, BioBackend, SocketBackend
from .certificate import is_authority
from .constants import (
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
from .der import DerError
from .errors import SSLError, sandbox_error, ssl_error
from .memory_bio import MemoryBIO
from .ssl_object import SSLObjectBase

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
# OpenSSL's names and IANA's numbers (tls-parameters, 8).
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

    The host decides which authorities to trust. Certificates loaded here are stored, returned by
    `get_ca_certs` and passed to the host, which uses them only if the embedder permits unverified
    TLS.
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
        "_revocation_lists",
        "_roots",
        "_roots_text",
        "_security_level",
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
    _revocation_lists: list[bytes]
    _roots: list[bytes]
    _roots_text: list[str]
    _security_level: int
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
        self._security_level = 2
        # An empty list stands for all, in the host's order.
        self._cipher_numbers = []
        # Certificates of directories with their base64, loaded once a chain leads to them.
        self._directory = {}
        self._roots = []
        self._roots_text = []
        # Certificate revocation lists.
        self._revocation_lists = []
        self._identity = None
        self._sni_callback = None
        self._curve = None
        self._num_tickets = 2
        self._host_flags = HOSTFLAG_NO_PARTIAL_WILDCARDS
        self.post_handshake_auth = False
        return self

    def __reduce_ex__(self, protocol: Any, /) -> Any:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    # Settings.

    @property
    def protocol(self) -> int:
        """The `PROTOCOL_*` constant passed to the constructor."""
        return self._protocol

    @property
    def check_hostname(self) -> bool:
        """Whether the peer's certificate must match the host name."""
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
        version = int(value)
        self._minimum = PROTO_TLSv1_3 if version == PROTO_MAXIMUM_SUPPORTED else version

    @property
    def maximum_version(self) -> int:
        """The highest protocol version to offer."""
        return self._maximum

    @maximum_version.setter
    def maximum_version(self, value: int) -> None:
        self._check_version(value)
        version = int(value)
        # OpenSSL's minimum is TLS 1.0, which it then disables.
        self._maximum = PROTO_TLSv1 if version == PROTO_MINIMUM_SUPPORTED else version

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
        """OpenSSL's security level. All offered algorithms meet level 2, whatever it is."""
        return self._security_level

    @property
    def num_tickets(self) -> int:
        """The number of session tickets that a server sends."""
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
        """Always None: the keys are kept outside of the sandbox."""
        return None

    @keylog_filename.setter
    def keylog_filename(self, value: Any) -> None:
        if value is not None:
            raise sandbox_error("keylog_filename cannot be set in a sandbox: keys are kept outside")

    @property
    def sni_callback(self) -> Any:
        """A server's callback for the server name of a client. Stored; never called."""
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
            raise sandbox_error("TLS messages cannot be observed in a sandbox: they stay outside")

    def set_ciphers(self, cipherlist: str, /) -> None:
        """Allows only the cipher suites that an OpenSSL cipher string selects.

        Raises SSLError if it selects none of the available ones.
        """
        if not isinstance(cipherlist, str):
            kind = type(cipherlist).__name__
            raise TypeError(f"set_ciphers() argument must be str, not {kind}")
        try:
            self._suites = ciphers.select(cipherlist)
        except ValueError as error:
            raise SSLError(str(error)) from None
        self._cipher_numbers = [suite.number for suite in self._suites]
        level = ciphers.security_level(cipherlist)
        if level is not None:
            self._security_level = level

    def get_ciphers(self) -> list[dict[str, Any]]:
        """Returns the allowed cipher suites, the preferred one first."""
        return [suite.describe() for suite in self._suites]

    def _set_alpn_protocols(self, protos: Any, /) -> None:
        """Sets the protocols to offer, each preceded by its length (RFC 7301, 3.1)."""
        encoded = to_bytes(protos)
        names = []
        position = 0
        while position < len(encoded):
            length = encoded[position]
            name = encoded[position + 1 : position + 1 + length]
            if not name or len(name) != length:
                raise SSLError("malformed ALPN protocol list")
            if not name.isascii():
                raise sandbox_error(
                    "ALPN protocols are ASCII in a sandbox, as all registered ones are"
                )
            names.append(name.decode())
            position += 1 + length
        self._alpn = names

    def set_ecdh_curve(self, name: str | bytes, /) -> None:
        """Offers only this group for the key exchange."""
        text = os.fsdecode(name)
        number = _CURVES.get(text)
        if number is None:
            raise ValueError(f"unknown elliptic curve name {text!r}")
        self._curve = number

    def load_dh_params(self, path: Any, /) -> None:
        """Checks a file of a server's Diffie-Hellman parameters, which clients do not use."""
        blocks = pem.blocks(ca_certificates.read_file(path))
        if not any(block.label == "DH PARAMETERS" for block in blocks):
            raise ssl_error("NO_START_LINE", code=108, library="PEM")

    def set_psk_client_callback(self, callback: Any) -> None:
        """Raises NotImplementedError: pre-shared keys are not supported."""
        raise NotImplementedError("TLS-PSK is not supported by your OpenSSL version.")

    def set_psk_server_callback(self, callback: Any, identity_hint: str | None = None) -> None:
        """Raises NotImplementedError: pre-shared keys are not supported."""
        raise NotImplementedError("TLS-PSK is not supported by your OpenSSL version.")

    # Certificates.

    def load_verify_locations(
        self, cafile: Any = None, capath: Any = None, cadata: Any = None
    ) -> None:
        """Loads trust anchors from a PEM file, a directory, and PEM text or DER bytes.

        Also loads revocation lists from the file and the directory.
        """
        if cafile is None and capath is None and cadata is None:
            raise TypeError("cafile, capath and cadata cannot be all omitted")
        for name, path in (("cafile", cafile), ("capath", capath)):
            if path is not None and not isinstance(path, (str, bytes, os.PathLike)):
                raise TypeError(f"{name} should be a valid filesystem path")
        certificates: list[bytes] = []
        if cadata is not None:
            if not isinstance(cadata, str):
                try:
                    cadata = to_bytes(cadata)
                except TypeError:
                    cadata = None
            elif not cadata.isascii():
                cadata = None
            if cadata is None:
                raise TypeError("cadata should be an ASCII string or a bytes-like object")
            certificates += ca_certificates.from_data(cadata)
        if cafile is not None:
            loaded = ca_certificates.from_file(cafile)
            certificates += loaded.certificates
            self._load_revocation_lists(loaded.revocation_lists)
        if capath is not None:
            loaded = ca_certificates.from_directory(capath)
            texts = {data: base64_text(data) for data in loaded.certificates}
            self._directory = self._directory | texts
            self._load_revocation_lists(loaded.revocation_lists)
        self._load_roots(certificates)

    def _load_revocation_lists(self, lists: list[bytes]) -> None:
        self._revocation_lists = list(dict.fromkeys([*self._revocation_lists, *lists]))

    def _load_roots(self, certificates: list[bytes]) -> None:
        loaded = set(self._roots)
        new = [data for data in dict.fromkeys(certificates) if data not in loaded]
        self._roots = self._roots + new
        self._roots_text = self._roots_text + [base64_text(data) for data in new]

    def set_default_verify_paths(self) -> None:
        """Loads the file that SSL_CERT_FILE names. The host trusts the system's anchors anyway."""
        cafile = os.environ.get("SSL_CERT_FILE")
        if cafile:
            # OpenSSL ignores a file that cannot be read.
            with contextlib.suppress(OSError):
                self.load_verify_locations(cafile=cafile)

    def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
        """Loads a client certificate with its chain and key, for servers that request one."""
        for name, path in (("certfile", certfile), ("keyfile", keyfile)):
            omitted = path is None and name == "keyfile"
            if not omitted and not isinstance(path, (str, bytes, os.PathLike)):
                raise TypeError(f"{name} should be a valid filesystem path")
        self._identity = client_certificate.load(certfile, keyfile, password)

    def _anchors(self) -> list[bytes]:
        """Returns all loaded certificates, including those of directories."""
        return [*self._roots, *self._directory]

    def _load_issuers(self, chain: list[bytes]) -> None:
        """Loads the issuers of a verified chain from the directories, as OpenSSL does."""
        if self._directory and self._verify_mode != CERT_NONE and chain:
            with contextlib.suppress(DerError):
                used = certificate.chain(chain[0], chain[1:] + self._anchors())
                self._load_roots([data for data in used if data in self._directory])

    def _require_context(self, value: Any) -> None:
        """Raises TypeError unless `value` is a context."""
        if not isinstance(value, _SSLContext):
            raise TypeError("The value must be a SSLContext")

    def get_ca_certs(self, binary_form: bool = False) -> list[Any]:
        """Returns the loaded CA certificates as dictionaries or in DER."""
        authorities = [data for data in self._roots if is_authority(data)]
        return authorities if binary_form else list(ca_certificates.decode_all(authorities))

    def cert_store_stats(self) -> dict[str, int]:
        """Returns the numbers of loaded certificates and revocation lists."""
        authorities = sum(map(is_authority, self._roots))
        return {
            "x509": len(self._roots),
            "crl": len(self._revocation_lists),
            "x509_ca": authorities,
        }

    def session_stats(self) -> dict[str, int]:
        """Returns the session counters of a server, which are all 0."""
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
        """Returns a TLS object on a socket."""
        if not isinstance(sock, socket):
            raise TypeError(f"_wrap_socket() argument 1 must be _socket.socket, not {type(sock)}")
        config = self._client_config(server_side, server_hostname)
        return self._ssl_object(SocketBackend(sock, config), server_hostname, owner, session)

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
        """Returns a TLS object over two buffers, which the caller transports."""
        for name, bio in (("incoming", incoming), ("outgoing", outgoing)):
            if not isinstance(bio, MemoryBIO):
                kind = type(bio).__name__
                raise TypeError(f"_wrap_bio() argument '{name}' must be _ssl.MemoryBIO, not {kind}")
        # As in CPython, a name is compared only if there is one: Eryx refuses that, unless the
        # embedder permits unverified TLS.
        config = self._client_config(server_side, server_hostname)
        return self._ssl_object(
            BioBackend(incoming, outgoing, config), server_hostname, owner, session
        )

    def _ssl_object(
        self, backend: Backend, server_hostname: str | None, owner: Any, session: Any
    ) -> SSLObjectBase:
        ssl_object = SSLObjectBase(self, backend, server_hostname, owner)
        if session is not None:
            ssl_object.session = session
        return ssl_object

    def _client_config(self, server_side: bool, server_hostname: str | None) -> Any:
        """Returns the host's settings for a connection to a name.

        Raises SSLError, ValueError or TypeError for settings that are not possible.
        """
        if server_side:
            if self._protocol == PROTOCOL_TLS_CLIENT:
                raise SSLError("Cannot create a server socket with a PROTOCOL_TLS_CLIENT context")
            raise sandbox_error(
                "server-side TLS is not implemented in a sandbox: Eryx makes TLS connections, "
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
        min_version, max_version = self._version_range()
        tls = host.interfaces().tls
        return tls.ClientConfig(
            server_name=server_hostname,
            alpn=self._alpn,
            verify_peer=self._verify_mode != CERT_NONE,
            check_hostname=self._check_hostname and server_hostname is not None,
            roots=self._roots_text if not self._directory else self._all_texts(),
            strict=bool(self._verify_flags & VERIFY_X509_STRICT),
            revocation=self._revocation(),
            revocation_lists=[base64_text(data) for data in self._revocation_lists],
            identity=self._client_identity(),
            min_version=tls.Version[min_version],
            max_version=tls.Version[max_version],
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

    def _client_identity(self) -> Any:
        if self._identity is None:
            return None
        chain, key = self._identity
        if len(chain) == 1:
            # OpenSSL completes a chain without issuers from the loaded anchors.
            with contextlib.suppress(DerError):
                chain = certificate.chain(chain[0], self._anchors())
        return host.interfaces().tls.Identity(
            [base64_text(data) for data in chain], base64_text(key)
        )

    def _version_range(self) -> tuple[str, str]:
        highest = PROTO_TLSv1_3 if self._maximum == PROTO_MAXIMUM_SUPPORTED else self._maximum
        enabled = [
            name
            for version, excluded, name in (
                (PROTO_TLSv1_2, OP_NO_TLSv1_2, "TLS12"),
                (PROTO_TLSv1_3, OP_NO_TLSv1_3, "TLS13"),
            )
            if self._minimum <= version <= highest and not self._options & excluded
        ]
        if not enabled:
            raise ssl_error("NO_PROTOCOLS_AVAILABLE")
        return enabled[0], enabled[-1]


_SSLContext.__module__ = "_ssl"
