//! Tests of the bounds of buffers.

use std::io::Write;
use std::task::Poll;

use eryx_tls::{ClientSettings, INCOMING_LIMIT, OUTGOING_LIMIT, TlsError};

use crate::peer::{CertificateAuthority, HOST};
use crate::session::Pair;

#[test]
fn a_session_takes_ciphertext_only_up_to_its_limit_until_plaintext_is_read() {
    let mut pair = Pair::established(usize::MAX);
    pair.server.set_buffer_limit(None);
    pair.server.writer().write_all(&[9; 1 << 20]).unwrap();
    let mut ciphertext = Vec::new();
    while pair.server.wants_write() {
        pair.server.write_tls(&mut ciphertext).unwrap();
    }

    let mut fed = 0;
    let mut read = 0;
    while read < 1 << 20 {
        loop {
            let taken = pair.session.feed(&ciphertext[fed..]).unwrap();
            fed += taken;
            if taken == 0 {
                break;
            }
            // A write moves pending plaintext into the buffer, which must stay within its limit.
            assert!(pair.session.write(b"x").is_ready());
        }
        assert!(
            fed <= read + INCOMING_LIMIT + fed / 500,
            "{fed} fed, {read} read"
        );
        assert!(pair.session.pending() <= INCOMING_LIMIT);
        match pair.session.read(10_000) {
            Poll::Ready(Ok(bytes)) => read += bytes.len(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fed, ciphertext.len());
}

#[test]
fn a_session_whose_ciphertext_is_not_taken_stops_taking_plaintext() {
    let mut pair = Pair::established(usize::MAX);
    let mut taken = 0;
    for _ in 0..100 {
        match pair.session.write(&[1; 10_000]) {
            Poll::Ready(Ok(count)) => taken += count,
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending => break,
        }
    }
    assert!(
        taken > OUTGOING_LIMIT / 2 && taken <= OUTGOING_LIMIT,
        "{taken}"
    );
    let held = pair.session.take(usize::MAX).len();
    assert!(held >= taken && held <= OUTGOING_LIMIT + 4096, "{held}");
    assert!(matches!(pair.session.write(&[1; 10]), Poll::Ready(Ok(10))));
}

#[test]
fn many_tiny_writes_stay_within_the_outgoing_limit() {
    let mut pair = Pair::established(usize::MAX);
    let until_full = (0..10_000).find(|_| pair.session.write(b"1").is_pending());
    assert!(until_full.is_some());
    let held = pair.session.take(usize::MAX).len();
    assert!(held <= OUTGOING_LIMIT + 4096, "{held}");
}

#[test]
fn a_read_with_a_huge_maximum_reserves_no_memory() {
    let mut pair = Pair::established(usize::MAX);
    pair.server.writer().write_all(b"few").unwrap();
    pair.shuttle();
    match pair.session.read(usize::MAX) {
        Poll::Ready(Ok(bytes)) => assert!(bytes == b"few" && bytes.capacity() < 4096),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_rejects_an_endless_handshake_message_at_the_limit() {
    let settings = ClientSettings::for_name(HOST);
    let mut session = CertificateAuthority::new()
        .connector()
        .session(&settings)
        .unwrap();
    // A ServerHello that claims 16 MiB, in records of 16 KiB.
    let mut first = vec![0x16, 3, 3, 0x40, 0, 2, 0xff, 0xff, 0xff];
    first.resize(5 + 0x4000, 0);
    let mut next = vec![0x16, 3, 3, 0x40, 0];
    next.resize(5 + 0x4000, 0);
    let mut fed = session.feed(&first).unwrap();
    while let Ok(count) = session.feed(&next) {
        fed += count;
        assert!(count > 0 && fed <= INCOMING_LIMIT, "{fed}");
    }
    match session.handshake() {
        Poll::Ready(Err(TlsError::Protocol(text))) => {
            assert!(text.starts_with("excessive message size: "), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_rejects_a_message_of_many_tiny_fragments_at_the_limit() {
    let settings = ClientSettings::for_name(HOST);
    let mut session = CertificateAuthority::new()
        .connector()
        .session(&settings)
        .unwrap();
    session.feed(&[0x16, 3, 3, 0, 4, 2, 0, 0xf0, 0]).unwrap();
    let mut fed = 9;
    while let Ok(count) = session.feed(&[0x16, 3, 3, 0, 1, 0]) {
        fed += count;
        assert!(fed <= INCOMING_LIMIT, "{fed}");
        if count == 0 {
            break;
        }
    }
    assert!(matches!(
        session.handshake(),
        Poll::Ready(Err(TlsError::Protocol(_)))
    ));
}

#[test]
fn random_ciphertext_never_panics_and_buffers_stay_bounded() {
    // A linear congruential generator: the same bytes in every run.
    let mut state = 1u64;
    let mut random_byte = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    for round in 0..200 {
        let mut pair = if round % 2 == 0 {
            Pair::new(1000)
        } else {
            Pair::established(1000)
        };
        for _ in 0..20 {
            let mut record = vec![
                20 + random_byte() % 4,
                3,
                3,
                random_byte() % 2,
                random_byte(),
            ];
            record.resize_with(5 + (random_byte() as usize) * 2, &mut random_byte);
            if pair.session.feed(&record).is_err() {
                break;
            }
            let _ = pair.session.read(10);
            let _ = pair.session.write(b"x");
            let _ = pair.session.close();
        }
        assert!(pair.session.pending() <= INCOMING_LIMIT);
        assert!(pair.session.take(usize::MAX).len() <= OUTGOING_LIMIT + 4096);
    }
}
