use std::future::poll_fn;

use eryx_tls::TlsError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::peer::{Client, friends, soon};

async fn read(client: &mut Client) -> Result<Vec<u8>, TlsError> {
    let mut buf = [0; 64];
    let count = soon(poll_fn(|cx| client.poll_read(cx, &mut buf))).await?;
    Ok(buf[..count].to_vec())
}

#[tokio::test]
async fn close_notify_is_the_end_and_stays_it() {
    let (mut client, mut server) = friends(1 << 16).await;
    server.write_all(b"last words").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(read(&mut client).await.unwrap(), b"last words");
    assert_eq!(read(&mut client).await.unwrap(), b"");
    assert_eq!(read(&mut client).await.unwrap(), b"");
    assert!(client.is_peer_closed());
}

#[tokio::test]
async fn an_end_without_close_notify_is_reported_after_what_came_before_it() {
    let (mut client, mut server) = friends(1 << 16).await;
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
async fn an_end_inside_a_record_is_unexpected_too() {
    let (mut client, mut server) = friends(1 << 16).await;
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
async fn a_damaged_record_is_a_protocol_error_that_the_peer_hears_of() {
    let (mut client, mut server) = friends(1 << 16).await;
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
    let error = soon(server.read(&mut [0; 8]))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("BadRecordMac"), "{error}");
    assert!(read(&mut client).await.is_err_and(is_damage), "it stays so");
}

#[tokio::test]
async fn after_close_notify_writing_ends_and_reading_goes_on() {
    let (mut client, mut server) = friends(1 << 16).await;
    client.write_all(b"question").await.unwrap();
    soon(poll_fn(|cx| client.poll_close_notify(cx)))
        .await
        .unwrap();
    soon(poll_fn(|cx| client.poll_close_notify(cx)))
        .await
        .unwrap();
    match poll_fn(|cx| client.poll_write(cx, b"more")).await {
        Err(TlsError::Io(error)) => assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe),
        other => panic!("{other:?}"),
    }
    let mut question = Vec::new();
    soon(server.read_to_end(&mut question)).await.unwrap();
    assert_eq!(question, b"question");
    server.write_all(b"answer").await.unwrap();
    server.shutdown().await.unwrap();
    assert_eq!(read(&mut client).await.unwrap(), b"answer");
    assert_eq!(read(&mut client).await.unwrap(), b"");
}

#[tokio::test]
async fn after_the_peers_close_notify_writing_goes_on() {
    let (mut client, mut server) = friends(1 << 16).await;
    let (tcp, conn) = server.get_mut();
    conn.send_close_notify();
    let mut alert = Vec::new();
    conn.write_tls(&mut alert).unwrap();
    tcp.write_all(&alert).await.unwrap();
    assert_eq!(read(&mut client).await.unwrap(), b"");
    client.write_all(b"still here").await.unwrap();
    client.flush().await.unwrap();
    let mut seen = [0; 10];
    soon(server.read_exact(&mut seen)).await.unwrap();
    assert_eq!(&seen, b"still here");
}

#[tokio::test]
async fn ending_tls_gives_the_plain_transport_back_with_what_was_read_beyond() {
    let (mut client, mut server) = friends(1 << 16).await;
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
        poll_fn(|cx| client.poll_end(cx)).await.unwrap();
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
    let (line, (seen, beyond)) = soon(async { tokio::join!(far, near) }).await;
    assert_eq!(&line, b"EHLO");
    assert_eq!(seen, b"220 plain again");
    assert!(beyond.starts_with(b"220 plain "), "{beyond:?}");
}

#[tokio::test]
async fn data_that_comes_instead_of_the_peers_close_notify_can_still_be_read() {
    let (mut client, mut server) = friends(1 << 16).await;
    server.write_all(b"not yet").await.unwrap();
    server.flush().await.unwrap();
    match soon(poll_fn(|cx| client.poll_end(cx))).await {
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
    soon(poll_fn(|cx| client.poll_end(cx))).await.unwrap();
}

#[tokio::test]
async fn a_peer_that_hangs_up_instead_of_ending_tls_is_an_unexpected_end() {
    let (mut client, server) = friends(1 << 16).await;
    soon(poll_fn(|cx| client.poll_close_notify(cx)))
        .await
        .unwrap();
    drop(server);
    let outcome = soon(poll_fn(|cx| client.poll_end(cx))).await;
    assert!(
        matches!(outcome, Err(TlsError::UnexpectedEof)),
        "{outcome:?}"
    );
}
