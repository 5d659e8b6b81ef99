//! The failure of a proxy, for the embedder and for the guest program.

use std::io;

use eryx_tls::TlsError;

use crate::error::NetError;

/// The error for a tunnel that a proxy did not make. The message is for the embedder, behind the
/// name of the proxy; it contains no credentials.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    #[error("its name cannot be resolved: {0}")]
    Unresolved(String),
    #[error("it cannot be reached: {0}")]
    Unreachable(io::Error),
    #[error("TLS to it fails: {0}")]
    Tls(TlsError),
    #[error("the connection to it fails: {0}")]
    Io(#[from] io::Error),
    #[error("it closes the connection before its answer is complete")]
    Closed,
    #[error("its answer is malformed: {0}")]
    Malformed(String),
    #[error("it wants credentials ({0}): add them to its URL, as in `http://user:password@…`")]
    CredentialsMissing(&'static str),
    #[error("it rejects the user name or the password ({0}): correct them in its URL")]
    CredentialsRejected(&'static str),
    /// A status that is not 2xx (RFC 9110, 9.3.6).
    #[error("it answers with HTTP status {0}")]
    Status(u16),
    /// A reply other than "succeeded" (RFC 1928, 6).
    #[error("it answers with SOCKS reply {0} ({text})", text = reply_text(*.0))]
    Reply(u8),
    #[error("the program connects to the proxy itself, which no program may reach")]
    TargetIsProxy,
}

impl ProxyError {
    /// Returns whether another address of the target may succeed: the proxy works, and has answered
    /// about this target.
    pub(crate) fn is_about_target(&self) -> bool {
        matches!(self, Self::Status(_) | Self::Reply(_))
    }

    /// Returns the error for the guest program, which never names the proxy.
    pub(crate) fn for_guest(&self) -> NetError {
        let text = match self {
            // As from a closed port: the program must not find the proxy by trying addresses.
            Self::TargetIsProxy => return NetError::ConnectionRefused,
            Self::Reply(NETWORK_UNREACHABLE) => return NetError::NetworkUnreachable,
            Self::Reply(HOST_UNREACHABLE) => return NetError::HostUnreachable,
            Self::Reply(CONNECTION_REFUSED) => return NetError::ConnectionRefused,
            Self::Reply(TTL_EXPIRED) => return NetError::TimedOut,
            Self::Status(status) => format!("it answers with HTTP status {status}"),
            Self::Reply(reply) => {
                format!(
                    "it answers with SOCKS reply {reply} ({})",
                    reply_text(*reply)
                )
            }
            Self::Unresolved(_) | Self::Unreachable(_) => "it cannot be reached".to_owned(),
            Self::Tls(_) => "TLS to it fails".to_owned(),
            Self::Io(_) | Self::Closed => "it closes the connection".to_owned(),
            Self::Malformed(_) => "its answer is malformed".to_owned(),
            Self::CredentialsMissing(_) | Self::CredentialsRejected(_) => {
                "it does not accept the credentials of the embedder".to_owned()
            }
        };
        NetError::Proxy(format!(
            "the embedder's proxy does not make the connection: {text}"
        ))
    }
}

/// Replies of RFC 1928, 6, that are errors of the target.
const NETWORK_UNREACHABLE: u8 = 3;
const HOST_UNREACHABLE: u8 = 4;
const CONNECTION_REFUSED: u8 = 5;
const TTL_EXPIRED: u8 = 6;

/// Returns the meaning of a reply (RFC 1928, 6).
fn reply_text(reply: u8) -> &'static str {
    match reply {
        1 => "general failure",
        2 => "connection not allowed",
        NETWORK_UNREACHABLE => "network unreachable",
        HOST_UNREACHABLE => "host unreachable",
        CONNECTION_REFUSED => "connection refused",
        TTL_EXPIRED => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "unassigned",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_programs_error_has_the_status_and_nothing_that_names_the_proxy() {
        let secret = || io::Error::other("proxy.corp 10.0.0.5");
        for (error, expected) in [
            (ProxyError::Status(403), "HTTP status 403"),
            (
                ProxyError::Reply(2),
                "SOCKS reply 2 (connection not allowed)",
            ),
            (
                ProxyError::Unresolved("proxy.corp".into()),
                "cannot be reached",
            ),
            (ProxyError::Unreachable(secret()), "cannot be reached"),
            (ProxyError::Io(secret()), "closes"),
            (
                ProxyError::Tls(TlsError::Alert("proxy.corp".into())),
                "TLS to it fails",
            ),
            (ProxyError::Malformed("proxy.corp".into()), "malformed"),
        ] {
            let NetError::Proxy(text) = error.for_guest() else {
                panic!("{error}")
            };
            assert!(text.contains(expected), "{text}");
            assert!(!text.contains("corp") && !text.contains("10."), "{text}");
        }
        assert_eq!(
            ProxyError::Reply(5).for_guest(),
            NetError::ConnectionRefused
        );
        assert_eq!(ProxyError::Reply(4).for_guest(), NetError::HostUnreachable);
    }
}
