//! Estimates of the host memory that connections, lookups and sockets take, in bytes: the amounts
//! they charge to a [`HostMemory`](crate::HostMemory).
//!
//! A buffer is charged at its largest size, so that neither a peer nor a guest program can exceed
//! the budget later.

use eryx_tls::ClientSettings;

/// Every network: 7 MiB for its report (at most 1,792 entries of 4 KiB), 512 KiB for its TLS
/// session cache, and the rest for the counts of refusals, by 64 rules and a few dozen reasons.
pub(crate) const REPORT: u64 = 8 << 20;

/// The request log of a network that inspects hosts: 768 HTTP requests of 2 KiB.
pub(crate) const REQUEST_LOG: u64 = 1536 << 10;

/// A connection: its state, the addresses it dials, and the answers of name servers until then.
pub(crate) const CONNECTION: u64 = 64 << 10;

/// TLS over a connection or a transport of the guest program: 96 KiB of plaintext, 128 KiB of
/// received ciphertext, 96 KiB of ciphertext to send, and the peer's certificates of at most 64
/// KiB.
const TLS: u64 = 384 << 10;

/// Inspection of HTTP on a connection: a request of 52 KiB that is not complete or waits to be
/// sent, 36 KiB for 16 requests without a response, 24 KiB of responses that the program has not
/// read, and 12 KiB that are held back because of a secret; or, for TLS over a transport of the
/// guest program, 40 KiB of records that are not complete, and 66 KiB that wait to be sent.
pub(crate) const INSPECTION: u64 = 128 << 10;

/// The search for one byte of a secret's value that a provider gave: as it is, encoded, and in
/// Base64 it is in nine bytes, each of which has a node of 20 bytes.
const SEARCHED_BYTE: u64 = 256;

/// A tunnel through a proxy: the head of its answer (16 KiB) and one read.
const TUNNEL: u64 = 24 << 10;

/// A name lookup: two answers of at most 64 KiB.
pub(crate) const LOOKUP: u64 = 128 << 10;

/// A UDP socket: the datagram being received, and 64 destinations.
pub(crate) const UDP_SOCKET: u64 = 128 << 10;

/// The memory of one element of a list in addition to its own bytes.
pub(crate) const ELEMENT: usize = 32;

/// Returns the memory of TLS with `settings`, whose roots are used only where `uses_roots`.
///
/// Connections with equal settings share them, but each is charged for all of them.
pub(crate) fn tls(settings: &ClientSettings, uses_roots: bool) -> u64 {
    TLS + tls_settings(settings, uses_roots)
}

fn tls_settings(settings: &ClientSettings, uses_roots: bool) -> u64 {
    let roots = if uses_roots { &settings.roots[..] } else { &[] };
    // A root is stored unchanged, and its name and key a second time.
    let lists = [&settings.alpn[..], roots, roots, &settings.revocation_lists];
    let identity = settings.identity.as_ref();
    let chain = identity.map(|identity| &identity.chain[..]);
    let elements = lists.into_iter().chain(chain).flatten();
    let bytes: usize = elements.map(|element| element.len() + ELEMENT).sum();
    let name = settings.server_name.as_ref().map_or(0, String::len);
    let key = identity.map_or(0, |identity| identity.key.len());
    let numbers = 2 * (settings.ciphers.len() + settings.groups.len());
    (bytes + name + key + numbers) as u64
}

/// Returns the memory of the search for a value that a provider gave, which all connections share.
pub(crate) fn searched_value(bytes: usize) -> u64 {
    SEARCHED_BYTE * bytes as u64
}

/// Returns the memory of a tunnel through a proxy, with TLS to the proxy or without.
pub(crate) fn tunnel(is_tls: bool) -> u64 {
    TUNNEL + if is_tls { TLS } else { 0 }
}

#[cfg(test)]
mod tests {
    use eryx_tls::Identity;

    use super::*;

    #[test]
    fn tls_settings_are_charged_for_every_byte_the_guest_program_chose() {
        let plain = ClientSettings::default();
        assert_eq!(tls(&plain, true), TLS);
        let full = ClientSettings {
            server_name: Some("x".repeat(10)),
            alpn: vec![vec![0; 100]],
            roots: vec![vec![0; 1000], vec![0; 1000]].into(),
            revocation_lists: vec![vec![0; 10_000]].into(),
            identity: Some(
                Identity {
                    chain: vec![vec![0; 100_000]],
                    key: vec![0; 1_000_000],
                }
                .into(),
            ),
            ciphers: vec![0; 5],
            groups: vec![0; 5],
            ..plain
        };
        assert_eq!(tls_settings(&full, false), 1_110_130 + 3 * ELEMENT as u64);
        assert_eq!(tls_settings(&full, true), 1_114_130 + 7 * ELEMENT as u64);
    }
}
