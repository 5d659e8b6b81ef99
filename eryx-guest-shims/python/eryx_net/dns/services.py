"""Well-known services and protocols (IANA registries), as a guest has no `/etc/services`."""

from __future__ import annotations

import sys

# Name, port and protocols of the services that programs ask for, as in a usual /etc/services.
_REGISTRY = """
echo 7 tcp/udp
discard 9 tcp/udp
systat 11 tcp
daytime 13 tcp/udp
netstat 15 tcp
qotd 17 tcp
chargen 19 tcp/udp
ftp-data 20 tcp
ftp 21 tcp
ssh 22 tcp
telnet 23 tcp
smtp 25 tcp
time 37 tcp/udp
whois 43 tcp
tacacs 49 tcp/udp
domain 53 tcp/udp
bootps 67 udp
bootpc 68 udp
tftp 69 udp
gopher 70 tcp
finger 79 tcp
http 80 tcp
kerberos 88 tcp/udp
iso-tsap 102 tcp
pop3 110 tcp
sunrpc 111 tcp/udp
auth 113 tcp
nntp 119 tcp
ntp 123 udp
epmap 135 tcp
netbios-ns 137 udp
netbios-dgm 138 udp
netbios-ssn 139 tcp
imap2 143 tcp
snmp 161 tcp/udp
snmp-trap 162 tcp/udp
bgp 179 tcp
irc 194 tcp/udp
ldap 389 tcp/udp
svrloc 427 tcp/udp
https 443 tcp/udp
microsoft-ds 445 tcp/udp
kpasswd 464 tcp/udp
submissions 465 tcp
isakmp 500 udp
exec 512 tcp
login 513 tcp
syslog 514 udp
shell 514 tcp
printer 515 tcp
route 520 udp
uucp 540 tcp
dhcpv6-client 546 udp
dhcpv6-server 547 udp
afpovertcp 548 tcp
rtsp 554 tcp/udp
nntps 563 tcp
submission 587 tcp
asf-rmcp 623 udp
ipp 631 tcp
ldaps 636 tcp/udp
ldp 646 tcp/udp
kerberos-adm 749 tcp
domain-s 853 tcp/udp
rsync 873 tcp
ftps-data 989 tcp
ftps 990 tcp
telnets 992 tcp
imaps 993 tcp
pop3s 995 tcp
socks 1080 tcp
openvpn 1194 tcp/udp
ms-sql-s 1433 tcp
ms-sql-m 1434 udp
radius 1812 tcp/udp
radius-acct 1813 tcp/udp
mqtt 1883 tcp
nfs 2049 tcp/udp
dict 2628 tcp
isns 3205 tcp/udp
iscsi-target 3260 tcp
mysql 3306 tcp
ms-wbt-server 3389 tcp
svn 3690 tcp
sieve 4190 tcp
epmd 4369 tcp
ntske 4460 tcp
ipsec-nat-t 4500 udp
sip 5060 tcp/udp
sip-tls 5061 tcp/udp
xmpp-client 5222 tcp
xmpp-server 5269 tcp
mdns 5353 udp
postgresql 5432 tcp
amqps 5671 tcp
amqp 5672 tcp
x11 6000 tcp
redis 6379 tcp
syslog-tls 6514 tcp
ircs-u 6697 tcp
http-alt 8080 tcp/udp
secure-mqtt 8883 tcp
git 9418 tcp
"""

_ALIASES = {
    "www": "http",
    "mail": "smtp",
    "imap": "imap2",
    "postgres": "postgresql",
    "ident": "auth",
    "nicname": "whois",
    "pop-3": "pop3",
    "portmapper": "sunrpc",
    "rpcbind": "sunrpc",
    "cmd": "shell",
    "router": "route",
    "routed": "route",
    "radacct": "radius-acct",
    "readnews": "nntp",
}

_PROTOCOLS = {
    "ip": 0,
    "icmp": 1,
    "igmp": 2,
    "tcp": 6,
    "egp": 8,
    "pup": 12,
    "udp": 17,
    "dccp": 33,
    "ipv6": 41,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "sctp": 132,
    "udplite": 136,
}

_PORTS: dict[tuple[str, str], int] = {}
_NAMES: dict[tuple[int, str], str] = {}
for _line in _REGISTRY.split("\n"):
    if _line:
        _name, _port, _protocols = _line.split()
        for _protocol in _protocols.split("/"):
            _PORTS[_name, _protocol] = int(_port)
            _NAMES[int(_port), _protocol] = _name


def service_port(name: str, protocol: str) -> int | None:
    """Returns the port of a service over `tcp` or `udp`, or None."""
    return _PORTS.get((_ALIASES.get(name, name), protocol))


def service_name(port: int, protocol: str) -> str | None:
    """Returns the name of the service on a port, or None."""
    return _NAMES.get((port, protocol))


def getservbyname(servicename: str, protocolname: str | None = None, /) -> int:
    """Returns the port number of a service. Raises OSError for an unknown service."""
    sys.audit("socket.getservbyname", servicename, protocolname)
    for protocol in (protocolname,) if protocolname is not None else ("tcp", "udp"):
        port = service_port(servicename, protocol)
        if port is not None:
            return port
    raise OSError("service/proto not found")


def getservbyport(port: int, protocolname: str | None = None, /) -> str:
    """Returns the name of the service on `port`. Raises OSError for an unknown port."""
    if not 0 <= port <= 0xFFFF:
        raise OverflowError("getservbyport: port must be 0-65535.")
    sys.audit("socket.getservbyport", port, protocolname)
    for protocol in (protocolname,) if protocolname is not None else ("tcp", "udp"):
        name = service_name(port, protocol)
        if name is not None:
            return name
    raise OSError("port/proto not found")


def getprotobyname(protocolname: str, /) -> int:
    """Returns the number of a protocol. Raises OSError for an unknown protocol."""
    try:
        return _PROTOCOLS[protocolname.lower()]
    except KeyError:
        raise OSError("protocol not found") from None
