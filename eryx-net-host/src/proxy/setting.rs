//! The setting `proxy`: one proxy server, or those of the process's environment.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use eryx_net_policy::HostPattern;

use crate::config_error::ConfigError;
use crate::proxy::environment;
use crate::proxy::server::{ProxyServer, url_error};

/// The text that stands for the environment.
const ENVIRONMENT: &str = "env";

/// The proxy through which a sandbox connects, for
/// [`NetConfig::with_proxy`](crate::NetConfig::with_proxy).
///
/// Parsed from a URL, `http://user:password@proxy.example:3128`, with the scheme `http`, `https`
/// (TLS to the proxy) or `socks5`; or from `env`, as [`from_env`](Self::from_env) does. User name
/// and password are percent-encoded. The port may be left out for `https` (443) and `socks5`
/// (1080).
///
/// Neither `Display` nor `Debug` shows the credentials: `***` stands for them.
///
/// ```
/// use eryx_net_host::Proxy;
///
/// let proxy: Proxy = "http://user:secret@proxy.example:3128".parse()?;
/// assert_eq!(proxy.to_string(), "http://***@proxy.example:3128");
/// assert!("proxy.example:3128".parse::<Proxy>().is_err());
/// # Ok::<(), eryx_net_host::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    server: Option<Arc<ProxyServer>>,
    /// The hosts that the environment excludes.
    bypass: Arc<[HostPattern]>,
    from_env: bool,
}

impl Proxy {
    /// Reads the proxy from the environment variables of this process, once, as curl documents
    /// them.
    ///
    /// The first of `https_proxy`, `HTTPS_PROXY`, `all_proxy`, `ALL_PROXY` and `http_proxy` that is
    /// set decides, for all connections: a connection of a sandbox has no scheme. If it is empty,
    /// or none is set, there is no proxy. `HTTP_PROXY` is ignored, as by curl: a web server sets it
    /// from a header of the request that a CGI program serves. A URL without a scheme is `http`,
    /// and one without a port uses port 1080 (443 for `https`).
    ///
    /// `no_proxy`, or else `NO_PROXY`, lists hosts that are connected to directly, separated by
    /// commas or spaces: a name, which also stands for all names below it; an address; a network
    /// such as `10.0.0.0/8`; or `*` for all hosts. Beyond curl, each may have a port.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Proxy`] or [`ConfigError::Pattern`] for a variable that is malformed.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    pub(super) fn from_variables(
        variable: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            server: environment::server(&variable)?.map(Arc::new),
            bypass: environment::bypass(&variable)?.into(),
            from_env: true,
        })
    }

    /// Returns whether it was read from the environment.
    #[must_use]
    pub fn is_from_env(&self) -> bool {
        self.from_env
    }

    /// Returns whether there is a proxy server; the environment may have none.
    #[must_use]
    pub fn has_server(&self) -> bool {
        self.server.is_some()
    }

    /// Returns the proxy server.
    pub(crate) fn server(&self) -> Option<&Arc<ProxyServer>> {
        self.server.as_ref()
    }

    /// Returns the hosts that the environment excludes.
    pub(crate) fn bypass(&self) -> &[HostPattern] {
        &self.bypass
    }

    /// Returns the value of the setting in a file.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Refused`] when it has a password.
    #[cfg(feature = "serde")]
    pub(crate) fn to_setting(&self) -> Result<String, ConfigError> {
        match &self.server {
            Some(server) if !self.from_env && server.has_password() => Err(ConfigError::Refused(
                "a configuration whose proxy has a password cannot be written down: leave the proxy \
                 out (without_proxy) and set it after reading, or use `env`"
                    .into(),
            )),
            Some(server) if !self.from_env => Ok(server.url_with_user()),
            _ => Ok(ENVIRONMENT.to_owned()),
        }
    }
}

impl FromStr for Proxy {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        if text == ENVIRONMENT {
            return Self::from_env();
        }
        let server = ProxyServer::parse(text, None).map_err(|rule| url_error("the proxy", rule))?;
        Ok(Self {
            server: Some(Arc::new(server)),
            bypass: Arc::default(),
            from_env: false,
        })
    }
}

impl fmt::Display for Proxy {
    /// Writes `env`, or the URL with `***` for its credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) if !self.from_env => server.fmt(f),
            _ => f.write_str(ENVIRONMENT),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.server, self.from_env) {
            (Some(server), true) => write!(f, "{ENVIRONMENT} ({server})"),
            (None, true) => write!(f, "{ENVIRONMENT} (no proxy)"),
            (_, false) => fmt::Display::fmt(self, f),
        }
    }
}
