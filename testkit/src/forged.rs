//! Hand-made certificates and handshake flights without a key: what a hostile TLS server can send
//! before it has to prove that it has one.

/// Returns an unsigned certificate in DER. Its issuer and its subject have the same name, and its
/// public key is the byte `key`, which is not a valid key.
///
/// ```
/// use eryx_testkit::forged;
///
/// assert_eq!(forged::certificate(0, false)[0], 0x30); // a SEQUENCE
/// assert_ne!(forged::certificate(1, true), forged::certificate(2, true));
/// ```
#[must_use]
pub fn certificate(key: u8, is_ca: bool) -> Vec<u8> {
    certificate_with(key, is_ca, ("x", "x"), &[])
}

/// Returns a certificate as [`certificate`] does, with these names of its issuer and subject, and
/// with `padding` in an extension.
#[must_use]
pub fn certificate_with(
    key: u8,
    is_ca: bool,
    (issuer, subject): (&str, &str),
    padding: &[u8],
) -> Vec<u8> {
    // ecdsa-with-SHA256
    let algorithm = sequence(&[b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"]);
    let validity = sequence(&[
        &der(0x17, &[b"200101000000Z"]),
        &der(0x17, &[b"400101000000Z"]),
    ]);
    let public_key = sequence(&[
        &sequence(&[b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"]),
        &der(0x03, &[&[0, key]]),
    ]);
    let mut extensions = Vec::new();
    if is_ca {
        let constraints = der(0x04, &[&sequence(&[b"\x01\x01\xff"])]);
        extensions.extend(sequence(&[
            b"\x06\x03\x55\x1d\x13\x01\x01\xff",
            &constraints,
        ]));
    }
    if !padding.is_empty() {
        // An unregistered OID.
        extensions.extend(sequence(&[b"\x06\x03\x2a\x03\x04", &der(0x04, &[padding])]));
    }
    let extensions = match extensions.is_empty() {
        true => Vec::new(),
        false => der(0xa3, &[&sequence(&[&extensions])]),
    };
    let signed = sequence(&[
        b"\xa0\x03\x02\x01\x02\x02\x01\x01",
        &algorithm,
        &name(issuer),
        &validity,
        &name(subject),
        &public_key,
        &extensions,
    ]);
    sequence(&[&signed, &algorithm, b"\x03\x02\x00\x00"])
}

/// Returns the first flight of a TLS 1.2 server, for any client. `chain` begins with the server's
/// certificate. The flight contains all that the client processes before it verifies a signature of
/// the server.
#[must_use]
pub fn flight(chain: &[Vec<u8>]) -> Vec<u8> {
    let listed: Vec<u8> = chain
        .iter()
        .flat_map(|cert| [&u24(cert.len())[..], cert].concat())
        .collect();
    let hello = [&b"\x03\x03"[..], &[7; 32], b"\x00\xc0\x2b\x00"].concat();
    let certificates = [&u24(listed.len())[..], &listed].concat();
    let exchange = [
        &b"\x03\x00\x1d\x20"[..],
        &[9; 32],
        b"\x04\x03\x00\x08",
        &[1; 8],
    ]
    .concat();
    [
        (2, hello),
        (11, certificates),
        (12, exchange),
        (14, Vec::new()),
    ]
    .iter()
    .flat_map(|(kind, body)| records(22, &message(*kind, body)))
    .collect()
}

/// Returns a handshake message of type `kind` (RFC 8446, 4).
#[must_use]
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &u24(body.len()), body].concat()
}

/// Returns `content` in unencrypted records of type `kind` (RFC 8446, 5.1).
#[must_use]
pub fn records(kind: u8, content: &[u8]) -> Vec<u8> {
    content
        .chunks(16 * 1024)
        .flat_map(|piece| {
            let [.., high, low] = piece.len().to_be_bytes();
            [&[kind, 3, 3, high, low][..], piece].concat()
        })
        .collect()
}

fn name(common: &str) -> Vec<u8> {
    let common = sequence(&[b"\x06\x03\x55\x04\x03", &der(0x0c, &[common.as_bytes()])]);
    sequence(&[&der(0x31, &[&common])])
}

fn u24(length: usize) -> [u8; 3] {
    let [.., high, middle, low] = length.to_be_bytes();
    [high, middle, low]
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(0x30, parts)
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let [.., high, low] = body.len().to_be_bytes();
    let header = match body.len() {
        0..128 => vec![tag, low],
        128..256 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [header, body].concat()
}
