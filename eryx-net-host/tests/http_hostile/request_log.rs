//! The entries of the request log.

use eryx_net_host::Network;
use eryx_testkit::RequestRecorder;

use crate::recording;
use crate::support::http::{Origin, PlainServer, denial, exchange, read_until, rule, write};
use crate::support::{send, tls_connected};

#[tokio::test]
async fn a_malformed_request_is_logged_with_the_port_of_its_connection() {
    let origin = Origin::new().await;
    let config = origin.config.with_http_rule(rule("secure.test"));
    let network = Network::new(&config.expect("a rule"));
    let port = origin.port();
    let mut connection = tls_connected(&network, port).await;
    denial(
        write(
            &mut connection,
            "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n",
        )
        .await,
    );
    let log = network.report().requests;
    let request = log.first().expect("an entry");
    assert_eq!(request.method, "");
    assert_eq!(request.url, format!("https://secure.test:{port}/"));
}

#[tokio::test]
async fn the_log_counts_heads_framing_and_bodies_in_both_directions() {
    let answer =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n";
    for is_recorded in [true, false] {
        let server = PlainServer::answering(false, |_| answer.as_bytes().to_vec()).await;
        let network = match is_recorded {
            true => recording(&server),
            false => {
                let config = server.config.with_http_rule(rule("plain.test"));
                Network::new(&config.expect("a rule"))
            }
        };
        let mut connection = server.connected(&network).await;
        let port = server.port;
        let request = format!(
            "POST / HTTP/1.1\r\nHost: plain.test:{port}\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nhi\r\n0\r\nC: d\r\n\r\n"
        );
        for part in request.as_bytes().chunks(7) {
            send(&mut connection, part).await;
        }
        read_until(&mut connection, b"A: b\r\n\r\n").await;
        let log = &network.report().requests[0];
        assert_eq!(log.sent_bytes, request.len() as u64, "{is_recorded}");
        assert_eq!(log.received_bytes, answer.len() as u64, "{is_recorded}");
    }
}

#[tokio::test]
async fn the_log_counts_bytes_that_are_sent_after_the_response() {
    let server = PlainServer::answering(false, |_| RequestRecorder::ok("early")).await;
    let config = server.config.with_http_rule(rule("plain.test"));
    let network = Network::new(&config.expect("a rule"));
    let port = server.port;
    let mut connection = server.connected(&network).await;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: plain.test:{port}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    );
    exchange(&mut connection, &head).await;
    let rest = "5\r\nabcde\r\n0\r\n\r\n";
    write(&mut connection, rest).await.expect("allowed");
    let log = &network.report().requests;
    assert_eq!(log[0].sent_bytes, (head.len() + rest.len()) as u64);
    assert_eq!(log[0].error, None);
}
