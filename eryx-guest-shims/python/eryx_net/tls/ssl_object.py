"""`_ssl._SSLSocket`: the TLS object below `ssl.SSLSocket` and `ssl.SSLObject`."""

from __future__ import annotations

import functools
import operator
import os
import time
import weakref
from typing import Any, Protocol

from ..buffers import to_bytes, writable_view
from ..errors import os_error
from ..host import LARGEST_READ, TlsInfo
from . import certificate
from .backends import Backend, ClosedBackend
from .certificate import Certificate
from .constants import CERT_NONE
from .der import DerError
from .errors import SSLError, ssl_error


class Context(Protocol):
    """The part of `_SSLContext` that an SSL object uses."""

    @property
    def verify_mode(self) -> int: ...
    def _require_context(self, value: Any) -> None: ...
    def _anchors(self) -> list[bytes]: ...
    def _load_issuers(self, chain: list[bytes]) -> None: ...


class SSLSession:
    """The identifier of a resumable session. The host caches the session itself."""

    __slots__ = ("_context", "_id", "has_ticket", "ticket_lifetime_hint", "time", "timeout")

    def __init__(self, context: Context, id: bytes | None = None) -> None:
        self._context = context
        # Few programs read it.
        self._id = id
        self.time = int(time.time())
        self.timeout = 7200
        self.has_ticket = False
        self.ticket_lifetime_hint = 0

    @property
    def id(self) -> bytes:
        """Session ID."""
        if self._id is None:
            self._id = os.urandom(32)
        return self._id

    def _check(self, context: Context) -> None:
        """Raises ValueError for a session of another context."""
        if self._context is not context:
            raise ValueError("Session refers to a different SSLContext.")

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, SSLSession) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)


@functools.lru_cache(maxsize=64)
def _decoded(leaf: bytes) -> dict[str, Any]:
    """Returns the fields of a certificate. asyncio requests them for every connection."""
    return certificate.decode(leaf)


class SSLObjectBase:
    """The TLS object below `ssl.SSLSocket` and `ssl.SSLObject`."""

    __slots__ = (
        "__weakref__",
        "_backend",
        "_context",
        "_info",
        "_owner",
        "_session",
        "server_hostname",
    )

    server_side = False

    def __init__(
        self, context: Context, backend: Backend, server_hostname: str | None, owner: Any
    ) -> None:
        self._context = context
        self._backend = backend
        self._info: TlsInfo | None = None
        self._owner = None if owner is None else weakref.ref(owner)
        self._session: SSLSession | None = None
        self.server_hostname = server_hostname

    @property
    def owner(self) -> Any:
        """The Python-level owner of this object."""
        return None if self._owner is None else self._owner()

    @property
    def context(self) -> Context:
        """The `SSLContext` of this object."""
        return self._context

    @context.setter
    def context(self, value: Any) -> None:
        self._context._require_context(value)
        self._context = value

    @property
    def session(self) -> SSLSession | None:
        """The session, None before the handshake completes."""
        return self._session

    @session.setter
    def session(self, value: Any) -> None:
        if not isinstance(value, SSLSession):
            raise TypeError("Value is not a SSLSession.")
        if self._info is not None:
            raise ValueError("Cannot set session after handshake.")
        value._check(self._context)
        self._session = value

    @property
    def session_reused(self) -> bool:
        """Whether an earlier session was resumed."""
        return self._info is not None and self._info.resumed

    def do_handshake(self) -> None:
        """Does the handshake, or continues it."""
        if self._info is not None:
            return
        self._backend.handshake()
        info = self._backend.info()
        if info is None:
            raise os_error("ENOTCONN")
        self._info = info
        self._context._load_issuers(info.peer_chain)
        resumed = self._session if info.resumed else None
        self._session = SSLSession(self._context, None if resumed is None else resumed.id)

    def read(self, len: int, buffer: Any = None, /) -> bytes | int:
        """Returns up to `len` bytes of plaintext, or the number of bytes read into `buffer`."""
        if buffer is None:
            if len.__class__ is int and 0 < len <= LARGEST_READ and self._info is not None:
                # The common case, inlined.
                return self._backend.read(len)
            len = operator.index(len)
            if len < 0:
                raise ValueError("size should not be negative")
            return self._read(len) if len else b""
        with writable_view(buffer, "read()") as view:
            size = view.nbytes
            len = operator.index(len)
            if 0 < len < size:
                size = len
            data = self._read(size) if size else b""
            count = data.__len__()
            view[:count] = data
            return count

    def _read(self, size: int) -> bytes:
        if self._info is None:
            self.do_handshake()
        return self._backend.read(min(size, LARGEST_READ))

    def write(self, b: Any, /) -> int:
        """Encrypts and sends; returns the number of bytes accepted, over buffers always all."""
        backend = self._backend
        data = to_bytes(b, backend.largest_write)
        if self._info is None:
            self.do_handshake()
        return backend.write(data) if data or backend.refuses_writes else 0

    def pending(self) -> int:
        """Returns the number of bytes that can be read without waiting."""
        return 0 if self._info is None else self._backend.pending()

    def shutdown(self) -> Any:
        """Exchanges close_notify; returns the underlying socket."""
        if self._info is None:
            raise ssl_error("SHUTDOWN_WHILE_IN_INIT")
        try:
            underlying = self._backend.shutdown()
        except (SSLError, TimeoutError) as error:
            self._backend = self._backend.after_shutdown(error)
            raise
        self._backend = ClosedBackend(self._backend)
        return underlying

    # The negotiated parameters.

    def getpeercert(self, binary_form: bool = False, /) -> Any:
        """Returns the peer's certificate as a dictionary (empty if not verified), or in DER."""
        if self._info is None:
            raise ValueError("handshake not done yet")
        if not self._info.peer_chain:
            return None
        leaf = self._info.peer_chain[0]
        if binary_form:
            return leaf
        if self._context.verify_mode == CERT_NONE:
            return {}
        try:
            return dict(_decoded(leaf))
        except DerError as error:
            raise ssl_error("BAD_CERTIFICATE", f"bad certificate: {error}") from None

    def get_unverified_chain(self) -> list[Certificate] | None:
        """Returns the certificate chain that the peer sent."""
        if self._info is None or not self._info.peer_chain:
            return None
        return [Certificate.from_der(data) for data in self._info.peer_chain]

    def get_verified_chain(self) -> list[Certificate] | None:
        """Returns the chain from the peer's certificate to the trust anchor.

        The host verified the chain, and does not reveal its own anchors: the chain includes the
        anchor only if this context loaded it.
        """
        if self._info is None or not self._info.peer_chain:
            return None
        leaf, *others = self._info.peer_chain
        try:
            chain = certificate.chain(leaf, others + self._context._anchors())
        except DerError as error:
            raise ssl_error("BAD_CERTIFICATE", f"bad certificate: {error}") from None
        return [Certificate.from_der(data) for data in chain]

    def version(self) -> str | None:
        """Returns `TLSv1.2` or `TLSv1.3`, None before the handshake completes."""
        if self._info is None:
            return None
        return {"TLS12": "TLSv1.2", "TLS13": "TLSv1.3"}[self._info.version.name]

    def cipher(self) -> tuple[str, str, int] | None:
        """Returns the cipher suite's name, its protocol version, and its strength in bits."""
        if self._info is None:
            return None
        name = self._info.cipher
        version = "TLSv1.3" if name.startswith("TLS_") else "TLSv1.2"
        return name, version, self._info.cipher_bits

    def shared_ciphers(self) -> None:
        """Returns None: only servers know them."""

    def compression(self) -> None:
        """Returns None: TLS compression is not supported."""

    def selected_alpn_protocol(self) -> str | None:
        """Returns the negotiated application protocol, or None."""
        if self._info is None or self._info.alpn is None:
            return None
        return bytes(self._info.alpn).decode("ascii", "backslashreplace")

    def get_channel_binding(self, cb_type: str = "tls-unique", /) -> bytes | None:
        """Returns None: `tls-unique` (RFC 5929) is not available."""
        if cb_type != "tls-unique":
            raise ValueError(f"{cb_type!r} channel binding type not implemented")
        return None

    def verify_client_post_handshake(self) -> None:
        """Raises NotImplementedError: only servers request certificates."""
        raise NotImplementedError("Post-handshake auth is not supported by your OpenSSL version.")


SSLSession.__module__ = SSLObjectBase.__module__ = "_ssl"
SSLObjectBase.__name__ = SSLObjectBase.__qualname__ = "_SSLSocket"
