//! Tests of the host memory that a sandbox takes, and of its limit.

mod support;

use std::sync::Arc;

use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{
    EventKind, Family, HostMemory, NetConfig, NetError, NetLimit, Network, Recorder,
};
use eryx_testkit::Behaviour;
use support::*;

const KIB: u64 = 1024;

/// Creates a network with `bytes` of host memory, and a recorder of its events.
fn with_host_memory(config: &NetConfig, bytes: u64) -> (Network, HostMemory, Arc<Recorder>) {
    let memory = HostMemory::new(bytes);
    let (network, recorder) = recorded(config);
    (network.with_host_memory(memory.clone()), memory, recorder)
}

/// Returns how many handles `create` can create with 1 MiB of host memory.
///
/// Checks that the next handle is an error with the name of the limit and an event, and that
/// dropped handles release their memory.
fn max_handles<T>(config: &NetConfig, create: impl Fn(&Network) -> Result<T, NetError>) -> usize {
    let (network, memory, recorder) = with_host_memory(config, 1024 * KIB);
    let mut handles = Vec::new();
    let error = loop {
        match create(&network) {
            Ok(handle) => handles.push(handle),
            Err(error) => break error,
        }
        assert!(handles.len() < 1000, "no limit holds");
    };
    let NetError::LimitReached(text) = error else {
        panic!("{error:?}")
    };
    assert!(text.contains("max_host_memory"), "{text}");
    let limit_events = recorder.events().into_iter().filter(|event| {
        let limit = NetLimit::MaxHostMemory;
        matches!(event.kind, EventKind::LimitReached { limit: reached } if reached == limit)
    });
    assert_eq!(limit_events.count(), 1);
    assert!(memory.used() <= memory.max());
    let count = handles.len();
    handles.pop();
    assert!(create(&network).is_ok(), "dropped handles release memory");
    drop(handles);
    assert_eq!(memory.used(), 0);
    assert!(memory.peak() > 0);
    count
}

#[tokio::test]
async fn handles_beyond_the_host_memory_are_rejected_and_count_until_dropped() {
    let config = NetConfig::permissive()
        .with_max_connections(1000)
        .with_resolver(Arc::new(NeverResolves))
        .allow_udp("127.0.0.1:9")
        .expect("a pattern");
    let connections = max_handles(&config, |network| network.connect("a.test", 80));
    assert_eq!(connections, 16);
    let lookups = max_handles(&config, |network| {
        network.lookup("a.test", None, Family::Any)
    });
    assert_eq!(lookups, 8);
    let sockets = max_handles(&config, |network| {
        let mut socket = network.udp_socket(Family::Ipv4)?;
        socket.bind().map(|_| socket)
    });
    assert_eq!(sockets, 8);
    let sessions = max_handles(&config, |network| network.tls_session(&settings()));
    assert_eq!(sessions, 2);
}

#[tokio::test]
async fn tls_settings_count_against_the_host_memory_by_size() {
    let large = ClientSettings {
        revocation_lists: vec![vec![0; 500 << 10]].into(),
        ..settings()
    };
    let config = NetConfig::permissive();
    let sessions = max_handles(&config, |network| network.tls_session(&large));
    assert_eq!(sessions, 1);
}

#[tokio::test]
async fn a_handshake_over_the_host_memory_fails_and_leaves_the_connection_unchanged() {
    let fixture = TlsFixture::new();
    let peer = fixture.peer(Behaviour::Echo).await;
    let (network, memory, _recorder) = with_host_memory(&fixture.config(), 600 * KIB);
    let mut connection = connected(&network, "secure.test", peer.port()).await;
    let before = memory.used();
    let large = ClientSettings {
        revocation_lists: vec![vec![0; 500 << 10]].into(),
        ..settings()
    };
    let outcome = within_timeout(connection.start_tls(&large, None)).await;
    assert!(
        matches!(outcome, Err(NetError::LimitReached(_))),
        "{outcome:?}"
    );
    assert_eq!(memory.used(), before);
    within_timeout(connection.start_tls(&settings(), None))
        .await
        .expect("this fits");
    send(&mut connection, b"hi").await;
    assert_eq!(
        within_timeout(connection.read(9, None)).await,
        Ok(b"hi".to_vec())
    );
    assert!(memory.used() > before);
    drop(connection);
    assert_eq!(memory.used(), 0);
}

#[tokio::test]
async fn cached_answers_count_against_the_host_memory_until_the_network_is_dropped() {
    let fixture = TlsFixture::new();
    let (network, memory, _recorder) = with_host_memory(&fixture.config(), 600 * KIB);
    let mut lookup = network
        .lookup("secure.test", None, Family::Any)
        .expect("allowed");
    within_timeout(lookup.finish(None)).await.expect("answered");
    drop(lookup);
    let cached = memory.used();
    assert!((1..10 * KIB).contains(&cached), "{cached}");
    drop(network);
    assert_eq!(memory.used(), 0);
}

#[tokio::test]
async fn an_inspected_connection_is_charged_for_its_inspection_once() {
    let origin = http::Origin::new().await;
    let rule = http::rule("secure.test");
    let inspected = origin.config.with_http_rule(rule).expect("a rule");
    let mut used = Vec::new();
    for config in [&origin.config, &inspected] {
        let (network, memory, _) = with_host_memory(config, 8192 * KIB);
        let mut connection = connected(&network, "secure.test", origin.port()).await;
        let plain = memory.used();
        within_timeout(connection.start_tls(&settings(), None))
            .await
            .expect("TLS");
        used.push((plain, memory.used() - plain));
    }
    assert!(used[0].0 < used[1].0, "the inspection is charged for");
    assert_eq!(used[0].1, used[1].1, "TLS costs as much as elsewhere");
}
