//! The result of a handshake: version, cipher, ALPN protocol and the peer's chain.

use rustls::client::UnbufferedClientConnection;
use rustls::{CipherSuite, HandshakeKind, ProtocolVersion};

/// A protocol version. Older versions are not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// TLS 1.2 ([RFC 5246](https://www.rfc-editor.org/rfc/rfc5246)).
    Tls12,
    /// TLS 1.3 ([RFC 8446](https://www.rfc-editor.org/rfc/rfc8446)).
    Tls13,
}

impl Version {
    /// Returns OpenSSL's name for the version, as Python's `SSLSocket.version()` does.
    ///
    /// ```
    /// assert_eq!(eryx_tls::Version::Tls13.as_str(), "TLSv1.3");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

/// The result of a complete handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The protocol version.
    pub version: Version,
    /// OpenSSL's name of the cipher suite, such as `TLS_AES_256_GCM_SHA384` or
    /// `ECDHE-RSA-AES128-GCM-SHA256`.
    pub cipher: &'static str,
    /// The strength of the cipher in bits.
    pub cipher_bits: u16,
    /// The negotiated application protocol, if any ([RFC
    /// 7301](https://www.rfc-editor.org/rfc/rfc7301)).
    pub alpn: Option<Vec<u8>>,
    /// The peer's certificates in DER as sent, its own first. A resumed session has the
    /// certificates of the session that it resumes.
    pub peer_chain: Vec<Vec<u8>>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

impl Info {
    /// Returns the result of a connection's handshake; `None` if the handshake is not complete.
    pub(crate) fn from_connection(conn: &UnbufferedClientConnection) -> Option<Self> {
        let version = match conn.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Version::Tls12,
            ProtocolVersion::TLSv1_3 => Version::Tls13,
            _ => return None,
        };
        let (cipher, cipher_bits) = openssl_cipher(conn.negotiated_cipher_suite()?.suite());
        Some(Self {
            version,
            cipher,
            cipher_bits,
            alpn: conn.alpn_protocol().map(<[u8]>::to_vec),
            peer_chain: conn
                .peer_certificates()
                .unwrap_or_default()
                .iter()
                .map(|cert| cert.to_vec())
                .collect(),
            resumed: conn.handshake_kind() == Some(HandshakeKind::Resumed),
        })
    }
}

/// Returns OpenSSL's name and the key length in bits of a suite in the [IANA
/// registry](https://www.iana.org/assignments/tls-parameters/tls-parameters.xhtml#tls-parameters-4).
fn openssl_cipher(suite: CipherSuite) -> (&'static str, u16) {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => ("TLS_AES_128_GCM_SHA256", 128),
        CipherSuite::TLS13_AES_256_GCM_SHA384 => ("TLS_AES_256_GCM_SHA384", 256),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => ("TLS_CHACHA20_POLY1305_SHA256", 256),
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => {
            ("ECDHE-ECDSA-AES128-GCM-SHA256", 128)
        }
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => {
            ("ECDHE-ECDSA-AES256-GCM-SHA384", 256)
        }
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => {
            ("ECDHE-ECDSA-CHACHA20-POLY1305", 256)
        }
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => ("ECDHE-RSA-AES128-GCM-SHA256", 128),
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => ("ECDHE-RSA-AES256-GCM-SHA384", 256),
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => {
            ("ECDHE-RSA-CHACHA20-POLY1305", 256)
        }
        other => (other.as_str().unwrap_or("unknown"), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::openssl_cipher;

    #[test]
    fn every_offered_cipher_suite_has_a_name_and_a_strength() {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        assert!(!provider.cipher_suites.is_empty());
        for suite in provider.cipher_suites {
            let (name, bits) = openssl_cipher(suite.suite());
            assert!(bits == 128 || bits == 256, "{:?}", suite.suite());
            assert!(
                !name.contains("_WITH_") && !name.contains("TLS13"),
                "{name}"
            );
        }
    }
}
