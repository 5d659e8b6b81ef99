//! A hostile TLS 1.3 server: encrypts arbitrary records with the keys of a real handshake.

use std::io;

use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::{
    ConnectionTrafficSecrets, ContentType, ProtocolVersion, ServerConnection, SupportedCipherSuite,
};

/// Encrypts records that a client accepts as its server's.
pub struct Sealer {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Sealer {
    /// Takes the keys of a server that has completed its handshake and sent all its records. Its
    /// configuration must have `enable_secret_extraction` set.
    ///
    /// # Errors
    ///
    /// If the handshake is not complete, did not negotiate TLS 1.3, or the configuration does not
    /// allow extracting the keys.
    pub fn new(server: ServerConnection) -> io::Result<Self> {
        let Some(SupportedCipherSuite::Tls13(suite)) = server.negotiated_cipher_suite() else {
            return Err(io::Error::other("the handshake did not negotiate TLS 1.3"));
        };
        let secrets = server
            .dangerous_extract_secrets()
            .map_err(io::Error::other)?;
        let (sequence, keys) = secrets.tx;
        let (key, iv) = match keys {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv }
            | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
            | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
            _ => return Err(io::Error::other("an unknown kind of key")),
        };
        Ok(Self {
            encrypter: suite.aead_alg.encrypter(key, iv),
            sequence,
        })
    }

    /// Returns one record of type `kind` (RFC 8446, 5.2) with at most 16 KiB of content.
    pub fn record(&mut self, kind: ContentType, content: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ: kind,
            version: ProtocolVersion::TLSv1_3,
            payload: OutboundChunks::Single(content),
        };
        let record = self
            .encrypter
            .encrypt(message, self.sequence)
            .expect("a message to encrypt");
        self.sequence += 1;
        record.encode()
    }

    /// Returns a record of application data followed by `padding` zeros (RFC 8446, 5.4).
    pub fn padded(&mut self, data: &[u8], padding: usize) -> Vec<u8> {
        let mut content = data.to_vec();
        content.push(u8::from(ContentType::ApplicationData));
        // The encrypter appends the type as one more zero.
        content.resize(data.len() + padding.max(1), 0);
        self.record(ContentType::from(0), &content)
    }

    /// Returns a handshake message in records of at most `piece` bytes of content.
    pub fn handshake(&mut self, message: &[u8], piece: usize) -> Vec<u8> {
        message
            .chunks(piece)
            .flat_map(|piece| self.record(ContentType::Handshake, piece))
            .collect()
    }
}

/// Returns a NewSessionTicket message (RFC 8446, 4.6.1) with a ticket of `size` bytes.
#[must_use]
pub fn ticket(size: u16) -> Vec<u8> {
    // Valid for an hour, without nonce and extensions.
    let mut body = vec![0, 0, 14, 16, 0, 0, 0, 0, 0];
    body.extend(size.to_be_bytes());
    body.resize(body.len() + usize::from(size), 7);
    body.extend([0, 0]);
    crate::forged::message(4, &body)
}
