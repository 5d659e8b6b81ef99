//! Tests of secrets in responses.

use eryx_net_host::Network;

use crate::support::http::{
    Origin, SECRET, denial, get, placeholder, response, rule, secret, write,
};
use crate::support::{tls_connected, within_timeout};

#[tokio::test]
async fn a_reflected_secret_is_replaced_however_the_response_is_framed_and_split() {
    let chunked: Vec<u8> = {
        let mut response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Echo: ".to_vec();
        response.extend(SECRET.bytes());
        response.extend(b"\r\n\r\n");
        // One byte in each chunk, with an extension.
        for byte in format!("a{SECRET}b{SECRET}").bytes() {
            response.extend(format!("1;x={SECRET}\r\n").bytes());
            response.push(byte);
            response.extend(b"\r\n");
        }
        response.extend(format!("0\r\nX-Trailer: {SECRET}\r\n\r\n").bytes());
        response
    };
    let length = format!(
        "HTTP/1.1 200 {SECRET}\r\nContent-Length: {}\r\n\r\n{SECRET}{}",
        SECRET.len() * 2 - 1,
        &SECRET[..SECRET.len() - 1]
    )
    .into_bytes();
    for answer in [chunked, length] {
        let origin = Origin::answering(move |_| answer.clone()).await;
        let network = Network::new(
            &origin
                .config
                .with_secret(secret("secure.test"))
                .expect("a secret"),
        );
        let port = origin.port();
        let p = placeholder(&network);
        for size in [1, 7, 1 << 20] {
            let mut connection = tls_connected(&network, port).await;
            let request = get("/", port, &format!("Authorization: {p}\r\n"));
            write(&mut connection, &request).await.expect("allowed");
            let mut text = String::new();
            while !text.ends_with("0\r\nX-Trailer: ")
                && !text.ends_with(&SECRET[..SECRET.len() - 1])
            {
                let bytes = within_timeout(connection.read(size, None))
                    .await
                    .expect("bytes");
                assert!(!bytes.is_empty(), "{text}");
                text.push_str(std::str::from_utf8(&bytes).expect("text"));
                assert!(!text.contains(SECRET), "{text}");
                if text.contains("X-Trailer: ") && text.ends_with("\r\n\r\n") {
                    break;
                }
            }
            assert!(text.contains(&p), "{text}");
        }
    }
}

#[tokio::test]
async fn a_response_in_which_a_secret_cannot_be_recognised_is_denied() {
    for (field, named) in [
        ("Content-Encoding: gzip", "Content-Encoding"),
        ("Content-Type: application/json;charset=UTF-16LE", "charset"),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: 3\r\n\r\nabc");
        let origin = Origin::answering(move |_| head.clone().into_bytes()).await;
        let network = origin.network_with_secret();
        let port = origin.port();
        let authorization = format!("Authorization: {}\r\n", placeholder(&network));
        for fields in ["", &authorization] {
            let mut connection = tls_connected(&network, port).await;
            let request = get("/", port, fields);
            write(&mut connection, &request).await.expect("allowed");
            let message = denial(response(&mut connection).await);
            assert!(message.contains(named), "{message}");
        }
    }
}

#[tokio::test]
async fn a_malformed_response_ends_the_connection_only_where_a_secret_was_sent() {
    for has_secret in [false, true] {
        let origin = Origin::answering(|_| b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\nrest".to_vec()).await;
        let config = match has_secret {
            true => origin
                .config
                .with_secret(secret("secure.test"))
                .expect("a secret"),
            false => origin
                .config
                .with_http_rule(rule("secure.test"))
                .expect("a rule"),
        };
        let network = Network::new(&config);
        let port = origin.port();
        let mut connection = tls_connected(&network, port).await;
        let fields = match has_secret {
            true => format!("Authorization: {}\r\n", placeholder(&network)),
            false => String::new(),
        };
        write(&mut connection, &get("/", port, &fields))
            .await
            .expect("allowed");
        let outcome = within_timeout(connection.read(100, None)).await;
        if has_secret {
            assert!(denial(outcome).contains("the response is denied"));
        } else {
            let mut bytes = outcome.expect("the response as it is");
            while !bytes.ends_with(b"rest") {
                bytes.extend(
                    within_timeout(connection.read(100, None))
                        .await
                        .expect("more"),
                );
            }
            assert_eq!(bytes, b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\nrest");
            // No further request can be matched with its response.
            denial(write(&mut connection, &get("/", port, "")).await);
        }
    }
}
