//! Tests that denied hosts are never dialled, and denied names never resolved.

mod support;

use std::sync::Arc;

use eryx_net_host::{CloseReason, Family, NetConfig, NetError, Network, ResolveError};
use eryx_testkit::{Behaviour, Peer};
use support::*;

fn is_denied<T>(result: &Result<T, NetError>) -> bool {
    matches!(result, Err(NetError::Denied(_)))
}

#[tokio::test]
async fn a_literal_blocked_by_default_is_denied_before_dialling() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let network = Network::new(&NetConfig::default());
    for host in [
        "127.0.0.1",
        "127.1",
        "0.0.0.0",
        "0",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "::1",
        "[::1]",
        "::ffff:127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "x.localhost",
        "169.254.169.254",
        "fe80::1%lo",
        "a b",
        "",
    ] {
        assert!(is_denied(&network.connect(host, peer.port())), "{host}");
        assert!(
            is_denied(&network.lookup(host, None, Family::Any)),
            "{host}"
        );
    }
    assert_eq!(peer.connections(), 0);
    assert_eq!(network.connections(), 0);
}

#[tokio::test]
async fn one_blocked_address_in_an_answer_denies_the_name() {
    let resolver = Arc::new(
        ScriptedResolver::new()
            .answer("mixed.test", &["1.1.1.1", "10.0.0.5"])
            .answer("mixed2.test", &["10.0.0.5", "1.1.1.1"])
            .answer("mixed6.test", &["1.1.1.1", "::1"])
            .answer("zero.test", &["1.1.1.1", "0.0.0.0"])
            .answer("mapped.test", &["::ffff:10.0.0.5"])
            .alias("alias.test", &["metadata.google.internal"], &["1.1.1.1"]),
    );
    let config = NetConfig::default().with_resolver(resolver.clone());
    for name in [
        "mixed.test",
        "mixed2.test",
        "mixed6.test",
        "zero.test",
        "mapped.test",
        "alias.test",
    ] {
        let (network, recorder) = recorded(&config);
        let error = outcome(&network, name, 80).await.expect_err(name);
        let NetError::Denied(message) = error else {
            panic!("{name}: {error:?}")
        };
        for secret in ["10.0", "0.0.0.0", "::1", "metadata"] {
            assert!(!message.contains(secret), "{name}: {message}");
        }
        assert_eq!(kinds(&recorder.events()), ["denied"], "{name}");
        let entry = network.report().connections.remove(0);
        assert_eq!(entry.close_reason, Some(CloseReason::Denied));
        assert!(!entry.addresses.is_empty(), "the embedder sees them");
    }
}

#[tokio::test]
async fn each_connect_is_checked_with_its_own_answer() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let resolver = Arc::new(
        ScriptedResolver::new()
            .answer("rebind.test", &["127.0.0.1"])
            .answer("rebind.test", &["10.0.0.5"]),
    );
    let network = Network::new(&loopback_config(&resolver));
    outcome(&network, "rebind.test", peer.port())
        .await
        .expect("the first answer is allowed");
    assert!(is_denied(
        &outcome(&network, "rebind.test", peer.port()).await
    ));
    assert_eq!(
        resolver.queries(),
        ["rebind.test", "rebind.test"],
        "one query for each connect, and none between check and dial"
    );
}

#[tokio::test]
async fn a_name_that_cannot_be_allowed_is_never_resolved() {
    let resolver = Arc::new(ScriptedResolver::new().answer("api.example", &["127.0.0.1"]));
    let config = loopback_config(&resolver)
        .allow_host("api.example:443")
        .and_then(|config| config.block_host("*.blocked.example"))
        .expect("valid");
    let network = Network::new(&config);
    for (host, port) in [
        ("secret.evil.example", 443),
        ("x.api.example", 443),
        ("api.example", 80),
        ("a.blocked.example", 443),
    ] {
        assert!(is_denied(&network.connect(host, port)), "{host}:{port}");
    }
    for host in ["secret.evil.example", "a.blocked.example"] {
        assert!(is_denied(&network.lookup(host, None, Family::Any)));
    }
    assert!(resolver.queries().is_empty());
    assert!(network.lookup("api.example", None, Family::Any).is_ok());
}

#[tokio::test]
async fn localhost_is_loopback_without_a_query() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let resolver = Arc::new(ScriptedResolver::new().answer("localhost", &["1.1.1.1"]));
    let network = Network::new(&loopback_config(&resolver));
    for host in ["localhost", "LocalHost.", "deep.below.localhost"] {
        let connection = connected(&network, host, peer.port()).await;
        assert!(connection.peer_endpoint().expect("open").ip().is_loopback());
    }
    assert!(resolver.queries().is_empty());
}

#[tokio::test]
async fn an_address_from_a_lookup_is_checked_as_its_name() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let resolver = Arc::new(ScriptedResolver::new().answer("api.example", &["127.0.0.1"]));
    let config = loopback_config(&resolver)
        .allow_host(&format!("api.example:{}", peer.port()))
        .expect("valid");
    let network = Network::new(&config);
    assert!(
        is_denied(&network.connect("127.0.0.1", peer.port())),
        "before the lookup it is a literal like any other"
    );
    let mut lookup = network
        .lookup("api.example", None, Family::Any)
        .expect("allowed on some port");
    let addresses = within_timeout(lookup.finish(None)).await.expect("resolved");
    assert_eq!(addresses, [ip("127.0.0.1")]);
    outcome(&network, "127.0.0.1", peer.port())
        .await
        .expect("counts as api.example");
    assert!(
        is_denied(&network.connect("127.0.0.1", peer.port() ^ 1)),
        "the name is not allowed on that port"
    );
    assert!(is_denied(&network.connect("127.0.0.2", peer.port())));
    assert!(
        is_denied(&Network::new(&config).connect("127.0.0.1", peer.port())),
        "another sandbox has not looked it up"
    );
}

#[tokio::test]
async fn an_address_of_several_names_is_allowed_if_one_name_is() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let resolver = Arc::new(
        ScriptedResolver::new()
            .answer("good.example", &["127.0.0.1"])
            .answer("later.example", &["127.0.0.1"]),
    );
    let config = loopback_config(&resolver)
        .with_allowed_hosts([
            format!("good.example:{}", peer.port()),
            "later.example:1".to_owned(),
        ])
        .expect("valid");
    let network = Network::new(&config);
    for name in ["good.example", "later.example"] {
        let mut lookup = network.lookup(name, None, Family::Any).expect("allowed");
        within_timeout(lookup.finish(None)).await.expect("resolved");
    }
    outcome(&network, "127.0.0.1", peer.port())
        .await
        .expect("as good.example");
}

#[tokio::test]
async fn an_internal_host_can_be_reached_by_its_looked_up_address() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let resolver = Arc::new(ScriptedResolver::new().answer("db.corp", &["127.0.0.1"]));
    let config = NetConfig::default()
        .with_resolver(resolver)
        .allow_internal_host("db.corp")
        .expect("valid");
    let network = Network::new(&config);
    let mut lookup = network
        .lookup("db.corp", Some(peer.port()), Family::Any)
        .expect("allowed");
    within_timeout(lookup.finish(None)).await.expect("resolved");
    outcome(&network, "127.0.0.1", peer.port())
        .await
        .expect("as db.corp");
    assert!(is_denied(&network.connect("127.0.0.2", peer.port())));
}

#[tokio::test]
async fn a_port_blocked_for_a_name_is_blocked_for_its_address() {
    let resolver = Arc::new(ScriptedResolver::new().answer("shop.example", &["1.1.1.1"]));
    let config = NetConfig::default()
        .with_resolver(resolver)
        .block_host("shop.example:25")
        .expect("valid");
    let network = Network::new(&config);
    let mut lookup = network
        .lookup("shop.example", None, Family::Any)
        .expect("allowed");
    within_timeout(lookup.finish(None)).await.expect("resolved");
    assert!(is_denied(&network.connect("1.1.1.1", 25)));
}

#[tokio::test]
async fn a_family_is_selected_after_all_addresses_are_checked() {
    let resolver = Arc::new(
        ScriptedResolver::new()
            .answer("dual.test", &["1.1.1.1", "2606:4700::1111"])
            .answer("four.test", &["1.1.1.1"])
            .answer("trap.test", &["1.1.1.1", "::1"]),
    );
    let network = Network::new(&NetConfig::default().with_resolver(resolver));
    type Row = (
        &'static str,
        Family,
        Result<&'static [&'static str], NetError>,
    );
    let table: [Row; 5] = [
        (
            "dual.test",
            Family::Any,
            Ok(&["2606:4700::1111", "1.1.1.1"]),
        ),
        ("dual.test", Family::Ipv4, Ok(&["1.1.1.1"])),
        ("dual.test", Family::Ipv6, Ok(&["2606:4700::1111"])),
        ("four.test", Family::Ipv6, Err(NetError::NameWithoutAddress)),
        ("9.9.9.9", Family::Any, Ok(&["9.9.9.9"])),
    ];
    for (name, family, expected) in table {
        let mut lookup = network.lookup(name, Some(80), family).expect("allowed");
        let found = within_timeout(lookup.finish(None)).await;
        let expected = expected.map(|list| list.iter().map(|a| ip(a)).collect::<Vec<_>>());
        assert_eq!(found, expected, "{name} {family:?}");
        assert_eq!(
            within_timeout(lookup.finish(None)).await,
            found,
            "returned again"
        );
    }
    let mut lookup = network
        .lookup("trap.test", Some(80), Family::Ipv4)
        .expect("allowed");
    assert!(is_denied(&within_timeout(lookup.finish(None)).await));
}

#[tokio::test]
async fn resolver_errors_keep_their_kind() {
    let resolver = Arc::new(
        ScriptedResolver::new()
            .failure(
                "again.test",
                ResolveError::TryAgain("10.9.8.7 is down".into()),
            )
            .answer("empty.test", &[])
            .answer("flood.test", &["1.1.1.1"; 300]),
    );
    let network = Network::new(&NetConfig::default().with_resolver(resolver));
    let table = [
        ("missing.test", NetError::NameNotFound),
        ("empty.test", NetError::NameWithoutAddress),
        ("again.test", NetError::NameTryAgain),
        ("flood.test", NetError::NameTryAgain),
    ];
    for (name, expected) in table {
        assert_eq!(outcome(&network, name, 80).await, Err(expected), "{name}");
    }
}

#[tokio::test]
async fn an_overlong_host_is_rejected_before_parsing() {
    let network = Network::new(&NetConfig::default());
    let long = "a".repeat(1 << 20);
    let error = network.connect(&long, 80).expect_err("too long");
    assert!(matches!(&error, NetError::InvalidArgument(text) if text.len() < 200));
    assert!(network.report().connections[0].host.len() <= 255);
}

#[tokio::test]
async fn with_networking_off_everything_is_denied_with_the_setting_that_enables_it() {
    let network = Network::off();
    assert!(!network.is_on());
    let errors = [
        network.connect("example.com", 80).map(drop),
        network.connect("::: not a host", 80).map(drop),
        network.lookup("example.com", None, Family::Any).map(drop),
        network
            .tls_session(&eryx_net_host::tls::ClientSettings::for_name("example.com"))
            .map(drop),
    ];
    for error in errors {
        let Err(NetError::Denied(message)) = error else {
            panic!("{error:?}")
        };
        assert!(message.contains("networking is off"), "{message}");
        assert!(message.contains("with_network"), "{message}");
    }
}
