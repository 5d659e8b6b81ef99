//! An honest TLS server, and a hostile network between it and the client.

use std::{
    io::{Read, Write},
    sync::{Arc, LazyLock},
};

use eryx_tls::{ClientSettings, Connector, TrustStore, Version};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, ServerConnection, crypto::aws_lc_rs, pki_types::PrivateKeyDer,
    server::WebPkiClientVerifier,
};

use crate::operations::{Operation, Script};

/// A TLS server, and the network from it to the client.
pub(crate) struct Peer {
    server: ServerConnection,
    /// Ciphertext on its way to the client.
    pub(crate) in_flight: Vec<u8>,
    /// Bytes of plaintext that the server has sent.
    pub(crate) sent: usize,
    /// Bytes of plaintext that the server has received.
    pub(crate) received: usize,
    /// Whether the network has delivered only what the server sent.
    pub(crate) honest: bool,
    /// The server has closed TLS.
    pub(crate) closed: bool,
    rekeys: usize,
}

/// Creates a peer, a connector that trusts it, and settings, according to the first byte of a
/// script.
pub(crate) fn peer_and_connector(kind: u8) -> (Peer, Connector, ClientSettings) {
    let version = (kind & 1 != 0).then_some(Version::Tls12);
    let settings = ClientSettings {
        max_version: version,
        alpn: if kind & 2 != 0 {
            vec![b"http/1.1".to_vec()]
        } else {
            Vec::new()
        },
        // Without verification, the client processes the peer's records earlier.
        verify_peer: kind & 4 == 0,
        check_hostname: kind & 4 == 0,
        ..ClientSettings::for_name(HOST)
    };
    let identity = &*IDENTITY;
    let server = if kind & 8 != 0 {
        &identity.client_auth
    } else {
        &identity.plain
    };
    let connector = Connector::new(identity.trust.clone(), true);
    let server = ServerConnection::new(Arc::clone(server)).expect("valid settings");
    let peer = Peer {
        server,
        in_flight: Vec::new(),
        sent: 0,
        received: 0,
        honest: true,
        closed: false,
        rekeys: 0,
    };
    (peer, connector, settings)
}

impl Peer {
    /// Runs an operation of the peer or the network, and returns whether it is one.
    pub(crate) fn step(&mut self, operation: Operation, script: &mut Script<'_>) -> bool {
        match operation {
            Operation::PeerWrite(count) => self.write(count),
            // Before the handshake is complete, the alert would be in plaintext.
            Operation::PeerClose if self.server.is_handshaking() => {}
            Operation::PeerClose => {
                self.server.send_close_notify();
                self.closed = true;
            }
            // The client treats too many key updates as an attack.
            Operation::PeerRekey if self.rekeys >= MAX_REKEYS => {}
            Operation::PeerRekey => {
                // Fails if the version or the state does not permit a key update.
                let _ = self.server.refresh_traffic_keys();
                self.rekeys += 1;
            }
            Operation::Damage(at, bits) => {
                let offset = self.in_flight.len().checked_sub(1).map(|last| at.min(last));
                if let Some(at) = offset {
                    self.in_flight[at] ^= bits;
                    self.honest = false;
                }
            }
            Operation::Inject(count) => self.inject(&script.bytes(count)),
            Operation::InjectRecord(kind, count) => {
                let body = script.bytes(count.min(MAX_RECORD));
                let [high, low] = (body.len() as u16).to_be_bytes();
                // The valid record types are 20 to 24 (RFC 8446, B.1).
                self.inject(&[20 + kind % 6, 3, 3, high, low]);
                self.inject(&body);
            }
            Operation::Lose(count) => {
                let count = count.min(self.in_flight.len());
                self.in_flight.drain(..count);
                self.honest &= count == 0;
            }
            _ => return false,
        }
        self.send();
        true
    }

    /// Processes ciphertext from the client, which must be valid while the network is honest.
    pub(crate) fn receive(&mut self, mut ciphertext: &[u8]) {
        while !ciphertext.is_empty() {
            match self.server.read_tls(&mut ciphertext) {
                // The server reads nothing after the client's close_notify.
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            if let Err(error) = self.server.process_new_packets() {
                assert!(!self.honest, "the server rejects it: {error}");
            }
            let mut plaintext = Vec::new();
            // Ends with `WouldBlock` or the end of the stream; the data before it are checked.
            let _ = self.server.reader().read_to_end(&mut plaintext);
            for byte in plaintext {
                assert_eq!(
                    byte,
                    content(self.received),
                    "byte {} for the server",
                    self.received
                );
                self.received += 1;
            }
        }
        self.send();
    }

    fn write(&mut self, count: usize) {
        if self.closed || self.server.is_handshaking() {
            return;
        }
        let plaintext: Vec<u8> = (self.sent..self.sent + count).map(content).collect();
        // The writer accepts as much as it can buffer.
        self.sent += self.server.writer().write(&plaintext).unwrap_or(0);
    }

    fn inject(&mut self, bytes: &[u8]) {
        self.in_flight.extend_from_slice(bytes);
        self.honest &= bytes.is_empty();
    }

    fn send(&mut self) {
        while self.server.wants_write() {
            self.server
                .write_tls(&mut self.in_flight)
                .expect("writes to memory succeed");
        }
    }
}

/// Returns the byte at `offset` of the plaintext of either side.
pub(crate) fn content(offset: usize) -> u8 {
    (offset % 251) as u8
}

/// More than the maximum length of a record in any version (RFC 5246, 6.2.3), which must be
/// rejected.
const MAX_RECORD: usize = (1 << 14) + 2048 + 100;

/// The maximum number of key updates of an honest peer.
const MAX_REKEYS: usize = 16;

const HOST: &str = "server.example";

/// The configurations of the server, and the trust store of the client.
struct Identity {
    trust: TrustStore,
    plain: Arc<ServerConfig>,
    /// Requests a client certificate, which is optional.
    client_auth: Arc<ServerConfig>,
}

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![HOST.to_owned()]).expect("a name");
    let cert = params.self_signed(&key).expect("a certificate");
    let trust = TrustStore::empty()
        .with_root_cert(cert.der())
        .expect("a root");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("a root");
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .expect("a verifier");
    let server = || {
        ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
    };
    let finish = |builder: rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>| {
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config = builder
            .with_single_cert(vec![cert.der().clone()], key)
            .expect("a certificate and its key");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    };
    Identity {
        trust,
        plain: finish(server().with_no_client_auth()),
        client_auth: finish(server().with_client_cert_verifier(verifier)),
    }
});
