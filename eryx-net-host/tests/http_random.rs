//! Random operations on inspected connections: each request arrives once and in order, each
//! response reaches the program without the secret, and an operation that is reported ready does
//! not block.

mod support;

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use eryx_net_host::{Connection, NetError, Secret, TlsSession};
use support::http::*;
use support::*;

/// A linear congruential generator: the same numbers in every run.
struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// A request as the program writes it and as the server receives it.
fn request(rng: &mut Rng, number: usize, port: u16, placeholder: &str) -> (String, String) {
    let body = format!("body {number} {}", "x".repeat(rng.below(200)));
    let (method, framing, body) = match rng.below(3) {
        0 => ("GET", String::new(), String::new()),
        1 => ("POST", format!("Content-Length: {}\r\n", body.len()), body),
        _ => {
            let (first, second) = body.split_at(rng.below(body.len() - 1) + 1);
            let chunk = |text: &str| match text {
                "" => String::new(),
                text => format!("{:x}\r\n{text}\r\n", text.len()),
            };
            let body = format!("{}{}0\r\n\r\n", chunk(first), chunk(second));
            ("PUT", "Transfer-Encoding: chunked\r\n".to_owned(), body)
        }
    };
    let padding = "y".repeat(rng.below(100));
    let of = |token: &str, accept: &str| {
        format!(
            "{method} /{number} HTTP/1.1\r\nHost: secure.test:{port}\r\nX-Padding: {padding}\r\n\
             Authorization: Bearer {token}\r\n{framing}{accept}\r\n{body}"
        )
    };
    (
        of(placeholder, ""),
        of(SECRET, "Accept-Encoding: identity\r\n"),
    )
}

/// Returns a response that repeats the request in random chunks.
fn echo(rng: &mut Rng, request: &[u8]) -> Vec<u8> {
    let mut response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let mut rest = request;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at((rng.below(60) + 1).min(rest.len()));
        response.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        response.extend(chunk);
        response.extend(b"\r\n");
        rest = after;
    }
    response.extend(b"0\r\n\r\n");
    response
}

/// Returns the bodies of chunked responses, as far as they are complete.
fn bodies(mut bytes: &[u8]) -> Vec<String> {
    let mut bodies = Vec::new();
    while let Some(start) = memchr::memmem::find(bytes, b"\r\n\r\n") {
        let mut body = Vec::new();
        let mut rest = &bytes[start + 4..];
        loop {
            let Some(end) = memchr::memmem::find(rest, b"\r\n") else {
                return bodies;
            };
            let size = std::str::from_utf8(&rest[..end]).expect("a size");
            let size = usize::from_str_radix(size, 16).expect("a size");
            let Some(chunk) = rest.get(end + 2..end + 2 + size + 2) else {
                return bodies;
            };
            body.extend(&chunk[..size]);
            rest = &rest[end + 2 + size + 2..];
            if size == 0 {
                break;
            }
        }
        bodies.push(String::from_utf8(body).expect("text"));
        bytes = rest;
    }
    bodies
}

async fn run(seed: u64, secret: Secret) {
    let mut rng = Rng(seed);
    let server_rng = eryx_sync::Mutex::new(Rng(seed + 1_000_000));
    let origin = Origin::answering(move |request| echo(&mut server_rng.lock(), request)).await;
    let network = origin.network_with(secret);
    let p = placeholder(&network);
    let requests: Vec<(String, String)> = (0..12)
        .map(|number| request(&mut rng, number, origin.port(), &p))
        .collect();
    let mut connection = tls_connected(&network, origin.port()).await;
    let (mut unwritten, mut received) = (Vec::new(), Vec::new());
    let (mut begun, mut steps) = (0, 0);
    while bodies(&received).len() < requests.len() {
        steps += 1;
        assert!(steps < 20_000, "seed {seed} makes no progress");
        let is_open = begun < requests.len() && begun < bodies(&received).len() + 8;
        if unwritten.is_empty() && is_open {
            unwritten = requests[begun].0.clone().into_bytes();
            begun += 1;
        }
        let timeout = [Duration::ZERO, Duration::from_millis(1)][rng.below(2)];
        match rng.below(4) {
            0 => receive(&mut rng, &mut connection, timeout, &mut received).await,
            1 if readable(&mut connection, timeout).await => {
                let before = received.len();
                receive(&mut rng, &mut connection, Duration::ZERO, &mut received).await;
                assert!(received.len() > before, "seed {seed}: a read would block");
            }
            2 if !unwritten.is_empty() => {
                transmit(&mut rng, &mut connection, timeout, &mut unwritten).await;
            }
            3 if !unwritten.is_empty() && writable(&mut connection, timeout).await => {
                let before = unwritten.len();
                transmit(&mut rng, &mut connection, Duration::ZERO, &mut unwritten).await;
                assert!(unwritten.len() < before, "seed {seed}: a write would block");
            }
            _ => tokio::task::yield_now().await,
        }
    }
    let sent: String = requests.iter().map(|(_, sent)| &**sent).collect();
    assert_eq!(origin.server.text(), sent, "seed {seed}");
    let expected: Vec<String> = requests
        .iter()
        .map(|(_, sent)| sent.replace(SECRET, &p[..SECRET.len()]))
        .collect();
    assert_eq!(bodies(&received), expected, "seed {seed}");
    let log = network.report().requests;
    assert_eq!(log.len(), requests.len());
    let counted: u64 = log.iter().map(|request| request.sent_bytes).sum();
    assert_eq!(counted, sent.len() as u64, "seed {seed}");
}

async fn receive(
    rng: &mut Rng,
    connection: &mut Connection,
    timeout: Duration,
    received: &mut Vec<u8>,
) {
    let max = [1, 7, 100, 1 << 16][rng.below(4)];
    match within_timeout(connection.read(max, Some(timeout))).await {
        Ok(bytes) => {
            assert!(!bytes.is_empty() && bytes.len() <= max);
            received.extend(bytes);
        }
        Err(NetError::WouldBlock | NetError::TimedOut) => {}
        Err(error) => panic!("{error:?}"),
    }
}

async fn transmit(
    rng: &mut Rng,
    connection: &mut Connection,
    timeout: Duration,
    unwritten: &mut Vec<u8>,
) {
    let count = (rng.below(300) + 1).min(unwritten.len());
    match within_timeout(connection.write(&unwritten[..count], Some(timeout))).await {
        Ok(taken) => drop(unwritten.drain(..taken)),
        Err(NetError::WouldBlock | NetError::TimedOut) => {}
        Err(error) => panic!("{error:?}"),
    }
}

/// Gives [`SECRET`] after a while.
struct Slow;

impl eryx_net_host::ProvideSecret for Slow {
    fn provide(
        &self,
    ) -> futures_util::future::BoxFuture<
        'static,
        Result<secrecy::SecretString, eryx_net_host::ProvideSecretError>,
    > {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(SECRET.into())
        })
    }
}

#[tokio::test]
async fn random_operations_lose_and_repeat_nothing() {
    for seed in 0..60 {
        run(seed, secret("secure.test")).await;
    }
}

#[tokio::test]
async fn random_operations_lose_and_repeat_nothing_while_tokens_take_time() {
    for seed in 0..20 {
        let provider = Arc::new(Slow);
        run(
            seed,
            Secret::with_provider(binding("secure.test"), provider),
        )
        .await;
    }
}

/// Sends the ciphertext of a session in pieces, and gives it some of the server's.
async fn pump(rng: &mut Rng, connection: &mut Connection, session: &mut TlsSession) {
    loop {
        let ciphertext = session.take(rng.below(3000) + 1);
        if ciphertext.is_empty() {
            break;
        }
        send(connection, &ciphertext).await;
    }
    let max = [1, 100, 1 << 16][rng.below(3)];
    match within_timeout(connection.read(max, Some(Duration::ZERO))).await {
        Ok(bytes) => {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let piece = (rng.below(500) + 1).min(rest.len());
                let fed = session.feed(&rest[..piece]).expect("fed");
                rest = &rest[fed..];
            }
        }
        Err(error) => assert_eq!(error, NetError::WouldBlock),
    }
}

async fn run_session(seed: u64, secret: Secret) {
    let mut rng = Rng(seed);
    let server_rng = eryx_sync::Mutex::new(Rng(seed + 1_000_000));
    let origin = Origin::answering(move |request| echo(&mut server_rng.lock(), request)).await;
    let network = origin.network_with(secret);
    let p = placeholder(&network);
    let requests: Vec<(String, String)> = (0..6)
        .map(|number| request(&mut rng, number, origin.port(), &p))
        .collect();
    let mut connection = connected(&network, "secure.test", origin.port()).await;
    let mut session = network.tls_session(&settings()).expect("allowed");
    let mut unwritten: Vec<u8> = requests
        .iter()
        .flat_map(|(written, _)| written.bytes())
        .collect();
    let (mut received, mut steps) = (Vec::new(), 0);
    while bodies(&received).len() < requests.len() {
        steps += 1;
        assert!(steps < 50_000, "seed {seed} makes no progress");
        pump(&mut rng, &mut connection, &mut session).await;
        if rng.below(2) == 0 {
            let count = (rng.below(300) + 1).min(unwritten.len());
            match within_timeout(session.write(&unwritten[..count])).await {
                Ok(taken) => drop(unwritten.drain(..taken)),
                Err(error) => assert_eq!(error, NetError::WouldBlock),
            }
        }
        match session.read(rng.below(200) + 1) {
            Poll::Ready(bytes) => received.extend(bytes.expect("bytes")),
            Poll::Pending => tokio::task::yield_now().await,
        }
    }
    let sent: String = requests.iter().map(|(_, sent)| &**sent).collect();
    assert_eq!(origin.server.text(), sent, "seed {seed}");
    let expected: Vec<String> = requests
        .iter()
        .map(|(_, sent)| sent.replace(SECRET, &p[..SECRET.len()]))
        .collect();
    assert_eq!(bodies(&received), expected, "seed {seed}");
}

#[tokio::test]
async fn random_operations_on_sessions_lose_and_repeat_nothing() {
    for seed in 0..20 {
        run_session(seed, secret("secure.test")).await;
        let provider = Arc::new(Slow);
        run_session(
            seed,
            Secret::with_provider(binding("secure.test"), provider),
        )
        .await;
    }
}
