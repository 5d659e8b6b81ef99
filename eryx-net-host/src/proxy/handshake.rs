//! The handshake with a proxy that precedes a tunnel, for either protocol.
//!
//! It is a state machine without I/O: the caller sends what
//! [`take_outgoing`](ProxyHandshake::take_outgoing) returns, and passes what it receives to
//! [`receive`](ProxyHandshake::receive), until that returns the first bytes of the tunnel.

use crate::proxy::error::ProxyError;
use crate::proxy::http_connect::HttpConnect;
use crate::proxy::server::{ProxyProtocol, ProxyServer};
use crate::proxy::socks5::Socks5;
use crate::proxy::target::ProxyTarget;

/// A handshake with a proxy. Its memory is bounded, and so is the number of bytes that it takes.
pub(crate) struct ProxyHandshake(Conversation);

enum Conversation {
    Http(Box<HttpConnect>),
    Socks5(Socks5),
}

impl ProxyHandshake {
    /// Returns the handshake that asks `server` for a tunnel to `target`.
    pub(crate) fn new(server: &ProxyServer, target: &ProxyTarget) -> Self {
        let credentials = server.credentials.as_ref();
        Self(match server.protocol {
            ProxyProtocol::Http | ProxyProtocol::Https => {
                Conversation::Http(Box::new(HttpConnect::new(target, credentials)))
            }
            ProxyProtocol::Socks5 => Conversation::Socks5(Socks5::new(target, credentials)),
        })
    }

    /// Returns the bytes to send now, which may be none.
    pub(crate) fn take_outgoing(&mut self) -> Vec<u8> {
        match &mut self.0 {
            Conversation::Http(http) => http.take_outgoing(),
            Conversation::Socks5(socks) => socks.take_outgoing(),
        }
    }

    /// Takes bytes of the proxy. Returns `None` while the tunnel is not open, and then the bytes
    /// that belong to it.
    ///
    /// # Errors
    ///
    /// The proxy's refusal, or [`ProxyError::Malformed`]. The handshake has then ended.
    pub(crate) fn receive(&mut self, input: &[u8]) -> Result<Option<Vec<u8>>, ProxyError> {
        match &mut self.0 {
            Conversation::Http(http) => http.receive(input),
            Conversation::Socks5(socks) => socks.receive(input),
        }
    }
}

#[cfg(test)]
mod tests {
    use eryx_testkit::payload;

    use super::*;

    /// Passes parts of `answer` of these sizes, and returns the first bytes of the tunnel, or the
    /// error.
    fn converse(url: &str, answer: &[u8], sizes: &[usize]) -> Result<Option<Vec<u8>>, String> {
        let server = ProxyServer::parse(url, None).expect("a URL");
        let target = ProxyTarget::Address("192.0.2.7:443".parse().expect("an address"));
        let mut handshake = ProxyHandshake::new(&server, &target);
        let mut rest = answer;
        let mut sizes = sizes.iter().copied().cycle();
        while !rest.is_empty() {
            handshake.take_outgoing();
            let size = sizes.next().unwrap_or(1).clamp(1, rest.len());
            let (part, after) = rest.split_at(size);
            rest = after;
            match handshake.receive(part) {
                Ok(None) => {}
                Ok(Some(prefix)) => return Ok(Some([&prefix, rest].concat())),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(None)
    }

    /// A socket that answers too early is an error of SOCKS, so that splits matter only within its
    /// messages.
    #[test]
    fn any_bytes_lead_to_a_tunnel_or_an_error_and_http_at_any_split_to_the_same() {
        let mut answers: Vec<Vec<u8>> = (0..200).map(|n| payload::bytes(n * 7)).collect();
        let valid = b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nC: d\r\n\r\nrest";
        for position in 0..valid.len() {
            for byte in [0, b'\r', b'\n', b' ', b':', b'9', 0xff] {
                let mut changed = valid.to_vec();
                changed[position] = byte;
                answers.push(changed);
            }
        }
        for answer in &answers {
            let whole = converse("http://proxy:1", answer, &[answer.len()]);
            for sizes in [&[1][..], &[3, 1, 7], &[64]] {
                assert_eq!(converse("http://proxy:1", answer, sizes), whole);
            }
            for url in ["socks5://proxy", "socks5://user:password@proxy"] {
                let _ = converse(url, answer, &[2, 10]);
                let socks = [b"\x05\x00".as_slice(), answer].concat();
                let _ = converse(url, &socks, &[2, 3]);
            }
        }
        let whole = converse("http://proxy:1", valid, &[valid.len()]);
        assert_eq!(whole, Ok(Some(b"rest".to_vec())));
    }
}
