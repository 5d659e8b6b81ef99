//! The other side: a TLS server that means well, and a way to the client that need not.

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

use crate::script::{Script, Step};

pub(crate) struct Peer {
    server: ServerConnection,
    /// Ciphertext on its way to the client.
    pub(crate) under_way: Vec<u8>,
    /// Plaintext that the server was given to say.
    pub(crate) said: usize,
    /// Plaintext that has reached the server.
    pub(crate) heard: usize,
    /// Whether all that was under way is what the server said.
    pub(crate) honest: bool,
    pub(crate) closed: bool,
    rekeyed: usize,
}

/// A peer and a connector that trusts it, in one of the ways the first byte of a script can say.
pub(crate) fn meet(kind: u8) -> (Peer, Connector, ClientSettings) {
    let version = (kind & 1 != 0).then_some(Version::Tls12);
    let settings = ClientSettings {
        max_version: version,
        alpn: if kind & 2 != 0 {
            vec![b"http/1.1".to_vec()]
        } else {
            Vec::new()
        },
        // With this the chain is not looked at, and what the peer does counts earlier.
        verify_peer: kind & 4 == 0,
        check_hostname: kind & 4 == 0,
        ..ClientSettings::for_name(HOST)
    };
    let identity = &*IDENTITY;
    let server = if kind & 8 != 0 {
        &identity.asking
    } else {
        &identity.plain
    };
    let connector = Connector::new(identity.trust.clone(), true);
    let server = ServerConnection::new(Arc::clone(server)).expect("a server of good settings");
    let peer = Peer {
        server,
        under_way: Vec::new(),
        said: 0,
        heard: 0,
        honest: true,
        closed: false,
        rekeyed: 0,
    };
    (peer, connector, settings)
}

impl Peer {
    /// Does what a step says about the peer or the way from it. Says whether it did.
    pub(crate) fn take_part(&mut self, step: Step, script: &mut Script<'_>) -> bool {
        match step {
            Step::PeerWrite(count) => self.say(count),
            // Before, it would have to say so in plain text.
            Step::PeerClose if self.server.is_handshaking() => {}
            Step::PeerClose => {
                self.server.send_close_notify();
                self.closed = true;
            }
            // A client may take very many for an attack.
            Step::PeerRekey if self.rekeyed >= REKEYS => {}
            Step::PeerRekey => {
                // An error means that this version, or this moment, has no such thing.
                let _ = self.server.refresh_traffic_keys();
                self.rekeyed += 1;
            }
            Step::Damage(at, bits) => {
                let near = self.under_way.len().checked_sub(1).map(|last| at.min(last));
                if let Some(at) = near {
                    self.under_way[at] ^= bits;
                    self.honest = false;
                }
            }
            Step::Inject(count) => self.inject(&script.bytes(count)),
            Step::InjectRecord(kind, count) => {
                let body = script.bytes(count.min(RECORD));
                let [high, low] = (body.len() as u16).to_be_bytes();
                // Record types are 20 to 24 (RFC 8446, B.1); others are as wrong as any byte.
                self.inject(&[20 + kind % 6, 3, 3, high, low]);
                self.inject(&body);
            }
            Step::Lose(count) => {
                let count = count.min(self.under_way.len());
                self.under_way.drain(..count);
                self.honest &= count == 0;
            }
            _ => return false,
        }
        self.speak();
        true
    }

    /// Takes ciphertext from the client, which has to be right.
    pub(crate) fn hear(&mut self, mut ciphertext: &[u8]) {
        while !ciphertext.is_empty() {
            match self.server.read_tls(&mut ciphertext) {
                // After the client's close_notify nothing is read any more.
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
            if let Err(error) = self.server.process_new_packets() {
                assert!(!self.honest, "the server does not understand: {error}");
            }
            let mut plaintext = Vec::new();
            // Ends in `WouldBlock`, or the client's end; what came before it is what counts.
            let _ = self.server.reader().read_to_end(&mut plaintext);
            for byte in plaintext {
                assert_eq!(
                    byte,
                    content(self.heard),
                    "byte {} for the server",
                    self.heard
                );
                self.heard += 1;
            }
        }
        self.speak();
    }

    fn say(&mut self, count: usize) {
        if self.closed || self.server.is_handshaking() {
            return;
        }
        let plaintext: Vec<u8> = (self.said..self.said + count).map(content).collect();
        // Takes as much as it has room for.
        self.said += self.server.writer().write(&plaintext).unwrap_or(0);
    }

    fn inject(&mut self, bytes: &[u8]) {
        self.under_way.extend_from_slice(bytes);
        self.honest &= bytes.is_empty();
    }

    fn speak(&mut self) {
        while self.server.wants_write() {
            self.server
                .write_tls(&mut self.under_way)
                .expect("memory takes all");
        }
    }
}

/// The byte at one place of what either side says.
pub(crate) fn content(at: usize) -> u8 {
    (at % 251) as u8
}

/// More than a record may hold in any version (RFC 5246, 6.2.3), to see that it is refused.
const RECORD: usize = (1 << 14) + 2048 + 100;

/// How often an honest peer changes its keys.
const REKEYS: usize = 16;

const HOST: &str = "server.example";

struct Identity {
    trust: TrustStore,
    plain: Arc<ServerConfig>,
    /// Asks the client for a certificate, which it need not have.
    asking: Arc<ServerConfig>,
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
        asking: finish(server().with_client_cert_verifier(verifier)),
    }
});
