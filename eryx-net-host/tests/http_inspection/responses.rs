//! Tests of secrets in responses.

use eryx_net_host::{NetError, Network, TlsFailure};
use eryx_testkit::Behaviour;

use crate::support::http::{
    Origin, SECRET, denial, get, not_yet, placeholder, response, rule, secret, session_connected,
    session_write, transport, write,
};
use crate::support::{TlsFixture, tls_connected, within_timeout};

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

/// Regression: the last word of the body was lost, as it can be the start of a secret.
#[tokio::test]
async fn an_end_without_close_notify_follows_the_last_byte_of_a_body_without_length() {
    let end = &SECRET[..SECRET.len() - 1];
    for (field, is_complete) in [("", true), ("Content-Length: 10000\r\n", false)] {
        let fixture = TlsFixture::new();
        let answer = format!("HTTP/1.1 200 OK\r\n{field}\r\nfirst {end}");
        let received_of = |is_complete| match is_complete {
            true => answer.clone(),
            false => answer.replace(end, ""),
        };
        let behaviour = Behaviour::AnswersWithoutCloseNotify(answer.clone().into());
        let peer = fixture.peer(behaviour).await;
        let config = fixture.config().with_secret(secret("secure.test"));
        let network = Network::new(&config.expect("a secret"));
        let unexpected_eof = Err(NetError::Tls(TlsFailure::UnexpectedEof));
        let mut connection = tls_connected(&network, peer.port()).await;
        let request = get("/", peer.port(), "");
        write(&mut connection, &request).await.expect("allowed");
        let mut received = Vec::new();
        let outcome = loop {
            match within_timeout(connection.read(100, None)).await {
                Ok(bytes) => received.extend(bytes),
                Err(error) => break Err::<Vec<u8>, _>(error),
            }
        };
        assert_eq!(outcome, unexpected_eof, "{field}");
        let received = String::from_utf8_lossy(&received);
        assert_eq!(received, received_of(is_complete), "{field}");
        let again = within_timeout(connection.read(100, None)).await;
        assert_eq!(again, unexpected_eof, "{field}");

        // A program that transports the stream could have cut it anywhere.
        let (mut connection, mut session) =
            session_connected(&network, "secure.test", peer.port()).await;
        session_write(&mut connection, &mut session, &request)
            .await
            .expect("allowed");
        let mut received = Vec::new();
        loop {
            let step = transport(&mut connection, &mut session, async |session| {
                not_yet(session.read(100))
            });
            match step.await {
                Ok(bytes) if !bytes.is_empty() => received.extend(bytes),
                _ => break,
            }
        }
        let received = String::from_utf8_lossy(&received);
        assert_eq!(received, received_of(false), "{field}");
    }
}

/// Regression: most of a secret reached a program that got a server to cut a response.
#[tokio::test]
async fn the_last_word_of_a_truncated_body_is_withheld() {
    let end = &SECRET[..SECRET.len() - 1];
    for framed in [
        format!("Content-Length: 10000\r\n\r\nfirst {end}"),
        format!("Transfer-Encoding: chunked\r\n\r\n6\r\nfirst \r\n1000\r\n{end}"),
    ] {
        let fixture = TlsFixture::new();
        let answer = format!("HTTP/1.1 200 OK\r\n{framed}");
        let peer = fixture.peer(Behaviour::Answers(answer.into())).await;
        let config = fixture.config().with_secret(secret("secure.test"));
        let network = Network::new(&config.expect("a secret"));
        let mut connection = tls_connected(&network, peer.port()).await;
        let request = get("/", peer.port(), "");
        write(&mut connection, &request).await.expect("allowed");
        let text = response(&mut connection).await.expect("a response");
        assert!(text.contains("first "), "{text}");
        assert!(!text.contains("ghp"), "{text}");
    }
}
