//! The error of a network configuration.

use eryx_net_policy::{
    HostError, HttpPolicyError, HttpRuleError, IpNetworkError, PatternError, SecretBindingError,
};
use eryx_tls::TrustError;

/// A setting that cannot be honoured. Its message names the value, the rule and a value that would
/// be valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A host pattern is malformed.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A host name is malformed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A network is malformed.
    #[error(transparent)]
    Network(#[from] IpNetworkError),
    /// An HTTP rule is malformed.
    #[error(transparent)]
    HttpRule(#[from] HttpRuleError),
    /// The binding of a secret is malformed.
    #[error(transparent)]
    Secret(#[from] SecretBindingError),
    /// HTTP rules or secrets contradict each other.
    #[error(transparent)]
    Http(#[from] HttpPolicyError),
    /// A root certificate cannot be used.
    #[error("the root certificate cannot be used: {0}")]
    Trust(TrustError),
    /// A number or a duration is out of its range. The message names the setting.
    #[error("{0}")]
    OutOfRange(String),
    /// A name server is not given by its address.
    #[error(
        "`{0}` is not a name server: write its address, such as `192.0.2.53`, and a port other than 53 \
         behind it, as in `192.0.2.53:5353` or `[2001:db8::53]:5353`"
    )]
    NameServer(String),
    /// A proxy is not given by a URL that can be used. The message does not repeat the text, which
    /// may contain a password.
    #[error("{0}")]
    Proxy(String),
    /// A setting cannot be used in this place. The message names it.
    #[error("{0}")]
    Refused(String),
    /// A policy file is malformed, or cannot be read. The message names the line, the text and the
    /// fix.
    #[error("{0}")]
    File(String),
}

// Not a `#[source]`: Display already includes it, and error-chain printers would repeat it.
impl From<TrustError> for ConfigError {
    fn from(error: TrustError) -> Self {
        Self::Trust(error)
    }
}
