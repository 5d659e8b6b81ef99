//! A connection of a sandbox to a hostile TLS server.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, LazyLock},
    time::Duration,
};

use eryx_net_host::{Connection, NetConfig, NetError, Network, poll};
use eryx_tls::ClientSettings;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ContentType, ServerConfig, ServerConnection, crypto::aws_lc_rs, pki_types::PrivateKeyDer,
};
use tokio::runtime::Runtime;

use crate::{
    forged,
    operations::Script,
    sealer::{Sealer, ticket},
    tls_peer::content,
};

/// Runs a script on a connection and its peer.
pub fn run(script: &[u8]) {
    let setup = &*SETUP;
    setup.runtime.block_on(async {
        let mut script = Script::new(script);
        let Some(kind) = script.byte() else {
            return;
        };
        let network = Network::new(&setup.config);
        let mut client = network.connect(HOST, setup.port).expect("allowed");
        client.finish_connect(None).await.expect("a listener");
        let (socket, _) = setup.listener.accept().expect("a client");
        socket.set_nonblocking(true).expect("a socket");
        let mut pair = Pair {
            client,
            socket,
            sealer: None,
            sent: 0,
            read: 0,
            read_error: None,
        };
        // Some scripts begin before the handshake; most of them fail it.
        if kind & 3 != 0 {
            pair.handshake().await;
        } else {
            let _ = pair.client.start_tls(&settings(), NOW).await;
        }
        for _ in 0..MAX_OPERATIONS {
            let Some(operation) = script.byte() else {
                break;
            };
            pair.step(operation, &mut script).await;
        }
        pair.read(1 << 16).await;
    });
}

/// A connection and its hostile peer.
struct Pair {
    client: Connection,
    socket: TcpStream,
    /// Encrypts the server's records once the handshake is complete.
    sealer: Option<Sealer>,
    /// Bytes of plaintext sent.
    sent: usize,
    /// Bytes of plaintext read.
    read: usize,
    /// The error of reading, which has to stay the same.
    read_error: Option<String>,
}

impl Pair {
    async fn handshake(&mut self) {
        let server = Arc::clone(&SETUP.server);
        let mut server = ServerConnection::new(server).expect("valid settings");
        loop {
            let outcome = self.client.start_tls(&settings(), NOW).await;
            // Reads and writes what is possible now.
            let _ = server.complete_io(&mut self.socket);
            match outcome {
                Ok(()) if !server.is_handshaking() => break,
                Ok(()) | Err(NetError::WouldBlock) => {}
                Err(error) => panic!("with an honest peer: {error}"),
            }
            tokio::task::yield_now().await;
        }
        self.sealer = Some(Sealer::new(server).expect("TLS 1.3"));
    }

    async fn step(&mut self, operation: u8, script: &mut Script<'_>) {
        let detail = usize::from(script.byte().unwrap_or(0));
        match operation % 12 {
            0 => self.write(detail * 16, 0),
            // One byte with much padding.
            1 => self.write(1, detail * 64),
            2 => self.seal(|sealer| sealer.handshake(&ticket((detail * 256) as u16), 16 * 1024)),
            3 => self.seal(|sealer| sealer.handshake(&ticket(detail as u16), 1 + detail / 16)),
            4 => {
                let tickets: Vec<u8> = std::iter::repeat_n(ticket(1), detail).flatten().collect();
                self.seal(|sealer| sealer.handshake(&tickets, 16 * 1024));
            }
            5 => {
                let bytes = script.bytes(detail);
                // Any type except application data, which `write` counts.
                let kinds = [20, 21, 22, 24, 25];
                let kind = kinds[usize::from(script.byte().unwrap_or(0)) % kinds.len()];
                let kind = ContentType::from(kind);
                self.seal(|sealer| sealer.record(kind, &bytes));
            }
            6 => {
                // A message of any type, possibly incomplete.
                let body = script.bytes(detail * 8);
                let mut message = forged::message(script.byte().unwrap_or(4), &body);
                message.truncate(4 + detail * 4);
                self.seal(|sealer| sealer.handshake(&message, 16 * 1024));
            }
            7 => {
                let bytes = script.bytes(detail);
                self.send(&bytes);
            }
            8 => {
                let bytes = script.bytes(detail);
                self.send(&forged::records(20 + (detail % 6) as u8, &bytes));
            }
            9 => self.read(1 + detail * 64).await,
            10 => {
                let client = &mut self.client;
                poll::wait_ready(NOW, |sweep| sweep.poll(|cx| client.poll_readable(cx))).await;
            }
            _ => {
                let _ = self.client.write(&[7; 300][..detail], NOW).await;
                // Drains the socket; the data are not checked here.
                let _ = self.socket.read(&mut [0; 4096]);
            }
        }
    }

    fn write(&mut self, count: usize, padding: usize) {
        let data: Vec<u8> = (self.sent..self.sent + count).map(content).collect();
        if self.sealer.is_some() {
            self.sent += count;
            self.seal(|sealer| sealer.padded(&data, padding));
        }
    }

    /// Sends records that the sealer encrypts.
    fn seal(&mut self, encrypt: impl FnOnce(&mut Sealer) -> Vec<u8>) {
        if let Some(sealer) = &mut self.sealer {
            let records = encrypt(sealer);
            self.send(&records);
        }
    }

    /// Sends bytes. Those that do not fit the socket's buffer are lost, and the rest of the script
    /// fails.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.socket.write(bytes);
    }

    async fn read(&mut self, max: usize) {
        match self.client.read(max, NOW).await {
            Ok(bytes) => {
                assert!(
                    self.read_error.is_none(),
                    "data after {:?}",
                    self.read_error
                );
                assert!(bytes.len() <= max);
                for byte in bytes {
                    assert_eq!(byte, content(self.read), "byte {}", self.read);
                    self.read += 1;
                }
                assert!(self.read <= self.sent);
            }
            Err(NetError::WouldBlock) => assert!(self.read_error.is_none()),
            // Before the handshake is complete.
            Err(NetError::InvalidArgument(_)) => assert!(self.sealer.is_none()),
            Err(error) => {
                let message = error.to_string();
                if let Some(earlier) = &self.read_error {
                    assert_eq!(earlier, &message);
                }
                self.read_error = Some(message);
            }
        }
    }
}

fn settings() -> ClientSettings {
    ClientSettings::for_name(HOST)
}

/// The timeout of all operations.
const NOW: Option<Duration> = Some(Duration::ZERO);

/// The maximum number of operations of a script.
const MAX_OPERATIONS: usize = 200;

const HOST: &str = "localhost";

/// The parts that all runs share.
struct Setup {
    runtime: Runtime,
    listener: TcpListener,
    port: u16,
    config: NetConfig,
    server: Arc<ServerConfig>,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![HOST.to_owned()]).expect("a name");
    let cert = params.self_signed(&key).expect("a certificate");
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a certificate and its key");
    server.enable_secret_extraction = true;
    server.send_tls13_tickets = 0;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    Setup {
        runtime: tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime"),
        port: listener.local_addr().expect("a port").port(),
        listener,
        config: NetConfig::permissive()
            .with_root_cert(cert.der())
            .expect("a root"),
        server: Arc::new(server),
    }
});
