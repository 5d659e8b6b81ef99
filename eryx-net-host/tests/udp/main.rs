//! Tests of UDP sockets: destinations, sources and limits.

mod destinations;
mod limits;
mod sources;
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use eryx_net_host::policy::Reason;
use eryx_net_host::{EventKind, Family, NetConfig, NetError, Network, Recorder, UdpSocket, poll};
use eryx_testkit::{LOOPBACK, UdpPeer};

use crate::support::within_timeout;

const NOW: Option<Duration> = Some(Duration::ZERO);

async fn peer() -> UdpPeer {
    UdpPeer::start(LOOPBACK).await.expect("peer")
}

/// Returns a configuration that allows loopback, and UDP to each of `peers`.
fn allowing(peers: &[SocketAddr]) -> NetConfig {
    peers
        .iter()
        .fold(NetConfig::default().allow_localhost(), |config, peer| {
            config.allow_udp(&peer.to_string()).expect("a pattern")
        })
}

fn socket(network: &Network) -> UdpSocket {
    network.udp_socket(Family::Ipv4).expect("allowed")
}

async fn send(socket: &mut UdpSocket, data: &[u8], peer: SocketAddr) -> Result<(), NetError> {
    within_timeout(socket.send_to(data, &peer.ip().to_string(), peer.port(), None)).await
}

async fn received(socket: &mut UdpSocket) -> Result<Vec<u8>, NetError> {
    Ok(within_timeout(socket.receive(usize::MAX, None)).await?.data)
}

async fn is_readable(socket: &mut UdpSocket, timeout: Duration) -> bool {
    poll::wait_ready(Some(timeout), |sweep| {
        sweep.poll(|cx| socket.poll_readable(cx))
    })
    .await
}

async fn is_writable(socket: &mut UdpSocket, timeout: Duration) -> bool {
    poll::wait_ready(Some(timeout), |sweep| {
        sweep.poll(|cx| socket.poll_writable(cx))
    })
    .await
}

fn denied_for(recorder: &Recorder) -> Vec<Reason> {
    recorder
        .events()
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Denied { verdict } => Some(verdict.reason()),
            _ => None,
        })
        .collect()
}
