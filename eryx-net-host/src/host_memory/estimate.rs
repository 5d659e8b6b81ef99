//! What the host keeps for things of a sandbox, in bytes: what each counts against [`HostMemory`](crate::HostMemory).
//!
//! Buffers count with the most they can hold, so that what a peer or a program does cannot exceed a budget later.

use eryx_net_policy::HostName;
use eryx_tls::ClientSettings;

use crate::Answer;

/// What every network takes: 7 MiB for its report (1,792 entries of 4 KiB at most), 512 KiB for the TLS sessions it may
/// resume, and the rest for what was refused, counted by 64 rules and a few dozen reasons.
pub(crate) const REPORT: u64 = 8 << 20;

/// A connection: its state, the addresses it tries, and the answers of the name servers until then.
pub(crate) const CONNECTION: u64 = 64 << 10;

/// TLS over a connection or over a transport of the program's own: 96 KiB of plaintext, 128 KiB of ciphertext to be read and
/// 96 KiB to be sent, and the peer's certificates, which are 64 KiB at most.
pub(crate) const TLS: u64 = 384 << 10;

/// A name lookup: two answers, which are 64 KiB at most.
pub(crate) const LOOKUP: u64 = 128 << 10;

/// A UDP socket: the datagram that is looked at, and 64 peers.
pub(crate) const DATAGRAMS: u64 = 128 << 10;

/// What one element of a list takes besides its bytes.
const ELEMENT: usize = 32;

/// What is kept of what a program wants of a handshake, while the handshake and the connection last: its roots only where
/// they count. Connections with equal settings share them, and each counts all the same.
pub(crate) fn settings(settings: &ClientSettings, roots_count: bool) -> u64 {
    let roots = if roots_count {
        &settings.roots[..]
    } else {
        &[]
    };
    // A root is kept as it is, and its name and its key once more.
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

/// What a lookup of `name` leaves, so that its addresses count as that name.
pub(crate) fn answer(name: &HostName, answer: &Answer) -> u64 {
    let names = answer.aliases.iter().chain([name]);
    let names: usize = names.map(|name| name.as_str().len() + ELEMENT).sum();
    // In a table with room to grow, and in the order of use.
    (names + answer.addresses.len() * 8 * ELEMENT) as u64
}

#[cfg(test)]
mod tests {
    use eryx_tls::Identity;

    use super::*;

    #[test]
    fn settings_count_every_byte_a_program_chose() {
        let plain = ClientSettings::default();
        assert_eq!(settings(&plain, true), 0);
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
        assert_eq!(settings(&full, false), 1_110_130 + 3 * ELEMENT as u64);
        assert_eq!(settings(&full, true), 1_114_130 + 7 * ELEMENT as u64);
    }
}
