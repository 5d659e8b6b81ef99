"""`_ssl._SSLSocket`: what `ssl.SSLSocket` and `ssl.SSLObject` are built on."""

from __future__ import annotations

import functools
import os
import time
import weakref
from typing import TYPE_CHECKING, Any

from . import certificate
from .buffers import octets, writable
from .certificate import Certificate
from .der import DerError
from .failures import failure
from .host import LARGEST_READ, TlsInfo
from .tls_constants import CERT_NONE
from .tls_engines import Engine
from .tls_errors import ssl_error

if TYPE_CHECKING:
    from .tls_context import _SSLContext


class SSLSession:
    """A session that could be resumed. The host keeps what that takes, so this only names it."""

    __slots__ = ("_context", "has_ticket", "id", "ticket_lifetime_hint", "time", "timeout")

    def __init__(self, context: _SSLContext, id: bytes | None = None) -> None:
        self._context = context
        self.id = os.urandom(32) if id is None else id
        self.time = int(time.time())
        self.timeout = 7200
        self.has_ticket = False
        self.ticket_lifetime_hint = 0

    def _check(self, context: _SSLContext) -> None:
        """Raise ValueError unless it is one of this context's."""
        if self._context is not context:
            raise ValueError("Session refers to a different SSLContext.")

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, SSLSession) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)


@functools.lru_cache(maxsize=64)
def _decoded(leaf: bytes) -> dict[str, Any]:
    """A certificate's fields; asyncio asks for them on every connection."""
    return certificate.decode(leaf)


class SSLObjectBase:
    """What `ssl.SSLSocket` and `ssl.SSLObject` are built on."""

    __slots__ = (
        "__weakref__",
        "_context",
        "_engine",
        "_info",
        "_owner",
        "_session",
        "server_hostname",
    )

    server_side = False

    def __init__(
        self, context: _SSLContext, engine: Engine, server_hostname: str | None, owner: Any
    ) -> None:
        self._context = context
        self._engine = engine
        self._info: TlsInfo | None = None
        self._owner = None if owner is None else weakref.ref(owner)
        self._session: SSLSession | None = None
        self.server_hostname = server_hostname

    @property
    def owner(self) -> Any:
        """The Python-level owner of this object."""
        return None if self._owner is None else self._owner()

    @property
    def context(self) -> _SSLContext:
        """The context it was made from."""
        return self._context

    @context.setter
    def context(self, value: Any) -> None:
        from .tls_context import _SSLContext

        if not isinstance(value, _SSLContext):
            raise TypeError("The value must be a SSLContext")
        self._context = value

    @property
    def session(self) -> SSLSession | None:
        """The session, once there is one."""
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
        """Do the handshake, or go on with it."""
        if self._info is not None:
            return
        self._engine.handshake()
        info = self._engine.info()
        if info is None:
            raise failure("ENOTCONN")
        self._info = info
        self._context._notice(info.peer_chain)
        before = self._session if info.resumed else None
        self._session = SSLSession(self._context, None if before is None else before.id)

    def read(self, len: int, buffer: Any = None, /) -> bytes | int:
        """Up to `len` bytes of plaintext, or how many were put into `buffer`."""
        if buffer is None:
            if 0 < len <= LARGEST_READ and self._info is not None:
                # What nearly every call is.
                return self._engine.read(len)
            if len < 0:
                raise ValueError("size should not be negative")
            return self._read(len) if len else b""
        with writable(buffer, "read()") as view:
            size = view.nbytes
            if 0 < len < size:
                size = len
            data = self._read(size) if size else b""
            count = data.__len__()
            view[:count] = data
            return count

    def _read(self, size: int) -> bytes:
        if self._info is None:
            self.do_handshake()
        return self._engine.read(min(size, LARGEST_READ))

    def write(self, b: Any, /) -> int:
        """Encrypt; returns how many bytes were taken: all of them on buffers."""
        engine = self._engine
        data = octets(b, engine.largest_write)
        if self._info is None:
            self.do_handshake()
        return engine.write(data) if data else 0

    def pending(self) -> int:
        """How many bytes can be read without waiting."""
        return 0 if self._info is None else self._engine.pending()

    def shutdown(self) -> Any:
        """Exchange close_notify; returns the socket below."""
        if self._info is None:
            raise ssl_error("SHUTDOWN_WHILE_IN_INIT")
        return self._engine.shutdown()

    # What was agreed on.

    def getpeercert(self, binary_form: bool = False, /) -> Any:
        """The peer's certificate as a dictionary, empty if it was not verified; or in DER."""
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
        """The chain as the peer sent it."""
        if self._info is None or not self._info.peer_chain:
            return None
        return [Certificate.of(each) for each in self._info.peer_chain]

    def get_verified_chain(self) -> list[Certificate] | None:
        """The chain from the peer's certificate on, up to the anchor if this context loaded it.

        The host verified it, and keeps its own anchors for itself.
        """
        if self._info is None or not self._info.peer_chain:
            return None
        leaf, *others = self._info.peer_chain
        try:
            chain = certificate.chain(leaf, others + self._context._anchors())
        except DerError as error:
            raise ssl_error("BAD_CERTIFICATE", f"bad certificate: {error}") from None
        return [Certificate.of(each) for each in chain]

    def version(self) -> str | None:
        """`TLSv1.2` or `TLSv1.3`, None before the handshake."""
        if self._info is None:
            return None
        return {"TLS12": "TLSv1.2", "TLS13": "TLSv1.3"}[self._info.version.name]

    def cipher(self) -> tuple[str, str, int] | None:
        """The cipher suite's name, its protocol version, and its strength in bits."""
        if self._info is None:
            return None
        name = self._info.cipher
        version = "TLSv1.3" if name.startswith("TLS_") else "TLSv1.2"
        return name, version, self._info.cipher_bits

    def shared_ciphers(self) -> None:
        """Known to servers alone."""

    def compression(self) -> None:
        """TLS compression is gone."""

    def selected_alpn_protocol(self) -> str | None:
        """The application protocol agreed on."""
        if self._info is None or self._info.alpn is None:
            return None
        return bytes(self._info.alpn).decode("ascii", "backslashreplace")

    def get_channel_binding(self, cb_type: str = "tls-unique", /) -> bytes | None:
        """`tls-unique` (RFC 5929) is not available: None."""
        if cb_type != "tls-unique":
            raise ValueError(f"{cb_type!r} channel binding type not implemented")
        return None

    def verify_client_post_handshake(self) -> None:
        """Ask a client for a certificate; not available."""
        raise NotImplementedError("Post-handshake auth is not supported by your OpenSSL version.")


SSLSession.__module__ = SSLObjectBase.__module__ = "_ssl"
SSLObjectBase.__name__ = SSLObjectBase.__qualname__ = "_SSLSocket"
