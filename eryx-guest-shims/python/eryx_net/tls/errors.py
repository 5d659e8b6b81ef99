"""The exceptions of `ssl`, with OpenSSL's names for the host's TLS errors."""

from __future__ import annotations

from typing import Any

SSL_ERROR_SSL = 1
SSL_ERROR_WANT_READ = 2
SSL_ERROR_WANT_WRITE = 3
SSL_ERROR_ZERO_RETURN = 6
SSL_ERROR_EOF = 8


class SSLError(OSError):
    """An error of the TLS layer. `library` and `reason` are OpenSSL's mnemonics, if any."""

    library: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        return self.strerror if isinstance(self.strerror, str) else str(self.args)


class SSLZeroReturnError(SSLError):
    """The peer closed the session with close_notify."""


class SSLWantReadError(SSLError):
    """The operation needs more bytes from the peer to continue."""


class SSLWantWriteError(SSLError):
    """The operation needs to send bytes to the peer to continue."""


class SSLSyscallError(SSLError):
    """The transport below TLS failed."""


class SSLEOFError(SSLError):
    """The transport ended without close_notify."""


class LostSessionError(SSLSyscallError, ConnectionResetError):
    """The session is not in this copy of the program: see `lost_resources`.

    It is an error of `ssl`, too. Libraries that transport TLS themselves, such as asyncio, expect
    these from a session, and those of the operating system only from their transport.
    """


LostSessionError.__name__ = LostSessionError.__qualname__ = SSLSyscallError.__name__


class SSLCertVerificationError(SSLError, ValueError):
    """The peer's certificate was rejected: see `verify_code` and `verify_message`."""

    verify_code: int
    verify_message: str


for _class in (
    SSLError,
    SSLZeroReturnError,
    SSLWantReadError,
    SSLWantWriteError,
    SSLSyscallError,
    SSLEOFError,
    LostSessionError,
    SSLCertVerificationError,
):
    _class.__module__ = "ssl"


# OpenSSL prefixes the name of an alert with the protocol version that introduced it.
_ALERT_PREFIXES = {
    "SSLV3_ALERT_": (
        "unexpected_message",
        "bad_record_mac",
        "decompression_failure",
        "handshake_failure",
        "no_certificate",
        "bad_certificate",
        "unsupported_certificate",
        "certificate_revoked",
        "certificate_expired",
        "certificate_unknown",
        "illegal_parameter",
    ),
    "TLSV1_": (
        "unsupported_extension",
        "certificate_unobtainable",
        "unrecognized_name",
        "bad_certificate_status_response",
        "bad_certificate_hash_value",
    ),
    "TLSV13_ALERT_": ("missing_extension", "certificate_required"),
}
_ALERT_PREFIX = {name: prefix for prefix, names in _ALERT_PREFIXES.items() for name in names}


def ssl_error(
    reason: str,
    detail: str | None = None,
    kind: type[SSLError] = SSLError,
    *,
    code: int = SSL_ERROR_SSL,
    library: str = "SSL",
) -> SSLError:
    """Returns an error with OpenSSL's mnemonic `reason`, in CPython's form.

    >>> str(ssl_error("NO_PROTOCOLS_AVAILABLE"))
    '[SSL: NO_PROTOCOLS_AVAILABLE] no protocols available (_ssl.c:1000)'
    """
    words = detail if detail is not None else reason.lower().replace("_", " ")
    # Programs search the text for the mnemonic and for CPython's source position at the end.
    error = kind(code, f"[{library}: {reason}] {words} (_ssl.c:1000)")
    error.library = library
    error.reason = reason
    return error


def sandbox_error(message: str) -> SSLError:
    """Returns an error that OpenSSL does not have, for an operation that a sandbox rejects."""
    return SSLError(SSL_ERROR_SSL, message)


def want_read() -> SSLWantReadError:
    """Returns the error of an operation that needs more ciphertext."""
    return SSLWantReadError(
        SSL_ERROR_WANT_READ, "The operation did not complete (read) (_ssl.c:1000)"
    )


def want_write() -> SSLWantWriteError:
    """Returns the error of an operation that needs to send ciphertext first."""
    return SSLWantWriteError(
        SSL_ERROR_WANT_WRITE, "The operation did not complete (write) (_ssl.c:1000)"
    )


def zero_return() -> SSLZeroReturnError:
    """Returns the error of an operation after both ends have sent close_notify."""
    return SSLZeroReturnError(
        SSL_ERROR_ZERO_RETURN, "TLS/SSL connection has been closed (EOF) (_ssl.c:1000)"
    )


def unexpected_eof() -> SSLError:
    """Returns the error of a stream that ended without close_notify (RFC 8446, 6.1).

    Such a stream may have been truncated.
    """
    detail = "EOF occurred in violation of protocol"
    return ssl_error("UNEXPECTED_EOF_WHILE_READING", detail, SSLEOFError, code=SSL_ERROR_EOF)


def certificate_error(code: int, message: str) -> SSLCertVerificationError:
    """Returns the error of a rejected certificate, with OpenSSL's `X509_V_ERR_*` code and text."""
    detail = f"certificate verify failed: {message}"
    error = ssl_error("CERTIFICATE_VERIFY_FAILED", detail, SSLCertVerificationError)
    assert isinstance(error, SSLCertVerificationError)
    error.verify_code = code
    error.verify_message = message
    return error


def alert_error(name: str) -> SSLError:
    """Returns the error of a fatal alert from the peer (IANA tls-parameters, in snake case)."""
    spelled = "user_cancelled" if name == "user_canceled" else name
    prefix = _ALERT_PREFIX.get(name, "TLSV1_ALERT_")
    reason = prefix + spelled.upper()
    words = prefix.lower().replace("_", " ") + spelled.replace("_", " ")
    return ssl_error(reason, words)


def tls_exception(error: Any) -> OSError:
    """Returns the exception for a case of the variant `types.tls-error`."""
    case = type(error).__name__.removeprefix("TlsError_")
    if case == "Certificate":
        return certificate_error(error.value.code, error.value.message)
    if case == "Alert":
        return alert_error(error.value)
    if case == "UnexpectedEof":
        return unexpected_eof()
    if case == "Protocol":
        # The text is OpenSSL's reason in lower case, then a sentence.
        reason = error.value.partition(":")[0].rstrip(".").upper().replace(" ", "_")
        return ssl_error(reason, error.value)
    return sandbox_error(error.value)
