//! Tests of which connections a proxy carries, and of what a program sees of it.

mod support;

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::{EventKind, Family, NetConfig, NetError, Network, Resolve};
use eryx_testkit::{Behaviour, Peer};
use support::proxies::*;
use support::*;

#[tokio::test]
async fn every_kind_of_proxy_connects_to_the_address_that_the_policy_allows() {
    for kind in &KINDS {
        let authorities = Authorities::new();
        let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
        let (proxy, config) = proxied(kind, &authorities, |builder| {
            builder.route(&format!("{ADDRESS}:80"), peer.address())
        })
        .await;
        let (network, recorder) = recorded(&config);
        let mut connection = connected(&network, "site.test", 80).await;
        echo(&mut connection, b"hello").await;

        assert_eq!(proxy.targets(), [format!("{ADDRESS}:80")]);
        let credentials = proxy.requests()[0].credentials.clone();
        assert_eq!(
            credentials,
            kind.credentials.map(|text| text.replace("%20", " "))
        );
        // The program sees neither the proxy's address nor that it is on loopback.
        let peer = connection.peer_endpoint().expect("open");
        assert_eq!(peer, format!("{ADDRESS}:80").parse().expect("an address"));
        let local = connection.local_endpoint().expect("open");
        assert!(local.ip().is_unspecified() && local.port() != 0);

        drop(connection);
        let report = network.report().connections.remove(0);
        let name = format!("{}://localhost:{}", kind.scheme, proxy.port());
        assert_eq!(
            (report.address, report.proxy.as_deref()),
            (Some(peer), Some(&*name))
        );
        assert_eq!((report.sent, report.received), (5, 5));
        let events = recorder.events();
        let through = events.iter().find_map(|event| match &event.kind {
            EventKind::Connected { proxy, .. } => proxy.as_deref(),
            _ => None,
        });
        assert_eq!(through, Some(&*name));
        assert_eq!(kinds(&events), ["resolved", "connected", "closed"]);
        let lines: String = events.iter().map(ToString::to_string).collect();
        assert!(lines.contains(&format!("through {name}")), "{lines}");
        assert!(!lines.contains("user"), "{lines}");
    }
}

#[tokio::test]
async fn the_next_address_is_tried_when_the_proxy_cannot_reach_the_first() {
    for kind in &KINDS {
        let authorities = Authorities::new();
        let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
        let (proxy, config) = proxied(kind, &authorities, |builder| {
            builder.route(&format!("{ADDRESS}:80"), peer.address())
        })
        .await;
        let network = Network::new(&config);
        let connection = connected(&network, "pair.test", 80).await;
        assert_eq!(connection.peer_endpoint().expect("open").ip(), ip(ADDRESS));
        assert_eq!(
            proxy.targets(),
            ["1.1.1.1:80".to_owned(), format!("{ADDRESS}:80")]
        );
    }
}

#[tokio::test]
async fn a_proxy_that_rejects_the_credentials_is_asked_once() {
    for kind in [&KINDS[1], &KINDS[4]] {
        let (proxy, config) = proxied(kind, &Authorities::new(), |builder| {
            builder.credentials("user:other")
        })
        .await;
        let (network, recorder) = recorded(&config);
        let error = outcome(&network, "pair.test", 80)
            .await
            .expect_err("rejected");
        let NetError::Proxy(text) = &error else {
            panic!("{error:?}")
        };
        assert!(text.contains("does not accept the credentials"), "{text}");
        assert!(
            !text.contains("user") && !text.contains("localhost"),
            "{text}"
        );
        assert!(proxy.requests().len() <= 1);
        let events = recorder.events();
        let line = events
            .iter()
            .find(|e| matches!(e.kind, EventKind::ProxyFailed { .. }));
        let line = line.expect("an event").to_string();
        assert!(
            line.contains(&format!("localhost:{}", proxy.port())),
            "{line}"
        );
        assert!(
            line.contains("rejects the user name or the password"),
            "{line}"
        );
        assert!(
            !line.contains("pass word") && !line.contains("secret"),
            "{line}"
        );
        let report = network.report();
        assert_eq!(report.refusals[0].reason, "proxy-failed");
        assert!(report.connections.iter().any(|c| c.proxy.is_some()));
    }
}

#[tokio::test]
async fn a_denied_host_never_reaches_the_proxy() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let (proxy, config) = http_proxy(&peer).await;
    let resolver = ScriptedResolver::new()
        .answer("internal.test", &["10.1.2.3"])
        .answer("mixed.test", &[ADDRESS, "192.168.0.1"]);
    let config = config
        .with_resolver(Arc::new(resolver))
        .block_host("blocked.test")
        .expect("a pattern");
    let network = Network::new(&config);
    let hosts = [
        "10.1.2.3",
        "internal.test",
        "mixed.test",
        "blocked.test",
        "localhost",
    ];
    for host in hosts {
        let error = outcome(&network, host, 80).await.expect_err(host);
        assert!(matches!(error, NetError::Denied(_)), "{host}: {error:?}");
    }
    assert!(proxy.targets().is_empty());
}

#[tokio::test]
async fn hosts_in_no_proxy_and_loopback_are_connected_to_directly() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let (proxy, config) = http_proxy(&peer).await;
    let port = peer.port();
    let resolver = ScriptedResolver::new()
        .answer("a.direct.test", &["127.0.0.1"])
        .answer("site.test", &[ADDRESS])
        .answer("other.test", &["127.0.0.1"]);
    let config = config
        .with_resolver(Arc::new(resolver) as Arc<dyn Resolve>)
        .allow_localhost();
    let network = Network::new(&config);
    for host in ["127.0.0.1", "localhost", "other.test"] {
        let mut connection = connected(&network, host, port).await;
        assert!(connection.peer_endpoint().expect("open").ip().is_loopback());
        echo(&mut connection, b"hello").await;
    }
    assert!(
        network
            .report()
            .connections
            .iter()
            .all(|c| c.proxy.is_none())
    );
    assert!(proxy.requests().is_empty());
}

/// An address to which the kernel makes no TCP connection, so that a direct connect fails at once.
const BROADCAST: &str = "255.255.255.255";

#[tokio::test]
async fn no_proxy_matches_names_and_addresses_on_their_ports() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let (proxy, config) = proxied(&KINDS[0], &Authorities::new(), |builder| {
        builder.route(&format!("{BROADCAST}:80"), peer.address())
    })
    .await;
    let resolver = ScriptedResolver::new().answer("site.test", &[BROADCAST]);
    let config = NetConfig::permissive()
        .with_proxy(config.proxy().expect("a proxy").clone())
        .with_resolver(Arc::new(resolver));
    let network = |pattern| Network::new(&config.bypass_proxy(pattern).expect("a pattern"));
    for (pattern, host) in [
        ("*.test", "site.test"),
        ("site.test:80", "site.test"),
        ("255.0.0.0/8", "site.test"),
        ("255.0.0.0/8", BROADCAST),
    ] {
        let error = outcome(&network(pattern), host, 80)
            .await
            .expect_err("direct");
        assert_eq!(error, NetError::NetworkUnreachable, "{pattern} {host}");
    }
    assert!(proxy.targets().is_empty());
    for pattern in ["site.test:81", "test", "10.0.0.0/8"] {
        outcome(&network(pattern), "site.test", 80)
            .await
            .expect(pattern);
    }
    assert_eq!(proxy.targets().len(), 3);
    // A name keeps its exclusion when the program first looks it up.
    let network = network("*.test");
    let mut lookup = network
        .lookup("site.test", Some(80), Family::Any)
        .expect("allowed");
    let addresses = within_timeout(lookup.finish(None)).await.expect("found");
    assert_eq!(addresses, [ip(BROADCAST)]);
    outcome(&network, BROADCAST, 80).await.expect_err("direct");
    assert_eq!(proxy.targets().len(), 3);
}

#[tokio::test]
async fn a_program_cannot_reach_the_proxy_itself() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let (proxy, config) = http_proxy(&peer).await;
    let port = proxy.port();
    let resolver = ScriptedResolver::new()
        .answer("alias.test", &["127.0.0.1"])
        .answer("other.test", &["127.0.0.5"]);
    let config = NetConfig::permissive()
        .with_proxy(config.proxy().expect("a proxy").clone())
        .with_resolver(Arc::new(resolver));
    let unlisted = [
        "localhost",
        "127.0.0.1",
        "::1",
        "0.0.0.0",
        "127.0.0.5",
        "64:ff9b::127.0.0.1",
        "alias.test",
        "other.test",
    ];
    for config in [config.clone(), config.bypass_proxy("*").expect("a pattern")] {
        let (network, recorder) = recorded(&config);
        for host in unlisted {
            // As at a closed port: a program cannot find the proxy.
            assert_eq!(
                outcome(&network, host, port).await,
                Err(NetError::ConnectionRefused),
                "{host}"
            );
        }
        let reasons = recorder
            .events()
            .into_iter()
            .filter_map(|event| match event.kind {
                EventKind::ProxyFailed { reason, .. } => Some(reason),
                _ => None,
            });
        let reasons: Vec<_> = reasons.collect();
        assert_eq!(reasons.len(), unlisted.len());
        assert!(
            reasons
                .iter()
                .all(|reason| reason.contains("the proxy itself"))
        );
    }
    assert!(proxy.requests().is_empty());
    // Other ports of the machine are not the proxy.
    outcome(&Network::new(&config), "localhost", peer.port())
        .await
        .expect("connects");
}

#[tokio::test]
async fn there_is_no_udp_with_a_proxy() {
    let config = NetConfig::permissive()
        .allow_udp("127.0.0.1:53")
        .expect("a pattern");
    assert!(Network::new(&config).udp_socket(Family::Ipv4).is_ok());
    let config = config.with_proxy("http://localhost:1".parse().expect("a URL"));
    let error = Network::new(&config)
        .udp_socket(Family::Ipv4)
        .expect_err("denied");
    assert!(matches!(error, NetError::Denied(text) if text.contains("proxy")));
}

#[tokio::test]
async fn the_connect_timeout_covers_the_proxy_and_its_name() {
    let silent = Peer::plain(Behaviour::Silent).await.expect("peer");
    let hole = eryx_testkit::BlackHole::new().await.expect("hole");
    let base = NetConfig::default()
        .with_connect_timeout(Duration::from_millis(200))
        .expect("a timeout");
    for url in [
        format!("http://{}", silent.address()),
        format!("https://{}", silent.address()),
        format!("socks5://{}", silent.address()),
        format!("http://{}", hole.address()),
    ] {
        let network = Network::new(&base.with_proxy(url.parse().expect("a URL")));
        assert_eq!(
            outcome(&network, ADDRESS, 80).await,
            Err(NetError::TimedOut),
            "{url}"
        );
        let report = network.report().connections.remove(0);
        assert_eq!(report.proxy.as_deref(), Some(&*url));
    }
    let config = base
        .with_resolver(Arc::new(NeverResolves))
        .with_proxy("http://proxy.test:3128".parse().expect("a URL"));
    let network = Network::new(&config);
    assert_eq!(
        outcome(&network, ADDRESS, 80).await,
        Err(NetError::TimedOut)
    );
}
