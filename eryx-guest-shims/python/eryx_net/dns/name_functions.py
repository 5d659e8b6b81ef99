"""Host names to addresses and back: `getaddrinfo` and its relatives.

Literals, wildcards and the sandbox's own name are answered here; Eryx resolves all other names.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from .. import host
from ..addresses import CACHE_SIZE, LONGEST_LITERAL, format_ipv6, is_loopback, parse_ipv6
from ..destination import parse
from ..errors import gai_error, herror
from ..host import HostLookup
from ..loopback import port_table
from ..socket_constants import (
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
from . import hostname, resolved_names
from .hostname import encode
from .services import service_name, service_port

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
    # AI_IDN and AI_CANONIDN: `hostname.encode` always encodes.
    | 0x40
    | 0x80
)
_SOCKET_TYPES = (
    (SOCK_STREAM, IPPROTO_TCP, "tcp"),
    (SOCK_DGRAM, IPPROTO_UDP, "udp"),
    (SOCK_RAW, 0, ""),
)
_FAMILY_NAMES = {AF_UNSPEC: "ANY", AF_INET: "IPV4", AF_INET6: "IPV6"}


class Query:
    """One call of `getaddrinfo`: its checked arguments, and the form of its result."""

    def __init__(
        self,
        name: str | bytes | bytearray | None,
        service: str | bytes | int | None,
        family: int = 0,
        kind: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> None:
        self.name = None if name is None else encode(name)
        # The address family of a literal.
        self._literal = None
        self._is_valid = True
        if self.name is not None:
            destination = parse(self.name)
            self._literal = destination.family
            self._is_valid = destination.is_valid
        self.family = int(family)
        self._flags = int(flags)
        if self.name is None and service is None:
            raise gai_error(EAI_NONAME)
        if self._flags & ~_KNOWN_FLAGS or (self._flags & AI_CANONNAME and self.name is None):
            raise gai_error(EAI_BADFLAGS)
        if self.family not in _FAMILY_NAMES:
            raise gai_error(EAI_FAMILY)
        self._socket_types = _matching_socket_types(int(kind), int(proto))
        if service is not None and kind == SOCK_RAW:
            raise gai_error(EAI_SERVICE)
        self._ports = self._services(service)
        self._plain_name = None
        if self.name is not None and self._literal is None:
            self._plain_name = self.name.rstrip(".")
        # The latest addresses, those of the family, and their results.
        self._latest: tuple[list[str] | None, list[str], list[AddrInfo]] = (None, [], [])

    def _services(self, service: str | bytes | int | None) -> list[tuple[int, int, int]]:
        """Returns type, protocol and port for each socket type that offers the service."""
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
                    raise gai_error(EAI_SERVICE)
                port = service
            else:
                raise OSError("Int or String expected")
        # The C library uses the low 16 bits.
        return [(kind, proto, port & 0xFFFF) for kind, proto, _ in self._socket_types]

    def _named_services(self, service: str) -> list[tuple[int, int, int]]:
        if self._flags & AI_NUMERICSERV:
            raise gai_error(EAI_NONAME)
        services = []
        for kind, proto, protocol in self._socket_types:
            port = service_port(service, protocol)
            if port is not None:
                services.append((kind, proto, port))
        if not services:
            raise gai_error(EAI_SERVICE)
        return services

    def without_lookup(self) -> list[str] | None:
        """Returns the addresses if Eryx need not resolve the name, otherwise None.

        Raises gaierror for a literal of another family.
        """
        if self.name is None:
            passive = self._flags & AI_PASSIVE
            both = ["0.0.0.0", "::"] if passive else ["::1", "127.0.0.1"]
            return [address for address in both if self._wants(address)]
        if self._literal is None:
            if self._flags & AI_NUMERICHOST or not self._is_valid:
                raise gai_error(EAI_NONAME)
            if self.name.lower() == hostname.HOSTNAME:
                return hostname.own_addresses(self.name, self.family)
            return None
        packed = parse_ipv6(self.name)
        canonical = self.name if packed is None else format_ipv6(packed)
        if self._wants(canonical):
            return [canonical]
        if self.family == AF_INET6 and self._flags & AI_V4MAPPED:
            return ["::ffff:" + canonical]
        raise gai_error(EAI_ADDRFAMILY)

    def _wants(self, address: str) -> bool:
        return self.family in (AF_UNSPEC, AF_INET6 if ":" in address else AF_INET)

    def lookup_arguments(self) -> tuple[str, int | None, str]:
        """Returns the arguments of a lookup by Eryx: name, port and family."""
        assert self.name is not None  # `without_lookup` answers that case
        return self.name, self._ports[0][2] or None, _FAMILY_NAMES[self.family]

    def start(self) -> HostLookup:
        """Starts a lookup by Eryx.

        Raises PermissionError if the policy denies the name; see `fallback`.
        """
        return host.start_lookup(*self.lookup_arguments())

    def fallback(self) -> list[str]:
        """Returns the addresses of a name that the policy denies.

        These are the loopback addresses of `localhost`, where the program means itself: an address
        to listen on, or that of a socket inside the sandbox.
        """
        addresses = hostname.own_addresses(self.name or "", self.family)
        if self._flags & AI_PASSIVE:
            return addresses
        return [
            address
            for address in addresses
            if any(_is_bound(address, kind, port) for kind, _, port in self._ports)
        ]

    def resolve(self) -> list[str]:
        """Returns the addresses. Waits for Eryx if it has to resolve the name."""
        addresses = self.without_lookup()
        if addresses is not None:
            return addresses
        try:
            return look_up(self)
        except PermissionError:
            addresses = self.fallback()
            if addresses:
                return addresses
            raise

    def results(self, addresses: list[str]) -> list[AddrInfo]:
        """Returns the result of `getaddrinfo` for these addresses, in their order."""
        if addresses != self._latest[0]:
            wanted = [address for address in addresses if self._wants(address)]
            if not wanted:
                raise gai_error(EAI_NODATA if addresses else EAI_NONAME)
            self._latest = addresses, wanted, self._results(wanted)
        _, wanted, results = self._latest
        if self._plain_name is not None:
            resolved_names.insert(self._plain_name, wanted)
        return results.copy()

    def _results(self, wanted: list[str]) -> list[AddrInfo]:
        canonical = self.name or "" if self._flags & AI_CANONNAME else ""
        results: list[AddrInfo] = []
        for address in wanted:
            for kind, proto, port in self._ports:
                if ":" in address:
                    results.append((AF_INET6, kind, proto, canonical, (address, port, 0, 0)))
                else:
                    results.append((AF_INET, kind, proto, canonical, (address, port)))
                canonical = ""
        return results


def _matching_socket_types(kind: int, proto: int) -> list[tuple[int, int, str]]:
    """Returns type, protocol number and protocol name of each socket type that fits."""
    matching = []
    for known_kind, known_proto, protocol in _SOCKET_TYPES:
        if kind and kind != known_kind:
            continue
        if known_kind == SOCK_RAW and (kind or proto not in (IPPROTO_TCP, IPPROTO_UDP)):
            matching.append((known_kind, proto, protocol))
        elif proto in (0, known_proto) and known_kind != SOCK_RAW:
            matching.append((known_kind, known_proto, protocol))
    if not matching:
        raise gai_error(EAI_SOCKTYPE if kind else EAI_SERVICE)
    return matching


def _is_bound(address: str, kind: int, port: int) -> bool:
    """Returns whether a socket of this program listens or receives at a loopback address."""
    if kind == SOCK_DGRAM:
        return port_table.UDP.datagram_queue(address, port) is not None
    return port_table.TCP.listener(address, port) is not None


def look_up(query: Query) -> list[str]:
    """Resolves the name of a query by Eryx, and waits for the addresses.

    Raises PermissionError if the policy denies the name.
    """
    return host.resolve(*query.lookup_arguments())


def finish_lookup(lookup: HostLookup, timeout: int | None) -> list[str]:
    """Waits up to `timeout` nanoseconds for a lookup, and releases it.

    A lookup that needs more time is not released: that raises BlockingIOError.
    """
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
    """Resolves host and port into tuples of family, type, proto, canonname and sockaddr.

    Raises gaierror, and PermissionError for a name that the policy denies.
    """
    sys.audit("socket.getaddrinfo", host, port, family, type, proto)
    return address_infos(host, port, family, type, proto, flags)


def address_infos(
    host: str | bytes | bytearray | None,
    port: str | bytes | int | None,
    family: int = 0,
    type: int = 0,
    proto: int = 0,
    flags: int = 0,
) -> list[AddrInfo]:
    """Returns what `getaddrinfo` does, for other functions."""
    if (
        host.__class__ is str
        and len(host) <= LONGEST_LITERAL
        and port.__class__ is int
        and isinstance(family, int)
        and isinstance(type, int)
        and isinstance(proto, int)
        and isinstance(flags, int)
    ):
        results = _literal_results(host, port, int(family), int(type), int(proto), int(flags))
        if results is not None:
            return list(results)
        # The same arguments ask the same, and may get another answer.
        query = _query(host, port, int(family), int(type), int(proto), int(flags))
    else:
        query = Query(host, port, family, type, proto, flags)
    return query.results(query.resolve())


_query = lru_cache(maxsize=CACHE_SIZE)(Query)


@lru_cache(maxsize=CACHE_SIZE)
def _literal_results(
    literal: str, port: int, family: int, kind: int, proto: int, flags: int
) -> tuple[AddrInfo, ...] | None:
    """Returns the results for an address literal, which never change; None for a name."""
    if parse(literal).family is None:
        return None
    query = Query(literal, port, family, kind, proto, flags)
    return tuple(query.results(query.without_lookup() or []))


def gethostbyname(hostname: str | bytes, /) -> str:
    """Returns the first IPv4 address of a host."""
    sys.audit("socket.gethostbyname", hostname)
    return _ipv4_addresses(hostname)[0]


def gethostbyname_ex(hostname: str | bytes, /) -> tuple[str, list[str], list[str]]:
    """Returns the name, the aliases (always none) and the IPv4 addresses of a host."""
    sys.audit("socket.gethostbyname", hostname)
    return encode(hostname), [], _ipv4_addresses(hostname)


def _ipv4_addresses(host: str | bytes) -> list[str]:
    name = encode(host)
    if not name:
        return ["0.0.0.0"]
    if name == "<broadcast>":
        return ["255.255.255.255"]
    return [info[4][0] for info in address_infos(name, 0, AF_INET, SOCK_STREAM)]


def gethostbyaddr(ip_address: str | bytes, /) -> tuple[str, list[str], list[str]]:
    """Returns the name, the aliases (always none) and the address of a host.

    An address has a name if it is a loopback address, or if this program resolved it from a name.
    Raises herror for any other address: Eryx offers no reverse lookup.
    """
    sys.audit("socket.gethostbyaddr", ip_address)
    address = encode(ip_address)
    if parse(address).family is None:
        query = Query(address, 0, 0, SOCK_STREAM)
        resolved = query.results(query.resolve())[0][4][0]
        return address.rstrip("."), [], [resolved]
    name = _name_of(address)
    if name is None:
        raise herror(1, "Unknown host")
    return name, [], [address]


def _name_of(address: str) -> str | None:
    """Returns the name of an address that needs no reverse lookup, otherwise None."""
    if is_loopback(address):
        return "localhost"
    return resolved_names.find(address)


def getnameinfo(sockaddr: SockAddr, flags: int, /) -> tuple[str, str]:
    """Returns host and service of a socket address.

    An address that this program never resolved from a name stays numeric.
    """
    if not isinstance(sockaddr, tuple):
        raise TypeError(f"getnameinfo() argument 1 must be tuple, not {type(sockaddr).__name__}")
    sys.audit("socket.getnameinfo", sockaddr)
    if not 2 <= len(sockaddr) <= 4:
        raise TypeError("getnameinfo(): illegal sockaddr argument")
    address, port = sockaddr[:2]
    if not isinstance(address, str) or not isinstance(port, int):
        raise TypeError("getnameinfo(): illegal sockaddr argument")
    if len(sockaddr) > 2 and not 0 <= sockaddr[2] <= 0xFFFFF:
        raise OverflowError("getnameinfo(): flowinfo must be 0-1048575.")
    family, _, _, _, resolved = address_infos(address, port, 0, SOCK_DGRAM, 0, AI_NUMERICHOST)[0]
    if family == AF_INET and len(sockaddr) != 2:
        raise OSError("IPv4 sockaddr must be 2 tuple")
    name, number = resolved[:2]
    if not flags & NI_NUMERICHOST:
        known_name = _name_of(name)
        if known_name is None and flags & NI_NAMEREQD:
            raise gai_error(EAI_NONAME)
        name = known_name or name
    service = str(number)
    if not flags & NI_NUMERICSERV:
        service = service_name(number, "udp" if flags & NI_DGRAM else "tcp") or service
    return name, service
