//! The Python class `NetConfig`.

#[macro_use]
mod docstring;
mod keywords;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use eryx::net::NetConfig as Config;
use eryx::net::net_settings;
use eryx::net::policy::HostError;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use serde_json::json;

use crate::arguments::{keywords_only, non_negative_int, str_list, text, wrong_type};
use crate::error::{ConfigError, warn_user};
use crate::http_rule;
use crate::secret;
use crate::traced_functions::TracedFunctions;
use crate::verdict::Verdict;
pub(crate) use keywords::{add_properties, names};
use keywords::{certificate_bytes, config_error, from_keywords, validated};

#[doc = net_settings!(signature)]
/// The hosts that a sandbox may reach on the network, and its limits: an immutable value.
///
/// The default reaches every public host and nothing internal. Methods that change a setting return
/// a copy. A limit of ``None`` means no limit.
///
#[doc = net_settings!(keyword_docs)]
///
/// Raises:
///     ConfigError: for a malformed pattern or a number out of its range; the message says which
///         values are valid.
///     TypeError: for an unknown keyword and for an argument of the wrong type.
///
/// >>> import eryx
/// >>> config = eryx.NetConfig(allowed_hosts=["api.example.com", "*.example.org:443"])
/// >>> config.check("other.example", 443).is_denied
/// True
/// >>> sandbox = eryx.Sandbox(network=config)
#[pyclass(module = "eryx", frozen, eq)]
pub(crate) struct NetConfig(
    pub(crate) Config,
    /// The functions that return the values of its secrets.
    pub(crate) TracedFunctions,
);

impl PartialEq for NetConfig {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

#[pymethods]
impl NetConfig {
    #[new]
    #[pyo3(signature = (*positional, **settings), text_signature = None)]
    fn new(
        positional: &Bound<'_, PyTuple>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords_only("NetConfig", &names(), positional)?;
        from_keywords(settings)
    }

    /// Return a configuration for tests and trusted code. Its only restriction is a limit of 100
    /// connections: programs can reach this machine and internal networks.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig.permissive().blocked_hosts
    /// []
    #[staticmethod]
    fn permissive() -> Self {
        Self(Config::permissive(), TracedFunctions::default())
    }

    /// Return a copy with one more allowed host. The first one restricts the sandbox to it. A
    /// blocked host stays blocked.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig().allow_host("api.example.com").allowed_hosts
    /// ['api.example.com']
    fn allow_host(&self, py: Python<'_>, pattern: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.changed(py, self.0.allow_host(&text("pattern", pattern)?))
    }

    /// Return a copy with one more blocked host.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig(blocked_hosts=[]).block_host("*.local").blocked_hosts
    /// ['*.local']
    fn block_host(&self, py: Python<'_>, pattern: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.changed(py, self.0.block_host(&text("pattern", pattern)?))
    }

    /// Return a copy with the loopback entries taken out of the blocked hosts, and nothing else.
    ///
    /// >>> import eryx
    /// >>> "localhost" in eryx.NetConfig().allow_localhost().blocked_hosts
    /// False
    fn allow_localhost(&self, py: Python<'_>) -> Self {
        self.copy(py, self.0.allow_localhost())
    }

    /// Return a copy with the addresses of one more network exempt from the blocked hosts.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig().allow_network("10.20.0.0/16").check("10.20.3.4", 80).is_allowed
    /// True
    fn allow_network(&self, py: Python<'_>, network: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.changed(py, self.0.allow_network(&text("network", network)?))
    }

    /// Return a copy with one more pattern of names that may resolve to blocked addresses.
    ///
    /// >>> import eryx
    /// >>> config = eryx.NetConfig().allow_internal_host("db.corp:5432")
    /// >>> config.check_resolved("db.corp", ["10.1.2.3"], 5432).is_allowed
    /// True
    fn allow_internal_host(&self, py: Python<'_>, pattern: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.changed(py, self.0.allow_internal_host(&text("pattern", pattern)?))
    }

    /// Return a copy that allows UDP to hosts that match one more pattern with a port, as far as a
    /// connection may reach them.
    ///
    /// >>> import eryx
    /// >>> config = eryx.NetConfig().allow_udp("9.9.9.9:53")
    /// >>> config.check_udp("9.9.9.9", 53).is_allowed, config.check_udp("8.8.8.8", 53).is_allowed
    /// (True, False)
    /// >>> eryx.NetConfig().allow_udp("9.9.9.9")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.ConfigError: `9.9.9.9` is not a host pattern: UDP is allowed port by port; ...
    fn allow_udp(&self, py: Python<'_>, pattern: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.changed(py, self.0.allow_udp(&text("pattern", pattern)?))
    }

    /// Return a copy that trusts further certificates, in addition to the public root certificates.
    ///
    /// Args:
    ///     certificate: a PEM bundle, bytes or str, or one certificate in DER, bytes.
    ///
    /// Raises:
    ///     ConfigError: for anything else.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig().with_root_cert(b"")
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.ConfigError: the root certificate cannot be used: the root certificate is empty: ...
    fn with_root_cert(&self, py: Python<'_>, certificate: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.changed(
            py,
            self.0
                .with_root_cert(&certificate_bytes("certificate", certificate)?),
        )
    }

    /// Return a copy that sets whether a program may turn off certificate verification (with
    /// ``verify_mode = CERT_NONE``) and trust certificate authorities of its own.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig().allow_unverified_tls() == eryx.NetConfig()
    /// False
    #[pyo3(signature = (allow=true))]
    fn allow_unverified_tls(&self, py: Python<'_>, allow: bool) -> Self {
        self.copy(py, self.0.allow_unverified_tls(allow))
    }

    /// Return a copy with fixed addresses for these names, which replace all earlier ones. The
    /// policy applies to these addresses as to any others.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig().with_hosts({"db.example": ["192.0.2.7"]}).hosts
    /// {'db.example': ['192.0.2.7']}
    fn with_hosts(&self, py: Python<'_>, hosts: &Bound<'_, PyAny>) -> PyResult<Self> {
        keywords::with_setting(&self.0, "hosts", &keywords::hosts(hosts)?)
            .map(|config| self.copy(py, config))
    }

    /// Return a copy with one name server in place of the system's: ``"192.0.2.53"`` or
    /// ``"192.0.2.53:5353"``.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig().with_dns_server("192.0.2.53").dns_server
    /// '192.0.2.53:53'
    fn with_dns_server(&self, py: Python<'_>, address: &Bound<'_, PyAny>) -> PyResult<Self> {
        let address = json!(text("address", address)?);
        keywords::with_setting(&self.0, "dns_server", &address).map(|config| self.copy(py, config))
    }

    /// Return a copy with one more rule for HTTP requests.
    ///
    /// Args:
    ///     rule: an :class:`HttpRule`, or its text form, a str.
    ///
    /// >>> import eryx
    /// >>> config = eryx.NetConfig().with_http_rule("GET api.example.com/user")
    /// >>> config.http_rules
    /// [eryx.HttpRule('api.example.com', methods=['GET'], paths=['/user'])]
    fn with_http_rule(&self, py: Python<'_>, rule: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.changed(py, self.0.with_http_rule(http_rule::rule("rule", rule)?))
    }

    /// Return a copy with one more secret.
    ///
    /// Args:
    ///     name: the name of the environment variable in which a program finds the placeholder.
    ///     secret: a :class:`Secret`.
    ///
    /// >>> import eryx
    /// >>> token = eryx.Secret("ghp_0123456789", hosts=["api.github.com"])
    /// >>> eryx.NetConfig().with_secret("GITHUB_TOKEN", token).secrets
    /// {'GITHUB_TOKEN': <eryx.Secret for api.github.com in authorization>}
    fn with_secret(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyAny>,
        secret: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let name = text("name", name)?;
        let (secret, functions) = secret::named_secret(&name, "secret", secret)?;
        let Self(config, own_functions) = self.changed(py, self.0.with_secret(secret))?;
        Ok(Self(config, own_functions.and(py, functions)?))
    }

    /// Return a copy that connects through a proxy: a URL, or ``"env"`` for the proxy of the
    /// environment. The property ``proxy``, ``repr()`` and events show ``***`` for its credentials.
    ///
    /// >>> import eryx
    /// >>> config = eryx.NetConfig().with_proxy("http://user:secret@proxy.example:3128")
    /// >>> config.proxy
    /// 'http://***@proxy.example:3128'
    /// >>> config.to_dict()
    /// Traceback (most recent call last):
    ///     ...
    /// eryx.ConfigError: a configuration whose proxy has a password cannot be written down: ...
    fn with_proxy(&self, py: Python<'_>, proxy: &Bound<'_, PyAny>) -> PyResult<Self> {
        let proxy = json!(text("proxy", proxy)?);
        validated(self.copy(py, keywords::with_setting(&self.0, "proxy", &proxy)?))
    }

    /// Return a copy that connects without a proxy.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig(proxy="http://proxy.example:3128").without_proxy().proxy is None
    /// True
    fn without_proxy(&self, py: Python<'_>) -> PyResult<Self> {
        validated(self.copy(py, self.0.without_proxy()))
    }

    /// Return a copy with one more pattern of hosts that are connected to without the proxy.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig(proxy="http://proxy.example:3128").bypass_proxy("*.corp").no_proxy
    /// ['*.corp']
    fn bypass_proxy(&self, py: Python<'_>, pattern: &Bound<'_, PyAny>) -> PyResult<Self> {
        self.changed(py, self.0.bypass_proxy(&text("pattern", pattern)?))
    }

    /// Return a copy with other values for some settings, by the keywords of the constructor.
    /// ``blocked_hosts`` replaces the whole list, changes by ``allow_localhost`` and ``block_host``
    /// included.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig.permissive().replace(max_connections=5)
    /// eryx.NetConfig(max_connections=5, blocked_hosts=[])
    #[pyo3(signature = (**settings))]
    fn replace(&self, py: Python<'_>, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let all = dict_of(&self.0.without_proxy(), py)?;
        // A dict of plain values does not have those of secrets.
        all.set_item("secrets", secret::to_dict(py, self.0.secrets(), &self.1)?)?;
        let mut proxy = self.0.proxy().cloned();
        if let Some(settings) = settings {
            if settings.contains("proxy")? {
                proxy = None;
            }
            if settings.contains("blocked_hosts")? {
                all.del_item("allow_localhost")?;
                if all.contains("also_blocked_hosts")? {
                    all.del_item("also_blocked_hosts")?;
                }
            }
            all.update(settings.as_mapping())?;
        }
        // Not through the dict, which has no password.
        keywords::from_keywords_with(Some(&all), proxy)
    }

    /// Return every setting, as a dict of plain values. :meth:`from_dict` turns it into an equal
    /// configuration, and a JSON or TOML file can hold it. Limits that are not set are left out.
    /// Secrets are in it without their values, so that :meth:`from_dict` does not take them.
    ///
    /// Raises:
    ///     ConfigError: the proxy has a password, which is never written down. Such a configuration
    ///         cannot be pickled either.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig(max_connections=3).to_dict()["max_connections"]
    /// 3
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict_of(&self.0, py)
    }

    /// Return the configuration with these settings, by the keywords of the constructor. An absent
    /// setting takes its default.
    ///
    /// Raises:
    ///     ConfigError, TypeError: as the constructor does.
    ///
    /// >>> import eryx
    /// >>> eryx.NetConfig.from_dict({"max_connections": 3})
    /// eryx.NetConfig(max_connections=3)
    #[staticmethod]
    fn from_dict(settings: &Bound<'_, PyAny>) -> PyResult<Self> {
        match settings.cast::<PyDict>() {
            Ok(settings) => from_keywords(Some(settings)),
            Err(_) => Err(wrong_type("settings", "a dict", settings)),
        }
    }

    /// Return the configuration in a TOML file, by the same names. It may also have
    /// ``root_cert_files``: files with certificates, by paths relative to the file. A secret has
    /// ``env`` or ``file`` in it: the environment variable or the file that has the value.
    ///
    /// Args:
    ///     path: a str or a path.
    ///
    /// Raises:
    ///     ConfigError: the file is not a valid configuration. The message names the file and
    ///         the line, and shows a valid value.
    ///
    /// Warns:
    ///     UserWarning: for an empty ``allowed_hosts``, as every host that is not blocked is
    ///         allowed, for an HTTP rule, a secret or another setting without effect, and for
    ///         ``proxy_resolves``, as addresses and networks do not apply to names.
    ///
    /// >>> import eryx, pathlib, tempfile
    /// >>> path = pathlib.Path(tempfile.mkdtemp()) / "policy.toml"
    /// >>> _ = path.write_text('allowed_hosts = ["api.example.com"]')
    /// >>> eryx.NetConfig.from_file(path)
    /// eryx.NetConfig(allowed_hosts=['api.example.com'])
    #[staticmethod]
    fn from_file(py: Python<'_>, path: &Bound<'_, PyAny>) -> PyResult<Self> {
        let path = crate::arguments::path("path", path)?;
        let config = py.detach(|| Config::from_toml_file(&path));
        let config = config.map_err(config_error)?;
        let config = validated(Self(config, TracedFunctions::default()))?;
        for warning in config.0.warnings() {
            warn_user(py, &format!("{}: {warning}", path.display()))?;
        }
        Ok(config)
    }

    /// Return the policy's verdict on a host, without using the network.
    ///
    /// The verdict on an address is final. The verdict on a name that is not denied may depend on
    /// its addresses.
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

    /// Return the policy's verdict on a name that resolves to these addresses.
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
        let (addresses, port) = (ip_addresses(addresses)?, port_number(port)?);
        let verdict = self
            .0
            .check_resolved(&text("name", name)?, &addresses, port);
        verdict_on_name(verdict)
    }

    /// Return the policy's verdict on UDP to a host, as :meth:`check` does for TCP. A host with
    /// HTTP rules or secrets on the port is denied: HTTP/3 would not be inspected.
    ///
    /// >>> import eryx
    /// >>> print(eryx.NetConfig().check_udp("9.9.9.9", 53))
    /// UDP to `9.9.9.9:53` is denied: nothing in allowed_udp matches it; ...
    #[pyo3(signature = (host, port=None))]
    fn check_udp(
        &self,
        host: &Bound<'_, PyAny>,
        port: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Verdict> {
        let verdict = self.0.check_udp(&text("host", host)?, port_number(port)?);
        Ok(Verdict::from(&verdict))
    }

    /// Return the policy's verdict on UDP to a name that resolves to these addresses.
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
        let (addresses, port) = (ip_addresses(addresses)?, port_number(port)?);
        let verdict = self
            .0
            .check_udp_resolved(&text("name", name)?, &addresses, port);
        verdict_on_name(verdict)
    }

    /// Return the verdict on an HTTP request, without using the network: the policy's verdict on
    /// the host if that is denied, otherwise the verdict of the HTTP rules.
    ///
    /// Args:
    ///     method: a str such as ``"GET"``.
    ///     url: a str with the scheme ``https`` or ``http``, or ``wss`` or ``ws`` for a websocket.
    ///
    /// >>> import eryx
    /// >>> config = eryx.NetConfig(http_rules=["GET api.example.com/user"])
    /// >>> print(config.check_http("PUT", "https://api.example.com/user"))
    /// `PUT https://api.example.com/user` is denied: `GET api.example.com/user` in http_rules is ...
    fn check_http(&self, method: &Bound<'_, PyAny>, url: &Bound<'_, PyAny>) -> PyResult<Verdict> {
        let verdict = self
            .0
            .check_http(&text("method", method)?, &text("url", url)?);
        Ok(Verdict::from(&verdict))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let default = dict_of(&Config::default(), py)?;
        let own = self.shown_dict(py)?;
        let mut settings = Vec::new();
        for name in names() {
            let Some(value) = own.get_item(name)? else {
                continue;
            };
            let unchanged = match default.get_item(name)? {
                Some(default) => value.eq(default)?,
                None => false,
            };
            if !unchanged {
                let value = match name {
                    "http_rules" | "secrets" => keywords::property(self, name, py)?,
                    _ => value.unbind(),
                };
                settings.push(format!("{name}={}", value.bind(py).repr()?));
            }
        }
        Ok(format!("eryx.NetConfig({})", settings.join(", ")))
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyDict>,))> {
        if slf.get().0.secrets().len() > 0 {
            return Err(PyTypeError::new_err(
                "a NetConfig with secrets cannot be pickled, because a pickle would contain their values: \
                 pickle config.replace(secrets={}), and add them where it is used (with_secret)",
            ));
        }
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

    /// Visits the references for the garbage collector. There is no `__clear__`: a configuration is
    /// immutable, so that every reference cycle contains another, mutable object.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.1.visit(&visit)
    }

    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf
    }
}

impl NetConfig {
    /// Returns a configuration with the secrets of this one.
    fn copy(&self, py: Python<'_>, config: Config) -> Self {
        Self(config, self.1.clone_ref(py))
    }

    /// Returns a changed configuration with the secrets of this one, unless it is invalid.
    fn changed(
        &self,
        py: Python<'_>,
        config: Result<Config, eryx::net::ConfigError>,
    ) -> PyResult<Self> {
        validated(self.copy(py, config.map_err(config_error)?))
    }

    /// Returns every setting as :meth:`to_dict` does, with `***` for the credentials of the proxy.
    fn shown_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = dict_of(&self.0.without_proxy(), py)?;
        if let Some(proxy) = self.0.proxy() {
            dict.set_item("proxy", proxy.to_string())?;
        }
        Ok(dict)
    }
}

/// Returns every setting as :meth:`to_dict` does: secrets without their values.
fn dict_of<'py>(config: &Config, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
    let without_secrets = config.with_secrets([]).map_err(config_error)?;
    let text = serde_json::to_string(&without_secrets)
        .map_err(|error| ConfigError::new_err(error.to_string()))?;
    let dict = py.import("json")?.call_method1("loads", (text,))?;
    let dict = dict.cast_into::<PyDict>()?;
    if config.secrets().len() > 0 {
        dict.set_item("secrets", secret::to_plain_dict(py, config.secrets())?)?;
    }
    Ok(dict)
}

fn port_number(port: Option<&Bound<'_, PyAny>>) -> PyResult<Option<u16>> {
    let Some(port) = port else { return Ok(None) };
    let number = non_negative_int("port", port, "a port")?;
    u16::try_from(number)
        .map(Some)
        .map_err(|_| ConfigError::new_err(format!("port={number}: ports are 0 to 65535")))
}

/// Returns the verdict on a name with addresses, unless the name is malformed.
fn verdict_on_name(verdict: Result<eryx::net::policy::Verdict, HostError>) -> PyResult<Verdict> {
    match verdict {
        Ok(verdict) => Ok(Verdict::from(&verdict)),
        Err(error) => Err(ConfigError::new_err(error.to_string())),
    }
}

fn ip_addresses(addresses: &Bound<'_, PyAny>) -> PyResult<Vec<IpAddr>> {
    let addresses = str_list("addresses", addresses)?;
    let addresses = addresses.iter().map(|text| {
        text.parse().map_err(|_| {
            ConfigError::new_err(format!(
                "`{text}` is not an IP address; write one in full, such as `192.0.2.7` or `2001:db8::7`"
            ))
        })
    });
    addresses.collect()
}
