//! A connection of a sandbox to a TLS server that says what no library would.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, LazyLock},
    time::Duration,
};

use eryx_net_host::{Connection, NetConfig, NetError, Network, readiness};
use eryx_tls::ClientSettings;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ContentType, ServerConfig, ServerConnection, crypto::aws_lc_rs, pki_types::PrivateKeyDer,
};
use tokio::runtime::Runtime;

use crate::{
    forged,
    peer::content,
    script::Script,
    sealer::{Sealer, ticket},
};

/// Lets a script happen to a connection and its peer.
pub fn run(script: &[u8]) {
    let world = &*WORLD;
    world.runtime.block_on(async {
        let mut script = Script::new(script);
        let Some(kind) = script.byte() else {
            return;
        };
        let network = Network::new(&world.config);
        let mut client = network.connect(HOST, world.port).expect("allowed");
        client.finish_connect(None).await.expect("a listener");
        let (socket, _) = world.listener.accept().expect("a client");
        socket.set_nonblocking(true).expect("a socket");
        let mut pair = Pair {
            client,
            socket,
            sealer: None,
            said: 0,
            read: 0,
            failure: None,
        };
        // Some scripts begin before the handshake, and most of those end there.
        if kind & 3 != 0 {
            pair.shake_hands().await;
        } else {
            let _ = pair.client.start_tls(&settings(), NOW).await;
        }
        for _ in 0..STEPS {
            let Some(what) = script.byte() else {
                break;
            };
            pair.step(what, &mut script).await;
        }
        pair.read(1 << 16).await;
    });
}

struct Pair {
    client: Connection,
    socket: TcpStream,
    /// Speaks for the server once the handshake is complete.
    sealer: Option<Sealer>,
    /// Plaintext that was sealed.
    said: usize,
    read: usize,
    /// What reading failed with: it has to stay so.
    failure: Option<String>,
}

impl Pair {
    async fn shake_hands(&mut self) {
        let server = Arc::clone(&WORLD.server);
        let mut server = ServerConnection::new(server).expect("a server of good settings");
        loop {
            let outcome = self.client.start_tls(&settings(), NOW).await;
            // Whatever is there to be read or written.
            let _ = server.complete_io(&mut self.socket);
            match outcome {
                Ok(()) if !server.is_handshaking() => break,
                Ok(()) | Err(NetError::WouldBlock) => {}
                Err(error) => panic!("between honest peers: {error}"),
            }
            tokio::task::yield_now().await;
        }
        self.sealer = Some(Sealer::new(server).expect("TLS 1.3"));
    }

    async fn step(&mut self, what: u8, script: &mut Script<'_>) {
        let detail = usize::from(script.byte().unwrap_or(0));
        match what % 12 {
            0 => self.say(detail * 16, 0),
            // Little, behind much padding.
            1 => self.say(1, detail * 64),
            2 => self.seal(|sealer| sealer.handshake(&ticket((detail * 256) as u16), 16 * 1024)),
            3 => self.seal(|sealer| sealer.handshake(&ticket(detail as u16), 1 + detail / 16)),
            4 => {
                let tickets: Vec<u8> = std::iter::repeat_n(ticket(1), detail).flatten().collect();
                self.seal(|sealer| sealer.handshake(&tickets, 16 * 1024));
            }
            5 => {
                let bytes = script.bytes(detail);
                // Any but application data, which `say` counts.
                let kinds = [20, 21, 22, 24, 25];
                let kind = kinds[usize::from(script.byte().unwrap_or(0)) % kinds.len()];
                let kind = ContentType::from(kind);
                self.seal(|sealer| sealer.record(kind, &bytes));
            }
            6 => {
                // A message of any type, be it complete or not.
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
                readiness::wait_ready(NOW, |look| look.is_ready(|cx| client.poll_readable(cx))).await;
            }
            _ => {
                let _ = self.client.write(&[7; 300][..detail], NOW).await;
                // Makes room, and is none of this target's business.
                let _ = self.socket.read(&mut [0; 4096]);
            }
        }
    }

    fn say(&mut self, count: usize, padding: usize) {
        let data: Vec<u8> = (self.said..self.said + count).map(content).collect();
        if self.sealer.is_some() {
            self.said += count;
            self.seal(|sealer| sealer.padded(&data, padding));
        }
    }

    fn seal(&mut self, say: impl FnOnce(&mut Sealer) -> Vec<u8>) {
        if let Some(sealer) = &mut self.sealer {
            let records = say(sealer);
            self.send(&records);
        }
    }

    /// What the kernel has no room for is lost, and the rest of the script with it.
    fn send(&mut self, bytes: &[u8]) {
        let _ = self.socket.write(bytes);
    }

    async fn read(&mut self, max: usize) {
        match self.client.read(max, NOW).await {
            Ok(bytes) => {
                assert!(self.failure.is_none(), "data after {:?}", self.failure);
                assert!(bytes.len() <= max);
                for byte in bytes {
                    assert_eq!(byte, content(self.read), "byte {}", self.read);
                    self.read += 1;
                }
                assert!(self.read <= self.said);
            }
            Err(NetError::WouldBlock) => assert!(self.failure.is_none()),
            // Before the handshake is complete.
            Err(NetError::InvalidArgument(_)) => assert!(self.sealer.is_none()),
            Err(error) => {
                let message = error.to_string();
                if let Some(failure) = &self.failure {
                    assert_eq!(failure, &message);
                }
                self.failure = Some(message);
            }
        }
    }
}

fn settings() -> ClientSettings {
    ClientSettings::for_name(HOST)
}

const NOW: Option<Duration> = Some(Duration::ZERO);

/// Steps that are taken of a script.
const STEPS: usize = 200;

const HOST: &str = "localhost";

struct World {
    runtime: Runtime,
    listener: TcpListener,
    port: u16,
    config: NetConfig,
    server: Arc<ServerConfig>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
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
    World {
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
