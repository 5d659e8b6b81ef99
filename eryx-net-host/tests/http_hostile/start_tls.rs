//! TLS that begins after bytes in clear text.

use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{NetError, Network};
use eryx_testkit::RequestRecorder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::request;
use crate::support::http::{Origin, PlainServer, denial, exchange, get_only, read_until, rule};
use crate::support::{TIMEOUT, connected, readable, send, settings, within_timeout};

/// Starts a relay to `port` that first sends `greeting`, and answers each message of the program,
/// as servers do that begin TLS later.
async fn greeting_relay_to(
    port: u16,
    greeting: &'static str,
    answers: &'static [(&'static [u8], &'static str)],
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let relay = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                client.write_all(greeting.as_bytes()).await?;
                for (message, answer) in answers {
                    client.read_exact(&mut vec![0; message.len()]).await?;
                    client.write_all(answer.as_bytes()).await?;
                }
                let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    relay
}

#[tokio::test]
async fn tls_begins_after_bytes_in_clear_text_where_requests_are_only_recorded() {
    const SMTP: &[(&[u8], &str)] = &[
        (b"EHLO me\r\n", "250 STARTTLS\r\n"),
        (b"STARTTLS\r\n", "220 go\r\n"),
    ];
    const POSTGRESQL: &[(&[u8], &str)] = &[(b"\0\0\0\x08\x04\xd2\x16\x2f", "S")];
    const CONNECT: &[(&[u8], &str)] = &[(
        b"CONNECT secure.test:443 HTTP/1.1\r\nHost: secure.test:443\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    )];
    let origin = Origin::new().await;
    let recording = origin.config.with_inspected_host("*").expect("a pattern");
    let rules = origin.config.with_http_rule(get_only()).expect("a rule");
    for config in [recording, rules.with_report_only(true)] {
        for (greeting, answers) in [("220 hi\r\n", SMTP), ("", POSTGRESQL), ("", CONNECT)] {
            let network = Network::new(&config);
            let relay = greeting_relay_to(origin.port(), greeting, answers).await;
            let mut connection = connected(&network, "secure.test", relay).await;
            read_until(&mut connection, greeting.as_bytes()).await;
            for (message, answer) in answers {
                send(&mut connection, message).await;
                read_until(&mut connection, answer.as_bytes()).await;
            }
            within_timeout(connection.start_tls(&settings(), None))
                .await
                .expect("TLS");
            exchange(&mut connection, &request("GET", relay, "")).await;
            let log = network.report().requests;
            assert_eq!(log.last().and_then(|request| request.status), Some(200));
        }
    }
    // Bytes that the program has not read are a part of what TLS receives.
    let network = Network::new(&origin.config.with_inspected_host("*").expect("a pattern"));
    let relay = greeting_relay_to(origin.port(), "", SMTP).await;
    let mut connection = connected(&network, "secure.test", relay).await;
    send(&mut connection, SMTP[0].0).await;
    read_until(&mut connection, SMTP[0].1.as_bytes()).await;
    send(&mut connection, SMTP[1].0).await;
    assert!(readable(&mut connection, TIMEOUT).await);
    let start = within_timeout(connection.read(3, None)).await;
    assert_eq!(start, Ok(b"220".to_vec()));
    let outcome = within_timeout(connection.start_tls(&settings(), None)).await;
    assert!(matches!(outcome, Err(NetError::Tls(_))), "{outcome:?}");
}

#[tokio::test]
async fn tls_does_not_begin_after_bytes_in_clear_text_where_rules_are_enforced() {
    let server = PlainServer::answering(false, |_| RequestRecorder::ok("")).await;
    let config = server.config.with_http_rule(rule("plain.test"));
    let network = Network::new(&config.expect("a rule"));
    let mut connection = server.connected(&network).await;
    exchange(&mut connection, &server.get("/", "")).await;
    let settings = ClientSettings::for_name("plain.test");
    let message = denial(within_timeout(connection.start_tls(&settings, None)).await);
    assert!(message.contains("open another connection"), "{message}");
}
