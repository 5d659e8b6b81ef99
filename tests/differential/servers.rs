//! The servers that programs of both interpreters use.

use bytes::Bytes;
use eryx::net::NetConfig;
use eryx_testkit::{Behaviour, CertificateAuthority, ClosedPort, LOOPBACK, Leaf, Peer, UdpPeer};
use serde_json::{Value, json};

/// Running servers, and the certificate authority of those that use TLS.
pub(crate) struct Servers {
    ca: CertificateAuthority,
    peers: Vec<(&'static str, Peer)>,
    udp: UdpPeer,
    /// A port without a socket, for TCP and UDP.
    closed: ClosedPort,
}

impl Servers {
    pub(crate) async fn start() -> std::io::Result<Self> {
        let ca = CertificateAuthority::new()?;
        let identity = ca.issue(&Leaf::server(["localhost"]))?;
        let answer = || Behaviour::Answers(Bytes::from_static(b"an answer"));
        let finishes = || Behaviour::FinishesFirst { bytes: 3000 };
        let breaks_off = Behaviour::BreaksOff {
            announced: 10,
            sent: 5,
        };
        let mut peers = Vec::new();
        for (name, behaviour) in [
            ("echo", Behaviour::Echo),
            ("silent", Behaviour::Silent),
            ("finishes", finishes()),
            ("closes", Behaviour::ClosesAtOnce),
            ("resets", Behaviour::ResetsAtFirstByte),
            ("answers", answer()),
        ] {
            peers.push((name, Peer::plain(behaviour).await?));
        }
        for (name, behaviour) in [
            ("tls echo", Behaviour::Echo),
            ("tls finishes", finishes()),
            ("tls closes", Behaviour::ClosesAtOnce),
            ("tls answers", answer()),
            ("tls breaks off", breaks_off),
        ] {
            peers.push((name, Peer::tls(behaviour, &identity).await?));
        }
        Ok(Self {
            ca,
            peers,
            udp: UdpPeer::start(LOOPBACK).await?,
            closed: ClosedPort::new()?,
        })
    }

    /// Returns the network of the sandboxes, in which all servers can be reached.
    pub(crate) fn network(&self) -> Result<NetConfig, eryx::Error> {
        Ok(NetConfig::permissive()
            .with_root_cert(self.ca.pem().as_bytes())?
            .allow_udp("127.0.0.1:1-65535")?)
    }

    /// Returns the ports of the servers by name.
    pub(crate) fn ports(&self) -> Value {
        let mut ports = json!({
            "udp echo": self.udp.address().port(),
            "udp refused": self.closed.address().port(),
            "refused": self.closed.address().port(),
        });
        for (name, peer) in &self.peers {
            ports[*name] = peer.port().into();
        }
        ports
    }

    /// Returns the certificate of the authority in PEM.
    pub(crate) fn ca_pem(&self) -> String {
        self.ca.pem()
    }
}
