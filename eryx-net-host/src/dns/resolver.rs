//! From a name to addresses: what the socket table asks of a resolver.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use eryx_net_policy::HostName;

/// The future of [`Resolve::resolve`]. It owns what it needs; dropping it cancels the lookup.
pub type Resolving = Pin<Box<dyn Future<Output = Result<Answer, ResolveError>> + Send>>;

/// Turns names into addresses. It decides nothing: whatever it answers is judged before it is dialled.
///
/// It is asked only for names the policy could allow, once for each connection or lookup, and never for
/// `localhost` or names below it (RFC 6761, 6.3: those are loopback without asking anyone).
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
/// let config = NetConfig::default().with_resolver(std::sync::Arc::new(Always([93, 184, 215, 14].into())));
/// # let _ = config;
/// ```
pub trait Resolve: fmt::Debug + Send + Sync {
    /// All IPv6 and IPv4 addresses of `name`, which is absolute: no search list applies.
    fn resolve(&self, name: &HostName) -> Resolving;
}

/// What a name stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The aliases on the way, in order, without the name that was asked for (CNAME, RFC 1034, 3.6.2).
    pub aliases: Vec<HostName>,
    /// Every address the name leads to, in the order the name server gave.
    pub addresses: Vec<IpAddr>,
}

impl From<Vec<IpAddr>> for Answer {
    fn from(addresses: Vec<IpAddr>) -> Self {
        Self {
            aliases: Vec::new(),
            addresses,
        }
    }
}

/// Why a name has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The name does not exist, or has no address.
    #[error("the name does not exist or has no address")]
    NotFound,
    /// No usable answer: no name server, a failure on its side, or an answer that makes no sense. The
    /// text is for the embedder's log; the untrusted program does not see it.
    #[error("{0}")]
    TryAgain(String),
}
