//! Tests of the data, the TLS and the memory of connections through a proxy.

mod support;

use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{HostMemory, NetConfig, NetError, Network, Recorder, Shutdown};
use eryx_testkit::{Behaviour, Peer, payload};
use support::proxies::*;
use support::*;

#[tokio::test]
async fn data_arrives_unchanged_in_both_directions_with_and_without_tls_of_the_program() {
    let data = payload::bytes(1 << 20);
    for kind in &KINDS {
        for is_tls in [false, true] {
            let authorities = Authorities::new();
            let peer = match is_tls {
                true => Peer::tls(Behaviour::Echo, &authorities.server()).await,
                false => Peer::plain(Behaviour::Echo).await,
            };
            let peer = peer.expect("peer");
            let (_proxy, config) = proxied(kind, &authorities, |builder| {
                builder.route(&format!("{ADDRESS}:443"), peer.address())
            })
            .await;
            let network = Network::new(&config);
            let mut connection = connected(&network, "site.test", 443).await;
            if is_tls {
                within_timeout(connection.start_tls(&settings_for("site.test"), None))
                    .await
                    .expect("TLS inside the tunnel");
            }
            for chunk in data.chunks(200_000) {
                echo(&mut connection, chunk).await;
            }
            within_timeout(async {
                connection.shutdown(Shutdown::Send).expect("open");
                assert_eq!(drain(&mut connection).await, Ok(Vec::new()));
            })
            .await;
        }
    }
}

#[tokio::test]
async fn the_end_of_the_stream_reaches_the_peer_which_can_still_answer() {
    let data = payload::bytes(300_000);
    for kind in &KINDS {
        let authorities = Authorities::new();
        let peer = Peer::plain(Behaviour::Receipt).await.expect("peer");
        let (_proxy, config) = proxied(kind, &authorities, |builder| {
            builder.route(&format!("{ADDRESS}:80"), peer.address())
        })
        .await;
        let network = Network::new(&config);
        let mut connection = connected(&network, "site.test", 80).await;
        send(&mut connection, &data).await;
        connection.shutdown(Shutdown::Send).expect("open");
        let receipt = drain(&mut connection).await.expect("complete");
        let receipt = String::from_utf8(receipt).expect("text");
        assert!(receipt.starts_with("300000 "), "{receipt}");
        assert_eq!(peer.ended(1).await[0].received, 300_000);
    }
}

#[tokio::test]
async fn bytes_that_are_left_in_the_buffers_are_sent_after_the_connection_is_dropped() {
    let authorities = Authorities::new();
    let peer = Peer::plain(Behaviour::Receipt).await.expect("peer");
    let (_proxy, config) = proxied(&KINDS[2], &authorities, |builder| {
        builder.route(&format!("{ADDRESS}:80"), peer.address())
    })
    .await;
    let network = Network::new(&config);
    let mut connection = connected(&network, "site.test", 80).await;
    let mut sent = 0;
    // Until the kernel's buffer is full.
    while let Ok(taken) = connection.write(&[7; 100_000], Some(Duration::ZERO)).await {
        sent += taken as u64;
        if sent > 100_000_000 {
            break;
        }
    }
    drop(connection);
    assert_eq!(within_timeout(peer.ended(1)).await[0].received, sent);
    within_timeout(async {
        while network.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn readiness_is_precise_through_tls_to_a_proxy() {
    let authorities = Authorities::new();
    for is_tls in [false, true] {
        let behaviour = Behaviour::FinishesFirst { bytes: 100_000 };
        let peer = match is_tls {
            true => Peer::tls(behaviour, &authorities.server()).await,
            false => Peer::plain(behaviour).await,
        };
        let peer = peer.expect("peer");
        let (_proxy, config) = proxied(&KINDS[2], &authorities, |builder| {
            builder.route(&format!("{ADDRESS}:443"), peer.address())
        })
        .await;
        let network = Network::new(&config);
        let mut connection = connected(&network, "site.test", 443).await;
        assert!(within_timeout(writable(&mut connection, TIMEOUT)).await);
        if is_tls {
            within_timeout(connection.start_tls(&settings_for("site.test"), None))
                .await
                .expect("TLS inside the tunnel");
        }
        let mut received = 0;
        loop {
            assert!(within_timeout(readable(&mut connection, TIMEOUT)).await);
            // A connection that is reported readable does not block.
            match connection.read(100, Some(Duration::ZERO)).await {
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => received += bytes.len(),
                Err(error) => panic!("after {received} bytes: {error:?}"),
            }
        }
        assert_eq!(received, 100_000);
    }
}

#[tokio::test]
async fn bytes_behind_the_proxys_answer_belong_to_the_tunnel() {
    for (scheme, answer) in [
        (
            "http",
            &b"HTTP/1.1 200 Connection established\r\n\r\n220 ready"[..],
        ),
        (
            "http",
            b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n220 ready",
        ),
    ] {
        let peer = Peer::plain(Behaviour::Answers(answer.into()))
            .await
            .expect("peer");
        let url = format!("{scheme}://{}", peer.address());
        let network = Network::new(&NetConfig::default().with_proxy(url.parse().expect("a URL")));
        let mut connection = connected(&network, ADDRESS, 25).await;
        assert!(readable(&mut connection, Duration::ZERO).await);
        assert_eq!(drain(&mut connection).await, Ok(b"220 ready".to_vec()));
    }
}

#[tokio::test]
async fn tls_of_the_program_has_the_rest_of_the_connect_timeout() {
    let silent = Peer::plain(Behaviour::Silent).await.expect("peer");
    let (_proxy, config) = proxied(&KINDS[0], &Authorities::new(), |builder| {
        builder.route(&format!("{ADDRESS}:443"), silent.address())
    })
    .await;
    let config = config
        .with_connect_timeout(Duration::from_millis(300))
        .expect("a timeout");
    let network = Network::new(&config);
    let mut connection = connected(&network, "site.test", 443).await;
    let outcome = within_timeout(connection.start_tls(&settings_for("site.test"), None)).await;
    assert_eq!(outcome, Err(NetError::TimedOut));
}

#[tokio::test]
async fn a_tunnel_counts_as_host_memory_until_its_connection_is_closed() {
    let authorities = Authorities::new();
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let mut used = Vec::new();
    for kind in [&KINDS[0], &KINDS[2]] {
        let (_proxy, config) = proxied(kind, &authorities, |builder| {
            builder.route(&format!("{ADDRESS}:80"), peer.address())
        })
        .await;
        let memory = HostMemory::default();
        let network = Network::new(&config).with_host_memory(memory.clone());
        let connection = connected(&network, "site.test", 80).await;
        used.push(memory.used());
        drop(connection);
        within_timeout(async {
            while memory.used() > 8192 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        let network = Network::new(&config).with_host_memory(HostMemory::new(used[0] - 1));
        let error = outcome(&network, "site.test", 80).await.expect_err("full");
        assert!(matches!(error, NetError::LimitReached(_)), "{error:?}");
    }
    assert!(used[1] >= used[0] + (384 << 10), "{used:?}");
}

#[tokio::test]
async fn certificates_for_the_proxy_are_not_trusted_for_servers_and_need_its_name() {
    let authorities = Authorities::new();
    let peer = Peer::tls(Behaviour::Echo, &authorities.proxy())
        .await
        .expect("peer");
    let (proxy, config) = proxied(&KINDS[2], &authorities, |builder| {
        builder.route(&format!("{ADDRESS}:443"), peer.address())
    })
    .await;
    let network = Network::new(&config);
    let mut connection = connected(&network, ADDRESS, 443).await;
    let error = within_timeout(connection.start_tls(&settings_for("localhost"), None)).await;
    // The policy denies the name `localhost`; without it, the certificate is not trusted.
    assert!(matches!(error, Err(NetError::Denied(_))));
    let settings = ClientSettings::default();
    let error = within_timeout(connection.start_tls(&settings, None)).await;
    assert!(matches!(error, Err(NetError::Tls(_))), "{error:?}");

    let by_address = format!("https://user:secret@127.0.0.1:{}", proxy.port());
    let recorder = Arc::new(Recorder::new(10));
    let config = config.with_proxy(by_address.parse().expect("a URL"));
    let network = Network::new(&config).with_observer(Arc::clone(&recorder) as _);
    let error = outcome(&network, ADDRESS, 443)
        .await
        .expect_err("another name");
    assert!(matches!(&error, NetError::Proxy(text) if text.ends_with("TLS to it fails")));
    let lines: String = recorder.events().iter().map(ToString::to_string).collect();
    assert!(lines.contains("certificate"), "{lines}");
    assert!(!lines.contains("secret"), "{lines}");
}
