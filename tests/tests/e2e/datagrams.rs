//! Datagrams: where they may go, what comes back, and what a program sees of it.

use eryx::net::NetConfig;
use eryx_testkit::{LOOPBACK, UdpPeer};
use serde_json::json;

use crate::stage::{loopback, prints};

async fn peer() -> UdpPeer {
    UdpPeer::start(LOOPBACK).await.expect("started")
}

/// Loopback, and datagrams to what `patterns` match.
fn allowing(patterns: &[String]) -> NetConfig {
    patterns.iter().fold(loopback(), |config, pattern| {
        config.allow_udp(pattern).expect("a pattern")
    })
}

fn to(peer: &UdpPeer) -> NetConfig {
    allowing(&[peer.address().to_string()])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_datagram_goes_to_an_allowed_peer_and_its_answer_comes_back() {
    let peer = peer().await;
    let text = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
print(s.getsockname(), s.type.name, s.sendto(b'hello', ('127.0.0.1', PORT)))
print(s.recvfrom(100) == (b'hello', ('127.0.0.1', PORT)), s.getsockname()[1] > 0)
s.connect(('127.0.0.1', PORT))
print(s.send(b''), s.recv(100), s.getpeername() == ('127.0.0.1', PORT))
into = bytearray(10)
s.send(b'longer than that')
print(s.recvfrom_into(into) == (10, ('127.0.0.1', PORT)), into)
";
    assert_eq!(
        prints(to(&peer), &json!({"PORT": peer.port()}), text).await,
        "('0.0.0.0', 0) SOCK_DGRAM 5\nTrue True\n0 b'' True\n\
         True bytearray(b'longer tha')\n"
    );
    let sizes: Vec<_> = peer.received().iter().map(|(_, data)| data.len()).collect();
    assert_eq!(sizes, [5, 0, 16]);
}
