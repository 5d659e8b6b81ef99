"""The exceptions of `ssl`, and what OpenSSL would have called what went wrong."""

from __future__ import annotations

from typing import Any

SSL_ERROR_SSL = 1
SSL_ERROR_WANT_READ = 2
SSL_ERROR_WANT_WRITE = 3
SSL_ERROR_ZERO_RETURN = 6
SSL_ERROR_EOF = 8


class SSLError(OSError):
    """An error of the TLS layer. `library` and `reason` are OpenSSL's mnemonics, where there are
    any.
    """

    library: str | None = None
    reason: str | None = None

    def __str__(self) -> str:
        return self.strerror if isinstance(self.strerror, str) else str(self.args)


class SSLZeroReturnError(SSLError):
    """The peer closed the session properly."""


class SSLWantReadError(SSLError):
    """More bytes have to arrive before the operation can go on."""


class SSLWantWriteError(SSLError):
    """Bytes have to leave before the operation can go on."""


class SSLSyscallError(SSLError):
    """The transport below TLS failed."""


class SSLEOFError(SSLError):
    """The transport ended without close_notify."""


class SSLCertVerificationError(SSLError, ValueError):
    """The peer's certificate was not accepted: `verify_code` and `verify_message` say why."""

    verify_code: int
    verify_message: str


for _class in (
    SSLError,
    SSLZeroReturnError,
    SSLWantReadError,
    SSLWantWriteError,
    SSLSyscallError,
    SSLEOFError,
    SSLCertVerificationError,
):
    _class.__module__ = "ssl"


# OpenSSL prefixes an alert with the protocol generation that introduced it.
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


def ssl_error(reason: str, detail: str | None = None, kind: type[SSLError] = SSLError) -> SSLError:
    """An error with OpenSSL's mnemonic `reason`, in the form CPython gives it.

    >>> str(ssl_error("NO_PROTOCOLS_AVAILABLE"))
    '[SSL: NO_PROTOCOLS_AVAILABLE] no protocols available (_ssl.c:1000)'
    """
    words = detail if detail is not None else reason.lower().replace("_", " ")
    # Programs look for the mnemonic in the text and for a trailing position in CPython's source.
    error = kind(SSL_ERROR_SSL, f"[SSL: {reason}] {words} (_ssl.c:1000)")
    error.library = "SSL"
    error.reason = reason
    return error


def refusal(sentence: str) -> SSLError:
    """An error of ours, not OpenSSL's: `sentence` tells what to do instead."""
    return SSLError(SSL_ERROR_SSL, sentence)


def want_read() -> SSLWantReadError:
    """More ciphertext is needed."""
    return SSLWantReadError(
        SSL_ERROR_WANT_READ, "The operation did not complete (read) (_ssl.c:1000)"
    )


def want_write() -> SSLWantWriteError:
    """Ciphertext has to be sent first."""
    return SSLWantWriteError(
        SSL_ERROR_WANT_WRITE, "The operation did not complete (write) (_ssl.c:1000)"
    )


def unexpected_eof() -> SSLEOFError:
    """The stream ended without close_notify (RFC 8446, 6.1): it may have been cut short."""
    error = SSLEOFError(
        SSL_ERROR_EOF,
        "[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol (_ssl.c:1000)",
    )
    error.library = "SSL"
    error.reason = "UNEXPECTED_EOF_WHILE_READING"
    return error


def certificate_error(code: int, message: str) -> SSLCertVerificationError:
    """The peer's certificate was refused: OpenSSL's `X509_V_ERR_*` number and its words."""
    detail = f"certificate verify failed: {message}"
    error = ssl_error("CERTIFICATE_VERIFY_FAILED", detail, SSLCertVerificationError)
    assert isinstance(error, SSLCertVerificationError)
    error.verify_code = code
    error.verify_message = message
    return error


def alert_error(name: str) -> SSLError:
    """The peer sent the fatal alert `name` (IANA tls-parameters, in snake case)."""
    spelled = "user_cancelled" if name == "user_canceled" else name
    prefix = _ALERT_PREFIX.get(name, "TLSV1_ALERT_")
    reason = prefix + spelled.upper()
    words = prefix.lower().replace("_", " ") + spelled.replace("_", " ")
    return ssl_error(reason, words)


def tls_exception(error: Any) -> OSError:
    """The exception for a case of the host's `types.tls-error`."""
    case = type(error).__name__.removeprefix("TlsError_")
    if case == "Certificate":
        return certificate_error(error.value.code, error.value.message)
    if case == "Alert":
        return alert_error(error.value)
    if case == "UnexpectedEof":
        return unexpected_eof()
    if case == "Protocol":
        # OpenSSL's reason in lower case, then a sentence.
        reason = error.value.partition(":")[0].rstrip(".").upper().replace(" ", "_")
        return ssl_error(reason, error.value)
    return refusal(error.value)
