//! Tests of inspected hosts behind a proxy.

mod support;

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::policy::{HttpRule, SecretBinding};
use eryx_net_host::{Connection, Family, NetConfig, NetError, Network, Secret};
use eryx_testkit::{Behaviour, Identity, Peer, Proxy, RequestRecorder};
use support::http::{SECRET, denial, placeholder};
use support::proxies::*;
use support::*;

/// The length of a body.
const MEBIBYTE: usize = 1 << 20;

/// Returns text of [`MEBIBYTE`] bytes whose every line differs.
fn text() -> String {
    let mut text: String = (0..)
        .map(|n| format!("{n:015}\n"))
        .take(MEBIBYTE / 16)
        .collect();
    text.replace_range(..1, "T");
    text
}

/// Returns a secret for `site.test`, also in clear text.
fn site_secret() -> Secret {
    let host = || ["site.test".parse().expect("a pattern")];
    let binding = SecretBinding::new("TOKEN", host()).expect("a binding");
    let binding = binding.with_plaintext_hosts(host()).expect("a host");
    Secret::new(binding, SECRET).expect("a value")
}

/// A server that returns the body of each request, and its credentials in a field.
async fn echo_server(identity: Option<&Identity>) -> RequestRecorder {
    let respond = |request: &[u8]| {
        let text = String::from_utf8_lossy(request);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let credentials = head.lines().find_map(|l| l.strip_prefix("Authorization: "));
        let credentials = credentials.unwrap_or("none");
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\nEcho: {credentials}\r\nContent-Length: {length}");
        format!("{head}\r\n\r\n{body}").into_bytes()
    };
    match identity {
        Some(identity) => RequestRecorder::tls(identity, respond).await,
        None => RequestRecorder::plain(respond).await,
    }
    .expect("a server")
}

/// Sends a request with a secret and `body`, while the response arrives, and returns the response.
async fn exchange(connection: &mut Connection, network: &Network, body: &str) -> String {
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: site.test\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n",
        placeholder(network),
        body.len()
    );
    send(connection, head.as_bytes()).await;
    for chunk in body.as_bytes().chunks(200_000) {
        send(connection, chunk).await;
    }
    let mut response = Vec::new();
    while !response.ends_with(body.as_bytes()) {
        assert!(readable(connection, TIMEOUT).await);
        let bytes = connection.read(1 << 20, Some(Duration::ZERO)).await;
        let bytes = bytes.expect("readable");
        assert!(!bytes.is_empty(), "the end after {} bytes", response.len());
        response.extend(bytes);
    }
    String::from_utf8(response).expect("text")
}

#[tokio::test]
async fn a_secret_and_a_mebibyte_in_each_direction_pass_through_every_kind_of_proxy() {
    let body = text();
    for kind in &KINDS {
        for is_tls in [true, false] {
            let port = if is_tls { 443 } else { 80 };
            let authorities = Authorities::new();
            let identity = is_tls.then(|| authorities.server());
            let server = echo_server(identity.as_ref()).await;
            let (proxy, config) = proxied(kind, &authorities, |builder| {
                builder.route(&format!("{ADDRESS}:{port}"), server.address())
            })
            .await;
            let config = config.with_secret(site_secret()).expect("a secret");
            let network = Network::new(&config);
            let mut connection = connected(&network, "site.test", port).await;
            if is_tls {
                within_timeout(connection.start_tls(&settings_for("site.test"), None))
                    .await
                    .expect("TLS inside the tunnel");
            }
            for _ in 0..2 {
                let response = exchange(&mut connection, &network, &body).await;
                let (head, received) = response.split_once("\r\n\r\n").expect("a head");
                assert!(received == body);
                // The program sees the placeholder where the server saw the secret.
                let echoed = format!("Echo: Bearer {}", placeholder(&network));
                assert!(head.contains(&echoed), "{head}");
            }
            let seen = server.text();
            let credentials = format!("Authorization: Bearer {SECRET}\r\n");
            assert_eq!(seen.matches(&credentials).count(), 2);
            assert_eq!(seen.matches(&body).count(), 2);
            assert_eq!(proxy.targets(), [format!("{ADDRESS}:{port}")]);
        }
    }
}

#[tokio::test]
async fn inspected_bytes_in_the_buffers_are_sent_after_the_connection_is_dropped() {
    for is_tls in [true, false] {
        let port = if is_tls { 443 } else { 80 };
        let authorities = Authorities::new();
        let peer = match is_tls {
            true => Peer::tls(Behaviour::Receipt, &authorities.server()).await,
            false => Peer::plain(Behaviour::Receipt).await,
        };
        let peer = peer.expect("peer");
        let (_proxy, config) = proxied(&KINDS[2], &authorities, |builder| {
            builder.route(&format!("{ADDRESS}:{port}"), peer.address())
        })
        .await;
        let network = Network::new(&config.with_secret(site_secret()).expect("a secret"));
        let mut connection = connected(&network, "site.test", port).await;
        if is_tls {
            within_timeout(connection.start_tls(&settings_for("site.test"), None))
                .await
                .expect("TLS inside the tunnel");
        }
        // The host adds `Accept-Encoding` where it is missing.
        let head = b"POST / HTTP/1.1\r\nHost: site.test\r\nAccept-Encoding: identity\r\n\
                     Content-Length: 1000000000\r\n\r\n";
        send(&mut connection, head).await;
        let mut sent = head.len() as u64;
        // Until the kernel's buffer is full.
        let body = [b'x'; 100_000];
        loop {
            let taken = connection.write(&body, Some(Duration::ZERO)).await;
            let taken = taken.unwrap_or(0);
            sent += taken as u64;
            if taken < body.len() {
                break;
            }
        }
        drop(connection);
        assert_eq!(within_timeout(peer.ended(1)).await[0].received, sent);
    }
}

/// Starts an HTTPS server for `site.test`, and a proxy that resolves that name.
async fn resolved_by_proxy() -> (RequestRecorder, Proxy, NetConfig) {
    let authorities = Authorities::new();
    let server = echo_server(Some(&authorities.server())).await;
    let (proxy, config) = proxied(&KINDS[2], &authorities, |builder| {
        builder.route("site.test:443", server.address())
    })
    .await;
    (server, proxy, config.with_proxy_resolves(true))
}

/// Returns the settings and rules of which none is about names that the proxy resolves.
fn with_rule_for_placeholders(config: &NetConfig) -> NetConfig {
    let rule = HttpRule::new("198.18.0.0/15".parse().expect("a pattern"));
    let rule = rule.with_methods(["DELETE"]).expect("a method");
    config.with_http_rule(rule).expect("a rule")
}

#[tokio::test]
async fn a_placeholder_of_a_name_counts_as_the_name_for_secrets_and_rules() {
    let (server, _proxy, config) = resolved_by_proxy().await;
    let config = config.with_secret(site_secret()).expect("a secret");
    let rule = HttpRule::new("site.test".parse().expect("a pattern"));
    let rule = rule.with_paths(["/upload"]).expect("a path");
    let config = with_rule_for_placeholders(&config).with_http_rule(rule);
    let network = Network::new(&config.expect("a rule"));
    let mut lookup = network
        .lookup("site.test", Some(443), Family::Any)
        .expect("allowed");
    let addresses = within_timeout(lookup.finish(None)).await.expect("found");
    for host in ["site.test", &addresses[0].to_string()] {
        let mut connection = connected(&network, host, 443).await;
        within_timeout(connection.start_tls(&settings_for("site.test"), None))
            .await
            .expect("TLS inside the tunnel");
        exchange(&mut connection, &network, "hello").await;
        let request = b"GET /other HTTP/1.1\r\nHost: site.test\r\n\r\n";
        denial(within_timeout(connection.write(request, None)).await);
    }
    assert_eq!(server.text().matches(SECRET).count(), 2);
    assert!(!server.text().contains("/other"));
}

#[tokio::test]
async fn a_placeholder_counts_as_the_name_for_rules_on_a_port_in_no_proxy() {
    let server = echo_server(None).await;
    let port = server.port();
    let (_server, _proxy, config) = resolved_by_proxy().await;
    let resolver = ScriptedResolver::new().answer("site.test", &["127.0.0.1"]);
    let rule = HttpRule::new("site.test".parse().expect("a pattern"));
    let config = config
        .allow_localhost()
        .with_resolver(Arc::new(resolver))
        .with_http_rule(rule.with_paths(["/upload"]).expect("a path"))
        .and_then(|config| config.bypass_proxy(&format!("site.test:{port}")))
        .expect("valid");
    let network = Network::new(&config);
    // The proxy resolves the name for other ports.
    let mut lookup = network
        .lookup("site.test", None, Family::Any)
        .expect("allowed");
    let addresses = within_timeout(lookup.finish(None)).await.expect("found");
    for host in ["site.test", &addresses[0].to_string()] {
        let mut connection = connected(&network, host, port).await;
        let request = format!("GET /other HTTP/1.1\r\nHost: site.test:{port}\r\n\r\n");
        denial(within_timeout(connection.write(request.as_bytes(), None)).await);
    }
    assert!(!server.text().contains("/other"));
}

#[tokio::test]
async fn rules_for_networks_do_not_apply_to_placeholders() {
    let (server, _proxy, config) = resolved_by_proxy().await;
    let config = with_rule_for_placeholders(&config);
    let warnings = config.warnings();
    assert!(
        warnings
            .iter()
            .any(|w| w.contains("blocked_hosts and http_rules")),
        "{warnings:?}"
    );
    let network = Network::new(&config);
    let mut connection = connected(&network, "site.test", 443).await;
    within_timeout(connection.start_tls(&settings_for("site.test"), None))
        .await
        .expect("TLS inside the tunnel");
    send(
        &mut connection,
        b"GET /any HTTP/1.1\r\nHost: site.test\r\n\r\n",
    )
    .await;
    let bytes = within_timeout(connection.read(1000, None)).await;
    assert!(bytes.expect("a response").starts_with(b"HTTP/1.1 200 OK"));
    assert!(server.text().starts_with("GET /any"));
}

#[tokio::test]
async fn a_network_in_the_allow_list_does_not_allow_server_names_by_the_placeholder() {
    let (_server, _proxy, config) = resolved_by_proxy().await;
    let config = config
        .with_allowed_hosts(["site.test", "198.18.0.0/15"])
        .and_then(|config| config.with_blocked_hosts([""; 0]))
        .expect("patterns");
    let network = Network::new(&config);
    let mut connection = connected(&network, "site.test", 443).await;
    let other = settings_for("other.test");
    let refused = within_timeout(connection.start_tls(&other, None)).await;
    assert!(matches!(refused, Err(NetError::Denied(_))), "{refused:?}");
}
