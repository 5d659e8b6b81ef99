//! Tests of close_notify and of the end of the transport.

use std::future::poll_fn;

use eryx_tls::TlsError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::peer::{Client, established_pair, within_timeout};

async fn read(client: &mut Client) -> Result<Vec<u8>, TlsError> {
    let mut buf = [0; 64];
    let count = within_timeout(poll_fn(|cx| client.poll_read(cx, &mut buf))).await?;
    Ok(buf[..count].to_vec())
}

#[tokio::test]
async fn reads_after_the_peers_close_notify_return_the_end() {
    let (mut client, mut server) = established_pair(1 << 16).await;
    server.write_all(b"last words").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(read(&mut client).await.unwrap(), b"last words");
    assert_eq!(read(&mut client).await.unwrap(), b"");
    assert_eq!(read(&mut client).await.unwrap(), b"");
    assert!(client.is_peer_closed());
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_error_after_the_plaintext_before_it() {
    let (mut client, mut server) = established_pair(1 << 16).await;
    server.write_all(b"cut o").await.unwrap();
    server.flush().await.unwrap();
    drop(server);
    assert_eq!(read(&mut client).await.unwrap(), b"cut o");
    for _ in 0..2 {
        assert!(matches!(
            read(&mut client).await,
            Err(TlsError::UnexpectedEof)
        ));
    }
    assert!(!client.is_peer_closed());
}

#[tokio::test]
async fn an_end_inside_a_record_is_an_unexpected_eof() {
    let (mut client, mut server) = established_pair(1 << 16).await;
    let (tcp, _) = server.get_mut();
    tcp.write_all(b"\x17\x03\x03\x01\x00half a record")
        .await
        .unwrap();
    drop(server);
    assert!(matches!(
        read(&mut client).await,
        Err(TlsError::UnexpectedEof)
    ));
}

#[tokio::test]
async fn a_damaged_record_is_a_protocol_error_and_sends_an_alert() {
    let (mut client, mut server) = established_pair(1 << 16).await;
    server.write_all(b"whole").await.unwrap();
    server.flush().await.unwrap();
    assert_eq!(read(&mut client).await.unwrap(), b"whole");
    let (tcp, _) = server.get_mut();
    let forged = [&b"\x17\x03\x03\x00\x20"[..], &[7; 32]].concat();
    tcp.write_all(&forged).await.unwrap();
    let is_damage = |error: TlsError| match error {
        TlsError::Protocol(text) => text.starts_with("decryption failed or bad record mac: "),
        _ => false,
    };
    assert!(read(&mut client).await.is_err_and(is_damage));
    let error = within_timeout(server.read(&mut [0; 8]))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("BadRecordMac"), "{error}");
    assert!(
        read(&mut client).await.is_err_and(is_damage),
        "the error is returned again"
    );
}

#[tokio::test]
async fn after_close_notify_writes_fail_and_reads_continue() {
    let (mut client, mut server) = established_pair(1 << 16).await;
    client.write_all(b"question").await.unwrap();
    within_timeout(poll_fn(|cx| client.poll_close_notify(cx)))
        .await
        .unwrap();
    within_timeout(poll_fn(|cx| client.poll_close_notify(cx)))
        .await
        .unwrap();
    match poll_fn(|cx| client.poll_write(cx, b"more")).await {
        Err(TlsError::Io(error)) => assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe),
        other => panic!("{other:?}"),
    }
    let mut question = Vec::new();
    within_timeout(server.read_to_end(&mut question))
        .await
        .unwrap();
    assert_eq!(question, b"question");
    server.write_all(b"answer").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(read(&mut client).await.unwrap(), b"answer");
    assert_eq!(read(&mut client).await.unwrap(), b"");
}

#[tokio::test]
async fn after_the_peers_close_notify_writes_continue() {
    let (mut client, mut server) = established_pair(1 << 16).await;
    let (tcp, conn) = server.get_mut();
    conn.send_close_notify();
    let mut alert = Vec::new();
    conn.write_tls(&mut alert).unwrap();
    tcp.write_all(&alert).await.unwrap();
    assert_eq!(read(&mut client).await.unwrap(), b"");
    client.write_all(b"still here").await.unwrap();
    client.flush().await.unwrap();
    let mut seen = [0; 10];
    within_timeout(server.read_exact(&mut seen)).await.unwrap();
    assert_eq!(&seen, b"still here");
}

#[tokio::test]
async fn closing_tls_returns_the_transport_and_the_bytes_after_close_notify() {
    let (mut client, mut server) = established_pair(1 << 16).await;
    client.write_all(b"bye").await.unwrap();
    client.flush().await.unwrap();
    let far = async {
        let mut bye = [0; 3];
        server.read_exact(&mut bye).await.unwrap();
        assert_eq!(server.read(&mut bye).await.unwrap(), 0);
        let (tcp, conn) = server.get_mut();
        conn.send_close_notify();
        let mut bytes = Vec::new();
        while conn.wants_write() {
            conn.write_tls(&mut bytes).unwrap();
        }
        // The alert and the first plain bytes in one segment.
        bytes.extend_from_slice(b"220 plain ");
        tcp.write_all(&bytes).await.unwrap();
        let (mut tcp, _) = server.into_inner();
        tcp.write_all(b"again").await.unwrap();
        let mut line = [0; 4];
        tcp.read_exact(&mut line).await.unwrap();
        line
    };
    let near = async {
        poll_fn(|cx| client.poll_close(cx)).await.unwrap();
        let (mut tcp, beyond) = client.into_inner();
        tcp.write_all(b"EHLO").await.unwrap();
        let mut seen = beyond.to_vec();
        while seen.len() < 15 {
            let mut buf = [0; 15];
            let count = tcp.read(&mut buf).await.unwrap();
            seen.extend_from_slice(&buf[..count]);
        }
        (seen, beyond)
    };
    let (line, (seen, beyond)) = within_timeout(async { tokio::join!(far, near) }).await;
    assert_eq!(&line, b"EHLO");
    assert_eq!(seen, b"220 plain again");
    assert!(beyond.starts_with(b"220 plain "), "{beyond:?}");
}

#[tokio::test]
async fn data_instead_of_the_peers_close_notify_can_still_be_read() {
    let (mut client, mut server) = established_pair(1 << 16).await;
    server.write_all(b"not yet").await.unwrap();
    server.flush().await.unwrap();
    match within_timeout(poll_fn(|cx| client.poll_close(cx))).await {
        Err(TlsError::Protocol(text)) => {
            assert!(
                text.starts_with("application data after close notify: "),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(read(&mut client).await.unwrap(), b"not yet");
    server.shutdown().await.unwrap();
    within_timeout(poll_fn(|cx| client.poll_close(cx)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_peer_that_disconnects_without_close_notify_is_an_unexpected_eof() {
    let (mut client, server) = established_pair(1 << 16).await;
    within_timeout(poll_fn(|cx| client.poll_close_notify(cx)))
        .await
        .unwrap();
    drop(server);
    let outcome = within_timeout(poll_fn(|cx| client.poll_close(cx))).await;
    assert!(
        matches!(outcome, Err(TlsError::UnexpectedEof)),
        "{outcome:?}"
    );
}
