//! Tests of proxies that resolve names.

mod support;

use std::sync::Arc;

use eryx_net_host::policy::{Decision, Reason};
use eryx_net_host::{Family, NetConfig, NetError, Network};
use eryx_testkit::{Behaviour, CertificateAuthority, Leaf, Peer, Proxy};
use support::proxies::settings_for;
use support::*;

/// Starts an echo server and a proxy with a route to it for `site.test:443`, and returns them with
/// the network.
async fn resolving(scheme: &str) -> (Peer, Proxy, NetConfig, Arc<ScriptedResolver>) {
    let authority = CertificateAuthority::new().expect("an authority");
    let identity = authority
        .issue(&Leaf::server(["site.test"]))
        .expect("an identity");
    let peer = Peer::tls(Behaviour::Echo, &identity).await.expect("peer");
    let builder = match scheme {
        "socks5" => Proxy::socks5(),
        _ => Proxy::http(),
    };
    let proxy = builder.route("site.test:443", peer.address());
    let proxy = proxy.start().await.expect("a proxy");
    let resolver = Arc::new(ScriptedResolver::new().answer("direct.test", &["127.0.0.1"]));
    let url = format!("{scheme}://{}", proxy.address());
    let config = NetConfig::default()
        .with_proxy(url.parse().expect("a URL"))
        .with_proxy_resolves(true)
        .with_resolver(Arc::clone(&resolver) as _)
        .with_root_cert(authority.pem().as_bytes())
        .expect("a root");
    config.validate().expect("valid");
    (peer, proxy, config, resolver)
}

#[tokio::test]
async fn a_name_reaches_the_proxy_without_a_lookup() {
    for scheme in ["http", "socks5"] {
        let (_peer, proxy, config, resolver) = resolving(scheme).await;
        let network = Network::new(&config);
        let mut connection = connected(&network, "SITE.test.", 443).await;
        within_timeout(connection.start_tls(&settings_for("site.test"), None))
            .await
            .expect("TLS inside the tunnel");
        send(&mut connection, b"hello").await;
        let received = within_timeout(connection.read(100, None)).await;
        assert_eq!(received.as_deref(), Ok(&b"hello"[..]));
        assert_eq!(proxy.targets(), ["site.test:443"]);
        assert!(resolver.queries().is_empty());
        let endpoint = connection.peer_endpoint().expect("open");
        assert_eq!(endpoint.to_string(), "198.18.0.1:443");
        drop(connection);
        let report = network.report().connections.remove(0);
        let verdict = report.verdict.expect("a verdict");
        assert_eq!(
            (verdict.decision(), verdict.reason()),
            (Decision::Allow, Reason::NotBlocked)
        );
        assert_eq!(report.address, Some(endpoint));
        assert!(report.addresses.is_empty() && report.proxy.is_some());
    }
}

#[tokio::test]
async fn a_lookup_returns_a_placeholder_that_counts_as_the_name() {
    let (_peer, proxy, config, resolver) = resolving("http").await;
    let network = Network::new(&config.allow_host("site.test:443").expect("a pattern"));
    let lookup = async |name, family| {
        let mut lookup = network.lookup(name, Some(443), family)?;
        within_timeout(lookup.finish(None)).await
    };
    let addresses = lookup("site.test", Family::Any).await.expect("found");
    assert_eq!(addresses, [ip("198.18.0.1")]);
    assert_eq!(lookup("site.test", Family::Ipv4).await, Ok(addresses));
    assert_eq!(
        lookup("site.test", Family::Ipv6).await,
        Err(NetError::NameWithoutAddress)
    );
    assert!(matches!(
        lookup("other.test", Family::Any).await,
        Err(NetError::Denied(_))
    ));

    let connection = connected(&network, "198.18.0.1", 443).await;
    assert_eq!(
        connection.peer_endpoint().expect("open").to_string(),
        "198.18.0.1:443"
    );
    assert_eq!(proxy.targets(), ["site.test:443"]);
    for (host, port) in [("198.18.0.1", 80), ("198.18.0.2", 443), ("other.test", 443)] {
        let denied = network.connect(host, port);
        assert!(matches!(denied, Err(NetError::Denied(_))), "{host}:{port}");
    }
    assert_eq!((proxy.targets().len(), resolver.queries().len()), (1, 0));
}

#[tokio::test]
async fn names_are_judged_by_entries_for_names_and_addresses_by_all_entries() {
    let (_peer, proxy, config, _) = resolving("http").await;
    let config = config.block_host("*.blocked.test").expect("a pattern");
    assert!(config.check("site.test", 443).is_allowed());
    assert!(config.check("a.blocked.test", 443).is_denied());
    assert!(config.check("10.0.0.5", 443).is_denied());
    let network = Network::new(&config);
    for host in [
        "a.blocked.test",
        "10.0.0.5",
        "169.254.169.254",
        "localhost",
        "198.18.0.1",
    ] {
        let error = outcome(&network, host, 443).await.expect_err(host);
        assert!(matches!(error, NetError::Denied(_)), "{host}: {error:?}");
    }
    assert!(proxy.targets().is_empty());
}

#[tokio::test]
async fn names_with_fixed_addresses_and_those_in_no_proxy_are_resolved_and_checked() {
    let (_peer, proxy, config, resolver) = resolving("http").await;
    let config = config
        .with_hosts([
            ("fixed.test", vec![ip("93.184.215.14")]),
            ("internal.test", vec![ip("10.0.0.5")]),
        ])
        .and_then(|config| config.bypass_proxy("direct.test"))
        .expect("valid");
    let network = Network::new(&config);
    outcome(&network, "fixed.test", 443)
        .await
        .expect_err("no route");
    assert_eq!(proxy.targets(), ["93.184.215.14:443"]);
    for host in ["internal.test", "direct.test"] {
        let error = outcome(&network, host, 443).await.expect_err(host);
        assert!(matches!(error, NetError::Denied(_)), "{host}: {error:?}");
    }
    assert_eq!(proxy.targets().len(), 1);
    assert_eq!(resolver.queries(), ["direct.test"]);
}

#[tokio::test]
async fn in_report_only_mode_a_denied_name_reaches_the_proxy() {
    let (_peer, proxy, config, _) = resolving("http").await;
    let config = config
        .block_host("site.test")
        .expect("a pattern")
        .with_report_only(true);
    outcome(&Network::new(&config), "site.test", 443)
        .await
        .expect("connects");
    assert_eq!(proxy.targets(), ["site.test:443"]);
}

#[tokio::test]
async fn the_name_of_the_proxy_is_refused_on_its_port() {
    let (_peer, proxy, config, _) = resolving("http").await;
    let url = format!("http://proxy.test:{}", proxy.port());
    let network = Network::new(&config.with_proxy(url.parse().expect("a URL")));
    let refused = outcome(&network, "proxy.test", proxy.port()).await;
    assert_eq!(refused, Err(NetError::ConnectionRefused));
    assert!(proxy.targets().is_empty());
}
