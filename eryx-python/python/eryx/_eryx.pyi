"""Types of the compiled half of the package. The documentation is in the classes: ``help()``."""

from collections.abc import (
    Callable,
    Coroutine,
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    Sequence,
    ValuesView,
)
from os import PathLike
from pathlib import Path
from types import EllipsisType
from typing import Any, Final, Literal, final

from typing_extensions import Self, TypeAlias

__all__ = [
    "ChangedFiles",
    "ConnectionReport",
    "Display",
    "ExecuteResult",
    "Execution",
    "Files",
    "FunctionCall",
    "FunctionReport",
    "HttpRequestReport",
    "HttpRule",
    "NetConfig",
    "NetworkEvent",
    "NetworkReport",
    "Refusals",
    "ResourceLimits",
    "Sandbox",
    "SandboxFactory",
    "Secret",
    "Session",
    "SessionFiles",
    "Verdict",
    "__version__",
    "_decode_json",
    "_encode_json",
    "_main",
    "_set_native_wheels",
    "_set_precompiled_path",
    "_shutdown",
]

__version__: Final[str]

# The reasons of verdicts, about hosts and about HTTP requests.
_Reason: TypeAlias = Literal[
    "listed",
    "not-blocked",
    "exempt",
    "depends-on-addresses",
    "malformed-host",
    "host-blocked",
    "alias-blocked",
    "address-blocked",
    "host-not-allowed",
    "port-not-allowed",
    "address-not-allowed",
    "no-addresses",
    "udp-not-allowed",
    "not-unicast",
    "udp-inspected",
    "own-address",
    "no-rules",
    "malformed-url",
    "host-denied",
    "malformed-method",
    "method-refused",
    "malformed-path",
    "path-not-allowed",
    "method-not-allowed",
    "query-not-allowed",
    "upgrade-not-allowed",
    "request-too-large",
    "response-too-large",
]
# The settings with patterns and rules that can decide.
_RuleList: TypeAlias = Literal[
    "allowed_hosts",
    "blocked_hosts",
    "the exemptions",
    "allowed_udp",
    "http_rules",
]
# The settings with limits that a network event can name.
_NetworkLimit: TypeAlias = Literal[
    "max_connections",
    "max_connections_per_host",
    "connects_per_second",
    "max_sent_bytes",
    "max_received_bytes",
    "sent_bytes_per_second",
    "received_bytes_per_second",
    "max_host_memory",
]

@final
class NetConfig:
    """The hosts that a sandbox may reach on the network, and its limits: an immutable value.

    The default reaches every public host and nothing internal. Methods that change a setting return
    a copy. A limit of ``None`` means no limit.

    Args:
        max_connections:
            Maximum number of connections that are open or being opened at the same time. 0
            allows none.
        max_connections_per_host:
            Maximum number of connections to one host that are open or being opened at the
            same time. 0 allows none. Connections are counted per host name, on all ports
            together. An address counts as the name that was looked up to get it, otherwise
            as a host of its own.
        connects_per_second:
            Maximum number of connections begun per second. A burst of up to one second's
            allowance may begin immediately; later connections wait. The wait counts against
            the connect timeout, and a connection that would have to wait longer fails.
        connect_timeout_ms:
            Maximum time to establish a connection: name lookup, every address tried and the
            TLS handshake together. If a program first looks up a name (`getaddrinfo`,
            `create_connection`) and then directly connects to its addresses, all of that
            shares one timeout.
        io_timeout_ms:
            Maximum time of one read or write.
        max_sent_bytes:
            Maximum number of bytes that all connections of one execution or session send
            together. Bytes are counted before encryption, without TLS handshakes and name
            lookups. 0 allows none.
        max_received_bytes:
            Maximum number of bytes that all connections of one execution or session receive
            together. Bytes are counted after decryption. 0 allows none.
        sent_bytes_per_second:
            Maximum number of bytes that all connections together send per second. A burst
            of up to one second's allowance may be sent immediately; a write that comes too
            early waits, within its timeout.
        received_bytes_per_second:
            Maximum number of bytes that all connections together receive per second. A
            burst of up to one second's allowance may be received immediately; a read that
            comes too early waits, within its timeout, while the kernel's buffer fills and
            the peer is slowed down.
        report_only:
            Whether connections that the policy denies are made anyway, and only
            reported. Use it to try out a policy with trusted code. Text that is not a host
            still fails, and UDP still needs an entry in `allowed_udp`.
        shared_caches:
            Whether all sandboxes made from this configuration share DNS answers and TLS
            sessions; otherwise each execution or session has its own. Shared caches save
            round trips where many short programs reach the same hosts. In return a program
            can find out, from how long a lookup takes and from whether a TLS session is
            resumed, which hosts other sandboxes reached, and a server can link sandboxes by
            the session they resume. Share caches only between programs of one tenant.
        proxy_resolves:
            Whether the proxy resolves names. Only the entries for names in `allowed_hosts`
            and `blocked_hosts` then decide about a name, because Eryx never learns the
            addresses of a name: it may lead to any address that the proxy reaches, internal
            ones included. Otherwise names are resolved and checked as without a proxy, and
            the proxy is asked to connect to the addresses that the policy allows.
        allow_unverified_tls:
            Whether the guest program may turn certificate verification off and trust
            certificate authorities of its own.
        allowed_hosts:
            Patterns of allowed hosts: a host must match one of them. An empty list allows
            every host that is not blocked. A pattern is a name, `*.` and a name, an
            address, a network such as `10.0.0.0/8`, or `*`, each with an optional port or
            range of ports, as in `db.corp:5432`.
        blocked_hosts:
            Patterns of hosts that are denied, even if they match `allowed_hosts`. A list
            replaces the default one; an empty list blocks nothing. An entry for loopback
            also denies the addresses of the machine itself.
        allowed_networks:
            Networks whose addresses `blocked_hosts` does not deny, such as `10.20.0.0/16`.
        internal_hosts:
            Patterns of names that may resolve to blocked addresses, such as `db.corp:5432`.
        allowed_udp:
            Patterns with ports, such as `ns.example.com:53`. UDP to a host is allowed if
            the host matches one of them and a connection to it is allowed, too. An empty
            list allows no UDP.
        no_proxy:
            Patterns of hosts that are connected to without the proxy, such as `*.corp` and
            `10.0.0.0/8`. A name pattern is compared with the name that a program uses, an
            address pattern with the address that Eryx connects to. Loopback addresses need
            no entry. It grants nothing: the policy applies as before.
        allow_localhost:
            Whether the loopback entries are taken out of `blocked_hosts`. Those in
            `also_blocked_hosts` stay.
        also_blocked_hosts:
            Further patterns to deny, besides those in `blocked_hosts`; loopback entries
            count even with `allow_localhost`.
        root_certs:
            Certificates to trust in addition to the public root certificates: each a PEM
            bundle, or, in Python, one certificate in DER as bytes.
        inspect:
            Patterns of hosts whose HTTP requests are in the report although no rule and no
            secret is for them. Bytes that are not HTTP pass, and are not recorded.
        http_denials:
            What a program gets for an HTTP request that is denied: `"error"`, an error
            (`PermissionError` in Python) when it sends the request, or `"response"`, a
            response with the status 403 and the reason as `application/problem+json`.
        proxy:
            Proxy through which all connections are made: `http://user:password@host:port`
            (CONNECT), `https://…` (the same over TLS) or `socks5://…`; or `env`, for the
            environment variables `https_proxy`, `all_proxy`, `http_proxy` and `no_proxy` of
            your process, read when the configuration is made. A program never sees its
            name, its address or the credentials.
        proxy_root_certs:
            Certificates to trust for an `https` proxy, in addition to those for servers:
            each as in `root_certs`. They have no effect on servers.
        dns_server:
            Address of the one name server to ask in place of the system's, with a port if
            it is not 53: `192.0.2.53`, `[2001:db8::53]:5353`.
        hosts:
            Fixed addresses of names, for which no name server is asked: names with lists of
            addresses. The policy applies to these addresses as to any others.
        http_rules:
            Rules for HTTP requests. A host with rules gets only the requests that one of
            them allows, and nothing that is not HTTP/1.1. A rule has a `host`, and may have
            `methods`, `paths`, `query`, `max_request_bytes`, `max_response_bytes` and
            `upgrade`.
        secrets:
            Credentials that programs use without seeing them, by name. A program has a
            placeholder in the environment variable of that name, and Eryx replaces it by
            the value in requests to `hosts`. A policy file says where the value is, with
            `env` or `file`. A secret may also have `headers`, `query`, `body`, `inject` and
            `plaintext_hosts`.

    Raises:
        ConfigError: for a malformed pattern or a number out of its range; the message says which
            values are valid.
        TypeError: for an unknown keyword and for an argument of the wrong type.

    >>> import eryx
    >>> config = eryx.NetConfig(allowed_hosts=["api.example.com", "*.example.org:443"])
    >>> config.check("other.example", 443).is_denied
    True
    >>> sandbox = eryx.Sandbox(network=config)
    """
    def __new__(
        cls,
        *,
        # generated: keywords (from the table in eryx-net-host/src/config/settings.rs)
        max_connections: int = 10,
        max_connections_per_host: int | None = None,
        connects_per_second: int | None = None,
        connect_timeout_ms: int = 30000,
        io_timeout_ms: int = 60000,
        max_sent_bytes: int | None = None,
        max_received_bytes: int | None = None,
        sent_bytes_per_second: int | None = None,
        received_bytes_per_second: int | None = None,
        report_only: bool = False,
        shared_caches: bool = False,
        proxy_resolves: bool = False,
        allow_unverified_tls: bool = False,
        allowed_hosts: Iterable[str] = (),
        blocked_hosts: Iterable[str] = ...,
        allowed_networks: Iterable[str] = (),
        internal_hosts: Iterable[str] = (),
        allowed_udp: Iterable[str] = (),
        no_proxy: Iterable[str] = (),
        allow_localhost: bool = False,
        also_blocked_hosts: Iterable[str] = (),
        root_certs: Iterable[bytes | bytearray | str] = (),
        inspect: Iterable[str] = (),
        http_denials: Literal["error", "response"] = "error",
        proxy: str | None = None,
        proxy_root_certs: Iterable[bytes | bytearray | str] = (),
        dns_server: str | None = None,
        hosts: dict[str, list[str]] = ...,
        http_rules: Iterable[HttpRule | str | dict[str, Any]] = (),
        secrets: dict[str, Secret] = ...,
        # end of keywords
    ) -> Self: ...
    @staticmethod
    def from_dict(settings: dict[str, Any]) -> NetConfig:
        """
        Return the configuration with these settings, by the keywords of the constructor. An absent
        setting takes its default.

        Raises:
            ConfigError, TypeError: as the constructor does.

        >>> import eryx
        >>> eryx.NetConfig.from_dict({"max_connections": 3})
        eryx.NetConfig(max_connections=3)
        """
    @staticmethod
    def from_file(path: str | PathLike[str]) -> NetConfig:
        """Return the configuration in a TOML file, by the same names. It may also have
        ``root_cert_files``: files with certificates, by paths relative to the file. A secret has
        ``env`` or ``file`` in it: the environment variable or the file that has the value.

        Args:
            path: a str or a path.

        Raises:
            ConfigError: the file is not a valid configuration. The message names the file and
                the line, and shows a valid value.

        Warns:
            UserWarning: for an empty ``allowed_hosts``, as every host that is not blocked is
                allowed, for an HTTP rule, a secret or another setting without effect, and for
                ``proxy_resolves``, as addresses and networks do not apply to names.

        >>> import eryx, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "policy.toml"
        >>> _ = path.write_text('allowed_hosts = ["api.example.com"]')
        >>> eryx.NetConfig.from_file(path)
        eryx.NetConfig(allowed_hosts=['api.example.com'])
        """
    @staticmethod
    def permissive() -> NetConfig: ...
    # generated: properties (from the table in eryx-net-host/src/config/settings.rs)
    @property
    def max_connections(self) -> int:
        """Maximum number of connections that are open or being opened at the same time. 0 allows
        none.
        """
    @property
    def max_connections_per_host(self) -> int | None:
        """Maximum number of connections to one host that are open or being opened at the same
        time. 0 allows none. Connections are counted per host name, on all ports together. An
        address counts as the name that was looked up to get it, otherwise as a host of its own.
        """
    @property
    def connects_per_second(self) -> int | None:
        """Maximum number of connections begun per second. A burst of up to one second's
        allowance may begin immediately; later connections wait. The wait counts against the
        connect timeout, and a connection that would have to wait longer fails.
        """
    @property
    def connect_timeout_ms(self) -> int:
        """Maximum time to establish a connection: name lookup, every address tried and the TLS
        handshake together. If a program first looks up a name (`getaddrinfo`,
        `create_connection`) and then directly connects to its addresses, all of that shares one
        timeout.
        """
    @property
    def io_timeout_ms(self) -> int:
        """Maximum time of one read or write."""
    @property
    def max_sent_bytes(self) -> int | None:
        """Maximum number of bytes that all connections of one execution or session send
        together. Bytes are counted before encryption, without TLS handshakes and name lookups. 0
        allows none.
        """
    @property
    def max_received_bytes(self) -> int | None:
        """Maximum number of bytes that all connections of one execution or session receive
        together. Bytes are counted after decryption. 0 allows none.
        """
    @property
    def sent_bytes_per_second(self) -> int | None:
        """Maximum number of bytes that all connections together send per second. A burst of up
        to one second's allowance may be sent immediately; a write that comes too early waits,
        within its timeout.
        """
    @property
    def received_bytes_per_second(self) -> int | None:
        """Maximum number of bytes that all connections together receive per second. A burst of
        up to one second's allowance may be received immediately; a read that comes too early
        waits, within its timeout, while the kernel's buffer fills and the peer is slowed down.
        """
    @property
    def report_only(self) -> bool:
        """Whether connections that the policy denies are made anyway, and only reported. Use it
        to try out a policy with trusted code. Text that is not a host still fails, and UDP still
        needs an entry in `allowed_udp`.
        """
    @property
    def shared_caches(self) -> bool:
        """Whether all sandboxes made from this configuration share DNS answers and TLS sessions;
        otherwise each execution or session has its own. Shared caches save round trips where
        many short programs reach the same hosts. In return a program can find out, from how long
        a lookup takes and from whether a TLS session is resumed, which hosts other sandboxes
        reached, and a server can link sandboxes by the session they resume. Share caches only
        between programs of one tenant.
        """
    @property
    def proxy_resolves(self) -> bool:
        """Whether the proxy resolves names. Only the entries for names in `allowed_hosts` and
        `blocked_hosts` then decide about a name, because Eryx never learns the addresses of a
        name: it may lead to any address that the proxy reaches, internal ones included.
        Otherwise names are resolved and checked as without a proxy, and the proxy is asked to
        connect to the addresses that the policy allows.
        """
    @property
    def allows_unverified_tls(self) -> bool:
        """Whether the guest program may turn certificate verification off and trust certificate
        authorities of its own.
        """
    @property
    def allowed_hosts(self) -> list[str]:
        """Patterns of allowed hosts: a host must match one of them. An empty list allows every
        host that is not blocked. A pattern is a name, `*.` and a name, an address, a network
        such as `10.0.0.0/8`, or `*`, each with an optional port or range of ports, as in
        `db.corp:5432`.
        """
    @property
    def blocked_hosts(self) -> list[str]:
        """Patterns of hosts that are denied, even if they match `allowed_hosts`. A list replaces
        the default one; an empty list blocks nothing. An entry for loopback also denies the
        addresses of the machine itself.
        """
    @property
    def allowed_networks(self) -> list[str]:
        """Networks whose addresses `blocked_hosts` does not deny, such as `10.20.0.0/16`."""
    @property
    def internal_hosts(self) -> list[str]:
        """Patterns of names that may resolve to blocked addresses, such as `db.corp:5432`."""
    @property
    def allowed_udp(self) -> list[str]:
        """Patterns with ports, such as `ns.example.com:53`. UDP to a host is allowed if the host
        matches one of them and a connection to it is allowed, too. An empty list allows no UDP.
        """
    @property
    def no_proxy(self) -> list[str]:
        """Patterns of hosts that are connected to without the proxy, such as `*.corp` and
        `10.0.0.0/8`. A name pattern is compared with the name that a program uses, an address
        pattern with the address that Eryx connects to. Loopback addresses need no entry. It
        grants nothing: the policy applies as before.
        """
    @property
    def root_certs(self) -> list[str]:
        """Certificates to trust in addition to the public root certificates: each a PEM bundle,
        or, in Python, one certificate in DER as bytes.
        """
    @property
    def inspect(self) -> list[str]:
        """Patterns of hosts whose HTTP requests are in the report although no rule and no secret
        is for them. Bytes that are not HTTP pass, and are not recorded.
        """
    @property
    def http_denials(self) -> Literal["error", "response"]:
        """What a program gets for an HTTP request that is denied: `"error"`, an error
        (`PermissionError` in Python) when it sends the request, or `"response"`, a response with
        the status 403 and the reason as `application/problem+json`.
        """
    @property
    def proxy(self) -> str | None:
        """Proxy through which all connections are made: `http://user:password@host:port`
        (CONNECT), `https://…` (the same over TLS) or `socks5://…`; or `env`, for the
        environment variables `https_proxy`, `all_proxy`, `http_proxy` and `no_proxy` of your
        process, read when the configuration is made. A program never sees its name, its address
        or the credentials.
        """
    @property
    def proxy_root_certs(self) -> list[str]:
        """Certificates to trust for an `https` proxy, in addition to those for servers: each as
        in `root_certs`. They have no effect on servers.
        """
    @property
    def dns_server(self) -> str | None:
        """Address of the one name server to ask in place of the system's, with a port if it is
        not 53: `192.0.2.53`, `[2001:db8::53]:5353`.
        """
    @property
    def hosts(self) -> dict[str, list[str]]:
        """Fixed addresses of names, for which no name server is asked: names with lists of
        addresses. The policy applies to these addresses as to any others.
        """
    @property
    def http_rules(self) -> list[HttpRule]:
        """Rules for HTTP requests. A host with rules gets only the requests that one of them
        allows, and nothing that is not HTTP/1.1. A rule has a `host`, and may have `methods`,
        `paths`, `query`, `max_request_bytes`, `max_response_bytes` and `upgrade`.
        """
    @property
    def secrets(self) -> dict[str, Secret]:
        """Credentials that programs use without seeing them, by name. A program has a
        placeholder in the environment variable of that name, and Eryx replaces it by the value
        in requests to `hosts`. A policy file says where the value is, with `env` or `file`. A
        secret may also have `headers`, `query`, `body`, `inject` and `plaintext_hosts`.
        """
    # end of properties
    def allow_host(self, pattern: str) -> NetConfig:
        """Return a copy with one more allowed host. The first one restricts the sandbox to it. A
        blocked host stays blocked.

        >>> import eryx
        >>> eryx.NetConfig().allow_host("api.example.com").allowed_hosts
        ['api.example.com']
        """
    def block_host(self, pattern: str) -> NetConfig:
        """Return a copy with one more blocked host.

        >>> import eryx
        >>> eryx.NetConfig(blocked_hosts=[]).block_host("*.local").blocked_hosts
        ['*.local']
        """
    def allow_localhost(self) -> NetConfig:
        """Return a copy with the loopback entries taken out of the blocked hosts, and nothing else.

        >>> import eryx
        >>> "localhost" in eryx.NetConfig().allow_localhost().blocked_hosts
        False
        """
    def allow_network(self, network: str) -> NetConfig:
        """Return a copy with the addresses of one more network exempt from the blocked hosts.

        >>> import eryx
        >>> eryx.NetConfig().allow_network("10.20.0.0/16").check("10.20.3.4", 80).is_allowed
        True
        """
    def allow_internal_host(self, pattern: str) -> NetConfig:
        """Return a copy with one more pattern of names that may resolve to blocked addresses.

        >>> import eryx
        >>> config = eryx.NetConfig().allow_internal_host("db.corp:5432")
        >>> config.check_resolved("db.corp", ["10.1.2.3"], 5432).is_allowed
        True
        """
    def allow_udp(self, pattern: str) -> NetConfig:
        """
        Return a copy that allows UDP to hosts that match one more pattern with a port, as far as a
        connection may reach them.

        >>> import eryx
        >>> config = eryx.NetConfig().allow_udp("9.9.9.9:53")
        >>> config.check_udp("9.9.9.9", 53).is_allowed, config.check_udp("8.8.8.8", 53).is_allowed
        (True, False)
        >>> eryx.NetConfig().allow_udp("9.9.9.9")
        Traceback (most recent call last):
            ...
        eryx.ConfigError: `9.9.9.9` is not a host pattern: UDP is allowed port by port; ...
        """
    def with_root_cert(self, certificate: bytes | bytearray | str) -> NetConfig:
        """
        Return a copy that trusts further certificates, in addition to the public root certificates.

        Args:
            certificate: a PEM bundle, bytes or str, or one certificate in DER, bytes.

        Raises:
            ConfigError: for anything else.

        >>> import eryx
        >>> eryx.NetConfig().with_root_cert(b"")
        Traceback (most recent call last):
            ...
        eryx.ConfigError: the root certificate cannot be used: the root certificate is empty: ...
        """
    def allow_unverified_tls(self, allow: bool = True) -> NetConfig:
        """Return a copy that sets whether a program may turn off certificate verification (with
        ``verify_mode = CERT_NONE``) and trust certificate authorities of its own.

        >>> import eryx
        >>> eryx.NetConfig().allow_unverified_tls() == eryx.NetConfig()
        False
        """
    def with_hosts(self, hosts: dict[str, list[str]]) -> NetConfig:
        """Return a copy with fixed addresses for these names, which replace all earlier ones. The
        policy applies to these addresses as to any others.

        >>> import eryx
        >>> eryx.NetConfig().with_hosts({"db.example": ["192.0.2.7"]}).hosts
        {'db.example': ['192.0.2.7']}
        """
    def with_dns_server(self, address: str) -> NetConfig:
        """Return a copy with one name server in place of the system's: ``"192.0.2.53"`` or
        ``"192.0.2.53:5353"``.

        >>> import eryx
        >>> eryx.NetConfig().with_dns_server("192.0.2.53").dns_server
        '192.0.2.53:53'
        """
    def with_http_rule(self, rule: HttpRule | str | dict[str, Any]) -> NetConfig:
        """Return a copy with one more rule for HTTP requests.

        Args:
            rule: an :class:`HttpRule`, or its text form, a str.

        >>> import eryx
        >>> config = eryx.NetConfig().with_http_rule("GET api.example.com/user")
        >>> config.http_rules
        [eryx.HttpRule('api.example.com', methods=['GET'], paths=['/user'])]
        """
    def with_secret(self, name: str, secret: Secret) -> NetConfig:
        """Return a copy with one more secret.

        Args:
            name: the name of the environment variable in which a program finds the placeholder.
            secret: a :class:`Secret`.

        >>> import eryx
        >>> token = eryx.Secret("ghp_0123456789", hosts=["api.github.com"])
        >>> eryx.NetConfig().with_secret("GITHUB_TOKEN", token).secrets
        {'GITHUB_TOKEN': <eryx.Secret for api.github.com in authorization>}
        """
    def with_proxy(self, proxy: str) -> NetConfig:
        """Return a copy that connects through a proxy: a URL, or ``"env"`` for the proxy of the
        environment. The property ``proxy``, ``repr()`` and events show ``***`` for its credentials.

        >>> import eryx
        >>> config = eryx.NetConfig().with_proxy("http://user:secret@proxy.example:3128")
        >>> config.proxy
        'http://***@proxy.example:3128'
        >>> config.to_dict()
        Traceback (most recent call last):
            ...
        eryx.ConfigError: a configuration whose proxy has a password cannot be written down: ...
        """
    def without_proxy(self) -> NetConfig:
        """Return a copy that connects without a proxy.

        >>> import eryx
        >>> eryx.NetConfig(proxy="http://proxy.example:3128").without_proxy().proxy is None
        True
        """
    def bypass_proxy(self, pattern: str) -> NetConfig:
        """Return a copy with one more pattern of hosts that are connected to without the proxy.

        >>> import eryx
        >>> eryx.NetConfig(proxy="http://proxy.example:3128").bypass_proxy("*.corp").no_proxy
        ['*.corp']
        """
    def replace(
        self,
        *,
        # generated: replacements (from the table in eryx-net-host/src/config/settings.rs)
        max_connections: int = ...,
        max_connections_per_host: int | None = ...,
        connects_per_second: int | None = ...,
        connect_timeout_ms: int = ...,
        io_timeout_ms: int = ...,
        max_sent_bytes: int | None = ...,
        max_received_bytes: int | None = ...,
        sent_bytes_per_second: int | None = ...,
        received_bytes_per_second: int | None = ...,
        report_only: bool = ...,
        shared_caches: bool = ...,
        proxy_resolves: bool = ...,
        allow_unverified_tls: bool = ...,
        allowed_hosts: Iterable[str] = ...,
        blocked_hosts: Iterable[str] = ...,
        allowed_networks: Iterable[str] = ...,
        internal_hosts: Iterable[str] = ...,
        allowed_udp: Iterable[str] = ...,
        no_proxy: Iterable[str] = ...,
        allow_localhost: bool = ...,
        also_blocked_hosts: Iterable[str] = ...,
        root_certs: Iterable[bytes | bytearray | str] = ...,
        inspect: Iterable[str] = ...,
        http_denials: Literal["error", "response"] = ...,
        proxy: str | None = ...,
        proxy_root_certs: Iterable[bytes | bytearray | str] = ...,
        dns_server: str | None = ...,
        hosts: dict[str, list[str]] = ...,
        http_rules: Iterable[HttpRule | str | dict[str, Any]] = ...,
        secrets: dict[str, Secret] = ...,
        # end of replacements
    ) -> NetConfig:
        """Return a copy with other values for some settings, by the keywords of the constructor.
        ``blocked_hosts`` replaces the whole list, changes by ``allow_localhost`` and ``block_host``
        included.

        >>> import eryx
        >>> eryx.NetConfig.permissive().replace(max_connections=5)
        eryx.NetConfig(max_connections=5, blocked_hosts=[])
        """
    def to_dict(self) -> dict[str, Any]:
        """Return every setting, as a dict of plain values. :meth:`from_dict` turns it into an equal
        configuration, and a JSON or TOML file can hold it. Limits that are not set are left out.
        Secrets are in it without their values, so that :meth:`from_dict` does not take them.

        Raises:
            ConfigError: the proxy has a password, which is never written down. Such a configuration
                cannot be pickled either.

        >>> import eryx
        >>> eryx.NetConfig(max_connections=3).to_dict()["max_connections"]
        3
        """
    def check(self, host: str, port: int | None = None) -> Verdict:
        """Return the policy's verdict on a host, without using the network.

        The verdict on an address is final. The verdict on a name that is not denied may depend on
        its addresses.

        Args:
            host: a name or an address, a str.
            port: an int, or ``None`` for any.

        >>> import eryx
        >>> print(eryx.NetConfig().check("127.0.0.1", 80))
        `127.0.0.1:80` is denied: `127.*` in blocked_hosts covers it; allow_localhost() lifts that
        """
    def check_resolved(
        self, name: str, addresses: Iterable[str], port: int | None = None
    ) -> Verdict:
        """Return the policy's verdict on a name that resolves to these addresses.

        >>> import eryx
        >>> eryx.NetConfig().check_resolved("intranet.example.com", ["10.1.2.3"], 80).reason
        'address-blocked'
        """
    def check_http(self, method: str, url: str) -> Verdict:
        """Return the verdict on an HTTP request, without using the network: the policy's verdict on
        the host if that is denied, otherwise the verdict of the HTTP rules.

        Args:
            method: a str such as ``"GET"``.
            url: a str with the scheme ``https`` or ``http``, or ``wss`` or ``ws`` for a websocket.

        >>> import eryx
        >>> config = eryx.NetConfig(http_rules=["GET api.example.com/user"])
        >>> print(config.check_http("PUT", "https://api.example.com/user"))
        `PUT https://api.example.com/user` is denied: `GET api.example.com/user` in http_rules is ...
        """
    def check_udp(self, host: str, port: int | None = None) -> Verdict:
        """Return the policy's verdict on UDP to a host, as :meth:`check` does for TCP. A host with
        HTTP rules or secrets on the port is denied: HTTP/3 would not be inspected.

        >>> import eryx
        >>> print(eryx.NetConfig().check_udp("9.9.9.9", 53))
        UDP to `9.9.9.9:53` is denied: nothing in allowed_udp matches it; ...
        """
    def check_udp_resolved(
        self, name: str, addresses: Iterable[str], port: int | None = None
    ) -> Verdict:
        """Return the policy's verdict on UDP to a name that resolves to these addresses.

        >>> import eryx
        >>> config = eryx.NetConfig().allow_udp("ns.example.com:53")
        >>> config.check_udp_resolved("ns.example.com", ["10.1.2.3"], 53).reason
        'address-blocked'
        """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...

@final
class HttpRule:
    """A rule for HTTP requests to a host: an immutable value for ``NetConfig(http_rules=[...])``.

    A host with rules gets only the requests that one of its rules allows. ``str()`` returns the
    rule in one line, ``"[METHODS ]HOST[:PORT][/PATH]"``, without the query and the limits.

    Args:
        host: the host pattern, a str such as ``"api.example.com"``, with a port if the rule is for
            one port.
        methods: the allowed methods, a list of str in upper case; ``None`` for every method.
        paths: patterns of the allowed paths, a list of str; ``None`` for every path. A ``*`` is one
            segment, and ``**`` at the end is the rest.
        query: a dict from parameters of the query to ``True`` if they must be there, and ``False``
            if they must not.
        max_request_bytes: the limit on the body of one request, in bytes.
        max_response_bytes: the limit on the body of one response, in bytes.
        upgrade: whether a request may change the protocol, such as to websockets.

    Raises:
        ConfigError: for a malformed value; the message says what to write instead.

    >>> import eryx
    >>> rule = eryx.HttpRule("api.example.com", methods=["GET"], paths=["/repos/acme/*"])
    >>> str(rule)
    'GET api.example.com/repos/acme/*'
    >>> config = eryx.NetConfig(http_rules=[rule])
    >>> config.check_http("PUT", "https://api.example.com/repos/acme/site").is_denied
    True
    """
    def __new__(
        cls,
        host: str,
        *,
        methods: Iterable[str] | None = None,
        paths: Iterable[str] | None = None,
        query: dict[str, bool] | None = None,
        max_request_bytes: int | None = None,
        max_response_bytes: int | None = None,
        upgrade: bool = False,
    ) -> Self: ...
    @property
    def host(self) -> str:
        """The host pattern, a str."""
    @property
    def methods(self) -> list[str] | None:
        """The allowed methods, a list of str, or ``None`` for every method."""
    @property
    def paths(self) -> list[str] | None:
        """The patterns of the allowed paths, a list of str, or ``None`` for every path."""
    @property
    def query(self) -> dict[str, bool]:
        """
        The parameters that must be in the query, with ``True``, and that must not, with ``False``:
        a dict.
        """
    @property
    def max_request_bytes(self) -> int | None:
        """The limit on the body of one request in bytes, an int, or ``None``."""
    @property
    def max_response_bytes(self) -> int | None:
        """The limit on the body of one response in bytes, an int, or ``None``."""
    @property
    def upgrade(self) -> bool:
        """Whether a request may change the protocol."""
    @staticmethod
    def _restore(json: str) -> HttpRule: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...

@final
class Secret:
    """A credential that programs use without seeing it: an immutable value for
    ``NetConfig(secrets={"NAME": ...})``.

    A program finds a placeholder in the environment variable ``NAME``. In requests to ``hosts``,
    over verified TLS, the value replaces it; a request that has it elsewhere is denied. A
    ``Secret`` has no attribute with its value, and cannot be pickled.

    Args:
        value: the value, a str; or a function without arguments that returns it, which is called
            for each request, on another thread, for tokens with a short lifetime.
        hosts: patterns of the hosts that may get the value, a list of str.
        headers: names of the header fields that may have it, a list of str.
        query: names of the query parameters that may have it, a list of str.
        body: whether bodies of requests may have it.
        inject: the value of the header field for requests that do not set the field, a str with
            ``{}`` in place of the secret, such as ``"Bearer {}"``.
        plaintext_hosts: patterns of further hosts, which may get the value without TLS as well, a
            list of str.

    Raises:
        ConfigError: for a malformed value; the message says what to write instead.

    >>> import eryx
    >>> token = eryx.Secret("ghp_0123456789", hosts=["api.github.com"])
    >>> token
    <eryx.Secret for api.github.com in authorization>
    >>> config = eryx.NetConfig(allowed_hosts=["api.github.com"], secrets={"GITHUB_TOKEN": token})
    """
    def __new__(
        cls,
        value: str | Callable[[], str],
        *,
        hosts: Iterable[str],
        headers: Iterable[str] = ["authorization"],
        query: Iterable[str] = (),
        body: bool = False,
        inject: str | None = None,
        plaintext_hosts: Iterable[str] = (),
    ) -> Self: ...
    @property
    def hosts(self) -> list[str]:
        """The patterns of the hosts that may get the value, a list of str."""
    @property
    def headers(self) -> list[str]:
        """The names of the header fields that may have the value, in lower case, a list of str."""
    @property
    def query(self) -> list[str]:
        """The names of the query parameters that may have the value, a list of str."""
    @property
    def body(self) -> bool:
        """Whether bodies of requests may have the value."""
    @property
    def inject(self) -> str | None:
        """
        The value of the header field for requests that do not set it, a str with ``{}`` in place of
        the secret, or ``None``.
        """
    @property
    def plaintext_hosts(self) -> list[str]:
        """
        The patterns of further hosts, which may get the value without TLS as well, a list of str.
        """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...

@final
class ResourceLimits:
    """The limits of one execution. Every limit is on by default.

    Args:
        execution_timeout_ms: the time limit of one execution, in milliseconds by the wall clock,
            waiting included. An execution that exceeds it raises :class:`TimeoutError`.
        max_memory_bytes: the memory limit of the interpreter and the program together, in bytes.
            The interpreter alone needs about 40 MiB. At the limit the program gets
            ``MemoryError``; if it does not catch it, the execution raises
            :class:`ResourceLimitError`. At least 48 MiB.
        max_output_bytes: the maximum number of bytes that one execution may print to standard
            output and standard error together. An execution that prints more raises
            :class:`ResourceLimitError`.
        max_host_memory_bytes: the maximum number of bytes that this process may use on behalf of
            one execution or session, outside the memory of the interpreter: captured output,
            buffers of connections, TLS settings, name lookups. A network call that would exceed it
            fails with ``OSError`` in the program; output that would exceed it raises
            :class:`ResourceLimitError`. At least ``max_output_bytes`` + 16 MiB.
        max_file_bytes: the maximum number of bytes of all files of one execution or session, which
            are in the memory of this process. A write that would exceed it fails with ``OSError``
            in the program. At most 4 GiB.
        max_files: the maximum number of files, directories and links that one execution or session
            may create. At least 1 and at most 65536.
        max_value_bytes: the maximum number of bytes of the JSON of a program's value and its
            representations together. A larger value is missing from the result, with the reason in
            its place. At most 3 MiB.
        max_function_calls: the maximum number of calls of the embedder's functions in one
            execution. More raise ``tools.LimitError`` in the program. At least 1.
        max_function_calls_in_flight: the maximum number of these calls at a time. More wait for
            their turn. At least 1 and at most 1024.
        max_function_value_bytes: the maximum number of bytes of the arguments of one of these
            calls, and of its result, as JSON. Larger ones raise ``tools.LimitError`` in the
            program. At most 3 MiB.
        function_timeout_ms: the time limit of one of these calls, in milliseconds, without the time
            that it waits for its turn. A longer one raises the built-in ``TimeoutError`` in the
            program. ``None``: only the time limit of the execution.

    Raises:
        ConfigError: no program could run under a limit.

    >>> import eryx
    >>> limits = eryx.ResourceLimits(execution_timeout_ms=100)
    >>> eryx.Sandbox(resource_limits=limits).execute("while True: pass")
    Traceback (most recent call last):
        ...
    eryx.TimeoutError: the execution took longer than its limit of 100 ms ...
    """
    def __new__(
        cls,
        *,
        execution_timeout_ms: int = 30000,
        max_memory_bytes: int = 134217728,
        max_output_bytes: int = 8388608,
        max_host_memory_bytes: int = 67108864,
        max_file_bytes: int = 67108864,
        max_files: int = 10000,
        max_value_bytes: int = 1048576,
        max_function_calls: int = 1000,
        max_function_calls_in_flight: int = 32,
        max_function_value_bytes: int = 1048576,
        function_timeout_ms: int | None = None,
    ) -> Self: ...
    @property
    def execution_timeout_ms(self) -> int:
        """The time limit of one execution, in milliseconds."""
    @property
    def max_memory_bytes(self) -> int:
        """The memory limit of the interpreter, in bytes."""
    @property
    def max_output_bytes(self) -> int:
        """The limit on the output of one execution, in bytes."""
    @property
    def max_host_memory_bytes(self) -> int:
        """The limit on the memory that this process uses on behalf of one execution or session, in
        bytes.
        """
    @property
    def max_file_bytes(self) -> int:
        """The limit on the bytes of all files of one execution or session."""
    @property
    def max_files(self) -> int:
        """The limit on the number of files, directories and links that one execution or session may
        create.
        """
    @property
    def max_value_bytes(self) -> int:
        """The limit on the JSON of a program's value and its representations together, in bytes."""
    @property
    def max_function_calls(self) -> int:
        """The limit on the calls of functions in one execution."""
    @property
    def max_function_calls_in_flight(self) -> int:
        """The limit on the calls of functions at a time."""
    @property
    def max_function_value_bytes(self) -> int:
        """The limit on the arguments of a call of a function, and on its result, in bytes."""
    @property
    def function_timeout_ms(self) -> int | None:
        """The time limit of a call of a function, in milliseconds, or ``None``."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Self: ...
    def __deepcopy__(self, memo: Any, /) -> Self: ...
    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, int]]: ...

@final
class Files:
    r"""The files that the programs of a sandbox find when they start, for ``Sandbox(files=...)``.

    Paths are absolute paths of the program. Each execution, and each session, starts with the same
    files and changes its own copies, except for those of mounts. A sandbox has the files that were
    added before it was made; they are checked when it is made. Sandboxes with the same ``Files``
    share the content, and the limits on the growth of mounts.

    Args:
        files: a dict from paths to content, as for :meth:`add`.

    >>> import eryx
    >>> files = eryx.Files({"/data/in.csv": b"1,2"})
    >>> files.add("/data/more.csv", b"3,4")
    >>> sandbox = eryx.Sandbox(files=files)
    >>> sandbox.execute("import os; print(os.listdir('/data'))").stdout
    "['in.csv', 'more.csv']\n"
    """
    def __new__(
        cls,
        files: Mapping[str, bytes | bytearray | memoryview | str | PathLike[str]] | None = None,
    ) -> Self: ...
    def add(self, path: str, content: bytes | bytearray | memoryview | str | PathLike[str]) -> None:
        r"""Add a file, and the directories on its path.

        Args:
            path: the path of the program, a str.
            content: the content, bytes; or the path of a file of the machine, a str or
                :class:`os.PathLike`. A str is always a path: for a text pass ``text.encode()``. The
                file of the machine is read when programs read it, and has to stay as it is. It
                takes one file descriptor of this process; for many files use :meth:`mount`.

        >>> import eryx
        >>> files = eryx.Files()
        >>> files.add("/data/text.txt", "hello".encode())
        >>> eryx.Sandbox(files=files).execute("print(open('/data/text.txt').read())").stdout
        'hello\n'
        """
    def add_directory(self, path: str) -> None:
        r"""Add an empty directory, and those on its path.

        >>> import eryx
        >>> files = eryx.Files()
        >>> files.add_directory("/work")
        >>> eryx.Sandbox(files=files).execute("import os; print(os.listdir('/work'))").stdout
        '[]\n'
        """
    def mount(
        self,
        path: str,
        directory: str | PathLike[str],
        *,
        read_only: bool = True,
        max_growth_bytes: int | None = None,
    ) -> None:
        """Show a directory of the machine to programs.

        They reach nothing outside of it: links are resolved in the files that the program sees.
        What they change in it is not in ``ExecuteResult.files``. Programs wait for the disk on the
        thread that runs them, so the directory should not be on a network.

        Args:
            path: the path of the program, a str. No other file can be in it.
            directory: the path of the machine, a str or :class:`os.PathLike`.
            read_only: False lets programs change it.
            max_growth_bytes: how many bytes all programs together can add to it; only with
                ``read_only=False``. A new file counts 4,096 bytes in addition. Default: 64 MiB.

        >>> import eryx, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     _ = pathlib.Path(directory, "a.txt").write_text("of the machine")
        ...     files = eryx.Files()
        ...     files.mount("/ref", directory)
        ...     print(eryx.Sandbox(files=files).execute("print(open('/ref/a.txt').read())").stdout)
        of the machine
        <BLANKLINE>
        """
    def provide(
        self,
        path: str,
        function: Callable[[], bytes | bytearray | memoryview],
        size: int | None = None,
    ) -> None:
        r"""Add a file whose content a function returns when a program first opens it.

        The function is called once, without arguments, on a thread of its own, and its content
        stays in memory. The program waits meanwhile; its timeout and its cancellation do not. If
        the function raises an exception, programs get ``OSError`` with ``errno.EIO`` from then on,
        and the exception is reported by :func:`sys.unraisablehook`.

        Args:
            path: the path of the program, a str.
            function: a function that returns the content, bytes.
            size: the size of the content in bytes, if it is known. Programs see it before they open
                the file; without it, the function is called also when a program asks for the size.
                Content of another size is an error.

        >>> import eryx
        >>> files = eryx.Files()
        >>> files.provide("/data/report.txt", lambda: b"made when it is read")
        >>> sandbox = eryx.Sandbox(files=files)
        >>> sandbox.execute("print(open('/data/report.txt').read())").stdout
        'made when it is read\n'
        """
    def __len__(self) -> int: ...

@final
class ChangedFiles(Mapping[str, bytes]):
    """The files that an execution changed: a read-only mapping from the paths of the files that it
    created or modified to their content, bytes, as it was at the end.

    The content stays in memory and is copied when it is asked for; that of a file with several
    names is copied once. What programs change in mounted directories is not included. Paths and
    content are the choice of the untrusted program: do not use a path as it is on the machine, but
    :meth:`save`.

    >>> import eryx
    >>> result = eryx.Sandbox().execute('''
    ... import os, pathlib
    ... pathlib.Path("out.txt").write_text("hello")
    ... os.mkdir("/data")
    ... ''')
    >>> dict(result.files)
    {'/home/user/out.txt': b'hello'}
    >>> result.files.created
    ('/data', '/home/user/out.txt')
    """
    @property
    def created(self) -> tuple[str, ...]:
        """The paths of files, directories and links that were created, a tuple of str."""
    @property
    def modified(self) -> tuple[str, ...]:
        """The paths of files and links that were modified, a tuple of str."""
    @property
    def removed(self) -> tuple[str, ...]:
        """
        The paths of files, directories and links that were removed, a tuple of str. What a removed
        directory contained is not listed.
        """
    @property
    def links(self) -> dict[str, str]:
        """
        The symbolic links that were created or modified, a dict from their paths to their targets.
        A target is any text that the program chose.
        """
    def save(self, folder: str | PathLike[str]) -> list[Path]:
        """
        Write the files and directories that were created or modified to an existing folder of the
        machine: ``/a/b`` becomes ``a/b`` below it.

        A file that has the path already is replaced; one that the program removed stays. Nothing
        outside of the folder is written, and no symbolic links. Names of one file become hard
        links. New files are not executable.

        Returns:
            The paths of the files on the machine, a list of :class:`pathlib.Path`.

        Raises:
            OSError: the folder cannot be opened, or a file not be written.

        >>> import eryx, tempfile
        >>> result = eryx.Sandbox().execute("open('/tmp/out.txt', 'w').write('hello')")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path] = result.files.save(folder)
        ...     print(path.relative_to(folder), path.read_text())
        tmp/out.txt hello
        """
    def get(self, path: str, default: Any = None, /) -> Any:
        """Return the content of a file, or ``default`` if it was not created or modified."""
    def keys(self) -> KeysView[str]:
        """Return a view of the paths."""
    def values(self) -> ValuesView[bytes]:
        """Return a view of the contents."""
    def items(self) -> ItemsView[str, bytes]:
        """Return a view of the paths and contents."""
    @staticmethod
    def _restore(parts: Any) -> ChangedFiles: ...
    @staticmethod
    def _empty() -> ChangedFiles: ...
    def __getitem__(self, key: str, /) -> bytes: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class Sandbox:
    r"""Runs untrusted Python programs.

    Every execution starts from the same snapshot of an interpreter, and no state passes from one
    execution to another. Exception: sandboxes with the same ``NetConfig`` share DNS answers and TLS
    sessions if it sets ``shared_caches``.

    Any number of threads and tasks may use a sandbox at the same time; ``execute`` releases the
    GIL.

    Args:
        network: the network of the programs, a :class:`NetConfig`. Without one they have none.
        resource_limits: the limits of one execution, a :class:`ResourceLimits`. Without one the
            default limits apply.
        env: the environment variables of the programs, a dict from names to values, both str.
            Without it they have ``HOME`` alone, ``/home/user``. Every execution starts with them in
            ``os.environ``, and so does a session, which keeps what its programs change there. Names
            are not empty and have no ``=``, neither names nor values have NUL characters, and all
            together have 128 KiB at most. The ``repr`` of a sandbox shows the names alone.
        files: the files that programs find when they start, a :class:`Files`, or a dict from paths
            to content: bytes, or the path of a file of the machine (a str or :class:`os.PathLike`).
            A str is a path, not content. Without it they find the empty directories ``/tmp`` and
            ``/home/user``.
        functions: functions that programs can call, a dict from names to callables. A program does
            ``import tools``, then ``tools.name(...)``, or ``await tools.name(...)`` for an
            ``async`` one. Arguments and results are JSON values and bytes; an exception is raised
            in the program. A plain function runs on another thread. An ``async`` one runs on the
            event loop of ``aexecute``, or with ``execute`` on one that all sandboxes share. The
            arguments are chosen by the untrusted program.
        functions_module: the name of the module with the functions.
        instance_reuse: whether a program may run in an instance that ran another program before, of
            any sandbox, and was reset since. It makes no difference to programs, and saves a start
            about 250 µs. With ``False`` each program, session and fork gets a new instance.
        on_stdout: a function that is called with each piece of standard output, a str, as the
            program prints it; a piece need not end at the end of a line. ``execute`` calls it on
            the calling thread, or on that of a plain function, ``aexecute`` on the thread of the
            event loop. An exception that it raises ends the program and is raised by ``execute``.
        on_stderr: the same for standard error.
        on_network_event: a function that is called with each :class:`NetworkEvent` as it happens,
            on the same threads and with the same effect of an exception. A program that is ahead
            of the event loop waits for it.
        on_function_call: a function that is called with each :class:`FunctionCall` when it has
            ended. ``aexecute`` calls it on the thread of the event loop, ``execute`` on any thread.
            An exception that it raises ends the program and is raised by ``execute``.

    Raises:
        ConfigError: a setting is invalid.
        ImageError: the guest image cannot be loaded.

    >>> import eryx
    >>> sandbox = eryx.Sandbox()
    >>> sandbox.execute("print(6 * 7)").stdout
    '42\n'
    """
    def __new__(
        cls,
        *,
        network: NetConfig | None = None,
        resource_limits: ResourceLimits | None = None,
        env: Mapping[str, str] | None = None,
        files: Files
        | Mapping[str, bytes | bytearray | memoryview | str | PathLike[str]]
        | None = None,
        functions: Mapping[str, Callable[..., object]] | None = None,
        functions_module: str = "tools",
        instance_reuse: bool = True,
        on_stdout: Callable[[str], object] | None = None,
        on_stderr: Callable[[str], object] | None = None,
        on_network_event: Callable[[NetworkEvent], object] | None = None,
        on_function_call: Callable[[FunctionCall], object] | None = None,
    ) -> Self: ...
    @property
    def network(self) -> NetConfig | None:
        """The network of the programs, a :class:`NetConfig`, or ``None``."""
    @property
    def resource_limits(self) -> ResourceLimits:
        """The limits of one execution, a :class:`ResourceLimits`."""
    def execute(
        self,
        code: str | bytes,
        *,
        inputs: Mapping[str, Any] | None = None,
        value: bool = False,
        stdin: str | bytes | None = None,
        argv: Iterable[str] | None = None,
        env: Mapping[str, str] | None = None,
        files: Files
        | Mapping[str, bytes | bytearray | memoryview | str | PathLike[str]]
        | None = None,
    ) -> ExecuteResult:
        r"""Run a program and wait until it ends.

        Other threads run meanwhile. Ctrl-C ends the program and raises ``KeyboardInterrupt``.

        Args:
            code: the source, a str, or bytes in UTF-8 or in the encoding that its first lines
                declare (PEP 263). ``await`` is allowed at its top level.
            inputs: a dict from names to values. The program finds them as variables. Values are
                made of None, bool, int, float, str, bytes, list, tuple and dict with keys of str,
                in up to 3 MiB of JSON.
            value: whether the result has the :attr:`~ExecuteResult.value` of the program: that of
                its last statement, if that is an expression.
            stdin: what the program reads from standard input, a str or bytes; empty by default.
            argv: the list ``sys.argv``, whose first item is the name of the script; ``[""]`` by
                default. Up to 128 KiB.
            env: environment variables, a dict of str, in addition to those of the sandbox.
            files: files in addition to those of the sandbox, a :class:`Files` or a dict as there.
                Not in a session, which has :attr:`Session.files`.

        In a session, variables, ``sys.argv`` and the environment stay for the programs after it.

        Returns:
            The output, the network report and the usage of the execution, an
            :class:`ExecuteResult`.

        Raises:
            ExecutionError: the program raised an exception, exited with a status other than 0, or
                does not compile.
            TimeoutError: the execution exceeded its time limit.
            ResourceLimitError: the execution exceeded another limit.
            CancelledError: :meth:`cancel` was called.
            ConfigError, TypeError, ValueError: an argument cannot be passed to the program.

        >>> import eryx
        >>> eryx.Sandbox().execute("print(sum(range(5)))").stdout
        '10\n'
        >>> eryx.Sandbox().execute("a + b", inputs={"a": [1], "b": [2]}, value=True).value
        [1, 2]
        >>> eryx.Sandbox().execute("1 / 0")
        Traceback (most recent call last):
            ...
        eryx.ExecutionError: ZeroDivisionError: division by zero
        """
    def aexecute(
        self,
        code: str | bytes,
        *,
        inputs: Mapping[str, Any] | None = None,
        value: bool = False,
        stdin: str | bytes | None = None,
        argv: Iterable[str] | None = None,
        env: Mapping[str, str] | None = None,
        files: Files
        | Mapping[str, bytes | bytearray | memoryview | str | PathLike[str]]
        | None = None,
    ) -> Coroutine[Any, Any, ExecuteResult]:
        r"""Like :meth:`execute`, as a coroutine that does not block the asyncio event loop.

        Cancelling the task that awaits it ends the program.

        >>> import asyncio, eryx
        >>> sandbox = eryx.Sandbox()
        >>> async def main():
        ...     return await asyncio.gather(
        ...         sandbox.aexecute("print(1)"), sandbox.aexecute("print(2)")
        ...     )
        >>> [result.stdout for result in asyncio.run(main())]
        ['1\n', '2\n']
        """
    def cancel(self) -> None:
        """
        Cancel the running executions of this sandbox; any thread may call it. Each of them raises
        :class:`CancelledError`. Later executions and sessions are not affected.

        >>> import eryx, threading
        >>> sandbox = eryx.Sandbox()
        >>> threading.Timer(0.2, sandbox.cancel).start()
        >>> sandbox.execute("while True: pass")
        Traceback (most recent call last):
            ...
        eryx.CancelledError: the execution was cancelled
        """
    def restore(self, data: bytes) -> Session:
        r"""
        Continue a session whose state :meth:`Session.snapshot` returned, also in another process or
        on another machine.

        The network, the limits and the environment variables are those of this sandbox. Connections
        and open files of the session are closed, as in :meth:`Session.fork`. The placeholders of
        secrets are new: ``os.environ`` has them, and placeholders that programs have copied before
        are no longer replaced.

        The bytes may come from an untrusted source: the session has no more rights than any
        program.

        Raises:
            SnapshotError: the bytes are not a snapshot, are damaged, or are of another version of
                eryx or another factory.
            TimeoutError, ResourceLimitError: a limit was exceeded.

        >>> import eryx
        >>> sandbox = eryx.Sandbox()
        >>> data = sandbox.session().snapshot()
        >>> sandbox.restore(data).execute("print('restored')").stdout
        'restored\n'
        """
    def arestore(self, data: bytes) -> Coroutine[Any, Any, Session]:
        r"""Like :meth:`restore`, as a coroutine that does not block the asyncio event loop.

        >>> import asyncio, eryx
        >>> async def main():
        ...     sandbox = eryx.Sandbox()
        ...     async with sandbox.session() as session:
        ...         await session.aexecute("x = 1")
        ...         data = await session.asnapshot()
        ...     async with await sandbox.arestore(data) as session:
        ...         return await session.aexecute("print(x)")
        >>> asyncio.run(main()).stdout
        '1\n'
        """
    def session(self) -> Session:
        """Open a session: an interpreter that keeps its state, open connections included, from one
        execution to the next.

        Raises:
            ResourceLimitError: the memory limit is too low for the interpreter to start.

        >>> import eryx
        >>> with eryx.Sandbox().session() as session:
        ...     _ = session.execute("x = 41")
        ...     print(session.execute("print(x + 1)").stdout)
        42
        <BLANKLINE>
        """
    def describe_functions(self) -> str:
        """The functions of this sandbox as the text of a Python stub, for the prompt of a model: a
        ``def`` or ``async def`` with signature and docstring for each.

        >>> import eryx
        >>> def search(q: str, limit: int = 10) -> list:
        ...     '''Search the archive.'''
        >>> print(eryx.Sandbox(functions={"search": search}).describe_functions())
        def search(q: str, limit: int = 10) -> list:
            \"\"\"Search the archive.\"\"\"
        <BLANKLINE>
        """
    def close(self) -> None:
        """
        Cancel the running executions and reject later ones. The end of a ``with`` block calls it.

        >>> import eryx
        >>> with eryx.Sandbox() as sandbox:
        ...     _ = sandbox.execute("pass")
        >>> sandbox.execute("pass")
        Traceback (most recent call last):
            ...
        eryx.EryxError: the sandbox is closed: make a new one
        """
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def __aenter__(self) -> Coroutine[Any, Any, Self]: ...
    def __aexit__(self, *exception: object) -> Coroutine[Any, Any, None]: ...

@final
class SandboxFactory:
    r"""Makes sandboxes with packages that are imported already.

    The first build takes seconds: the factory imports the packages in an interpreter, takes a
    snapshot of its memory, compiles it, and stores the result in the user's cache, keyed by a
    digest of its inputs. After that, building or loading the same factory takes a fraction of a
    second, in other processes too. Its sandboxes start as fast as others.

    A factory can be pickled and sent to the workers of a pool.

    Args:
        packages: paths of wheels, of source directories of packages, or of directories that contain
            several packages, such as an installed ``site-packages``: str or :class:`os.PathLike`.
            They are pure Python, or their extension modules are compiled for sandboxes
            (``*.cpython-314-wasm32-wasi.so``). An ``...`` in the list means the same as
            ``dependencies=True``.
        requirements: packages of the package index with their dependencies: a list of requirements
            as pip takes them (``"requests>=2.31"``), or the path of a ``requirements.txt``, whose
            hashes are checked; a path in the list is such a file too. The pip of this interpreter
            downloads the wheels, or else the pip that ``uv`` runs: pure Python ones, and those that
            are built for sandboxes (``cp314-cp314-wasm32_wasi``). The cache keeps them: for the
            same requirements, later builds take the same versions, without a network.
        find_links: directories of wheels for ``requirements``, in addition to the index. For a
            wheel of another platform in ``packages``, the wheel of the same version in one of them
            that is built for sandboxes is taken, or the one beside it.
        no_index: True takes the wheels for ``requirements`` from ``find_links`` alone.
        dependencies: True adds the dependencies of the wheels, from wheels in the same directories.
        imports: names of modules to import in the snapshot.
        setup_code: a program to run after the imports, a str or bytes. Every program sees the names
            that it defines.
        resource_limits: the limits of the imports and the setup code, a :class:`ResourceLimits`.
            Without one the default limits apply.
        cache_dir: the directory for compiled code. Default: ``$ERYX_CACHE_DIR``, else
            ``$XDG_CACHE_HOME/eryx``, else ``~/.cache/eryx``. It is created with mode 0700; a
            directory that other users could write to or replace is not used. The files contain all
            memory of the interpreter after the imports and the setup code, secrets included.
        cache: False stores nothing and compiles on each build.
        bytecode: when the modules of the packages are compiled to bytecode: "build", before the
            constructor returns; "background", afterwards, on a thread of low priority, for the
            sandboxes that are made later; "never"; or "auto", which means "build" up to 16 MiB of
            source, and else "background". The cache keeps the bytecode.
        max_package_bytes: the maximum size of all packages together, unpacked. Default: 512 MiB.
        max_package_files: the maximum number of files of all packages together. Default: 50,000.

    Raises:
        ConfigError: a package cannot be used: it has native code of another platform, is not a
            wheel, does not exist, or is too large; or a requirement cannot be met or downloaded.
        ExecutionError: an import or the setup code raised an exception; ``traceback`` shows where.
        TimeoutError, ResourceLimitError: the imports or the setup code exceeded a limit. All of
            these are raised before the snapshot is compiled.

    >>> import eryx
    >>> factory = eryx.SandboxFactory(imports=["json"], setup_code="greeting = 'hello'")
    >>> factory.create_sandbox().execute("print(json.dumps(greeting))" ).stdout
    Traceback (most recent call last):
        ...
    eryx.ExecutionError: NameError: name 'json' is not defined
    >>> factory.create_sandbox().execute("import json; print(json.dumps(greeting))").stdout
    '"hello"\n'
    """
    def __new__(
        cls,
        *,
        packages: Iterable[str | PathLike[str] | EllipsisType] = (),
        requirements: str | PathLike[str] | Iterable[str | PathLike[str]] = (),
        find_links: Iterable[str | PathLike[str]] = (),
        no_index: bool = False,
        dependencies: bool = False,
        imports: Iterable[str] = (),
        setup_code: str | bytes | None = None,
        resource_limits: ResourceLimits | None = None,
        cache_dir: str | PathLike[str] | None = None,
        cache: bool = True,
        bytecode: Literal["auto", "build", "background", "never"] = "auto",
        max_package_bytes: int | None = None,
        max_package_files: int | None = None,
    ) -> Self: ...
    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        *,
        resource_limits: ResourceLimits | None = None,
        cache_dir: str | PathLike[str] | None = None,
        cache: bool = True,
        bytecode: Literal["auto", "build", "background", "never"] = "auto",
        max_package_bytes: int | None = None,
        max_package_files: int | None = None,
    ) -> SandboxFactory:
        """Build a factory from a file that :meth:`save` wrote.

        Args:
            path: a str or a path.
            resource_limits, cache_dir, cache, bytecode, max_package_bytes, max_package_files: as
            for
                :class:`SandboxFactory`.

        Raises:
            ConfigError: the file is not a saved factory, or unpacks to more than the limits allow.

        >>> import eryx
        >>> eryx.SandboxFactory.load("/etc/passwd")
        Traceback (most recent call last):
            ...
        eryx.ConfigError: /etc/passwd is not a saved factory ...
        """
    @staticmethod
    def from_bytes(
        data: bytes,
        max_package_bytes: int | None = None,
        max_package_files: int | None = None,
        resource_limits: ResourceLimits | None = None,
        cache_dir: str | PathLike[str] | None = None,
        cache: bool = True,
        bytecode: Literal["auto", "build", "background", "never"] = "auto",
    ) -> SandboxFactory:
        """Build a factory from the bytes that :meth:`to_bytes` returned.

        Args:
            data: the bytes.
            max_package_bytes, max_package_files, resource_limits, cache_dir, cache, bytecode: as
                for :class:`SandboxFactory`.

        Raises:
            ConfigError: the bytes are not a saved factory, or unpack to more than the limits allow.

        >>> import eryx
        >>> eryx.SandboxFactory.from_bytes(b"")
        Traceback (most recent call last):
            ...
        eryx.ConfigError: the given data is not a saved factory ...
        """
    @property
    def imports(self) -> list[str]:
        """The names of the imported modules, a list of str."""
    def create_sandbox(
        self,
        *,
        network: NetConfig | None = None,
        resource_limits: ResourceLimits | None = None,
        env: Mapping[str, str] | None = None,
        files: Files
        | Mapping[str, bytes | bytearray | memoryview | str | PathLike[str]]
        | None = None,
        functions: Mapping[str, Callable[..., object]] | None = None,
        functions_module: str = "tools",
        instance_reuse: bool = True,
        on_stdout: Callable[[str], object] | None = None,
        on_stderr: Callable[[str], object] | None = None,
        on_network_event: Callable[[NetworkEvent], object] | None = None,
        on_function_call: Callable[[FunctionCall], object] | None = None,
    ) -> Sandbox:
        r"""Make a sandbox with the packages. Takes the arguments of :class:`Sandbox`.

        >>> import eryx
        >>> factory = eryx.SandboxFactory(setup_code="x = 41")
        >>> factory.create_sandbox(network=eryx.NetConfig()).execute("print(x + 1)").stdout
        '42\n'
        """
    def create_session(
        self,
        *,
        network: NetConfig | None = None,
        resource_limits: ResourceLimits | None = None,
        env: Mapping[str, str] | None = None,
        files: Files
        | Mapping[str, bytes | bytearray | memoryview | str | PathLike[str]]
        | None = None,
        functions: Mapping[str, Callable[..., object]] | None = None,
        functions_module: str = "tools",
        instance_reuse: bool = True,
        on_stdout: Callable[[str], object] | None = None,
        on_stderr: Callable[[str], object] | None = None,
        on_network_event: Callable[[NetworkEvent], object] | None = None,
        on_function_call: Callable[[FunctionCall], object] | None = None,
    ) -> Session:
        """
        Open a session with the packages: an interpreter that keeps its state from one execution to
        the next. Takes the arguments of :class:`Sandbox`.

        >>> import eryx
        >>> with eryx.SandboxFactory(setup_code="x = 41").create_session() as session:
        ...     _ = session.execute("x += 1")
        ...     print(session.execute("print(x)").stdout)
        42
        <BLANKLINE>
        """
    def save(self, path: str | PathLike[str]) -> None:
        r"""
        Write the factory to a file, for :meth:`load`: the packages, the imports and the setup code.

        The file contains no machine code, and its content runs only in sandboxes. It is therefore
        safe to load a file of unknown origin.

        Args:
            path: a str or a path. An existing file is replaced.

        Raises:
            ConfigError: the file cannot be written.

        >>> import eryx, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "greeting.eryx"
        >>> eryx.SandboxFactory(setup_code="greeting = 'hello'").save(path)
        >>> eryx.SandboxFactory.load(path).create_sandbox().execute("print(greeting)").stdout
        'hello\n'
        """
    def to_bytes(self) -> bytes:
        """Return the content of the file that :meth:`save` writes.

        >>> import eryx
        >>> factory = eryx.SandboxFactory(setup_code="x = 1")
        >>> eryx.SandboxFactory.from_bytes(factory.to_bytes()) == factory
        True
        """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Session:
    """
    An interpreter that keeps its names, imports and open connections from one program to the next.

    :meth:`Sandbox.session` opens a session, or ``Session(...)`` with the arguments of
    :class:`Sandbox`. It runs one program at a time; further calls wait. An
    execution that exceeds a limit, is cancelled or exits the interpreter ends the session; an
    exception does not.

    >>> import eryx
    >>> with eryx.Sandbox().session() as session:
    ...     _ = session.execute("import json")
    ...     print(session.execute("print(json.dumps([1]))").stdout)
    [1]
    <BLANKLINE>
    """
    def __new__(
        cls,
        *,
        network: NetConfig | None = None,
        resource_limits: ResourceLimits | None = None,
        env: Mapping[str, str] | None = None,
        files: Files
        | Mapping[str, bytes | bytearray | memoryview | str | PathLike[str]]
        | None = None,
        functions: Mapping[str, Callable[..., object]] | None = None,
        functions_module: str = "tools",
        instance_reuse: bool = True,
        on_stdout: Callable[[str], object] | None = None,
        on_stderr: Callable[[str], object] | None = None,
        on_network_event: Callable[[NetworkEvent], object] | None = None,
        on_function_call: Callable[[FunctionCall], object] | None = None,
    ) -> Self: ...
    def execute(
        self,
        code: str | bytes,
        *,
        inputs: Mapping[str, Any] | None = None,
        value: bool = False,
        stdin: str | bytes | None = None,
        argv: Iterable[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ExecuteResult:
        r"""Run a program and wait until it ends; see :meth:`Sandbox.execute`.

        Raises:
            SessionClosedError: an earlier execution ended the session, or :meth:`close` was called.

        >>> import eryx
        >>> session = eryx.Sandbox().session()
        >>> _ = session.execute("x = 1")
        >>> session.execute("print(x)").stdout
        '1\n'
        """
    def aexecute(
        self,
        code: str | bytes,
        *,
        inputs: Mapping[str, Any] | None = None,
        value: bool = False,
        stdin: str | bytes | None = None,
        argv: Iterable[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Coroutine[Any, Any, ExecuteResult]:
        r"""Like :meth:`execute`, as a coroutine that does not block the asyncio event loop.

        Cancelling the task that awaits it ends the program, and with it the session.

        >>> import asyncio, eryx
        >>> async def main():
        ...     async with eryx.Sandbox().session() as session:
        ...         await session.aexecute("x = 1")
        ...         return await session.aexecute("print(x)")
        >>> asyncio.run(main()).stdout
        '1\n'
        """
    def fork(self) -> Session:
        """Fork the session: return a copy that continues independently of this session.

        The copy has the same names, modules, suspended coroutines and timers, and a copy of the
        files. Its connections raise ``ConnectionResetError`` and its open files ``OSError``, as
        both belong to this session; libraries with a pool connect anew. The module ``random`` is
        seeded anew. The functions of ``os.register_at_fork`` are called.

        Both sessions use up the byte quotas and rate limits of the network together.

        Raises:
            SnapshotError: the copy does not continue.
            SessionClosedError: the session is closed.
            TimeoutError, ResourceLimitError: a limit was exceeded.

        >>> import eryx
        >>> session = eryx.Sandbox().session()
        >>> _ = session.execute("x = [1]")
        >>> fork = session.fork()
        >>> _ = fork.execute("x.append(2)")
        >>> fork.execute("x", value=True).value, session.execute("x", value=True).value
        ([1, 2], [1])
        """
    def afork(self) -> Coroutine[Any, Any, Session]:
        r"""Like :meth:`fork`, as a coroutine that does not block the asyncio event loop.

        >>> import asyncio, eryx
        >>> async def main():
        ...     async with eryx.Sandbox().session() as session:
        ...         await session.aexecute("x = 1")
        ...         async with await session.afork() as fork:
        ...             return await fork.aexecute("print(x)")
        >>> asyncio.run(main()).stdout
        '1\n'
        """
    def snapshot(self) -> bytes:
        r"""
        Return the state of the session as bytes, for :meth:`Sandbox.restore`: its memory and its
        files, compressed. The session continues.

        The bytes contain everything that programs have in memory and in files, passwords included,
        and are neither encrypted nor signed. Only the same version of eryx, with the same build of
        the factory, can restore them.

        Raises:
            The exceptions of :meth:`fork`.

        >>> import eryx
        >>> sandbox = eryx.Sandbox()
        >>> session = sandbox.session()
        >>> _ = session.execute("x = 41")
        >>> data = session.snapshot()
        >>> sandbox.restore(data).execute("print(x + 1)").stdout
        '42\n'
        """
    def asnapshot(self) -> Coroutine[Any, Any, bytes]:
        """Like :meth:`snapshot`, as a coroutine that does not block the asyncio event loop.

        >>> import asyncio, eryx
        >>> async def main():
        ...     sandbox = eryx.Sandbox()
        ...     async with sandbox.session() as session:
        ...         await session.aexecute("x = 1")
        ...         return len(await session.asnapshot()) > 0
        >>> asyncio.run(main())
        True
        """
    def __copy__(self) -> Any: ...
    def __deepcopy__(self, memo: Any, /) -> Any: ...
    def cancel(self) -> None:
        r"""
        Cancel the running execution and those that wait for it; any thread may call it. That ends
        the session. Without a running execution it has no effect.

        >>> import eryx
        >>> session = eryx.Sandbox().session()
        >>> session.cancel()
        >>> session.execute("print('still here')").stdout
        'still here\n'
        """
    @property
    def files(self) -> SessionFiles:
        """The files of the session, to read and change them between two executions, a
        :class:`SessionFiles`.

        >>> import eryx
        >>> with eryx.Sandbox().session() as session:
        ...     _ = session.execute("open('note', 'w').write('kept')")
        ...     print(session.files["/home/user/note"])
        b'kept'
        """
    def close(self) -> None:
        """Cancel the running execution, and close the interpreter and its connections. The end of a
        ``with`` block calls it. In ``on_stdout`` and other callbacks of the session, and in
        functions that it called, it returns at once, and the session ends with the execution. No
        code of a program runs: what a program wrote to a file and did not flush is lost.

        >>> import eryx
        >>> session = eryx.Sandbox().session()
        >>> session.close()
        >>> session.execute("pass")
        Traceback (most recent call last):
            ...
        eryx.SessionClosedError: the session is closed: open a new one with Sandbox.session()
        """
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def __aenter__(self) -> Coroutine[Any, Any, Self]: ...
    def __aexit__(self, *exception: object) -> Coroutine[Any, Any, None]: ...

@final
class SessionFiles(Mapping[str, bytes]):
    """The files of a session, between two executions: a mapping from paths to content, bytes, with
    items that can be set and deleted.

    Paths are absolute, and links on them lead where they lead a program. What is written counts
    against ``max_file_bytes`` and ``max_files`` of the session. Packages and mounts are not among
    the keys, but can be read, and written if programs can.

    While a program runs in the session, each call raises :class:`EryxError`.

    >>> import eryx
    >>> with eryx.Sandbox().session() as session:
    ...     session.files["/data/in.txt"] = b"21"
    ...     _ = session.execute("open('out', 'w').write(str(2 * int(open('/data/in.txt').read())))")
    ...     print(session.files["/home/user/out"], list(session.files))
    ...     del session.files["/data/in.txt"]
    ...     print("/data/in.txt" in session.files)
    b'42' ['/data/in.txt', '/home/user/out']
    False
    """
    def read(self, path: str) -> bytes:
        """Return the content of a file.

        Raises:
            OSError: there is no such file, or it cannot be read.
        """
    def write(self, path: str, content: bytes | bytearray | memoryview) -> None:
        """
        Write a file, in place of the content that it has, and create the directories on its path.

        Raises:
            OSError: for example, a limit is used up (``errno.ENOSPC``).
        """
    def mkdir(self, path: str) -> None:
        """Create a directory, and those on its path, unless it exists.

        Raises:
            OSError: for example, a file has the path.
        """
    def remove(self, path: str) -> None:
        """Remove a file, a link or an empty directory.

        Raises:
            OSError: for example, there is no such file.
        """
    def listdir(self, path: str) -> list[str]:
        """Return the names in a directory, a sorted list of str.

        Raises:
            OSError: for example, there is no such directory.
        """
    def get(self, path: str, default: Any = None, /) -> Any:
        """Return the content of a file, or ``default`` if it does not exist."""
    def keys(self) -> KeysView[str]:
        """Return a view of the paths."""
    def values(self) -> ValuesView[bytes]:
        """Return a view of the contents."""
    def items(self) -> ItemsView[str, bytes]:
        """Return a view of the paths and contents."""
    def __getitem__(self, key: str, /) -> bytes: ...
    def __setitem__(self, key: str, value: bytes | bytearray | memoryview, /) -> None: ...
    def __delitem__(self, key: str, /) -> None: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...

@final
class ExecuteResult:
    r"""The result of an execution that ran to its end: output, network report and usage.

    >>> import eryx
    >>> result = eryx.Sandbox().execute("print('hello')")
    >>> result.stdout, result.stderr
    ('hello\n', '')
    >>> result.duration_ms < 30_000 and result.peak_memory_bytes > 2**20
    True
    """
    @property
    def execution(self) -> int:
        """
        The number of this execution, an int that is unique in this process. Its network events have
        the same number.
        """
    @property
    def stdout(self) -> str:
        """Standard output, a str. Bytes that are not UTF-8 are replaced by U+FFFD."""
    @property
    def stderr(self) -> str:
        """Standard error, a str. Bytes that are not UTF-8 are replaced by U+FFFD."""
    @property
    def stdout_bytes(self) -> bytes:
        """Standard output, unchanged, as bytes."""
    @property
    def stderr_bytes(self) -> bytes:
        """Standard error, unchanged, as bytes."""
    @property
    def duration_ms(self) -> float:
        """The duration in milliseconds by the wall clock, the start of the interpreter included, a
        float.
        """
    @property
    def peak_memory_bytes(self) -> int:
        """The peak memory of the interpreter and the program together, in bytes."""
    @property
    def peak_host_memory_bytes(self) -> int:
        """The peak of the memory that this process used on behalf of the program, in bytes, outside
        the memory of the interpreter.
        """
    @property
    def network(self) -> NetworkReport:
        """The network activity of the program, a :class:`NetworkReport`."""
    @property
    def value(self) -> Any:
        r"""The value of the program: that of its last statement, if that is an expression, and else
        ``None``. Also ``None`` without ``value=True``. A tuple arrives as a list.

        Raises:
            TypeError: the value is not made of None, bool, int, float, str, bytes, list and dict,
                or is too large, or has an int of more than 4,300 digits. The message says what it
                is.

        >>> import eryx
        >>> eryx.Sandbox().execute("x = 20\nx + 1", value=True).value
        21
        >>> eryx.Sandbox().execute("{'a': {1, 2}}", value=True).value
        Traceback (most recent call last):
            ...
        TypeError: the program has no value as JSON: value['a']: builtins.set is not a JSON ...
        """
    @property
    def display(self) -> list[Display]:
        """
        What the program shows, a list of :class:`Display`: with ``value=True``, the representations
        of the value, the richest first as a rule; then files such as pictures.

        An object has the representations that its methods return by the conventions of IPython
        (``_repr_html_``, ``_repr_mimebundle_`` and so on), and then ``text/plain`` too. A value
        that :attr:`value` cannot return has ``text/plain`` alone.
        """
    @property
    def files(self) -> ChangedFiles:
        """What the program changed of its files, a :class:`ChangedFiles`."""
    def save_files(self, folder: str | PathLike[str]) -> list[Path]:
        """
        Write the files that the program created or modified to an existing folder of the machine;
        see :meth:`ChangedFiles.save`.

        >>> import eryx, tempfile
        >>> result = eryx.Sandbox().execute("open('out.txt', 'w').write('hello')")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     print([path.name for path in result.save_files(folder)])
        ['out.txt']
        """
    @property
    def function_calls(self) -> FunctionReport:
        """The calls of the embedder's functions, a :class:`FunctionReport`."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class FunctionReport:
    """The calls of the embedder's functions in one execution.

    >>> import eryx
    >>> sandbox = eryx.Sandbox(functions={"double": lambda number: 2 * number})
    >>> result = sandbox.execute("import tools; print(tools.double(21))")
    >>> [(call.name, call.outcome) for call in result.function_calls.calls]
    [('double', 'returned')]
    """
    @property
    def calls(self) -> list[FunctionCall]:
        """The calls in the order of their ends, a list of :class:`FunctionCall`: at most 512."""
    @property
    def dropped(self) -> int:
        """The number of calls that are not listed, an int."""
    @property
    def refusals(self) -> dict[str, int]:
        """
        The numbers of calls that were refused, so that no function saw them, a dict from reasons to
        int. A reason is the limit that was reached, such as ``"max_function_calls"``, or
        ``"unknown-function"`` or ``"invalid-arguments"``.
        """
    def __len__(self) -> int: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    @staticmethod
    def _empty() -> FunctionReport: ...

@final
class FunctionCall:
    """One call of a function of the embedder.

    >>> import eryx
    >>> sandbox = eryx.Sandbox(functions={"find": {"a": 1}.__getitem__})
    >>> result = sandbox.execute('''
    ... import tools
    ... try:
    ...     tools.find("b")
    ... except KeyError as error:
    ...     print(error)
    ... ''')
    >>> [call] = result.function_calls.calls
    >>> call.name, call.outcome, call.exception_type, call.argument_bytes
    ('find', 'raised', 'KeyError', 10)
    """
    @property
    def execution(self) -> int:
        """The number of the execution, an int, as in ``ExecuteResult.execution``."""
    @property
    def name(self) -> str:
        """The name of the function, a str."""
    @property
    def argument_bytes(self) -> int:
        """The size of the arguments as JSON, in bytes."""
    @property
    def result_bytes(self) -> int:
        """The size of the result as JSON, in bytes; 0 without a result."""
    @property
    def duration_ms(self) -> float:
        """
        The time from the call to its end in milliseconds, waiting for its turn included, a float.
        """
    @property
    def outcome(self) -> Literal["returned", "raised", "timed-out", "cancelled", "panicked"]:
        """
        How the call ended, a str: ``"returned"``, ``"raised"``, ``"timed-out"`` or ``"cancelled"``.
        """
    @property
    def exception_type(self) -> str | None:
        """The type of the exception that the function raised, a str, or ``None``."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class Display:
    """A picture, a page or a text that a program shows: a representation of its value, or a file.

    The program chose the media type and the data. Neither an image nor a page of HTML is safe to
    show only because a sandbox made it: a page can contain scripts.

    >>> import eryx
    >>> code = '''
    ... class Table:
    ...     def _repr_html_(self):
    ...         return "<table></table>"
    ... Table()
    ... '''
    >>> result = eryx.Sandbox().execute(code, value=True)
    >>> [(item.media_type, item.data) for item in result.display][0]
    ('text/html', b'<table></table>')

    A file that the program created or modified is one too, if its name ends in ``.png``, ``.jpg``,
    ``.jpeg``, ``.gif``, ``.webp``, ``.svg``, ``.html``, ``.htm`` or ``.pdf``:

    >>> result = eryx.Sandbox().execute("open('plot.svg', 'w').write('<svg/>')")
    >>> [(item.media_type, item.path, item.text) for item in result.display]
    [('image/svg+xml', '/home/user/plot.svg', '<svg/>')]
    """
    @property
    def media_type(self) -> str:
        """The media type (RFC 6838), a str such as ``"image/png"``."""
    @property
    def data(self) -> bytes:
        """The data, bytes: in UTF-8 for types of text."""
    @property
    def text(self) -> str:
        """The data as a str. Bytes that are not UTF-8 are replaced by U+FFFD."""
    @property
    def path(self) -> str | None:
        """The path of the file, a str, or ``None`` for a representation of a value."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class NetworkEvent:
    """An event on a program's network, the argument of ``on_network_event``.

    The attributes have the names of the fields in the log of ``eryx run --net-log``. Attributes
    that do not apply to this kind of event are ``None``. ``str()`` returns one line for a log, in
    which text chosen by the program or its peers is quoted.

    >>> import eryx
    >>> def observe(event):
    ...     print(event.event, event.host, event.port)
    >>> sandbox = eryx.Sandbox(network=eryx.NetConfig(), on_network_event=observe)
    >>> _ = sandbox.execute('''
    ... import socket
    ... try:
    ...     socket.create_connection(("10.0.0.1", 80))
    ... except PermissionError:
    ...     pass
    ... ''')
    denied 10.0.0.1 80
    """
    @property
    def execution(self) -> int:
        """The number of the execution, an int, as in ``ExecuteResult.execution`` and in the
        exceptions. An event of a session between two executions belongs to the earlier one.
        """
    @property
    def event(
        self,
    ) -> Literal[
        "resolved",
        "unresolved",
        "proxy-failed",
        "denied",
        "would-deny",
        "limit-reached",
        "throttled",
        "connected",
        "tls",
        "http-request",
        "http-denied",
        "http-would-deny",
        "closed",
    ]:
        """The kind of event: ``"resolved"``, ``"unresolved"``, ``"proxy-failed"``, ``"denied"``,
        ``"would-deny"``, ``"limit-reached"``, ``"throttled"``, ``"connected"``, ``"tls"``,
        ``"http-request"``, ``"http-denied"``, ``"http-would-deny"`` or ``"closed"``.
        """
    @property
    def id(self) -> int:
        """
        The number of the connection or lookup within the execution or session, an int, counted from
        1.
        """
    @property
    def host(self) -> str:
        """
        The host as the untrusted program wrote it, a str of at most 255 characters. It may contain
        any characters.
        """
    @property
    def port(self) -> int | None:
        """The port, an int, or ``None`` for a lookup without a port."""
    @property
    def activity(self) -> Literal["connection", "lookup", "datagrams", "tls-session"]:
        """
        The activity that the event belongs to: ``"connection"``, ``"lookup"``, ``"datagrams"`` or
        ``"tls-session"``.
        """
    @property
    def count(self) -> int | None:
        """``None`` while every event is emitted. After 256 events of one kind about denials and
        failures, and after 512 of one kind about calls that cost the program nothing, only the
        2^k-th event with the same cause is emitted; then this is its ordinal number, an int.
        """
    @property
    def aliases(self) -> list[str] | None:
        """The aliases of a name that was resolved, a list of str."""
    @property
    def addresses(self) -> list[str] | None:
        """The addresses of a name that was resolved, a list of str, internal addresses included."""
    @property
    def elapsed_ms(self) -> float | None:
        """The duration of the lookup or of the connect, in milliseconds, a float."""
    @property
    def reason(self) -> str | None:
        """Why a name was not resolved, or why the proxy did not make the connection, a str; a name
        server or the proxy may have chosen its text.
        """
    @property
    def limit(self) -> _NetworkLimit | None:
        """The setting whose limit was reached, or makes the program wait, a str such as
        ``"max_connections"``.
        """
    @property
    def address(self) -> str | None:
        """The address and port of the peer, a str such as ``"192.0.2.7:443"``. For a name that the
        proxy resolves, the placeholder that the program sees.
        """
    @property
    def proxy(self) -> str | None:
        """The proxy that carries the connection, or failed to, a str without credentials such as
        ``"http://proxy.example:3128"``; ``None`` for a direct connection.
        """
    @property
    def version(self) -> str | None:
        """The TLS version, a str such as ``"TLSv1.3"``."""
    @property
    def cipher(self) -> str | None:
        """OpenSSL's name of the cipher suite, a str."""
    @property
    def server_name(self) -> str | None:
        """The server name (SNI) that was sent and verified, a str."""
    @property
    def sent(self) -> int | None:
        """Bytes that the program sent until the close, before encryption, an int."""
    @property
    def received(self) -> int | None:
        """Bytes that the program received until the close, after decryption, an int."""
    @property
    def duration_ms(self) -> float | None:
        """The lifetime of the connection, or the duration of an HTTP request, in milliseconds, a
        float.
        """
    @property
    def close_reason(
        self,
    ) -> Literal["local-close", "peer-close", "denied", "error", "aborted"] | None:
        """Why it was closed: ``"local-close"``, ``"peer-close"``, ``"denied"``, ``"error"`` or
        ``"aborted"``.
        """
    @property
    def error(self) -> str | None:
        """
        The error message, a str, for ``close_reason`` ``"error"``, and of an HTTP request that was
        denied or failed.
        """
    @property
    def method(self) -> str | None:
        """The method of an HTTP request, a str of at most 32 characters."""
    @property
    def url(self) -> str | None:
        """The URL of an HTTP request, a str of at most 1,024 characters."""
    @property
    def status(self) -> int | None:
        """The status of the response to an HTTP request, an int, or ``None`` if there was none."""
    @property
    def sent_bytes(self) -> int | None:
        """Bytes sent for an HTTP request, an int."""
    @property
    def received_bytes(self) -> int | None:
        """Bytes received in response to an HTTP request, an int."""
    @property
    def time_to_first_byte_ms(self) -> float | None:
        """The time until the head of the response was complete, in milliseconds, a float."""
    @property
    def secrets(self) -> list[str] | None:
        """The names of the secrets that were put into an HTTP request, a list of str."""
    @property
    def upgraded(self) -> bool | None:
        """Whether the connection changed its protocol with an HTTP request, a bool."""
    @property
    def verdict(self) -> Verdict | None:
        """The verdict of the policy, a :class:`Verdict`, for ``"denied"``, ``"would-deny"``,
        ``"connected"`` and events about HTTP requests.
        """
    def to_dict(self) -> dict[str, Any]:
        """Return the fields of this kind of event as a dict that can be written as JSON: the
        object that ``eryx run --net-log`` writes, without its ``time``.
        """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class NetworkReport:
    """The network activity of a program.

    >>> import eryx
    >>> sandbox = eryx.Sandbox(network=eryx.NetConfig())
    >>> result = sandbox.execute('''
    ... import socket
    ... try:
    ...     socket.create_connection(("10.0.0.1", 80))
    ... except PermissionError:
    ...     pass
    ... ''')
    >>> [(report.host, report.port, report.close_reason) for report in result.network.connections]
    [('10.0.0.1', 80, 'denied')]
    """
    @property
    def connections(self) -> list[ConnectionReport]:
        """
        Connections and lookups in the order of their start, a list of :class:`ConnectionReport`: at
        most 1,024 established ones, 512 lookups and abandoned attempts, and 256 denied or failed
        ones.
        """
    @property
    def refusals(self) -> list[Refusals]:
        """
        The number of denied and failed activities for each reason and rule, listed or not: a list
        of :class:`Refusals`.
        """
    @property
    def requests(self) -> list[HttpRequestReport]:
        """The HTTP requests to inspected hosts in the order of their end, a list of
        :class:`HttpRequestReport`: at most 512 that were sent, and 256 that were denied.
        """
    @property
    def dropped(self) -> int:
        """The number of connections and lookups that are not listed."""
    @property
    def dropped_requests(self) -> int:
        """The number of HTTP requests that are not listed."""
    @property
    def sent_bytes(self) -> int:
        """Bytes sent on all connections together, before encryption."""
    @property
    def received_bytes(self) -> int:
        """Bytes received on all connections together, after decryption."""
    def to_har(self) -> dict[str, Any]:
        """
        Return the HTTP requests as an HTTP Archive (HAR) 1.2, which the developer tools of browsers
        open: a dict that can be written as JSON.

        >>> import eryx
        >>> result = eryx.Sandbox(network=eryx.NetConfig()).execute("")
        >>> result.network.to_har()["log"]["entries"]
        []
        """
    @staticmethod
    def _restore(data: bytes) -> NetworkReport: ...
    @staticmethod
    def _empty() -> NetworkReport: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class Refusals:
    """The number of activities of a program that were denied or failed for one reason.

    >>> import eryx
    >>> result = eryx.Sandbox(network=eryx.NetConfig()).execute('''
    ... import socket
    ... for port in range(1000):
    ...     try:
    ...         socket.create_connection(("10.0.0.1", port))
    ...     except PermissionError:
    ...         pass
    ... ''')
    >>> [refusals] = result.network.refusals
    >>> refusals.reason, refusals.rule, refusals.count, refusals.last_port
    ('address-blocked', '10.0.0.0/8', 1000, 999)
    """
    @property
    def reason(self) -> str:
        """The reason, a str: the ``reason`` of a :class:`Verdict`, the name of a limit such as
        ``"max_connections"``, or an error such as ``"connection-refused"``.
        """
    @property
    def rule(self) -> str | None:
        """The pattern that decided, a str, or ``None``. Beyond 64 patterns, the others are counted
        together with ``None``.
        """
    @property
    def rule_list(self) -> _RuleList | None:
        """The setting that contains the pattern, a str such as ``"blocked_hosts"``, or ``None``."""
    @property
    def count(self) -> int:
        """The number of activities, an int."""
    @property
    def first_activity(self) -> Literal["connection", "lookup", "datagrams", "tls-session"]:
        """The first activity, a str with the values of ``ConnectionReport.activity``."""
    @property
    def first_host(self) -> str:
        """The host of the first activity as the untrusted program wrote it, a str of at most 255
        characters.
        """
    @property
    def first_port(self) -> int | None:
        """The port of the first activity, an int, or ``None``."""
    @property
    def first_time(self) -> float:
        """The time of the first activity in seconds since 1970, a float."""
    @property
    def last_activity(self) -> Literal["connection", "lookup", "datagrams", "tls-session"]:
        """The last activity, a str with the values of ``ConnectionReport.activity``."""
    @property
    def last_host(self) -> str:
        """The host of the last activity as the untrusted program wrote it, a str of at most 255
        characters.
        """
    @property
    def last_port(self) -> int | None:
        """The port of the last activity, an int, or ``None``."""
    @property
    def last_time(self) -> float:
        """The time of the last activity in seconds since 1970, a float."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class HttpRequestReport:
    """One HTTP request of a program to an inspected host.

    >>> import eryx
    >>> sandbox = eryx.Sandbox(network=eryx.NetConfig(inspect=["*"]))
    >>> result = sandbox.execute("print('no request')")
    >>> [(request.method, request.url, request.status) for request in result.network.requests]
    []
    """
    @property
    def connection(self) -> int:
        """The number of its connection, an int: the ``id`` of its network events."""
    @property
    def method(self) -> str:
        """The method, a str of at most 32 characters; empty if the request was malformed."""
    @property
    def url(self) -> str:
        """
        The URL, a str of at most 1,024 characters. ``REDACTED`` replaces values of query parameters
        that can have secrets.
        """
    @property
    def started(self) -> float:
        """When the head of the request was complete, in seconds since 1970, a float."""
    @property
    def status(self) -> int | None:
        """The status of the response, an int, or ``None`` if there was none."""
    @property
    def sent_bytes(self) -> int:
        """Bytes sent for the request: head, framing and body."""
    @property
    def received_bytes(self) -> int:
        """Bytes received in response: heads, framing and body."""
    @property
    def time_to_first_byte_ms(self) -> float | None:
        """
        The time until the head of the response was complete in milliseconds, a float, or ``None``.
        """
    @property
    def duration_ms(self) -> float:
        """The time until the response ended, or the exchange failed, in milliseconds, a float."""
    @property
    def verdict(self) -> Verdict | None:
        """The verdict of the rules, a :class:`Verdict`, or ``None`` for a malformed request."""
    @property
    def secrets(self) -> list[str]:
        """The names of the secrets that were put into the request, a list of str."""
    @property
    def is_upgraded(self) -> bool:
        """Whether the connection changed its protocol with this request, such as to websockets."""
    @property
    def error(self) -> str | None:
        """Why the request was denied or failed, or would be denied, a str, or ``None``."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class ConnectionReport:
    """One connection of a program, one name lookup, the datagrams to one destination, or one denied
    TLS session.

    See :class:`NetworkReport` for an example.
    """
    @property
    def activity(self) -> Literal["connection", "lookup", "datagrams", "tls-session"]:
        """``"connection"``, ``"lookup"``, ``"datagrams"`` (of one socket to one destination) or
        ``"tls-session"`` (TLS over the program's own transport, listed only if its server name is
        denied), a str.
        """
    @property
    def host(self) -> str:
        """
        The host as the untrusted program wrote it, a str of at most 255 characters. It may contain
        any characters, line feeds included; ``repr()`` of this object escapes them.
        """
    @property
    def port(self) -> int | None:
        """The port, an int, or ``None`` for a lookup without a port."""
    @property
    def addresses(self) -> list[str]:
        """The addresses of the host, a list of str, internal addresses included."""
    @property
    def address(self) -> str | None:
        """The address and port of the peer after a successful connect, a str such as
        ``"192.0.2.7:443"``, or ``None``. For a name that the proxy resolves, the placeholder that
        the program sees.
        """
    @property
    def proxy(self) -> str | None:
        """The proxy that carried the connection, or failed to, a str without credentials such as
        ``"http://proxy.example:3128"``; ``None`` without a proxy.
        """
    @property
    def verdict(self) -> Verdict | None:
        """The last verdict of the policy, a :class:`Verdict`, or ``None`` if there was none."""
    @property
    def sent_bytes(self) -> int:
        """Bytes sent, before encryption."""
    @property
    def received_bytes(self) -> int:
        """Bytes received, after decryption."""
    @property
    def tls(self) -> str | None:
        """The TLS version, a str such as ``"TLSv1.3"``, or ``None`` without TLS."""
    @property
    def duration_ms(self) -> float:
        """The lifetime in milliseconds, until now if it is open, a float."""
    @property
    def close_reason(self) -> str | None:
        """Why it was closed, a str, or ``None`` while it is open, as in a session."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class Verdict:
    """The verdict of a policy on a host and a port, or on an HTTP request.

    ``str()`` returns a message that names the host, the rule that decided, and the setting that
    would change the verdict. A verdict has no truth value: that of a name may still depend on its
    addresses.

    >>> import eryx
    >>> verdict = eryx.NetConfig().check("127.0.0.1", 80)
    >>> verdict.is_denied, verdict.reason, verdict.rule
    (True, 'address-blocked', '127.*')
    >>> print(verdict)
    `127.0.0.1:80` is denied: `127.*` in blocked_hosts covers it; allow_localhost() lifts that
    """
    @property
    def decision(self) -> Literal["allow", "deny", "needs-addresses"]:
        """``"allow"``, ``"deny"``, or ``"needs-addresses"`` for a name that may be resolved and is
        then checked again with its addresses.
        """
    @property
    def is_allowed(self) -> bool:
        """Whether a connection is allowed. False for a name that depends on its addresses."""
    @property
    def is_denied(self) -> bool:
        """Whether a connection is denied. False for a name that depends on its addresses."""
    @property
    def reason(self) -> _Reason:
        """The reason, a word for programs such as ``"host-blocked"``."""
    @property
    def rule(self) -> str | None:
        """
        The pattern that decided, a str, or ``None`` if no pattern matched. For an HTTP request, the
        rule that allows it or came closest.
        """
    @property
    def rule_list(self) -> _RuleList | None:
        """The setting that contains the pattern or rule, a str such as ``"blocked_hosts"``, or
        ``None``.
        """
    @property
    def host(self) -> str | None:
        """The host in canonical form, a str, or ``None`` if it is malformed."""
    @property
    def port(self) -> int | None:
        """The port that was checked, an int, or ``None`` for any port."""
    @property
    def addresses(self) -> list[str]:
        """The addresses that were checked, a list of str."""
    @property
    def guest_message(self) -> str:
        """
        The message that the program sees. It contains nothing that the program did not name itself.
        """
    def __bool__(self) -> bool: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class Execution:
    """An execution for an event loop. `eryx._asyncio` makes a coroutine of it."""
    def start(
        self,
        wake: Callable[[], object],
        set_result: Callable[[Any, BaseException | None], object],
        is_closed: Callable[[], bool],
    ) -> None:
        """
        Start the program. Another thread calls `wake()` when there is a call to `take` and the last
        `take` returned `None`, and once, at the end, `set_result(result, error)`. When
        `is_closed()` returns true, which is checked every two seconds, the program is ended.
        """
    def take(self) -> tuple[Callable[[Any], object], Any] | None:
        """Return the next call for the loop to make, as a function and its argument."""
    def cancel(self) -> None:
        """End the program, unless it has ended. From then on `take` returns `None`."""

def _shutdown() -> None: ...
def _encode_json(value: object, name: str) -> str | tuple[str, str]: ...
def _decode_json(json: str) -> Any: ...
def _set_native_wheels(directory: str) -> None: ...
def _set_precompiled_path(path: str) -> None: ...
def _main(arguments: Sequence[str]) -> int: ...
