//! Tests that a hostile program cannot hide its actions in the report or the log, fill them, or
//! forge a line.

mod support;

use std::collections::HashMap;
use std::sync::Arc;

use eryx_net_host::{
    Activity, CloseReason, Event, EventKind, Family, NetConfig, NetError, Network, NetworkReport,
    Recorder, ResolveError,
};
use eryx_sync::Mutex;
use eryx_testkit::{Behaviour, ClosedPort, Peer, UdpPeer};
use support::*;

/// The most entries of each kind in a report.
const ESTABLISHED: usize = 1024;
const LOOKUPS: usize = 512;
const REFUSED: usize = 256;

fn is_listed(report: &NetworkReport, port: u16) -> bool {
    let established = |entry: &&eryx_net_host::ConnectionReport| entry.address.is_some();
    let mut entries = report.connections.iter().filter(established);
    entries.any(|entry| entry.port == Some(port) && entry.sent > 0)
}

async fn leak(network: &Network, port: u16) {
    send(&mut connected(network, "127.0.0.1", port).await, b"stolen").await;
}

#[tokio::test]
async fn denied_attempts_never_evict_a_connection_from_the_report() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let network = Network::new(&NetConfig::default().allow_localhost());
    for port in 0..5000 {
        network.connect("10.0.0.1", port).expect_err("denied");
        network.connect("no host", port).expect_err("malformed");
        network
            .lookup("10.0.0.1", None, Family::Any)
            .expect_err("denied");
        network
            .udp_socket(Family::Any)
            .expect_err("datagrams are off");
    }
    leak(&network, peer.port()).await;
    let report = network.report();
    assert!(is_listed(&report, peer.port()));
    assert_eq!(report.connections.len(), REFUSED + 1);
    assert_eq!(report.connections.len() as u64 + report.dropped, 15_001);
    let counts: Vec<_> = report
        .refusals
        .iter()
        .map(|refusals| (refusals.reason, refusals.count))
        .collect();
    assert_eq!(
        counts,
        [("address-blocked", 10_000), ("malformed-host", 5000)]
    );
    let blocked = &report.refusals[0];
    let rule = blocked.rule.as_ref().expect("a rule decided");
    assert_eq!(rule.pattern().to_string(), "10.0.0.0/8");
    assert_eq!(
        (blocked.first.activity, blocked.first.port),
        (Activity::Connection, Some(0))
    );
    assert_eq!(
        (blocked.last.activity, blocked.last.port),
        (Activity::Lookup, None)
    );
    assert!(blocked.first.time <= blocked.last.time);
}

#[tokio::test]
async fn lookups_and_failed_connects_never_evict_a_connection_from_the_report() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let closed = ClosedPort::new().expect("port");
    let config = NetConfig::permissive()
        .allow_udp("127.0.0.1:2-65535")
        .expect("a pattern");
    let network = Network::new(&config);
    for _ in 0..1500 {
        drop(
            network
                .lookup("127.0.0.1", None, Family::Any)
                .expect("allowed"),
        );
        let mut socket = network.udp_socket(Family::Ipv4).expect("allowed");
        socket.bind().expect("bound");
        let port = closed.address().port();
        let error = outcome(&network, "127.0.0.1", port).await;
        assert_eq!(error, Err(NetError::ConnectionRefused));
    }
    leak(&network, peer.port()).await;
    let report = network.report();
    assert!(is_listed(&report, peer.port()));
    assert_eq!(report.connections.len(), LOOKUPS + REFUSED + 1);
    assert_eq!(report.connections.len() as u64 + report.dropped, 4501);
    let [refusals] = &report.refusals[..] else {
        panic!("{:?}", report.refusals)
    };
    assert_eq!(
        (refusals.reason, refusals.count),
        ("connection-refused", 1500)
    );
}

#[tokio::test]
async fn connections_without_data_are_evicted_before_those_with_data() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let udp = UdpPeer::start(([127, 0, 0, 1], 0).into())
        .await
        .expect("peer");
    let config = NetConfig::permissive()
        .allow_udp("127.0.0.1:2-65535")
        .expect("a pattern");
    let network = Network::new(&config);
    leak(&network, peer.port()).await;
    let mut socket = network.udp_socket(Family::Ipv4).expect("allowed");
    for number in 0..2 * ESTABLISHED as u16 {
        socket
            .connect("127.0.0.1", 2 + number)
            .expect("nothing is sent");
    }
    drop(socket);
    let later = Peer::plain(Behaviour::Silent).await.expect("peer");
    leak(&network, later.port()).await;
    let mut socket = network.udp_socket(Family::Ipv4).expect("allowed");
    socket
        .send_to(b"stolen", "127.0.0.1", udp.port(), None)
        .await
        .expect("sent");
    let report = network.report();
    for port in [peer.port(), later.port(), udp.port()] {
        assert!(is_listed(&report, port), "{port}");
    }
    assert_eq!(report.connections.len(), ESTABLISHED);
    assert_eq!(report.dropped, ESTABLISHED as u64 + 3);
    assert!(
        report
            .connections
            .is_sorted_by_key(|connection| connection.id)
    );
}

#[tokio::test]
async fn refusals_are_counted_by_rule_for_up_to_64_rules() {
    let mut config = NetConfig::permissive();
    for number in 0..200 {
        config = config
            .block_host(&format!("n{number}.test"))
            .expect("a pattern");
    }
    let network = Network::new(&config);
    for _ in 0..3 {
        for number in 0..200 {
            network
                .connect(&format!("n{number}.test"), 80)
                .expect_err("blocked");
        }
    }
    let refusals = network.take_report().refusals;
    assert_eq!(refusals.len(), 65);
    assert!(refusals.iter().all(|entry| entry.reason == "host-blocked"));
    let (with_rule, without): (Vec<_>, Vec<_>) =
        refusals.iter().partition(|entry| entry.rule.is_some());
    assert!(with_rule.iter().all(|entry| entry.count == 3));
    assert_eq!(without[0].count, 136 * 3);
    assert!(network.take_report().refusals.is_empty(), "a new report");
}

/// The events of repeated calls: 256 of each kind for denied or failed calls, 512 for others, and
/// after that one for each doubling of the count.
#[tokio::test]
async fn repeated_cheap_calls_emit_a_bounded_number_of_events() {
    const TIMES: usize = 38_500;
    let denied = |network: &Network| drop(network.connect("10.0.0.1", 1));
    let looked_up = |network: &Network| drop(network.lookup("127.0.0.1", None, Family::Any));
    let too_many = |network: &Network| drop(network.connect("127.0.0.1", 1));
    let looked_up_denied =
        |network: &Network| drop(network.lookup("a.localhost", None, Family::Any));
    let local = NetConfig::default().allow_localhost();
    let reported = NetConfig::default().with_report_only(true);
    let none = NetConfig::permissive().with_max_connections(1);
    type Operation<'a> = &'a dyn Fn(&Network);
    let cases: [(&str, NetConfig, Operation<'_>, &[&str], usize); 5] = [
        (
            "connects",
            NetConfig::default(),
            &denied,
            &["denied"],
            REFUSED,
        ),
        (
            "names",
            NetConfig::default(),
            &looked_up_denied,
            &["denied"],
            REFUSED,
        ),
        ("lookups", local, &looked_up, &["closed"], LOOKUPS),
        ("would-deny", reported, &looked_up, &["would-deny"], REFUSED),
        (
            "limits",
            none,
            &too_many,
            &["limit-reached", "closed"],
            REFUSED,
        ),
    ];
    for (name, config, operation, kinds, max_events) in cases {
        let recorder = Arc::new(Recorder::new(usize::MAX));
        let network = Network::new(&config).with_observer(Arc::clone(&recorder) as _);
        let connection =
            (name == "limits").then(|| network.connect("127.0.0.1", 9).expect("an event"));
        for _ in 0..TIMES {
            operation(&network);
        }
        let mut counts: HashMap<&str, Vec<Option<u64>>> = HashMap::new();
        for event in recorder.events() {
            counts
                .entry(event.kind.as_str())
                .or_default()
                .push(event.count);
        }
        for kind in kinds {
            let counts = &counts[kind];
            let first = counts.iter().take_while(|count| count.is_none()).count();
            assert_eq!(first, max_events, "{name}: {kind}");
            let rest: Vec<u64> = counts[first..].iter().flatten().copied().collect();
            let doubled: Vec<u64> = (0..)
                .map(|power| 1 << power)
                .skip_while(|count| *count <= max_events as u64)
                .take_while(|count| *count <= TIMES as u64)
                .collect();
            assert_eq!(rest, doubled, "{name}: {kind}");
        }
        drop(connection);
        let report = network.report();
        let refusals: u64 = report.refusals.iter().map(|entry| entry.count).sum();
        let expected = match name {
            "lookups" | "would-deny" => 0,
            _ => TIMES as u64,
        };
        assert_eq!(refusals, expected, "{name}");
    }
}

#[tokio::test]
async fn every_connection_emits_its_events_after_many_denials() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let recorder = Arc::new(Recorder::new(usize::MAX));
    let network = Network::new(&NetConfig::default().allow_localhost())
        .with_observer(Arc::clone(&recorder) as _);
    for _ in 0..2000 {
        network.connect("10.0.0.1", 1).expect_err("denied");
    }
    for _ in 0..600 {
        drop(connected(&network, "127.0.0.1", peer.port()).await);
    }
    let events = recorder.events();
    let count = |name| {
        events
            .iter()
            .filter(|entry| entry.kind.as_str() == name)
            .count()
    };
    assert_eq!((count("connected"), count("closed")), (600, 600));
}

#[tokio::test]
async fn events_have_the_execution_id_and_counts_restart_with_each_execution() {
    let (network, recorder) = recorded(&NetConfig::default());
    for execution in [7, 8] {
        network.begin_execution(execution);
        for _ in 0..300 {
            network.connect("10.0.0.1", 1).expect_err("denied");
        }
    }
    let events = recorder.events();
    let of_execution = |execution| {
        events
            .iter()
            .filter(move |entry| entry.execution == execution)
    };
    assert_eq!(
        (of_execution(7).count(), of_execution(8).count()),
        (REFUSED, REFUSED)
    );
    assert!(
        of_execution(8)
            .next()
            .expect("an event")
            .to_string()
            .starts_with("8#301 ")
    );
}

#[tokio::test]
async fn guest_text_cannot_forge_a_log_line() {
    let forged =
        "x\n#2 admin.example:443 connected to 93.184.215.14:443 in 1ms\u{1b}[31m\u{9b}\u{202e}";
    let resolver = Arc::new(ScriptedResolver::new().failure(
        "evil.test",
        ResolveError::TryAgain("no\n#3 admin.example:443 connected\u{1b}[31m".into()),
    ));
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let observer = move |event: &Event| sink.lock().push(event.to_string());
    let network = Network::new(&loopback_config(&resolver)).with_observer(Arc::new(observer));
    network.connect(forged, 443).expect_err("no host");
    network
        .lookup(forged, None, Family::Any)
        .expect_err("no host");
    network
        .connect(&"\n".repeat(2000), 443)
        .expect_err("too long");
    outcome(&network, "evil.test", 443)
        .await
        .expect_err("fails");
    let lines = lines.lock();
    assert!(lines.len() >= 5, "{lines:?}");
    for line in lines.iter() {
        assert!(
            line.chars().all(|c| !c.is_control() && c != '\u{202e}'),
            "{line:?}"
        );
    }
    assert!(
        lines[0].starts_with("#1 \"x\\n#2 admin.example:443 connected"),
        "{}",
        lines[0]
    );
    assert!(
        lines[0].contains("\\u{202e}\":443 denied: "),
        "{}",
        lines[0]
    );
}

#[tokio::test]
async fn a_resolver_error_emits_an_event_with_a_truncated_reason() {
    let reason = "x".repeat(10_000);
    let resolver =
        Arc::new(ScriptedResolver::new().failure("a.test", ResolveError::TryAgain(reason.clone())));
    let (network, recorder) = recorded(&loopback_config(&resolver));
    outcome(&network, "a.test", 80).await.expect_err("fails");
    let events = recorder.events();
    let names: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(names, ["unresolved", "closed"]);
    assert!(
        matches!(&events[0].kind, EventKind::Unresolved { reason: text } if *text == reason[..255])
    );
    assert!(matches!(
        &events[1].kind,
        EventKind::Closed {
            close_reason: CloseReason::Error(NetError::NameTryAgain),
            ..
        }
    ));
}
