//! HTTP settings of a configuration: rules, secrets, inspected hosts and the form of denials.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use eryx_http::ScrubberPatterns;
use eryx_net_policy::{HostPattern, HttpPolicy, HttpRule, HttpVerdict, SecretBinding};
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};

use super::NetConfig;
use crate::config_error::ConfigError;

/// The longest value of a secret, in bytes. The scrubber of responses holds back as many bytes.
const MAX_SECRET: usize = 4096;

/// The most secrets of a configuration.
pub(crate) const MAX_SECRETS: usize = 50;

/// The HTTP settings of a configuration.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct HttpSettings {
    pub(crate) rules: Vec<HttpRule>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) inspect: Vec<HostPattern>,
    pub(crate) denials: HttpDenials,
    pub(crate) policy: HttpPolicy,
    /// For `secrets`.
    pub(crate) search: SharedSearch,
}

/// The structure in which the fixed values of secrets are searched for. It is built once, for the
/// first response that is searched, and all networks of a configuration share it.
#[derive(Clone, Default)]
pub(crate) struct SharedSearch(pub(crate) Arc<OnceLock<ScrubberPatterns>>);

impl PartialEq for SharedSearch {
    /// Returns `true`: it follows from the secrets.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The form in which a program receives the denial of an HTTP request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum HttpDenials {
    /// The write that completes the head of the request fails with
    /// [`NetError::Denied`](crate::NetError::Denied), which is `PermissionError` in Python.
    #[default]
    Error,
    /// The program receives a 403 response with `application/problem+json`
    /// ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)), so that HTTP libraries neither retry
    /// nor hide the message.
    Response,
}

impl HttpDenials {
    /// Returns the value as it is written in a policy file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Response => "response",
        }
    }
}

/// A credential that the program uses without seeing it: the program has a placeholder, which
/// Eryx replaces in requests to the hosts of the [`SecretBinding`].
///
/// `Debug` does not show the value.
///
/// ```
/// use eryx_net_host::policy::SecretBinding;
/// use eryx_net_host::{NetConfig, Secret};
///
/// let binding = SecretBinding::new("GITHUB_TOKEN", ["api.github.com".parse()?])?;
/// let config = NetConfig::default().with_secret(Secret::new(binding, "ghp_0123456789")?)?;
/// assert!(!format!("{config:?}").contains("ghp_"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Secret {
    binding: SecretBinding,
    source: SecretSource,
}

/// Supplies the value of a secret when a request needs it, for tokens with a short lifetime.
pub trait ProvideSecret: Send + Sync {
    /// Returns the value for one request. The request waits for it, within the timeout of its
    /// write.
    ///
    /// # Errors
    ///
    /// The request is denied with this error, whose message the program sees.
    fn provide(&self) -> BoxFuture<'static, Result<SecretString, ProvideSecretError>>;
}

/// The error of a [`ProvideSecret`]. The program sees its message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProvideSecretError(pub String);

/// The source of the value of a secret.
#[derive(Clone)]
pub(crate) enum SecretSource {
    /// A value of the embedder.
    Literal(Arc<SecretString>),
    /// An environment variable, which a policy file names.
    Variable(Arc<str>, Arc<SecretString>),
    /// A file, which a policy file names.
    File(Arc<PathBuf>, Arc<SecretString>),
    /// Asked for every request.
    Provider(Arc<dyn ProvideSecret>),
}

impl SecretSource {
    /// Returns the value; `None` if a provider is asked for it.
    pub(crate) fn fixed(&self) -> Option<&Arc<SecretString>> {
        match self {
            Self::Literal(value) | Self::Variable(_, value) | Self::File(_, value) => Some(value),
            Self::Provider(_) => None,
        }
    }
}

impl Secret {
    /// Returns a secret with a fixed value.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Refused`] for a value that is empty, longer than 4,096 bytes, or has
    /// characters that a field value of HTTP cannot have
    /// ([RFC 9110, 5.5](https://www.rfc-editor.org/rfc/rfc9110#section-5.5)).
    pub fn new(
        binding: SecretBinding,
        value: impl Into<SecretString>,
    ) -> Result<Self, ConfigError> {
        let value = value.into();
        check_value(&value).map_err(|error| {
            ConfigError::Refused(format!("secrets.{}: {error}", binding.name()))
        })?;
        Ok(Self {
            binding,
            source: SecretSource::Literal(value.into()),
        })
    }

    /// Returns a secret whose value `provider` supplies for every request.
    #[must_use]
    pub fn with_provider(binding: SecretBinding, provider: Arc<dyn ProvideSecret>) -> Self {
        Self {
            binding,
            source: SecretSource::Provider(provider),
        }
    }

    /// Returns a secret whose value is that of an environment variable of this process.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Refused`] if the variable is not set, or for a value as in [`Secret::new`].
    pub fn from_variable(binding: SecretBinding, variable: &str) -> Result<Self, ConfigError> {
        let value = std::env::var(variable).map_err(|_| {
            ConfigError::Refused(format!(
                "secrets.{}: the environment variable `{}` is not set, or is not text in UTF-8; set it",
                binding.name(),
                variable.escape_debug()
            ))
        })?;
        let mut secret = Self::new(binding, value)?;
        if let SecretSource::Literal(value) = secret.source {
            secret.source = SecretSource::Variable(variable.into(), value);
        }
        Ok(secret)
    }

    /// Returns a secret whose value is the content of a file, without line ends after it.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Refused`] if the file cannot be read, or for a value as in [`Secret::new`].
    pub fn from_file(binding: SecretBinding, path: PathBuf) -> Result<Self, ConfigError> {
        let refused = |error: String| {
            let name = binding.name();
            ConfigError::Refused(format!(
                "secrets.{name}: the file {} cannot be read: {error}",
                path.display()
            ))
        };
        let value = read_short_file(&path).map_err(|error| refused(error.to_string()))?;
        let value = value.trim_end_matches(['\r', '\n']).to_owned();
        let mut secret = Self::new(binding, value)?;
        if let SecretSource::Literal(value) = secret.source {
            secret.source = SecretSource::File(path.into(), value);
        }
        Ok(secret)
    }

    /// Returns the secret with another name.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Secret`] if the name is not one of an environment variable.
    pub fn with_name(&self, name: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            binding: self.binding.clone().with_name(name)?,
            source: self.source.clone(),
        })
    }

    /// Returns the name of the secret, and the hosts and places that it is for.
    #[must_use]
    pub fn binding(&self) -> &SecretBinding {
        &self.binding
    }

    pub(crate) fn source(&self) -> &SecretSource {
        &self.source
    }
}

/// Reads a file that may be larger than a secret can be.
fn read_short_file(path: &std::path::Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut value = String::new();
    std::fs::File::open(path)?
        .take(MAX_SECRET as u64 + 3)
        .read_to_string(&mut value)?;
    Ok(value)
}

/// Checks that a value can be in a field of a request. The error does not repeat the value.
pub(crate) fn check_value(value: &SecretString) -> Result<(), String> {
    let value = value.expose_secret();
    if value.is_empty() {
        return Err("the value is empty; give one, or leave the secret out".into());
    }
    if value.len() > MAX_SECRET {
        return Err(format!(
            "the value has {} bytes, and a secret has at most {MAX_SECRET}",
            value.len()
        ));
    }
    if !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(
            "the value has a character that is not printable ASCII, such as a line end; encode it, \
             or remove it"
                .into(),
        );
    }
    if value.starts_with(' ') || value.ends_with(' ') {
        return Err("the value begins or ends with a space; remove it".into());
    }
    Ok(())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Secret {
    /// Returns whether binding and value are equal. Two providers are equal if they are one object.
    fn eq(&self, other: &Self) -> bool {
        self.binding == other.binding
            && match (&self.source, &other.source) {
                (SecretSource::Provider(a), SecretSource::Provider(b)) => Arc::ptr_eq(a, b),
                (SecretSource::Variable(a, x), SecretSource::Variable(b, y)) => {
                    a == b && is_same(x, y)
                }
                (SecretSource::File(a, x), SecretSource::File(b, y)) => a == b && is_same(x, y),
                (SecretSource::Literal(x), SecretSource::Literal(y)) => is_same(x, y),
                _ => false,
            }
    }
}

fn is_same(a: &SecretString, b: &SecretString) -> bool {
    a.expose_secret() == b.expose_secret()
}

impl NetConfig {
    /// Returns the rules for HTTP requests.
    #[must_use]
    pub fn http_rules(&self) -> &[HttpRule] {
        &self.http.rules
    }

    /// Returns a copy with one more rule for HTTP requests. A host with rules allows only the
    /// requests that one of its rules allows.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Http`] if the rule contradicts another one.
    ///
    /// ```
    /// use eryx_net_host::NetConfig;
    /// use eryx_net_host::policy::HttpRule;
    ///
    /// let rule = HttpRule::new("api.github.com".parse()?).with_methods(["GET", "HEAD"])?;
    /// let config = NetConfig::default().with_http_rule(rule)?;
    /// assert_eq!(config.http_rules().len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_http_rule(&self, rule: HttpRule) -> Result<Self, ConfigError> {
        self.with_http(|http| http.rules.push(rule))
    }

    /// Returns a copy with these [`http_rules`](Self::http_rules) in place of those before.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Http`] if the rules contradict each other.
    pub fn with_http_rules(
        &self,
        rules: impl IntoIterator<Item = HttpRule>,
    ) -> Result<Self, ConfigError> {
        let rules = rules.into_iter().collect();
        self.with_http(|http| http.rules = rules)
    }

    /// Adds the rule of an option of the command `eryx`.
    pub(super) fn add_http_rule(&self, rule: &str) -> Result<Self, ConfigError> {
        self.with_http_rule(rule.parse()?)
    }

    /// Returns the secrets. Their values are not shown.
    pub fn secrets(&self) -> impl ExactSizeIterator<Item = &Secret> {
        self.http.secrets.iter()
    }

    /// Returns a copy with one more secret.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Http`] if there is a secret with this name, and [`ConfigError::OutOfRange`]
    /// for more than 50 secrets.
    pub fn with_secret(&self, secret: Secret) -> Result<Self, ConfigError> {
        self.with_http(|http| http.secrets.push(secret))
    }

    /// Returns a copy with these secrets in place of those before.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Http`] if two secrets have one name, and [`ConfigError::OutOfRange`] for more
    /// than 50 secrets.
    pub fn with_secrets(
        &self,
        secrets: impl IntoIterator<Item = Secret>,
    ) -> Result<Self, ConfigError> {
        let secrets = secrets.into_iter().collect();
        self.with_http(|http| http.secrets = secrets)
    }

    /// Returns the hosts whose HTTP requests are recorded in the report although no rule and no
    /// secret is for them.
    #[must_use]
    pub fn inspect(&self) -> &[HostPattern] {
        &self.http.inspect
    }

    /// Returns a copy with one more pattern of hosts whose requests are [recorded](Self::inspect).
    ///
    /// # Errors
    ///
    /// [`ConfigError::Pattern`] for a malformed pattern.
    pub fn with_inspected_host(&self, pattern: &str) -> Result<Self, ConfigError> {
        let pattern = pattern.parse()?;
        self.with_http(|http| http.inspect.push(pattern))
    }

    /// Returns how a program learns that a request is denied.
    #[must_use]
    pub fn http_denials(&self) -> HttpDenials {
        self.http.denials
    }

    /// Returns a copy with another form of denials.
    #[must_use]
    pub fn with_http_denials(&self, denials: HttpDenials) -> Self {
        let mut config = self.clone();
        Arc::make_mut(&mut config.http).denials = denials;
        config
    }

    /// Returns the verdict on an HTTP request to a URL, without using the network: the policy of
    /// hosts decides first, as [`check`](Self::check) does, then the
    /// [HTTP rules](Self::http_rules). The schemes are `https` and `http`, and `wss` and `ws` for
    /// requests that change the protocol to websockets.
    ///
    /// ```
    /// use eryx_net_host::NetConfig;
    ///
    /// let config = NetConfig::default().with_http_rule("GET api.github.com/user".parse()?)?;
    /// let verdict = config.check_http("DELETE", "https://api.github.com/user");
    /// assert!(verdict.is_denied());
    /// println!("{verdict}");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn check_http(&self, method: &str, url: &str) -> HttpVerdict {
        let check_host = |host: &str, port: u16| self.check(host, port);
        self.http.policy.check_url_with(check_host, method, url)
    }

    pub(crate) fn http(&self) -> &Arc<HttpSettings> {
        &self.http
    }

    pub(super) fn with_http(
        &self,
        change: impl FnOnce(&mut HttpSettings),
    ) -> Result<Self, ConfigError> {
        let mut config = self.clone();
        let http = Arc::make_mut(&mut config.http);
        change(http);
        if http.secrets.len() > MAX_SECRETS {
            return Err(ConfigError::OutOfRange(format!(
                "secrets: there are more than {MAX_SECRETS}; give a sandbox the secrets that its program \
                 needs"
            )));
        }
        http.search = SharedSearch::default();
        http.policy = HttpPolicy::new(
            http.rules.clone(),
            http.secrets.iter().map(|s| s.binding.clone()).collect(),
            http.inspect.clone(),
        )?
        .with_hint_style(config.rules.hint_style);
        Ok(config)
    }
}

impl fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpSettings")
            .field("rules", &self.rules)
            .field("secrets", &self.secrets)
            .field("inspect", &self.inspect)
            .field("denials", &self.denials)
            .finish_non_exhaustive()
    }
}
