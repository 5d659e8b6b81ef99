"""Fake bindings of `eryx:net/types`."""

from dataclasses import dataclass, make_dataclass


@dataclass
class Endpoint:
    address: str
    port: int


@dataclass
class CertificateError:
    code: int
    message: str


_PLAIN = """
WouldBlock TimedOut NameNotFound NameWithoutAddress NameTryAgain ConnectionRefused ConnectionReset ConnectionAborted
BrokenPipe NotConnected HostUnreachable NetworkUnreachable MessageTooLong
AddressNotAvailable NoBufferSpace
"""
for _name in _PLAIN.split():
    globals()["Error_" + _name] = make_dataclass("Error_" + _name, [])
for _name in ("Denied", "LimitReached", "QuotaExceeded", "InvalidArgument", "Tls", "Other"):
    globals()["Error_" + _name] = make_dataclass("Error_" + _name, ["value"])
for _name in ("Certificate", "Alert", "Protocol", "Refused"):
    globals()["TlsError_" + _name] = make_dataclass("TlsError_" + _name, ["value"])
TlsError_UnexpectedEof = make_dataclass("TlsError_UnexpectedEof", [])
