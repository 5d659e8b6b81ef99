//! The table of network settings.

use super::NetConfig;
use crate::config_error::ConfigError;

/// Passes the table of settings to `callback!`: the one place that names, types, defaults and
/// documents them.
///
/// The table generates the methods of [`NetConfig`], the keys of a policy file, `SETTINGS`, the
/// keywords and properties of the Python class, the options of the command `eryx`, and the table in
/// `docs/networking.md` (which `tests/settings.rs` writes).
///
/// A row is
///
/// ```text
/// /// Documentation, for rustdoc, Python, `--help` and the manual.
/// KEY(GETTER): KIND<TYPE> = DEFAULT, unit "UNIT", option "CLI-OPTION": "HELP" { BODY };
/// ```
///
/// where `KEY` is the name in a policy file and in Python, `GETTER` the Rust method that returns
/// the setting (none if the setting only changes another one), and `KIND` a variant of
/// [`SettingKind`]. `HELP` replaces the documentation in `--help` where an option adds to a list.
/// The body names the Rust method that changes the setting, with further documentation for this
/// method. `resets` lists the lazily built fields of `NetConfig` that depend on the setting.
#[doc(hidden)]
#[macro_export]
macro_rules! net_settings {
    ($callback:ident) => {
        $callback! {
            scalars {
                /// Maximum number of connections that are open or being opened at the same time. 0
                /// allows none.
                max_connections(max_connections): Count = 10,
                    unit "connections", option "max-connections"
                    { with_max_connections };
                /// Maximum number of connections to one host that are open or being opened at the
                /// same time. 0 allows none. Connections are counted per host name, on all ports
                /// together. An address counts as the name that was looked up to get it, otherwise
                /// as a host of its own.
                max_connections_per_host(max_connections_per_host): Limit<usize> = none,
                    unit "connections", option "max-connections-per-host"
                    {
                        /// ```
                        /// use eryx_net_host::NetConfig;
                        ///
                        /// let config = NetConfig::default().with_max_connections_per_host(2);
                        /// assert_eq!(config.max_connections_per_host(), Some(2));
                        /// let unlimited = config.with_max_connections_per_host(None);
                        /// assert_eq!(unlimited.max_connections_per_host(), None);
                        /// ```
                        with_max_connections_per_host
                    };
                /// Maximum number of connections begun per second. A burst of up to one second's
                /// allowance may begin immediately; later connections wait. The wait counts against
                /// the connect timeout, and a connection that would have to wait longer fails.
                connects_per_second(connects_per_second): Rate<u32> = none,
                    unit "connections a second", option "connects-per-second"
                    { with_connects_per_second };
                /// Maximum time to establish a connection: name lookup, every address tried and the
                /// TLS handshake together. If a program first looks up a name (`getaddrinfo`,
                /// `create_connection`) and then directly connects to its addresses, all of that
                /// shares one timeout.
                connect_timeout_ms(connect_timeout): Timeout = 30000,
                    unit "milliseconds", option "connect-timeout"
                    { with_connect_timeout };
                /// Maximum time of one read or write.
                io_timeout_ms(io_timeout): Timeout = 60000,
                    unit "milliseconds", option "io-timeout"
                    { with_io_timeout };
                /// Maximum number of bytes that all connections of one execution or session send
                /// together. Bytes are counted before encryption, without TLS handshakes and name
                /// lookups. 0 allows none.
                max_sent_bytes(max_sent_bytes): Limit<u64> = none,
                    unit "bytes", option "max-sent"
                    { with_max_sent_bytes };
                /// Maximum number of bytes that all connections of one execution or session receive
                /// together. Bytes are counted after decryption. 0 allows none.
                max_received_bytes(max_received_bytes): Limit<u64> = none,
                    unit "bytes", option "max-received"
                    { with_max_received_bytes };
                /// Maximum number of bytes that all connections together send per second. A burst
                /// of up to one second's allowance may be sent immediately; a write that comes too
                /// early waits, within its timeout.
                sent_bytes_per_second(sent_bytes_per_second): Rate<u64> = none,
                    unit "bytes a second", option "send-rate"
                    { with_sent_bytes_per_second };
                /// Maximum number of bytes that all connections together receive per second. A
                /// burst of up to one second's allowance may be received immediately; a read that
                /// comes too early waits, within its timeout, while the kernel's buffer fills and
                /// the peer is slowed down.
                received_bytes_per_second(received_bytes_per_second): Rate<u64> = none,
                    unit "bytes a second", option "receive-rate"
                    { with_received_bytes_per_second };
                /// Whether connections that the policy denies are made anyway, and only
                /// reported. Use it to try out a policy with trusted code. Text that is not a host
                /// still fails, and UDP still needs an entry in `allowed_udp`.
                report_only(report_only): Flag = false, option "report-only"
                    {
                        /// An activity that the policy would deny is an
                        /// [event](crate::EventKind::WouldDeny); [`check`](Self::check) returns the
                        /// policy's own verdict.
                        with_report_only
                    };
                /// Whether all sandboxes made from this configuration share DNS answers and TLS
                /// sessions; otherwise each execution or session has its own. Shared caches save
                /// round trips where many short programs reach the same hosts. In return a program
                /// can find out, from how long a lookup takes and from whether a TLS session is
                /// resumed, which hosts other sandboxes reached, and a server can link sandboxes by
                /// the session they resume. Share caches only between programs of one tenant.
                shared_caches(shared_caches): Flag = false
                    {
                        /// Clones of the configuration share its caches.
                        ///
                        /// ```
                        /// use eryx_net_host::NetConfig;
                        ///
                        /// assert!(!NetConfig::default().shared_caches());
                        /// assert!(NetConfig::default().with_shared_caches(true).shared_caches());
                        /// ```
                        with_shared_caches resets connector proxy_connector resolver
                    };
                /// Whether the proxy resolves names. Only the entries for names in `allowed_hosts`
                /// and `blocked_hosts` then decide about a name, because Eryx never learns the
                /// addresses of a name: it may lead to any address that the proxy reaches, internal
                /// ones included. Otherwise names are resolved and checked as without a proxy, and
                /// the proxy is asked to connect to the addresses that the policy allows.
                proxy_resolves(proxy_resolves): Flag = false, option "proxy-resolves"
                    {
                        /// A lookup returns a placeholder in `198.18.0.0/15`, an address that
                        /// stands for the name. Names with fixed addresses
                        /// ([`with_hosts`](Self::with_hosts)) and names in
                        /// [`no_proxy`](Self::no_proxy) are resolved as before.
                        with_proxy_resolves
                    };
                /// Whether the guest program may turn certificate verification off and trust
                /// certificate authorities of its own.
                allow_unverified_tls(allows_unverified_tls): Flag = false,
                    option "allow-unverified-tls"
                    { allow_unverified_tls resets connector };
            }
            lists {
                /// Patterns of allowed hosts: a host must match one of them. An empty list allows
                /// every host that is not blocked. A pattern is a name, `*.` and a name, an
                /// address, a network such as `10.0.0.0/8`, or `*`, each with an optional port or
                /// range of ports, as in `db.corp:5432`.
                allowed_hosts(allowed_hosts): Patterns<HostPattern> = [],
                    option "allow-host": "Grant the network, but only to hosts that match this: a \
                        name, `*.name`, an address or a network, each with an optional `:port` or \
                        `:from-to`"
                    {
                        /// The first entry restricts the sandbox to it. A blocked host stays
                        /// blocked.
                        /// Each call copies the list: for many patterns use
                        /// [`with_allowed_hosts`](Self::with_allowed_hosts).
                        allow_host
                    };
                /// Patterns of hosts that are denied, even if they match `allowed_hosts`. A list
                /// replaces the default one; an empty list blocks nothing. An entry for loopback
                /// also denies the addresses of the machine itself.
                blocked_hosts(blocked_hosts): Patterns<HostPattern> = {"every network that is not public: loopback, private, link-local, reserved, …"}
                    { block_host };
                /// Networks whose addresses `blocked_hosts` does not deny, such as `10.20.0.0/16`.
                allowed_networks(allowed_networks): Networks<IpNetwork> = [],
                    option "allow-network": "Lift the block of internal addresses for those in this \
                        network, such as `10.20.0.0/16`"
                    { allow_network };
                /// Patterns of names that may resolve to blocked addresses, such as `db.corp:5432`.
                internal_hosts(internal_hosts): Patterns<HostPattern> = [],
                    option "allow-internal-host": "Lift the block of internal addresses for names \
                        that match this, such as `db.corp:5432`"
                    { allow_internal_host };
                /// Patterns with ports, such as `ns.example.com:53`. UDP to a host is allowed if
                /// the host matches one of them and a connection to it is allowed, too. An empty
                /// list allows no UDP.
                allowed_udp(allowed_udp): Patterns<UdpPattern> = [],
                    option "allow-udp": "Allow UDP to hosts that match this and that a connection \
                        may reach: a pattern with a port, such as `ns.example.com:53`"
                    {
                        /// [`allowed_hosts`](Self::allowed_hosts) and
                        /// [`blocked_hosts`](Self::blocked_hosts) apply to UDP as well.
                        allow_udp
                    };
                /// Patterns of hosts that are connected to without the proxy, such as `*.corp` and
                /// `10.0.0.0/8`. A name pattern is compared with the name that a program uses, an
                /// address pattern with the address that Eryx connects to. Loopback addresses need
                /// no entry. It grants nothing: the policy applies as before.
                no_proxy(no_proxy): Patterns<HostPattern> = [],
                    option "no-proxy": "Connect without the proxy to hosts that match this, such as \
                        `*.corp` or `10.0.0.0/8`"
                    {
                        /// With a proxy from the environment, the hosts in its variable `no_proxy`
                        /// are excluded, too.
                        bypass_proxy
                    };
            }
            others {
                /// Whether the loopback entries are taken out of `blocked_hosts`. Those in
                /// `also_blocked_hosts` stay.
                allow_localhost(): Flag = false,
                    option "allow-localhost": "Lift the block of this machine's own loopback \
                        addresses";
                /// Further patterns to deny, besides those in `blocked_hosts`; loopback entries
                /// count even with `allow_localhost`.
                also_blocked_hosts(): Patterns<HostPattern> = [],
                    option "block-host": "Deny hosts that match this, even if `--allow-host` allows them",
                    add block_host;
                /// Certificates to trust in addition to the public root certificates: each a PEM
                /// bundle, or, in Python, one certificate in DER as bytes.
                root_certs(trust): Certificates = [];
                /// Files with certificates to trust, in PEM or DER, by paths relative to the policy
                /// file. Only a policy file can have this setting.
                root_cert_files(): CertificateFiles = [],
                    option "root-cert": "Trust the certificates in this file too, PEM or DER";
                /// Patterns of hosts whose HTTP requests are in the report although no rule and no
                /// secret is for them. Bytes that are not HTTP pass, and are not recorded.
                inspect(inspect): Patterns<HostPattern> = [],
                    option "inspect": "List the HTTP requests to hosts that match this in the \
                        report, even without a rule for them",
                    add with_inspected_host;
                /// What a program gets for an HTTP request that is denied: `"error"`, an error
                /// (`PermissionError` in Python) when it sends the request, or `"response"`, a
                /// response with the status 403 and the reason as `application/problem+json`.
                http_denials(http_denials): HttpDenials = "error",
                    option "http-denials": "What a script gets for an HTTP request that is \
                        denied: an `error` when it sends the request, or a `response` with the \
                        status 403";
                /// Proxy through which all connections are made: `http://user:password@host:port`
                /// (CONNECT), `https://…` (the same over TLS) or `socks5://…`; or `env`, for the
                /// environment variables `https_proxy`, `all_proxy`, `http_proxy` and `no_proxy` of
                /// your process, read when the configuration is made. A program never sees its
                /// name, its address or the credentials.
                proxy(proxy): Proxy = none,
                    option "proxy": "Connect through this proxy: `http://host:port`, `https://host`, \
                        `socks5://host`, or `env` for the proxy of the environment";
                /// Certificates to trust for an `https` proxy, in addition to those for servers:
                /// each as in `root_certs`. They have no effect on servers.
                proxy_root_certs(proxy_trust): Certificates = [];
                /// Files with certificates to trust for an `https` proxy, as in `root_cert_files`.
                proxy_root_cert_files(): CertificateFiles = [],
                    option "proxy-root-cert": "Trust the certificates in this file for an `https` \
                        proxy, PEM or DER";
                /// Address of the one name server to ask in place of the system's, with a port if
                /// it is not 53: `192.0.2.53`, `[2001:db8::53]:5353`.
                dns_server(dns_server): NameServer = none,
                    option "dns-server": "Ask this name server instead of the system's";
                /// Fixed addresses of names, for which no name server is asked: names with lists of
                /// addresses. The policy applies to these addresses as to any others.
                hosts(hosts): Hosts = {},
                    option "resolve": "Give this name this address without asking a name server; \
                        several times for several addresses";
                /// Rules for HTTP requests. A host with rules gets only the requests that one of
                /// them allows, and nothing that is not HTTP/1.1. A rule has a `host`, and may have
                /// `methods`, `paths`, `query`, `max_request_bytes`, `max_response_bytes` and
                /// `upgrade`.
                http_rules(http_rules): HttpRules = [],
                    option "http-rule": "Allow only HTTP requests that match this, or another \
                        rule, to its host: `[METHODS ]HOST[:PORT][/PATH]`, such as \
                        `GET,HEAD api.github.com/repos/acme/*`",
                    add add_http_rule;
                /// Credentials that programs use without seeing them, by name. A program has a
                /// placeholder in the environment variable of that name, and Eryx replaces it by
                /// the value in requests to `hosts`. A policy file says where the value is, with
                /// `env` or `file`. A secret may also have `headers`, `query`, `body`, `inject` and
                /// `plaintext_hosts`.
                secrets(secrets): Secrets = {},
                    option "secret": "Give the script a placeholder in the environment variable \
                        NAME, and put the value of an environment variable or file of this \
                        process in its place in requests to these hosts";
            }
        }
    };
}

/// A row of [`SETTINGS`](crate::SETTINGS): one network setting.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Setting {
    /// The key in a policy file, and the keyword in Python.
    pub name: &'static str,
    /// The type and range of its values.
    pub kind: SettingKind,
    /// The default, as a policy file has it; `none` for no value; for `blocked_hosts` a
    /// description.
    pub default: &'static str,
    /// The unit of a number.
    pub unit: Option<&'static str>,
    /// What it does, in sentences for rustdoc, Python, `--help` and the manual.
    pub doc: &'static str,
    /// The Rust method that returns it; `None` if the setting only changes another one.
    pub getter: Option<&'static str>,
    /// The Rust method that returns a copy with another value, for a scalar setting.
    pub setter: Option<&'static str>,
    /// The option of the command `eryx` that changes it, without the dashes.
    pub option: Option<&'static str>,
    /// The help text of the option, where it adds to a list.
    pub help: Option<&'static str>,
    /// The method that adds one entry to a list of patterns or networks.
    pub add: Option<AddEntry>,
}

impl Setting {
    /// Returns the name of the property of the Python class: that of the setting, unless a method
    /// has it.
    #[must_use]
    pub fn property(&self) -> Option<&'static str> {
        match self.setter {
            Some(setter) if setter == self.name => self.getter,
            _ => self.getter.map(|_| self.name),
        }
    }
}

/// A method that adds one entry to a list, such as [`NetConfig::allow_host`].
pub type AddEntry = fn(&NetConfig, &str) -> Result<NetConfig, ConfigError>;

/// The type and range of the values of a [`Setting`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingKind {
    /// A whole number.
    Count,
    /// A whole number, or none for no limit.
    Limit,
    /// A whole number from 1, or none for no limit.
    Rate,
    /// A time from 1 ms to 24 hours, in milliseconds.
    Timeout,
    /// True or false.
    Flag,
    /// A list of host patterns.
    Patterns,
    /// A list of networks in CIDR notation.
    Networks,
    /// A list of certificates in PEM.
    Certificates,
    /// A list of paths.
    CertificateFiles,
    /// The address of a name server, or none.
    NameServer,
    /// The URL of a proxy, `env`, or none.
    Proxy,
    /// Names with lists of addresses.
    Hosts,
    /// `"error"` or `"response"`.
    HttpDenials,
    /// A list of HTTP rules, as tables.
    HttpRules,
    /// Names with secret bindings and the places of their values.
    Secrets,
}
