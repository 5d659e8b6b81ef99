//! Tests of the transfer of data.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use bytes::BufMut;
use eryx_tls::{ClientSettings, OUTGOING_LIMIT, Version};
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::peer::{CertificateAuthority, HOST, established_pair, run_handshake, within_timeout};

const BODY: usize = 8 * 1024 * 1024;

/// Returns bytes whose period is not a power of two, so that a lost or repeated block is detected.
fn body() -> Vec<u8> {
    (0..BODY).map(|index| (index % 251) as u8).collect()
}

#[tokio::test]
async fn eight_mebibytes_are_transferred_both_ways_through_a_narrow_pipe() {
    let authority = CertificateAuthority::new();
    for (version, size) in [(&TLS12, 1000), (&TLS13, 1000), (&TLS13, 1 << 20)] {
        let server = authority.issue(&[HOST]).server_with(&[version]);
        let settings = ClientSettings::for_name(HOST);
        let (client, server) = run_handshake(&authority.connector(), &settings, server, size).await;
        let (mut client_in, mut client_out) = tokio::io::split(client.unwrap());
        let (mut server_in, mut server_out) = tokio::io::split(server.unwrap());
        let sent = body();
        let outcome = within_timeout(async {
            tokio::join!(
                async {
                    client_out.write_all(&sent).await.unwrap();
                    client_out.flush().await.unwrap();
                },
                async {
                    server_out.write_all(&sent).await.unwrap();
                    server_out.flush().await.unwrap();
                },
                read_body(&mut client_in),
                read_body(&mut server_in),
            )
        })
        .await;
        assert!(outcome.2 == sent, "download over {size}");
        assert!(outcome.3 == sent, "upload over {size}");
    }
}

async fn read_body(from: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut body = vec![0; BODY];
    from.read_exact(&mut body).await.unwrap();
    body
}

#[tokio::test]
async fn a_write_to_a_full_pipe_wants_a_flush_and_a_read_sends_the_rest() {
    let (mut client, mut server) = established_pair(4096).await;
    let mut cx = Context::from_waker(Waker::noop());
    let sent = body();
    let Poll::Ready(Ok(taken)) = client.poll_write(&mut cx, &sent) else {
        panic!("no ciphertext was waiting");
    };
    assert_eq!(taken, OUTGOING_LIMIT);
    assert!(client.wants_flush());
    assert!(client.poll_write(&mut cx, &sent).is_pending());
    assert!(client.poll_writable(&mut cx).is_pending());

    // The client does nothing but try to read; the server must get everything.
    let mut seen = vec![0; taken];
    let reading = poll_fn(|cx| client.poll_read(cx, &mut [0; 8]));
    within_timeout(async {
        tokio::select! {
            _ = reading => panic!("the server sent nothing"),
            seen = server.read_exact(&mut seen) => { seen.unwrap(); }
        }
    })
    .await;
    assert!(seen == sent[..taken]);
    assert!(client.poll_writable(&mut cx).is_ready());
    assert!(!client.wants_flush());
}

#[tokio::test]
async fn poll_readable_sends_the_rest_of_a_write() {
    let (mut client, mut server) = established_pair(4096).await;
    let mut cx = Context::from_waker(Waker::noop());
    assert!(client.poll_write(&mut cx, &[1; 60_000]).is_ready());
    assert!(client.wants_flush());
    let mut seen = vec![0; 60_000];
    within_timeout(async {
        tokio::select! {
            () = poll_fn(|cx| client.poll_readable(cx)) => panic!("the server sent nothing"),
            seen = server.read_exact(&mut seen) => { seen.unwrap(); }
        }
    })
    .await;
}

#[tokio::test]
async fn a_buffering_transport_is_flushed() {
    let authority = CertificateAuthority::new();
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(authority.issue(&[HOST]).server()));
    let (near, far) = tokio::io::duplex(1 << 16);
    let settings = ClientSettings::for_name(HOST);
    let buffered = tokio::io::BufStream::new(near);
    let handshake = authority.connector().upgrade(&settings, buffered).unwrap();
    let (client, server) =
        within_timeout(async { tokio::join!(handshake, acceptor.accept(far)) }).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    within_timeout(poll_fn(|cx| client.poll_write(cx, b"ping")))
        .await
        .unwrap();
    let mut seen = [0; 4];
    within_timeout(server.read_exact(&mut seen)).await.unwrap();
    assert_eq!(&seen, b"ping");
}

#[tokio::test]
async fn poll_flush_completes_when_all_ciphertext_is_sent() {
    let (mut client, mut server) = established_pair(4096).await;
    let mut cx = Context::from_waker(Waker::noop());
    assert!(client.poll_write(&mut cx, &[1; 60_000]).is_ready());
    assert!(client.poll_flush(&mut cx).is_pending());
    let mut seen = vec![0; 60_000];
    let (flushed, read) = within_timeout(async {
        tokio::join!(
            poll_fn(|cx| client.poll_flush(cx)),
            server.read_exact(&mut seen)
        )
    })
    .await;
    flushed.unwrap();
    read.unwrap();
    assert!(!client.wants_flush());
}

#[tokio::test]
async fn pending_is_zero_only_without_readable_plaintext() {
    let (mut client, mut server) = established_pair(1 << 20).await;
    let mut cx = Context::from_waker(Waker::noop());
    assert!(client.poll_readable(&mut cx).is_pending());
    assert_eq!(client.pending(), 0);
    for part in [&[1; 100][..], &[2; 16_384], &[3; 1]] {
        server.write_all(part).await.unwrap();
        server.flush().await.unwrap();
    }
    let mut left = 100 + 16_384 + 1;
    assert!(client.poll_readable(&mut cx).is_ready());
    while left > 0 {
        assert!(client.poll_readable(&mut cx).is_ready(), "{left} left");
        assert!(client.pending() > 0, "{left} left");
        let Poll::Ready(Ok(count)) = client.poll_read(&mut cx, &mut [0; 90]) else {
            panic!("{left} left");
        };
        left -= count;
    }
    assert_eq!(client.pending(), 0);
    assert!(client.poll_readable(&mut cx).is_pending());
}

#[tokio::test]
async fn a_growing_buffer_receives_plaintext_up_to_its_limit() {
    let (mut client, mut server) = established_pair(1 << 20).await;
    server.write_all(&[5; 40_000]).await.unwrap();
    server.flush().await.unwrap();
    let mut all = Vec::new();
    while all.len() < 40_000 {
        let before = all.len();
        let mut limited = (&mut all).limit(30_000);
        let count = within_timeout(poll_fn(|cx| client.poll_read_buf(cx, &mut limited)))
            .await
            .unwrap();
        assert!(count > 0 && count <= 30_000);
        assert_eq!(all.len(), before + count);
    }
    assert!(all.iter().all(|byte| *byte == 5));
    let empty_read = poll_fn(|cx| client.poll_read(cx, &mut [])).await;
    assert_eq!(empty_read.unwrap(), 0);
}

#[tokio::test]
async fn writes_succeed_while_unread_plaintext_is_pending() {
    let (mut client, mut server) = established_pair(1 << 20).await;
    let sent: Vec<u8> = (0..60_000u32).map(|index| (index % 241) as u8).collect();
    server.write_all(&sent).await.unwrap();
    server.flush().await.unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(client.poll_readable(&mut cx).is_ready());
    for _ in 0..3 {
        client.write_all(b"ping").await.unwrap();
    }
    client.flush().await.unwrap();
    let mut pings = [0; 12];
    within_timeout(server.read_exact(&mut pings)).await.unwrap();
    assert_eq!(&pings, b"pingpingping");
    let mut seen = vec![0; sent.len()];
    within_timeout(client.read_exact(&mut seen)).await.unwrap();
    assert!(seen == sent);
}

#[tokio::test]
async fn a_servers_response_is_read_after_a_failed_write() {
    let (mut client, mut server) = established_pair(1 << 20).await;
    server.write_all(b"413 too large").await.unwrap();
    server.shutdown().await.unwrap();
    drop(server);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        match client.poll_write(&mut cx, &[0; 1000]) {
            Poll::Ready(Err(eryx_tls::TlsError::Io(_))) => {}
            other => panic!("{other:?}"),
        }
    }
    let mut answer = Vec::new();
    within_timeout(client.read_to_end(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer, b"413 too large");
    assert!(!client.wants_flush(), "the rest can never be sent");
    assert!(client.poll_writable(&mut cx).is_ready());
}

#[tokio::test]
async fn key_updates_in_mid_stream_are_processed() {
    let (mut client, mut server) = established_pair(1 << 20).await;
    assert_eq!(client.info().version, Version::Tls13);
    for round in 0..5u8 {
        server.get_mut().1.refresh_traffic_keys().unwrap();
        server.write_all(&[round; 1000]).await.unwrap();
        server.flush().await.unwrap();
        let mut seen = [0; 1000];
        within_timeout(client.read_exact(&mut seen)).await.unwrap();
        assert_eq!(seen, [round; 1000]);
        client.write_all(&[round; 1000]).await.unwrap();
        client.flush().await.unwrap();
        within_timeout(server.read_exact(&mut seen)).await.unwrap();
        assert_eq!(seen, [round; 1000]);
    }
}

#[tokio::test]
async fn a_tls_stream_works_inside_a_tls_stream() {
    let (outer_client, outer_server) = established_pair(1 << 12).await;
    let authority = CertificateAuthority::new();
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(
        authority.issue(&["inner.example"]).server(),
    ));
    let settings = ClientSettings::for_name("inner.example");
    let handshake = authority
        .connector()
        .upgrade(&settings, outer_client)
        .unwrap();
    let (client, server) =
        within_timeout(async { tokio::join!(handshake, acceptor.accept(outer_server)) }).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    let sent = &body()[..1 << 20];
    let mut seen = vec![0; sent.len()];
    within_timeout(async {
        tokio::join!(
            async {
                client.write_all(sent).await.unwrap();
                client.flush().await.unwrap();
            },
            async {
                server.read_exact(&mut seen).await.unwrap();
            }
        )
    })
    .await;
    assert!(seen == sent);
}
