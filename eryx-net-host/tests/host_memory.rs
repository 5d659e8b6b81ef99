//! What the host keeps for a sandbox, counted and bounded.

mod support;

use std::sync::Arc;

use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{
    EventKind, Family, HostMemory, NetConfig, NetError, NetLimit, Network, Recorder,
};
use eryx_testkit::Behaviour;
use support::*;

const KIB: u64 = 1024;

/// A network with so much host memory, and what it tells.
fn within(config: &NetConfig, bytes: u64) -> (Network, HostMemory, Arc<Recorder>) {
    let memory = HostMemory::new(bytes);
    let (network, recorder) = recorded(config);
    (network.with_host_memory(memory.clone()), memory, recorder)
}

/// How many there can be of what `make` makes, with 1 MiB of host memory. The next is refused with the name of the limit
/// and an event, and all of it is given back in the end.
fn most<T>(config: &NetConfig, make: impl Fn(&Network) -> Result<T, NetError>) -> usize {
    let (network, memory, recorder) = within(config, 1024 * KIB);
    let mut made = Vec::new();
    let refused = loop {
        match make(&network) {
            Ok(one) => made.push(one),
            Err(error) => break error,
        }
        assert!(made.len() < 1000, "no limit holds");
    };
    let NetError::LimitReached(text) = refused else {
        panic!("{refused:?}")
    };
    assert!(text.contains("max_host_memory"), "{text}");
    let told = recorder.events().into_iter().filter(|event| {
        let limit = NetLimit::MaxHostMemory;
        matches!(event.kind, EventKind::LimitReached { limit: told } if told == limit)
    });
    assert_eq!(told.count(), 1);
    assert!(memory.used() <= memory.max());
    let count = made.len();
    made.pop();
    assert!(make(&network).is_ok(), "what is dropped makes room");
    drop(made);
    assert_eq!(memory.used(), 0);
    assert!(memory.peak() > 0);
    count
}

#[tokio::test]
async fn what_a_sandbox_holds_is_refused_beyond_its_host_memory_and_counts_until_it_is_dropped() {
    let config = NetConfig::permissive()
        .with_max_connections(1000)
        .with_resolver(Arc::new(Mute))
        .allow_udp("127.0.0.1:9")
        .expect("a pattern");
    let connections = most(&config, |network| network.connect("a.test", 80));
    assert_eq!(connections, 16);
    let lookups = most(&config, |network| {
        network.lookup("a.test", None, Family::Any)
    });
    assert_eq!(lookups, 8);
    let sockets = most(&config, |network| {
        let mut socket = network.datagrams(Family::Ipv4)?;
        socket.bind().map(|_| socket)
    });
    assert_eq!(sockets, 8);
    let sessions = most(&config, |network| network.tls_session(&settings()));
    assert_eq!(sessions, 2);
}

#[tokio::test]
async fn tls_settings_count_by_their_size() {
    let large = ClientSettings {
        revocation_lists: vec![vec![0; 500 << 10]].into(),
        ..settings()
    };
    let config = NetConfig::permissive();
    let sessions = most(&config, |network| network.tls_session(&large));
    assert_eq!(sessions, 1);
}

#[tokio::test]
async fn a_handshake_that_would_exceed_the_host_memory_fails_and_leaves_the_connection_as_it_was() {
    let world = World::new();
    let peer = world.peer(Behaviour::Echo).await;
    let (network, memory, _recorder) = within(&world.config(), 600 * KIB);
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    let before = memory.used();
    let large = ClientSettings {
        revocation_lists: vec![vec![0; 500 << 10]].into(),
        ..settings()
    };
    let refused = soon(connection.start_tls(&large, None)).await;
    assert!(
        matches!(refused, Err(NetError::LimitReached(_))),
        "{refused:?}"
    );
    assert_eq!(memory.used(), before);
    soon(connection.start_tls(&settings(), None))
        .await
        .expect("this fits");
    send(&mut connection, b"hi").await;
    assert_eq!(soon(connection.read(9, None)).await, Ok(b"hi".to_vec()));
    assert!(memory.used() > before);
    drop(connection);
    assert_eq!(memory.used(), 0);
}

#[tokio::test]
async fn answers_that_are_remembered_count_until_the_network_is_gone() {
    let world = World::new();
    let (network, memory, _recorder) = within(&world.config(), 600 * KIB);
    let mut lookup = network
        .lookup("secure.test", None, Family::Any)
        .expect("may");
    soon(lookup.finish(None)).await.expect("answered");
    drop(lookup);
    let remembered = memory.used();
    assert!((1..10 * KIB).contains(&remembered), "{remembered}");
    drop(network);
    assert_eq!(memory.used(), 0);
}
