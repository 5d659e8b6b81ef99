//! The interface of a resolver.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use eryx_net_policy::HostName;

/// The future of [`Resolve::resolve`]. It owns its data; dropping it cancels the lookup.
pub type Resolving = Pin<Box<dyn Future<Output = Result<Answer, ResolveError>> + Send>>;

/// Resolves names to addresses. It makes no policy decision: every address that it returns is
/// checked before it is dialled.
///
/// It is called only for names that the policy could allow, once for each connection or lookup, and
/// never for `localhost` or names below it, which are always loopback (RFC 6761, 6.3). It is also
/// called for the name of the embedder's [`Proxy`](crate::Proxy), whose addresses are not checked.
///
/// ```
/// use eryx_net_host::{Answer, NetConfig, Resolve, ResolveError, Resolving, policy::HostName};
///
/// #[derive(Debug)]
/// struct Always(std::net::IpAddr);
///
/// impl Resolve for Always {
///     fn resolve(&self, _name: &HostName) -> Resolving {
///         let answer = Answer::from(vec![self.0]);
///         Box::pin(async move { Ok(answer) })
///     }
/// }
///
/// let resolver = std::sync::Arc::new(Always([93, 184, 215, 14].into()));
/// let config = NetConfig::default().with_resolver(resolver);
/// # let _ = config;
/// ```
pub trait Resolve: fmt::Debug + Send + Sync {
    /// Returns all IPv6 and IPv4 addresses of `name`, which is absolute: no search list applies.
    /// An answer without addresses is that of a name that exists and has none.
    fn resolve(&self, name: &HostName) -> Resolving;
}

/// The most addresses that are accepted per answer. Verdicts store them, and the author of a
/// hostile guest program may control the name server, so this bounds host memory.
pub(crate) const MAX_ADDRESSES: usize = 256;

/// The most aliases that are accepted per answer. Resolvers follow fewer.
pub(crate) const MAX_ALIASES: usize = 16;

/// Returns why an answer with too many aliases is not used.
pub(crate) fn too_many_aliases() -> String {
    format!("the name has more than {MAX_ALIASES} aliases, or they form a loop")
}

/// The aliases and addresses of a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The aliases that lead to the addresses, in order, without the name that was resolved (CNAME,
    /// RFC 1034, 3.6.2).
    pub aliases: Vec<HostName>,
    /// Every address of the name, in the order of the name server's answer.
    pub addresses: Vec<IpAddr>,
}

impl Answer {
    /// Returns whether it has more than [`MAX_ADDRESSES`] or [`MAX_ALIASES`].
    pub(crate) fn exceeds_limits(&self) -> bool {
        self.addresses.len() > MAX_ADDRESSES || self.aliases.len() > MAX_ALIASES
    }
}

impl From<Vec<IpAddr>> for Answer {
    fn from(addresses: Vec<IpAddr>) -> Self {
        Self {
            aliases: Vec::new(),
            addresses,
        }
    }
}

/// Why a name could not be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The name does not exist.
    #[error("the name does not exist")]
    NotFound,
    /// No usable answer: no name server, a failure of the server, or an answer that makes no sense.
    /// The message is for the embedder's log; the guest program does not see it.
    #[error("{0}")]
    TryAgain(String),
}
