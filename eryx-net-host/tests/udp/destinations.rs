//! The destinations that a program may send datagrams to.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use eryx_net_host::policy::Reason;
use eryx_net_host::{
    Activity, CloseReason, ConfigError, EventKind, Family, NetConfig, NetError, Network,
};
use eryx_testkit::{LOOPBACK_V6, UdpPeer};

use crate::support::{ScriptedResolver, http, loopback_config, recorded, within_timeout};
use crate::{NOW, allowing, denied_for, peer, received, send, socket};

#[tokio::test]
async fn udp_sockets_are_denied_by_default() {
    for network in [
        Network::off(),
        Network::new(&NetConfig::default()),
        Network::new(&NetConfig::permissive().with_report_only(true)),
    ] {
        assert!(matches!(
            network.udp_socket(Family::Ipv4),
            Err(NetError::Denied(_))
        ));
    }
    let error = NetConfig::default()
        .allow_udp("ns.example.com")
        .unwrap_err();
    assert!(matches!(error, ConfigError::Pattern(_)), "{error}");
    let config = NetConfig::default();
    let allowing = config.allow_udp("9.9.9.9:53").expect("a pattern");
    assert!(config.allowed_udp().is_empty());
    assert_ne!(config, allowing);
    assert!(
        allowing
            .with_allowed_udp(Vec::<&str>::new())
            .expect("patterns")
            == config
    );
}

#[tokio::test]
async fn a_destination_is_checked_and_reported_once_and_counted_until_the_socket_is_dropped() {
    let (near, other) = (peer().await, peer().await);
    let (network, recorder) = recorded(&allowing(&[near.address(), other.address()]));
    let mut socket = socket(&network);
    assert_eq!(network.connections(), 0, "no slot is held yet");
    for data in [&b"one"[..], b"", b"three"] {
        send(&mut socket, data, near.address()).await.expect("sent");
        assert_eq!(received(&mut socket).await.expect("echo"), data);
    }
    send(&mut socket, b"four", other.address())
        .await
        .expect("sent");
    let answer = within_timeout(socket.receive(2, None)).await.expect("echo");
    assert_eq!(
        (answer.data, answer.size, answer.source),
        (b"fo".to_vec(), 4, other.address())
    );
    assert_eq!(network.connections(), 1);
    drop(socket);
    assert_eq!(network.connections(), 0);

    let events: Vec<_> = recorder
        .events()
        .iter()
        .map(|event| (event.id, event.port, event.kind.as_str()))
        .collect();
    assert_eq!(
        events,
        [
            (1, Some(near.port()), "connected"),
            (2, Some(other.port()), "connected"),
            (1, Some(near.port()), "closed"),
            (2, Some(other.port()), "closed"),
        ]
    );
    assert!(
        recorder
            .events()
            .iter()
            .all(|event| event.activity == Activity::Datagrams)
    );
    let report = network.report();
    let bytes: Vec<_> = report
        .connections
        .iter()
        .map(|entry| {
            (
                entry.activity,
                entry.sent,
                entry.received,
                entry.close_reason.clone(),
            )
        })
        .collect();
    let done = Some(CloseReason::LocalClose);
    assert_eq!(
        bytes,
        [
            (Activity::Datagrams, 8, 8, done.clone()),
            (Activity::Datagrams, 4, 2, done)
        ]
    );
    assert_eq!(report.connections[0].address, Some(near.address()));
}

#[tokio::test]
async fn datagrams_to_denied_destinations_are_never_sent() {
    let (near, far) = (peer().await, peer().await);
    let (network, recorder) = recorded(&allowing(&[near.address()]));
    let mut socket = socket(&network);
    let table = [
        ("127.0.0.1", far.port(), Reason::PortNotAllowed),
        ("127.0.0.2", near.port(), Reason::UdpNotAllowed),
        ("10.0.0.1", near.port(), Reason::AddressBlocked),
        ("0.0.0.0", near.port(), Reason::AddressBlocked),
        ("224.0.0.251", near.port(), Reason::NotUnicast),
        ("255.255.255.255", near.port(), Reason::NotUnicast),
    ];
    for (host, port, _) in table {
        for outcome in [
            within_timeout(socket.send_to(b"x", host, port, None)).await,
            socket.connect(host, port),
        ] {
            assert!(matches!(outcome, Err(NetError::Denied(_))), "{host}:{port}");
        }
    }
    let reasons: Vec<_> = denied_for(&recorder).into_iter().step_by(2).collect();
    assert_eq!(reasons, table.map(|(_, _, reason)| reason));
    for name in ["localhost", "", "127.1", "ns.example.com", "[::1]"] {
        let outcome = within_timeout(socket.send_to(b"x", name, near.port(), None)).await;
        assert!(
            matches!(outcome, Err(NetError::InvalidArgument(_))),
            "{name}"
        );
    }
    assert_eq!(network.connections(), 0, "nothing was opened for them");
    send(&mut socket, b"y", near.address()).await.expect("sent");
    assert_eq!(received(&mut socket).await.expect("echo"), b"y");
    assert!(far.received().is_empty());
    assert_eq!(near.received().len(), 1);
}

#[tokio::test]
async fn an_ipv6_socket_reaches_ipv6_and_ipv4_addresses() {
    let six = UdpPeer::start(LOOPBACK_V6).await.expect("peer");
    let four = peer().await;
    let network = Network::new(&allowing(&[six.address(), four.address()]));
    let mut socket = network.udp_socket(Family::Ipv6).expect("allowed");
    for (host, peer) in [
        ("::1", &six),
        ("127.0.0.1", &four),
        ("::ffff:127.0.0.1", &four),
    ] {
        within_timeout(socket.send_to(host.as_bytes(), host, peer.port(), None))
            .await
            .expect("sent");
        let answer = within_timeout(socket.receive(100, None))
            .await
            .expect("echo");
        assert_eq!(
            (answer.data.as_slice(), answer.source),
            (host.as_bytes(), peer.address())
        );
    }
    let mut only_four = network.udp_socket(Family::Ipv4).expect("allowed");
    let outcome = within_timeout(only_four.send_to(b"x", "::1", six.port(), None)).await;
    assert!(matches!(outcome, Err(NetError::InvalidArgument(_))));
}

#[tokio::test]
async fn udp_to_an_address_from_a_lookup_is_checked_as_its_name() {
    let near = peer().await;
    let resolver = Arc::new(
        ScriptedResolver::new()
            .answer("ns.test", &["127.0.0.1"])
            .answer("other.test", &["127.0.0.2"]),
    );
    let config = loopback_config(&resolver)
        .allow_udp(&format!("ns.test:{}", near.port()))
        .expect("a pattern");
    let network = Network::new(&config);
    let mut socket = socket(&network);
    let outcome = send(&mut socket, b"x", near.address()).await;
    assert!(matches!(outcome, Err(NetError::Denied(_))), "{outcome:?}");
    let mut lookup = network
        .lookup("ns.test", Some(near.port()), Family::Ipv4)
        .expect("allowed");
    within_timeout(lookup.finish(None)).await.expect("resolved");
    send(&mut socket, b"x", near.address()).await.expect("sent");
    assert_eq!(received(&mut socket).await.expect("echo"), b"x");
    let report = network.report();
    let entry = report.connections.last().expect("an entry");
    let verdict = entry.verdict.as_ref().expect("checked");
    assert_eq!(verdict.host().expect("a host").to_string(), "ns.test");
}

#[tokio::test]
async fn a_name_blocked_on_a_port_is_blocked_by_every_spelling_of_its_address() {
    let near = peer().await;
    let resolver = Arc::new(ScriptedResolver::new().answer("ns.test", &["127.0.0.1"]));
    let config = loopback_config(&resolver)
        .block_host(&format!("ns.test:{}", near.port()))
        .and_then(|config| config.allow_udp("*:1-65535"))
        .expect("patterns");
    let network = Network::new(&config);
    let mut lookup = network
        .lookup("ns.test", None, Family::Any)
        .expect("allowed on other ports");
    within_timeout(lookup.finish(None)).await.expect("resolved");
    let mut socket = network.udp_socket(Family::Ipv6).expect("allowed");
    for host in ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1"] {
        let outcome = within_timeout(socket.send_to(b"x", host, near.port(), None)).await;
        assert!(matches!(outcome, Err(NetError::Denied(_))), "{host}");
    }
    assert!(near.received().is_empty());
}

#[tokio::test]
async fn report_only_sends_datagrams_except_to_multicast() {
    let near = peer().await;
    let config = NetConfig::default()
        .allow_udp("9.9.9.9:53")
        .expect("a pattern")
        .with_report_only(true);
    let (network, recorder) = recorded(&config);
    let mut socket = socket(&network);
    send(&mut socket, b"x", near.address()).await.expect("sent");
    assert_eq!(received(&mut socket).await.expect("echo"), b"x");
    assert!(matches!(
        recorder.events()[0].kind,
        EventKind::WouldDeny { .. }
    ));
    let outcome = within_timeout(socket.send_to(b"x", "224.0.0.251", 5353, None)).await;
    assert!(matches!(outcome, Err(NetError::Denied(_))), "{outcome:?}");
}

#[tokio::test]
async fn datagrams_to_an_inspected_host_are_denied() {
    let near = peer().await;
    let (address, port) = (near.address(), near.port());
    let resolver = Arc::new(
        ScriptedResolver::new()
            .answer("api.test", &["127.0.0.1"])
            .answer("other.test", &["127.0.0.1"]),
    );
    let config = loopback_config(&resolver)
        .with_allowed_udp([format!("*.test:{port}"), format!("127.0.0.1:{port}")])
        .expect("patterns");
    let with_rule = |host: &str| {
        let config = config.with_http_rule(http::rule(host));
        config.expect("a rule")
    };
    let with_secret = config.with_secret(http::secret("api.test"));
    // The host, whether an inspected name was looked up, whether datagrams are sent.
    for (config, is_looked_up, is_sent) in [
        (config.clone(), true, true),
        (with_rule("api.test"), true, false),
        (with_rule(&format!("api.test:{port}")), true, false),
        (with_rule("127.0.0.0/8"), false, false),
        (with_secret.expect("a secret"), true, false),
        // HTTP rules are for names.
        (with_rule("api.test"), false, true),
        // The rule is for another port.
        (with_rule("api.test:443"), true, true),
        (
            config.with_inspected_host("*").expect("a pattern"),
            true,
            true,
        ),
        (with_rule("api.test").with_report_only(true), true, true),
    ] {
        let (network, recorder) = recorded(&config);
        for name in ["api.test", "other.test"] {
            if is_looked_up {
                let lookup = network.lookup(name, Some(port), Family::Any);
                let mut lookup = lookup.expect("allowed");
                within_timeout(lookup.finish(None))
                    .await
                    .expect("addresses");
            }
        }
        let mut socket = socket(&network);
        let outcome = send(&mut socket, b"hello", address).await;
        let connected = socket.connect("127.0.0.1", port);
        if is_sent {
            outcome.expect("allowed");
            connected.expect("allowed");
            continue;
        }
        for outcome in [outcome, connected] {
            let Err(NetError::Denied(message)) = outcome else {
                panic!("{outcome:?}");
            };
            assert!(message.contains("HTTP/3"), "{message}");
        }
        assert_eq!(denied_for(&recorder), [Reason::UdpInspected; 2]);
        if is_looked_up {
            let verdict = config.check_udp("api.test", port);
            assert_eq!(verdict.reason(), Reason::UdpInspected, "{verdict}");
        }
    }
    within_timeout(async {
        while near.received().len() < 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!(near.received().len(), 5);
}

/// Regression: a new socket was not registered with the reactor yet, and the datagram was dropped.
#[tokio::test]
async fn the_first_datagram_is_sent_without_waiting_for_the_reactor() {
    let peer = peer().await;
    let network = Network::new(&allowing(&[peer.address()]));
    let mut socket = socket(&network);
    let host = peer.address().ip().to_string();
    {
        let sent = pin!(socket.send_to(b"first", &host, peer.address().port(), NOW));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(sent.poll(&mut cx), Poll::Ready(Ok(())));
    }
    assert_eq!(received(&mut socket).await.expect("echoed"), b"first");
}
