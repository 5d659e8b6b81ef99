use std::fmt;
use std::sync::Arc;

use rustls_pki_types::{IpAddr, Ipv4Addr, ServerName};
use zeroize::Zeroize;

use crate::{Revocation, TlsError, Version};

/// What a client wants of a handshake.
///
/// Every field may come from untrusted code: counts and sizes are held to [`limits`] before anything else
/// looks at them.
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
    /// The name to send as SNI ([RFC 6066](https://www.rfc-editor.org/rfc/rfc6066#section-3)) and to verify: a
    /// host name in ASCII, or an address literal, which is verified but not sent.
    pub server_name: Option<String>,
    /// Application protocols to offer, the preferred first ([RFC 7301](https://www.rfc-editor.org/rfc/rfc7301)).
    pub alpn: Vec<Vec<u8>>,
    /// Whether the peer's chain must lead to a trusted root.
    pub verify_peer: bool,
    /// Whether the peer's certificate must be for `server_name`. Where the host does not permit unverified TLS it must be
    /// all the same.
    pub check_hostname: bool,
    /// DER certificates to trust instead of the host's. They count only where the host permits unverified TLS.
    pub roots: Arc<[Vec<u8>]>,
    /// Whether the chain must also meet what OpenSSL's `X509_V_FLAG_X509_STRICT` asks. It counts where `roots` do: the
    /// host's own roots need not be so strict.
    pub strict: bool,
    /// Whose revocation is looked up in `revocation_lists`. Whoever is in none of them is refused.
    pub revocation: Option<Revocation>,
    /// Certificate revocation lists in DER ([RFC 5280, 5](https://www.rfc-editor.org/rfc/rfc5280#section-5)). They can
    /// only make fewer peers acceptable, so they count whoever decides on trust.
    pub revocation_lists: Arc<[Vec<u8>]>,
    /// The client's own certificate, if it has one.
    pub identity: Option<Arc<Identity>>,
    /// The lowest version to accept; `None` is TLS 1.2.
    pub min_version: Option<Version>,
    /// The highest version to offer; `None` is TLS 1.3.
    pub max_version: Option<Version>,
    /// The cipher suites to offer, the preferred first, by their numbers in the
    /// [IANA registry](https://www.iana.org/assignments/tls-parameters/tls-parameters.xhtml#tls-parameters-4). Empty for
    /// all there are.
    pub ciphers: Vec<u16>,
    /// The groups to offer for the key exchange, the preferred first, by their numbers in the
    /// [IANA registry](https://www.iana.org/assignments/tls-parameters/tls-parameters.xhtml#tls-parameters-8). Empty for
    /// the usual ones.
    pub groups: Vec<u16>,
}

impl ClientSettings {
    /// Fully verified settings for `server_name`, everything else left to the host.
    pub fn for_name(server_name: impl Into<String>) -> Self {
        Self {
            server_name: Some(server_name.into()),
            ..Self::default()
        }
    }

    /// Holds counts and sizes to [`limits`] and the versions to a range that is not empty.
    pub(crate) fn check_bounds(&self) -> Result<(), TlsError> {
        let name = self.server_name.as_deref().unwrap_or_default();
        at_most("the server name's length", name.len(), limits::SERVER_NAME)?;
        at_most(
            "the number of ALPN protocols",
            self.alpn.len(),
            limits::ALPN_PROTOCOLS,
        )?;
        for protocol in &self.alpn {
            // RFC 7301, 3.1: ProtocolName is 1 to 255 bytes.
            if protocol.is_empty() {
                return Err(TlsError::Refused("an ALPN protocol is empty".into()));
            }
            at_most("the length of an ALPN protocol", protocol.len(), 255)?;
        }
        at_most("the number of roots", self.roots.len(), limits::ROOTS)?;
        at_most(
            "the total size of the roots",
            self.roots.iter().map(Vec::len).sum(),
            limits::ROOTS_SIZE,
        )?;
        at_most(
            "the number of revocation lists",
            self.revocation_lists.len(),
            limits::REVOCATION_LISTS,
        )?;
        at_most(
            "the total size of the revocation lists",
            self.revocation_lists.iter().map(Vec::len).sum(),
            limits::REVOCATION_LISTS_SIZE,
        )?;
        at_most(
            "the number of cipher suites",
            self.ciphers.len(),
            limits::CIPHERS,
        )?;
        at_most("the number of groups", self.groups.len(), limits::GROUPS)?;
        if let Some(identity) = &self.identity {
            if identity.chain.is_empty() {
                return Err(TlsError::Refused(
                    "the client identity has a key but no certificate".into(),
                ));
            }
            at_most(
                "the number of certificates in the client's chain",
                identity.chain.len(),
                limits::CHAIN,
            )?;
            at_most(
                "the total size of the client's chain",
                identity.chain.iter().map(Vec::len).sum(),
                limits::CHAIN_SIZE,
            )?;
            at_most(
                "the size of the client's key",
                identity.key.len(),
                limits::KEY_SIZE,
            )?;
        }
        if let (Some(min), Some(max)) = (self.min_version, self.max_version)
            && min > max
        {
            return Err(TlsError::Refused(format!(
                "no protocol version is left: the minimum is {}, the maximum {}",
                min.name(),
                max.name()
            )));
        }
        Ok(())
    }

    /// The name in the form rustls verifies and sends.
    pub(crate) fn parsed_name(&self) -> Result<ServerName<'static>, TlsError> {
        let Some(name) = &self.server_name else {
            // An address is never sent as SNI, and without a name nothing is compared with it.
            return Ok(ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4]))));
        };
        // The root's dot is not part of SNI (RFC 6066, 3) nor of a certificate's names.
        let bare = name.strip_suffix('.').unwrap_or(name);
        let parsed = ServerName::try_from(bare.to_owned()).ok();
        parsed
            .filter(|_| !bare.ends_with('.'))
            .ok_or_else(|| not_a_name(name))
    }
}

impl Default for ClientSettings {
    /// No name, no protocols, everything verified, any version.
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

/// A certificate chain and its private key, for servers that ask the client for one. The key is overwritten when this is
/// dropped.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// DER certificates, the end entity's first.
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
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// Upper bounds on what [`ClientSettings`] may hold. Beyond one, a handshake is
/// [`Refused`](TlsError::Refused) with a sentence that names it.
pub mod limits {
    /// Bytes in a server name: what DNS permits (RFC 1035, 2.3.4), and the root's dot.
    pub const SERVER_NAME: usize = 254;
    /// Protocols offered by ALPN.
    pub const ALPN_PROTOCOLS: usize = 32;
    /// Certificates loaded as roots. The usual public bundles hold about 150.
    pub const ROOTS: usize = 1024;
    /// Bytes of all roots together.
    pub const ROOTS_SIZE: usize = 2 * 1024 * 1024;
    /// Certificate revocation lists.
    pub const REVOCATION_LISTS: usize = 64;
    /// Bytes of all revocation lists together.
    pub const REVOCATION_LISTS_SIZE: usize = 1024 * 1024;
    /// Cipher suites offered.
    pub const CIPHERS: usize = 64;
    /// Groups offered for the key exchange.
    pub const GROUPS: usize = 32;
    /// Certificates in a client's chain.
    pub const CHAIN: usize = 16;
    /// Bytes of a client's chain: TLS messages are held to 64 KiB.
    pub const CHAIN_SIZE: usize = 48 * 1024;
    /// Certificates that a peer may send, its own included. Servers send two to five; what they send is kept with the
    /// connection and with each session to resume.
    pub const PEER_CHAIN: usize = 16;
    /// Bytes of a client's private key, encrypted or not.
    pub const KEY_SIZE: usize = 16 * 1024;
    /// Bytes of the password of an encrypted key: what OpenSSL has room for.
    pub const PASSWORD: usize = 1024;
    /// Rounds of PBKDF2 that an encrypted key may ask for. OpenSSL writes 2,048.
    pub const ROUNDS: u32 = 1_000_000;
}

fn not_a_name(name: &str) -> TlsError {
    TlsError::Refused(format!(
        "{name:?} is not a server name: wanted a host name in ASCII (an international one in its xn-- form) \
         or an IP address"
    ))
}

fn at_most(what: &str, found: usize, limit: usize) -> Result<(), TlsError> {
    if found > limit {
        return Err(TlsError::Refused(format!(
            "{what} is {found}; the limit is {limit}"
        )));
    }
    Ok(())
}
