//! Tests of the log of requests in HAR format.

use eryx_net_host::Network;

use crate::support::http::{Origin, PlainServer, denial, exchange, get, get_only, rule, write};
use crate::support::{drain, tls_connected};

#[tokio::test]
async fn the_log_can_be_written_as_har() {
    let origin = Origin::new().await;
    let network = origin.network_with_rule(get_only());
    let port = origin.port();
    let mut connection = tls_connected(&network, port).await;
    exchange(&mut connection, &get("/a?b=c&d", port, "")).await;
    denial(
        write(
            &mut connection,
            &format!("POST / HTTP/1.1\r\nHost: secure.test:{port}\r\n\r\n"),
        )
        .await,
    );
    let har = serde_json::to_value(network.report().to_har()).expect("JSON");
    let entries = har["log"]["entries"].as_array().expect("entries");
    assert_eq!(entries[0]["request"]["queryString"][0]["value"], "c");
    assert_eq!(entries[0]["response"]["status"], 200);
    assert_eq!(entries[1]["response"]["status"], 0);
    assert_eq!(entries[1]["_verdict"]["reason"], "method-not-allowed");
    let started = entries[0]["startedDateTime"].as_str().expect("a time");
    assert!(started.ends_with('Z') && started.contains('T'), "{started}");
}

#[tokio::test]
async fn an_archive_has_the_versions_of_messages_and_the_size_of_the_content() {
    for (head, size) in [
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 5),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            4,
        ),
    ] {
        let server = PlainServer::answering(true, move |_| head.as_bytes().to_vec()).await;
        let config = server.config.with_http_rule(rule("plain.test"));
        let network = Network::new(&config.expect("a rule"));
        let mut connection = server.connected(&network).await;
        let request = server.get("/", "").replace("HTTP/1.1", "HTTP/1.0");
        write(&mut connection, &request).await.expect("allowed");
        drain(&mut connection).await.expect("a response");
        let har = serde_json::to_value(network.report().to_har()).expect("JSON");
        let entry = &har["log"]["entries"][0];
        assert_eq!(entry["request"]["httpVersion"], "HTTP/1.0");
        assert_eq!(entry["response"]["httpVersion"], head[..8]);
        assert_eq!(entry["response"]["content"]["size"], size);
    }
}
