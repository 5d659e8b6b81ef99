//! The class `NetConfig`.

mod setting;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

use eryx::net::NetConfig as Config;
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::arguments::{each, keywords_only, text, texts, whole, wrong_type};
use crate::error::ConfigError;
use crate::verdict::Verdict;
use setting::{NAMES, addresses_of, applied, certificate_bytes};

/// What a sandbox may reach, and how much of it: an immutable value.
///
/// The default reaches every public host and nothing internal. Methods that change something return a new
/// configuration and leave the old one alone.
///
/// Args:
///     max_connections: how many connections may be open or opening at once.
///     connect_timeout_ms: how long establishing a connection may take, in milliseconds: name lookup, every
///         address tried and the TLS handshake together.
///     io_timeout_ms: how long one read or write may take, in milliseconds.
///     allowed_hosts: the patterns of which a host must match one; an empty list allows every host. A pattern
///         is a name, ``*.`` and a name, an address, a network such as ``10.0.0.0/8``, or ``*``, each with a
///         port or a range of ports if wanted: ``db.corp:5432``.
///     blocked_hosts: the patterns that are refused whatever allows them. The default list is everything that
///         is not public; an empty list blocks nothing.
///     allow_localhost: whether the loopback entries are taken out of ``blocked_hosts``.
///     also_blocked_hosts: more patterns to refuse, loopback entries included.
///     allowed_networks: networks whose addresses ``blocked_hosts`` does not refuse.
///     internal_hosts: patterns of names that may resolve to blocked addresses.
///     allowed_udp: patterns with ports, such as ``ns.example.com:53``, of which a host must match one for datagrams
///         (UDP) to reach it, besides all that a connection takes; an empty list allows no datagrams.
///     root_certs: certificates to trust besides the public web's, each a PEM bundle (str or bytes) or one
///         certificate in DER (bytes).
///     allow_unverified_tls: whether the untrusted program may turn certificate verification off.
///     hosts: fixed addresses for some names, a dict from names to lists of addresses.
///     dns_server: the one name server to ask, as ``"192.0.2.53"`` or with a port; ``None`` asks the system's.
///     max_connections_per_host: how many connections may be open or opening at once to one host.
///     connects_per_second: how many connections may be begun a second; others wait for their turn.
///     max_sent_bytes, max_received_bytes: how much all connections of one execution or session may carry.
///     sent_bytes_per_second, received_bytes_per_second: how fast.
///     report_only: whether what the policy denies is only reported, and goes on. For trying out a policy with
///         code that is trusted.
///     shared_caches: whether DNS answers and TLS sessions are shared by all sandboxes made from this
///         configuration. Otherwise each execution or session has its own.
///
/// Limits that are ``None`` are none.
///
/// Raises:
///     ConfigError: for a pattern or a number that cannot be honoured, saying what would be right.
///     TypeError: for an argument of the wrong type, or that there is not.
///
/// >>> import eryx
/// >>> config = eryx.NetConfig(allowed_hosts=["api.example.com", "*.example.org:443"])
/// >>> config.check("other.example", 443).is_denied
/// True
/// >>> sandbox = eryx.Sandbox(network=config)
#[pyclass(module = "eryx", frozen, eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct NetConfig(pub(crate) Config);

#[pymethods]
impl NetConfig {
    #[new]
    #[pyo3(
        signature = (*positional, **settings),
        text_signature = "(*, max_connections=10, connect_timeout_ms=30000, io_timeout_ms=60000, allowed_hosts=(), \
                          blocked_hosts=..., allow_localhost=False, also_blocked_hosts=(), allowed_networks=(), \
                          internal_hosts=(), allowed_udp=(), root_certs=(), allow_unverified_tls=False, hosts=..., dns_server=None, \
                          max_connections_per_host=None, connects_per_second=None, max_sent_bytes=None, \
                          max_received_bytes=None, sent_bytes_per_second=None, received_bytes_per_second=None, \
                          report_only=False, shared_caches=False)"
    )]
    fn new(
        positional: &Bound<'_, PyTuple>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords_only("NetConfig", &NAMES, positional)?;
        of(settings)
    }

    /// No restrictions but 100 connections: for tests, and for code that is trusted. Nothing is blocked, this
    /// machine and its neighbours included.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig.permissive().blocked_hosts
    /// []
    #[staticmethod]
    fn permissive() -> Self {
        Self(Config::permissive())
    }

    /// How many connections may be open or opening at once.
    #[getter]
    fn max_connections(&self) -> usize {
        self.0.max_connections()
    }

    /// How long establishing a connection may take, in milliseconds.
    #[getter]
    fn connect_timeout_ms(&self) -> u128 {
        self.0.connect_timeout().as_millis()
    }

    /// How long one read or write may take, in milliseconds.
    #[getter]
    fn io_timeout_ms(&self) -> u128 {
        self.0.io_timeout().as_millis()
    }

    /// The patterns of which a host must match one, unless there are none: a list of str.
    #[getter]
    fn allowed_hosts(&self) -> Vec<String> {
        self.0
            .allowed_hosts()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// The patterns that are refused whatever allows them: a list of str.
    #[getter]
    fn blocked_hosts(&self) -> Vec<String> {
        self.0
            .blocked_hosts()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Networks whose addresses the blocked hosts do not refuse: a list of str.
    #[getter]
    fn allowed_networks(&self) -> Vec<String> {
        self.0
            .allowed_networks()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Patterns of names that may resolve to blocked addresses: a list of str.
    #[getter]
    fn internal_hosts(&self) -> Vec<String> {
        self.0
            .internal_hosts()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Where datagrams (UDP) may go, of all that may be reached: a list of str.
    #[getter]
    fn allowed_udp(&self) -> Vec<String> {
        self.0
            .allowed_udp()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Certificates that are trusted besides the public web's: a list of PEM texts.
    #[getter]
    fn root_certs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.to_dict(py)?.as_any().get_item("root_certs")
    }

    /// Whether the untrusted program may turn certificate verification off.
    #[getter]
    fn allows_unverified_tls(&self) -> bool {
        self.0.allows_unverified_tls()
    }

    /// Names with fixed addresses: a dict from str to lists of str.
    #[getter]
    fn hosts(&self) -> BTreeMap<String, Vec<String>> {
        self.0
            .hosts()
            .iter()
            .map(|(name, addresses)| {
                (
                    name.to_string(),
                    addresses.iter().map(ToString::to_string).collect(),
                )
            })
            .collect()
    }

    /// The one name server to ask, a str with a port, or ``None`` for those of the system.
    #[getter]
    fn dns_server(&self) -> Option<String> {
        self.0.dns_server().map(|address| address.to_string())
    }

    /// How many connections may be open or opening at once to one host, or ``None`` for no limit.
    #[getter]
    fn max_connections_per_host(&self) -> Option<usize> {
        self.0.max_connections_per_host()
    }

    /// How many connections may be begun a second, or ``None`` for no limit.
    #[getter]
    fn connects_per_second(&self) -> Option<u32> {
        self.0.connects_per_second()
    }

    /// How many bytes all connections together may send, or ``None`` for no limit.
    #[getter]
    fn max_sent_bytes(&self) -> Option<u64> {
        self.0.max_sent_bytes()
    }

    /// How many bytes all connections together may receive, or ``None`` for no limit.
    #[getter]
    fn max_received_bytes(&self) -> Option<u64> {
        self.0.max_received_bytes()
    }

    /// How many bytes a second all connections together may send, or ``None`` for no limit.
    #[getter]
    fn sent_bytes_per_second(&self) -> Option<u64> {
        self.0.sent_bytes_per_second()
    }

    /// How many bytes a second all connections together may receive, or ``None`` for no limit.
    #[getter]
    fn received_bytes_per_second(&self) -> Option<u64> {
        self.0.received_bytes_per_second()
    }

    /// Whether what the policy denies is only reported, and goes on.
    #[getter]
    fn report_only(&self) -> bool {
        self.0.report_only()
    }

    /// Whether DNS answers and TLS sessions are shared by all sandboxes made from this configuration. A program
    /// may then tell which hosts other sandboxes reached.
    #[getter]
    fn shared_caches(&self) -> bool {
        self.0.shared_caches()
    }

    /// With one more allowed host. The first one restricts the sandbox to it. What is blocked stays blocked.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig().allow_host("api.example.com").allowed_hosts
    /// ['api.example.com']
    fn allow_host(&self, pattern: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(self.0.allow_host(&text("pattern", pattern)?))
    }

    /// With one more blocked host.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig(blocked_hosts=[]).block_host("*.local").blocked_hosts
    /// ['*.local']
    fn block_host(&self, pattern: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(self.0.block_host(&text("pattern", pattern)?))
    }

    /// With the loopback entries taken out of the blocked hosts, and nothing else.
    ///
    /// >>> import eryx
    /// >>> "localhost" in eryx.NetConfig().allow_localhost().blocked_hosts
    /// False
    fn allow_localhost(&self) -> Self {
        Self(self.0.allow_localhost())
    }

    /// With the addresses of one more network exempt from the blocked hosts.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig().allow_network("10.20.0.0/16").check("10.20.3.4", 80).is_allowed
    /// True
    fn allow_network(&self, network: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(self.0.allow_network(&text("network", network)?))
    }

    /// With one more pattern of names that may resolve to blocked addresses.
    ///
    /// >>> import eryx
    /// >>> config = eryx.NetConfig().allow_internal_host("db.corp:5432")
    /// >>> config.check_resolved("db.corp", ["10.1.2.3"], 5432).is_allowed
    /// True
    fn allow_internal_host(&self, pattern: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(self.0.allow_internal_host(&text("pattern", pattern)?))
    }

    /// With datagrams (UDP) allowed to what matches one more pattern, which has a port, as far as a connection may
    /// reach it.
    ///
    /// >>> import eryx
    /// >>> config = eryx.NetConfig().allow_udp("9.9.9.9:53")
    /// >>> config.check_udp("9.9.9.9", 53).is_allowed, config.check_udp("8.8.8.8", 53).is_allowed
    /// (True, False)
    /// >>> eryx.NetConfig().allow_udp("9.9.9.9")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.ConfigError: `9.9.9.9` is not a host pattern: UDP is allowed port by port; write the port behind it, as in `9.9.9.9:53`
    fn allow_udp(&self, pattern: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(self.0.allow_udp(&text("pattern", pattern)?))
    }

    /// With more certificates to trust besides the public web's.
    ///
    /// Args:
    ///     certificate: a PEM bundle, bytes or str, or one certificate in DER, bytes.
    ///
    /// Raises:
    ///     ConfigError: for what is no certificate.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig().with_root_cert(b"")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.ConfigError: the root certificate cannot be used: the root certificate is empty: wanted a PEM bundle or a DER certificate
    fn with_root_cert(&self, certificate: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(
            self.0
                .with_root_cert(&certificate_bytes("certificate", certificate)?),
        )
    }

    /// With TLS verification left to the untrusted program, or not: whether ``verify_mode = CERT_NONE`` and its
    /// own authorities count.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig().allow_unverified_tls() == eryx.NetConfig()
    /// False
    #[pyo3(signature = (allow=true))]
    fn allow_unverified_tls(&self, allow: bool) -> Self {
        Self(self.0.allow_unverified_tls(allow))
    }

    /// With fixed addresses for some names, in place of those so far. They are judged like any others.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig().with_hosts({"db.example": ["192.0.2.7"]}).hosts
    /// {'db.example': ['192.0.2.7']}
    fn with_hosts(&self, hosts: &Bound<'_, PyAny>) -> PyResult<Self> {
        applied(&self.0, "hosts", hosts).map(Self)
    }

    /// With one name server, as ``"192.0.2.53"`` or ``"192.0.2.53:5353"``, in place of the system's.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig().with_dns_server("192.0.2.53").dns_server
    /// '192.0.2.53:53'
    fn with_dns_server(&self, address: &Bound<'_, PyAny>) -> PyResult<Self> {
        wrap(self.0.with_dns_server_at(&text("address", address)?))
    }

    /// With other values for some settings, by the keywords of the constructor. ``blocked_hosts`` replaces what
    /// ``allow_localhost`` and ``block_host`` have made of the list.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig.permissive().replace(max_connections=5)
    /// eryx.NetConfig(max_connections=5, blocked_hosts=[])
    #[pyo3(signature = (**settings))]
    fn replace(&self, py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let all = self.to_dict(py)?;
        if let Some(settings) = settings {
            if settings.contains("blocked_hosts")? {
                all.del_item("allow_localhost")?;
                if all.contains("also_blocked_hosts")? {
                    all.del_item("also_blocked_hosts")?;
                }
            }
            all.update(settings.as_mapping())?;
        }
        of(Some(&all))
    }

    /// Every setting, as a dict of plain values. :meth:`from_dict` makes an equal configuration of it, and a JSON
    /// or TOML file can hold it. Limits that are not set are left out.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig(max_connections=3).to_dict()["max_connections"]
    /// 3
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let text = serde_json::to_string(&self.0)
            .map_err(|error| ConfigError::new_err(error.to_string()))?;
        Ok(py
            .import("json")?
            .call_method1("loads", (text,))?
            .cast_into::<PyDict>()?)
    }

    /// The configuration with these settings, by the keywords of the constructor. What is absent takes its
    /// default.
    ///
    /// Raises:
    ///     ConfigError, TypeError: as the constructor.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig.from_dict({"max_connections": 3})
    /// eryx.NetConfig(max_connections=3)
    #[staticmethod]
    fn from_dict(settings: &Bound<'_, PyAny>) -> PyResult<Self> {
        match settings.cast::<PyDict>() {
            Ok(settings) => of(Some(settings)),
            Err(_) => Err(wrong_type("settings", "a dict", settings)),
        }
    }

    /// The configuration in a TOML file, by the same names. It may also have ``root_cert_files``: paths of
    /// certificates that begin where the file is.
    ///
    /// Args:
    ///     path: a str or a path.
    ///
    /// Raises:
    ///     ConfigError: naming the file, the line, and what would be right.
    ///
    /// Warns:
    ///     UserWarning: where ``allowed_hosts`` is there and empty, which allows every host that is not blocked.
    ///
    /// >>> import eryx, pathlib, tempfile
    /// >>> path = pathlib.Path(tempfile.mkdtemp()) / "policy.toml"
    /// >>> _ = path.write_text('allowed_hosts = ["api.example.com"]')
    /// >>> eryx.NetConfig.from_file(path)
    /// eryx.NetConfig(allowed_hosts=['api.example.com'])
    #[staticmethod]
    fn from_file(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let config = wrap(Config::from_toml_file(&path))?;
        for warning in config.0.warnings() {
            let text = CString::new(format!("{}: {warning}", path.display()))?;
            PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1)?;
        }
        Ok(config)
    }

    /// Judge a host without touching the network.
    ///
    /// An address gets its final verdict. For a name that may pass, the verdict says that it depends on the
    /// addresses.
    ///
    /// Args:
    ///     host: a name or an address, a str.
    ///     port: an int, or ``None`` for any.
    ///
    /// >>> import eryx
    /// >>> print(eryx.NetConfig().check("127.0.0.1", 80))
    /// `127.0.0.1:80` is denied: `127.*` in blocked_hosts covers it; allow_localhost() lifts that
    #[pyo3(signature = (host, port=None))]
    fn check(&self, host: &Bound<'_, PyAny>, port: Option<&Bound<'_, PyAny>>) -> PyResult<Verdict> {
        let verdict = self.0.check(&text("host", host)?, port_number(port)?);
        Ok(Verdict::from(&verdict))
    }

    /// Judge a name together with the addresses it is said to resolve to.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig().check_resolved("intranet.example.com", ["10.1.2.3"], 80).reason
    /// 'address-blocked'
    #[pyo3(signature = (name, addresses, port=None))]
    fn check_resolved(
        &self,
        name: &Bound<'_, PyAny>,
        addresses: &Bound<'_, PyAny>,
        port: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Verdict> {
        let addresses = addresses_of(&texts("addresses", addresses)?)?;
        self.0
            .check_resolved(&text("name", name)?, &addresses, port_number(port)?)
            .map(|verdict| Verdict::from(&verdict))
            .map_err(|error| ConfigError::new_err(error.to_string()))
    }

    /// :meth:`check` for datagrams (UDP).
    ///
    /// >>> import eryx
    /// >>> print(eryx.NetConfig().check_udp("9.9.9.9", 53))
    /// UDP to `9.9.9.9:53` is denied: nothing in allowed_udp matches it; allow_udp("9.9.9.9:53") adds it
    #[pyo3(signature = (host, port=None))]
    fn check_udp(
        &self,
        host: &Bound<'_, PyAny>,
        port: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Verdict> {
        let verdict = self.0.check_udp(&text("host", host)?, port_number(port)?);
        Ok(Verdict::from(&verdict))
    }

    /// :meth:`check_resolved` for datagrams (UDP).
    ///
    /// >>> import eryx
    /// >>> config = eryx.NetConfig().allow_udp("ns.example.com:53")
    /// >>> config.check_udp_resolved("ns.example.com", ["10.1.2.3"], 53).reason
    /// 'address-blocked'
    #[pyo3(signature = (name, addresses, port=None))]
    fn check_udp_resolved(
        &self,
        name: &Bound<'_, PyAny>,
        addresses: &Bound<'_, PyAny>,
        port: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Verdict> {
        let addresses = addresses_of(&texts("addresses", addresses)?)?;
        self.0
            .check_udp_resolved(&text("name", name)?, &addresses, port_number(port)?)
            .map(|verdict| Verdict::from(&verdict))
            .map_err(|error| ConfigError::new_err(error.to_string()))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let default = Self(Config::default()).to_dict(py)?;
        let own = self.to_dict(py)?;
        let mut settings = Vec::new();
        for name in NAMES {
            let Some(value) = own.get_item(name)? else {
                continue;
            };
            let unchanged = match default.get_item(name)? {
                Some(default) => value.eq(default)?,
                None => false,
            };
            if !unchanged {
                settings.push(format!("{name}={}", value.repr()?));
            }
        }
        Ok(format!("eryx.NetConfig({})", settings.join(", ")))
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        let settings = slf.get().to_dict(slf.py())?;
        Ok((slf.getattr("from_dict")?, (settings,)))
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.max_connections().hash(&mut hasher);
        self.0.connect_timeout().hash(&mut hasher);
        self.0.io_timeout().hash(&mut hasher);
        self.0.allowed_hosts().hash(&mut hasher);
        self.0.blocked_hosts().hash(&mut hasher);
        hasher.finish()
    }

    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf
    }
}

/// The configuration with these settings.
fn of(settings: Option<&Bound<'_, PyDict>>) -> PyResult<NetConfig> {
    let mut config = Config::default();
    each("NetConfig", &NAMES, settings, |name, value| {
        config = applied(&config, name, value)?;
        Ok(())
    })?;
    Ok(NetConfig(config))
}

fn wrap(config: Result<Config, eryx::net::ConfigError>) -> PyResult<NetConfig> {
    config
        .map(NetConfig)
        .map_err(|error| ConfigError::new_err(error.to_string()))
}

fn port_number(port: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u16>> {
    let Some(port) = port else { return Ok(None) };
    let number = whole("port", port, "a port")?;
    u16::try_from(number)
        .map(Some)
        .map_err(|_| ConfigError::new_err(format!("port={number}: ports are 0 to 65535")))
}
