"""Host names to addresses and back: `getaddrinfo` and its relatives.

Literals, wildcards and this machine's own names are answered here; every other name is the host's
to resolve. Only strict literals count as such: a form like `127.1` goes to the host as a name, so
that its policy and not our reading of it decides.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from . import host, known_names, ports
from .addresses import LONGEST_LITERAL, format_ipv6, is_loopback, parse_ipv4, parse_ipv6
from .failures import failure, herror, lookup_failure
from .host import HostLookup
from .services import service_name, service_port
from .socket_constants import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    AI_ADDRCONFIG,
    AI_ALL,
    AI_CANONNAME,
    AI_NUMERICHOST,
    AI_NUMERICSERV,
    AI_PASSIVE,
    AI_V4MAPPED,
    EAI_ADDRFAMILY,
    EAI_BADFLAGS,
    EAI_FAMILY,
    EAI_NODATA,
    EAI_NONAME,
    EAI_SERVICE,
    EAI_SOCKTYPE,
    IPPROTO_TCP,
    IPPROTO_UDP,
    NI_DGRAM,
    NI_NAMEREQD,
    NI_NUMERICHOST,
    NI_NUMERICSERV,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_STREAM,
)

MAX_NAME = 255
"""The longest host name (RFC 1035, 2.3.4), in characters of ASCII."""

HOSTNAME = "eryx"
"""What `gethostname` says."""

SockAddr = tuple[Any, ...]
AddrInfo = tuple[int, int, int, str, SockAddr]

_KNOWN_FLAGS = (
    AI_ADDRCONFIG
    | AI_ALL
    | AI_CANONNAME
    | AI_NUMERICHOST
    | AI_NUMERICSERV
    | AI_PASSIVE
    | AI_V4MAPPED
    # AI_IDN, AI_CANONIDN: encoding is done here anyway.
    | 0x40
    | 0x80
)
_KINDS = ((SOCK_STREAM, IPPROTO_TCP, "tcp"), (SOCK_DGRAM, IPPROTO_UDP, "udp"), (SOCK_RAW, 0, ""))
_FAMILY_NAMES = {AF_UNSPEC: "ANY", AF_INET: "IPV4", AF_INET6: "IPV6"}


def encoded(name: str | bytes | bytearray) -> str:
    """A host name in ASCII, as CPython encodes it (IDNA 2003). Raises UnicodeError, ValueError,
    TypeError, and gaierror for one that is longer than any.
    """
    if isinstance(name, (bytes, bytearray)):
        text = bytes(name).decode("ascii", "surrogateescape")
    elif isinstance(name, str):
        text = name
        # The codec also enforces the limits on labels; it is not needed for ordinary names.
        if not name.isascii() or len(name) >= 64 or ".." in name or name.startswith("."):
            text = name.encode("idna").decode("ascii")
    else:
        raise TypeError(f"str, bytes or bytearray expected, not {type(name).__name__}")
    if "\0" in text:
        raise ValueError("embedded null character")
    if len(text) > MAX_NAME:
        # Never sent to the host, which does not take megabytes for a name.
        raise lookup_failure(EAI_NONAME)
    return text


def own_addresses(name: str, family: int) -> list[str]:
    """The loopback addresses of a name that means this machine, else an empty list."""
    if name.rstrip(".").lower() not in ("localhost", HOSTNAME):
        return []
    found = {AF_INET: ["127.0.0.1"], AF_INET6: ["::1"]}
    return found.get(family, ["127.0.0.1", "::1"])


def literal_family(text: str) -> int | None:
    """The family of an address literal, None for anything else."""
    if parse_ipv4(text) is not None:
        return AF_INET
    if parse_ipv6(text) is not None:
        return AF_INET6
    return None


class Query:
    """One `getaddrinfo` call: what is asked, what is known without the host, and how to put the
    answer.
    """

    def __init__(
        self,
        name: str | bytes | bytearray | None,
        service: str | bytes | int | None,
        family: int = 0,
        kind: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> None:
        self.name = None if name is None else encoded(name)
        self.family = int(family)
        self._flags = int(flags)
        if self.name is None and service is None:
            raise lookup_failure(EAI_NONAME)
        if self._flags & ~_KNOWN_FLAGS or (self._flags & AI_CANONNAME and self.name is None):
            raise lookup_failure(EAI_BADFLAGS)
        if self.family not in _FAMILY_NAMES:
            raise lookup_failure(EAI_FAMILY)
        self._kinds = _kinds(int(kind), int(proto))
        if service is not None and kind == SOCK_RAW:
            raise lookup_failure(EAI_SERVICE)
        self._ports = self._services(service)

    def _services(self, service: str | bytes | int | None) -> list[tuple[int, int, int]]:
        """Socket type, protocol and port of each kind that has the service."""
        port = 0
        if service is not None:
            if isinstance(service, bytes):
                service = service.decode("utf-8")
            if isinstance(service, str):
                service.encode()
                if service and not (service.isascii() and service.isdigit()):
                    return self._named_services(service)
                port = int(service[:20] or 0)
            elif isinstance(service, int):
                if service < 0:
                    raise lookup_failure(EAI_SERVICE)
                port = service
            else:
                raise OSError("Int or String expected")
        # The C library takes the low 16 bits.
        return [(kind, proto, port & 0xFFFF) for kind, proto, _ in self._kinds]

    def _named_services(self, service: str) -> list[tuple[int, int, int]]:
        if self._flags & AI_NUMERICSERV:
            raise lookup_failure(EAI_NONAME)
        found = []
        for kind, proto, protocol in self._kinds:
            port = service_port(service, protocol)
            if port is not None:
                found.append((kind, proto, port))
        if not found:
            raise lookup_failure(EAI_SERVICE)
        return found

    def known(self) -> list[str] | None:
        """The answer if it takes no lookup, None if it does. Raises gaierror for a misplaced
        literal.
        """
        if self.name is None:
            passive = self._flags & AI_PASSIVE
            both = ["0.0.0.0", "::"] if passive else ["::1", "127.0.0.1"]
            return [address for address in both if self._wants(address)]
        family = literal_family(self.name)
        if family is None:
            if self._flags & AI_NUMERICHOST or not self.name or "%" in self.name:
                raise lookup_failure(EAI_NONAME)
            if self.name.lower() == HOSTNAME:
                return own_addresses(self.name, self.family)
            return None
        packed = parse_ipv6(self.name)
        canonical = self.name if packed is None else format_ipv6(packed)
        if self._wants(canonical):
            return [canonical]
        if self.family == AF_INET6 and self._flags & AI_V4MAPPED:
            return ["::ffff:" + canonical]
        raise lookup_failure(EAI_ADDRFAMILY)

    def _wants(self, address: str) -> bool:
        return self.family in (AF_UNSPEC, AF_INET6 if ":" in address else AF_INET)

    def start(self) -> HostLookup:
        """Ask the host. Raises what it refuses at once; see `fallback`."""
        assert self.name is not None  # `known` answers that case
        port = self._ports[0][2] or None
        return host.lookup(self.name, port, _FAMILY_NAMES[self.family])

    def fallback(self) -> list[str]:
        """The answer when the host refuses: loopback for `localhost` where it means the guest
        itself, as an address to listen on or of a listener inside the guest.
        """
        addresses = own_addresses(self.name or "", self.family)
        if self._flags & AI_PASSIVE:
            return addresses
        return [
            address
            for address in addresses
            if any(_served(address, kind, port) for kind, _, port in self._ports)
        ]

    def resolve(self) -> list[str]:
        """The addresses, waiting for the host if need be."""
        addresses = self.known()
        if addresses is not None:
            return addresses
        try:
            return finish(self.start(), None)
        except PermissionError:
            addresses = self.fallback()
            if addresses:
                return addresses
            raise

    def answers(self, addresses: list[str]) -> list[AddrInfo]:
        """What `getaddrinfo` returns for these addresses, in their order."""
        wanted = [address for address in addresses if self._wants(address)]
        if not wanted:
            raise lookup_failure(EAI_NODATA if addresses else EAI_NONAME)
        if self.name is not None and literal_family(self.name) is None:
            known_names.note(self.name.rstrip("."), wanted)
        canonical = self.name or "" if self._flags & AI_CANONNAME else ""
        found: list[AddrInfo] = []
        for address in wanted:
            for kind, proto, port in self._ports:
                if ":" in address:
                    found.append((AF_INET6, kind, proto, canonical, (address, port, 0, 0)))
                else:
                    found.append((AF_INET, kind, proto, canonical, (address, port)))
                canonical = ""
        return found


def _kinds(kind: int, proto: int) -> list[tuple[int, int, str]]:
    found = []
    for known_kind, known_proto, protocol in _KINDS:
        if kind and kind != known_kind:
            continue
        if known_kind == SOCK_RAW and (kind or proto not in (IPPROTO_TCP, IPPROTO_UDP)):
            found.append((known_kind, proto, protocol))
        elif proto in (0, known_proto) and known_kind != SOCK_RAW:
            found.append((known_kind, known_proto, protocol))
    if not found:
        raise lookup_failure(EAI_SOCKTYPE if kind else EAI_SERVICE)
    return found


def _served(address: str, kind: int, port: int) -> bool:
    """Whether a socket of the guest is at that address."""
    if kind == SOCK_DGRAM:
        return ports.UDP.mailbox(address, port) is not None
    return ports.TCP.listener(address, port) is not None


def finish(lookup: HostLookup, timeout: int | None) -> list[str]:
    """Wait for a lookup and release it, unless it needs more time (BlockingIOError)."""
    try:
        addresses = host.call(lookup.finish, timeout)
    except BlockingIOError:
        raise
    except BaseException:
        lookup.__exit__(None, None, None)
        raise
    lookup.__exit__(None, None, None)
    return addresses


# The functions `_socket` exports.


def getaddrinfo(
    host: str | bytes | bytearray | None,
    port: str | bytes | int | None,
    family: int = 0,
    type: int = 0,
    proto: int = 0,
    flags: int = 0,
) -> list[AddrInfo]:
    """Resolve host and port into (family, type, proto, canonname, sockaddr) tuples.

    Raises gaierror, or PermissionError when the policy does not allow the name.
    """
    if (
        host.__class__ is str
        and len(host) <= LONGEST_LITERAL
        and port.__class__ is int
        and isinstance(family, int)
        and isinstance(type, int)
        and isinstance(proto, int)
        and isinstance(flags, int)
    ):
        known = _literal_answers(host, port, int(family), int(type), int(proto), int(flags))
        if known is not None:
            return list(known)
    query = Query(host, port, family, type, proto, flags)
    return query.answers(query.resolve())


@lru_cache(maxsize=64)
def _literal_answers(
    name: str, port: int, family: int, kind: int, proto: int, flags: int
) -> tuple[AddrInfo, ...] | None:
    """The answers for a literal, which stay the same; None for a name."""
    if literal_family(name) is None:
        return None
    query = Query(name, port, family, kind, proto, flags)
    return tuple(query.answers(query.known() or []))


def gethostbyname(hostname: str | bytes, /) -> str:
    """The first IPv4 address of a host."""
    return _ipv4_addresses(hostname)[0]


def gethostbyname_ex(hostname: str | bytes, /) -> tuple[str, list[str], list[str]]:
    """The name, aliases (none are known) and IPv4 addresses of a host."""
    return encoded(hostname), [], _ipv4_addresses(hostname)


def _ipv4_addresses(hostname: str | bytes) -> list[str]:
    name = encoded(hostname)
    if not name:
        return ["0.0.0.0"]
    if name == "<broadcast>":
        return ["255.255.255.255"]
    return [info[4][0] for info in getaddrinfo(name, 0, AF_INET, SOCK_STREAM)]


def gethostbyaddr(ip_address: str | bytes, /) -> tuple[str, list[str], list[str]]:
    """The name of an address that this program has looked up, or of this machine. Raises herror for
    any other: the host is not asked for names.
    """
    address = encoded(ip_address)
    if literal_family(address) is None:
        query = Query(address, 0, 0, SOCK_STREAM)
        found = query.answers(query.resolve())[0][4][0]
        # Which is what that one is known by from now on.
        return address.rstrip("."), [], [found]
    name = _name_of(address)
    if name is None:
        raise herror(1, "Unknown host")
    return name, [], [address]


def _name_of(address: str) -> str | None:
    """The name of an address, if there is a way to know it."""
    if is_loopback(address):
        return "localhost"
    return known_names.find(address)


def getnameinfo(sockaddr: SockAddr, flags: int, /) -> tuple[str, str]:
    """Host and service of a socket address; a host that was never looked up stays numeric."""
    if not isinstance(sockaddr, tuple):
        raise TypeError(f"getnameinfo() argument 1 must be tuple, not {type(sockaddr).__name__}")
    if not 2 <= len(sockaddr) <= 4:
        raise TypeError("getnameinfo(): illegal sockaddr argument")
    address, port = sockaddr[:2]
    if not isinstance(address, str) or not isinstance(port, int):
        raise TypeError("getnameinfo(): illegal sockaddr argument")
    if len(sockaddr) > 2 and not 0 <= sockaddr[2] <= 0xFFFFF:
        raise OverflowError("getnameinfo(): flowinfo must be 0-1048575.")
    family, _, _, _, resolved = getaddrinfo(address, port, 0, SOCK_DGRAM, 0, AI_NUMERICHOST)[0]
    if family == AF_INET and len(sockaddr) != 2:
        raise OSError("IPv4 sockaddr must be 2 tuple")
    name, number = resolved[:2]
    if not flags & NI_NUMERICHOST:
        found = _name_of(name)
        if found is None and flags & NI_NAMEREQD:
            raise lookup_failure(EAI_NONAME)
        name = found or name
    service = str(number)
    if not flags & NI_NUMERICSERV:
        service = service_name(number, "udp" if flags & NI_DGRAM else "tcp") or service
    return name, service


def gethostname() -> str:
    """This machine's name."""
    return HOSTNAME


def sethostname(name: str | bytes, /) -> None:
    """Refused: the name is not the guest's to choose."""
    raise failure("EPERM")


def if_nameindex() -> list[tuple[int, str]]:
    """The network interfaces: loopback alone."""
    return [(1, "lo")]


def if_nametoindex(oname: str | bytes, /) -> int:
    """The number of an interface. Raises OSError when there is none of that name."""
    if os.fsdecode(oname) == "lo":
        return 1
    raise OSError("no interface with this name")


def if_indextoname(if_index: int, /) -> str:
    """The name of an interface. Raises OSError(ENXIO) when there is none with that number."""
    if if_index < 0:
        raise OverflowError("can't convert negative value to unsigned int")
    if if_index >= 1 << 32:
        raise OverflowError("Python int too large to convert to C unsigned int")
    if if_index == 1:
        return "lo"
    raise failure("ENXIO")
