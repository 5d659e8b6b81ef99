//! The settings of a handshake, and their limits.

use std::fmt;
use std::sync::Arc;

use rustls_pki_types::{IpAddr, Ipv4Addr, ServerName};
use zeroize::Zeroize;

use crate::crl::Revocation;
use crate::error::TlsError;
use crate::info::Version;

/// The client's settings of a handshake.
///
/// Every field may come from untrusted code: counts and sizes are checked against [`limits`] before
/// any other use.
///
/// ```
/// use eryx_tls::ClientSettings;
///
/// let settings = ClientSettings {
///     alpn: vec![b"http/1.1".to_vec()],
///     ..ClientSettings::for_name("example.com")
/// };
/// assert!(settings.verify_peer && settings.check_hostname);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// The server name to send as SNI ([RFC
    /// 6066](https://www.rfc-editor.org/rfc/rfc6066#section-3)) and to verify: a host name in
    /// ASCII, or an address literal, which is verified but not sent.
    pub server_name: Option<String>,
    /// Application protocols to offer, the preferred first ([RFC
    /// 7301](https://www.rfc-editor.org/rfc/rfc7301)).
    pub alpn: Vec<Vec<u8>>,
    /// Whether the peer's chain must lead to a trusted root.
    pub verify_peer: bool,
    /// Whether the peer's certificate must be for `server_name`. Always required where the embedder
    /// does not permit unverified TLS.
    pub check_hostname: bool,
    /// DER certificates to trust instead of the embedder's roots. They only have an effect where
    /// the embedder permits unverified TLS.
    pub roots: Arc<[Vec<u8>]>,
    /// Whether the chain must also pass the checks of OpenSSL's `X509_V_FLAG_X509_STRICT`. It has
    /// an effect where `roots` do: the embedder's own roots need not be so strict.
    pub strict: bool,
    /// The certificates whose revocation is checked against `revocation_lists`. A certificate
    /// without a list of its issuer is rejected.
    pub revocation: Option<Revocation>,
    /// Certificate revocation lists in DER ([RFC 5280,
    /// 5](https://www.rfc-editor.org/rfc/rfc5280#section-5)). They can only reject more peers, so
    /// they have an effect wherever the roots come from.
    pub revocation_lists: Arc<[Vec<u8>]>,
    /// The client's own certificate, if it has one.
    pub identity: Option<Arc<Identity>>,
    /// The lowest version to accept; `None` is TLS 1.2.
    pub min_version: Option<Version>,
    /// The highest version to offer; `None` is TLS 1.3.
    pub max_version: Option<Version>,
    /// The cipher suites to offer, the preferred first, by their numbers in the [IANA
    /// registry](https://www.iana.org/assignments/tls-parameters/tls-parameters.xhtml#tls-parameters-4).
    /// Empty for all supported suites.
    pub ciphers: Vec<u16>,
    /// The groups to offer for the key exchange, the preferred first, by their numbers in the [IANA
    /// registry](https://www.iana.org/assignments/tls-parameters/tls-parameters.xhtml#tls-parameters-8).
    /// Empty for the default groups.
    pub groups: Vec<u16>,
}

impl ClientSettings {
    /// Returns settings with full verification of `server_name`, and defaults for everything else.
    pub fn for_name(server_name: impl Into<String>) -> Self {
        Self {
            server_name: Some(server_name.into()),
            ..Self::default()
        }
    }

    /// Checks counts and sizes against [`limits`], and that the range of versions is not empty.
    pub(crate) fn check_bounds(&self) -> Result<(), TlsError> {
        let name = self.server_name.as_deref().unwrap_or_default();
        at_most(
            "the server name's length",
            name.len(),
            limits::MAX_SERVER_NAME,
        )?;
        at_most(
            "the number of ALPN protocols",
            self.alpn.len(),
            limits::MAX_ALPN_PROTOCOLS,
        )?;
        for protocol in &self.alpn {
            // RFC 7301, 3.1: ProtocolName is 1 to 255 bytes.
            if protocol.is_empty() {
                return Err(TlsError::Refused("an ALPN protocol is empty".into()));
            }
            at_most("the length of an ALPN protocol", protocol.len(), 255)?;
        }
        at_most("the number of roots", self.roots.len(), limits::MAX_ROOTS)?;
        at_most(
            "the total size of the roots",
            self.roots.iter().map(Vec::len).sum(),
            limits::MAX_ROOTS_SIZE,
        )?;
        at_most(
            "the number of revocation lists",
            self.revocation_lists.len(),
            limits::MAX_REVOCATION_LISTS,
        )?;
        at_most(
            "the total size of the revocation lists",
            self.revocation_lists.iter().map(Vec::len).sum(),
            limits::MAX_REVOCATION_LISTS_SIZE,
        )?;
        at_most(
            "the number of cipher suites",
            self.ciphers.len(),
            limits::MAX_CIPHERS,
        )?;
        at_most(
            "the number of groups",
            self.groups.len(),
            limits::MAX_GROUPS,
        )?;
        if let Some(identity) = &self.identity {
            if identity.chain.is_empty() {
                return Err(TlsError::Refused(
                    "the client identity has a key but no certificate".into(),
                ));
            }
            at_most(
                "the number of certificates in the client's chain",
                identity.chain.len(),
                limits::MAX_CHAIN,
            )?;
            at_most(
                "the total size of the client's chain",
                identity.chain.iter().map(Vec::len).sum(),
                limits::MAX_CHAIN_SIZE,
            )?;
            at_most(
                "the size of the client's key",
                identity.key.len(),
                limits::MAX_KEY_SIZE,
            )?;
        }
        if let (Some(min), Some(max)) = (self.min_version, self.max_version)
            && min > max
        {
            return Err(TlsError::Refused(format!(
                "no protocol version is left: the minimum is {}, the maximum {}",
                min.as_str(),
                max.as_str()
            )));
        }
        Ok(())
    }

    /// Returns the server name in the form that rustls verifies and sends.
    pub(crate) fn parsed_name(&self) -> Result<ServerName<'static>, TlsError> {
        let Some(name) = &self.server_name else {
            // A placeholder: an address is never sent as SNI, and without a name nothing is
            // compared with it.
            return Ok(ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4]))));
        };
        // The root dot is not part of SNI (RFC 6066, 3), nor of the names in a certificate.
        let without_dot = name.strip_suffix('.').unwrap_or(name);
        let parsed = ServerName::try_from(without_dot.to_owned()).ok();
        parsed
            .filter(|_| !without_dot.ends_with('.'))
            .ok_or_else(|| not_a_name(name))
    }
}

impl Default for ClientSettings {
    /// Returns settings without a name or protocols, with full verification and all versions.
    fn default() -> Self {
        Self {
            server_name: None,
            alpn: Vec::new(),
            verify_peer: true,
            check_hostname: true,
            roots: Arc::default(),
            strict: false,
            revocation: None,
            revocation_lists: Arc::default(),
            identity: None,
            min_version: None,
            max_version: None,
            ciphers: Vec::new(),
            groups: Vec::new(),
        }
    }
}

/// A client certificate: its chain and its private key, which is overwritten on drop.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// DER certificates, the client's own first.
    pub chain: Vec<Vec<u8>>,
    /// The private key in DER: PKCS#8 ([RFC 5208](https://www.rfc-editor.org/rfc/rfc5208)), PKCS#1
    /// ([RFC 8017](https://www.rfc-editor.org/rfc/rfc8017)) or SEC1
    /// ([RFC 5915](https://www.rfc-editor.org/rfc/rfc5915)).
    pub key: Vec<u8>,
}

impl Drop for Identity {
    /// Overwrites the key.
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl fmt::Debug for Identity {
    /// Omits the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// The limits of [`ClientSettings`]. Beyond one, the handshake fails with
/// [`Refused`](TlsError::Refused), which names the limit.
pub mod limits {
    /// The most bytes in a server name: the limit of DNS (RFC 1035, 2.3.4), and the root dot.
    pub const MAX_SERVER_NAME: usize = 254;
    /// The most protocols offered by ALPN.
    pub const MAX_ALPN_PROTOCOLS: usize = 32;
    /// The most root certificates. The usual public bundles have about 150.
    pub const MAX_ROOTS: usize = 1024;
    /// The most bytes of all roots together.
    pub const MAX_ROOTS_SIZE: usize = 2 * 1024 * 1024;
    /// The most certificate revocation lists.
    pub const MAX_REVOCATION_LISTS: usize = 64;
    /// The most bytes of all revocation lists together.
    pub const MAX_REVOCATION_LISTS_SIZE: usize = 1024 * 1024;
    /// The most cipher suites offered.
    pub const MAX_CIPHERS: usize = 64;
    /// The most groups offered for the key exchange.
    pub const MAX_GROUPS: usize = 32;
    /// The most certificates in a client's chain.
    pub const MAX_CHAIN: usize = 16;
    /// The most bytes of a client's chain. A TLS message has at most 64 KiB.
    pub const MAX_CHAIN_SIZE: usize = 48 * 1024;
    /// The most certificates that a peer may send, including its own. Servers send two to five.
    /// They are stored with the connection and with each session.
    pub const MAX_PEER_CHAIN: usize = 16;
    /// The most bytes of a client's private key, encrypted or not.
    pub const MAX_KEY_SIZE: usize = 16 * 1024;
    /// The most bytes of the password of an encrypted key: OpenSSL's limit.
    pub const MAX_PASSWORD: usize = 1024;
    /// The most rounds of PBKDF2 of an encrypted key. OpenSSL writes 2,048.
    pub const MAX_ROUNDS: u32 = 1_000_000;
}

fn not_a_name(name: &str) -> TlsError {
    TlsError::Refused(format!(
        "{name:?} is not a server name: wanted a host name in ASCII (an international one in its xn-- form) \
         or an IP address"
    ))
}

fn at_most(quantity: &str, value: usize, limit: usize) -> Result<(), TlsError> {
    if value > limit {
        return Err(TlsError::Refused(format!(
            "{quantity} is {value}; the limit is {limit}"
        )));
    }
    Ok(())
}
