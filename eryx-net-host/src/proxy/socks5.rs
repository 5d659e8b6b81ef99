//! SOCKS version 5 (RFC 1928), with a user name and password (RFC 1929).

use std::net::{IpAddr, SocketAddr};

use crate::proxy::credentials::Credentials;
use crate::proxy::error::ProxyError;
use crate::proxy::target::ProxyTarget;

const VERSION: u8 = 5;

/// The version of the negotiation of user name and password.
const PASSWORD_VERSION: u8 = 1;

/// Authentication methods (RFC 1928, 3).
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;

/// The command to connect (RFC 1928, 4).
const CONNECT: u8 = 1;

/// Types of addresses (RFC 1928, 5).
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The handshake with a SOCKS server.
pub(super) struct Socks5 {
    outgoing: Vec<u8>,
    /// Bytes that are not yet a complete message. The longest has 262 bytes.
    incoming: Vec<u8>,
    expected: Message,
    /// The message that negotiates user name and password, until it is sent.
    negotiation: Option<Vec<u8>>,
    /// The request, until it is sent.
    request: Vec<u8>,
}

/// The next message of the server.
#[derive(Clone, Copy)]
enum Message {
    Method,
    Authentication,
    Reply,
}

impl Socks5 {
    pub(super) fn new(target: &ProxyTarget, credentials: Option<&Credentials>) -> Self {
        let outgoing = match credentials {
            None => vec![VERSION, 1, NO_AUTHENTICATION],
            Some(_) => vec![VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
        };
        Self {
            outgoing,
            incoming: Vec::new(),
            expected: Message::Method,
            negotiation: credentials.map(negotiation),
            request: request(target),
        }
    }

    pub(super) fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    pub(super) fn receive(&mut self, input: &[u8]) -> Result<Option<Vec<u8>>, ProxyError> {
        self.incoming.extend_from_slice(input);
        let message = &self.incoming[..];
        match self.expected {
            Message::Method => {
                let [version, method, rest @ ..] = message else {
                    return check_first(message, VERSION);
                };
                check_version(*version, VERSION)?;
                check_no_more(rest)?;
                match (*method, self.negotiation.take()) {
                    (NO_AUTHENTICATION, _) => self.send_request(),
                    (USER_AND_PASSWORD, Some(negotiation)) => {
                        self.outgoing = negotiation;
                        self.expected = Message::Authentication;
                    }
                    (NO_METHOD, None) => {
                        return Err(ProxyError::CredentialsMissing("SOCKS method 255"));
                    }
                    (NO_METHOD, Some(_)) => {
                        return Err(ProxyError::CredentialsRejected("SOCKS method 255"));
                    }
                    (method, _) => {
                        return Err(malformed(format!("method {method} was not offered")));
                    }
                }
            }
            Message::Authentication => {
                let [version, status, rest @ ..] = message else {
                    return check_first(message, PASSWORD_VERSION);
                };
                check_version(*version, PASSWORD_VERSION)?;
                if *status != 0 {
                    return Err(ProxyError::CredentialsRejected("RFC 1929"));
                }
                check_no_more(rest)?;
                self.send_request();
            }
            Message::Reply => return self.receive_reply(),
        }
        self.incoming.clear();
        Ok(None)
    }

    fn send_request(&mut self) {
        self.outgoing = std::mem::take(&mut self.request);
        self.expected = Message::Reply;
    }

    fn receive_reply(&mut self) -> Result<Option<Vec<u8>>, ProxyError> {
        let message = &self.incoming[..];
        if message.len() < 2 {
            return check_first(message, VERSION);
        }
        check_version(message[0], VERSION)?;
        // Not all servers send the rest of a refusal.
        if message[1] != 0 {
            return Err(ProxyError::Reply(message[1]));
        }
        let address = match message.get(3) {
            None => return Ok(None),
            Some(&IPV4) => 4,
            Some(&IPV6) => 16,
            Some(&NAME) => match message.get(4) {
                None => return Ok(None),
                Some(length) => 1 + usize::from(*length),
            },
            Some(kind) => return Err(malformed(format!("address type {kind}"))),
        };
        // The address that the proxy connects from, and its port, are of no use.
        let length = 4 + address + 2;
        if message.len() < length {
            return Ok(None);
        }
        Ok(Some(self.incoming.split_off(length)))
    }
}

/// Checks the version of a message of which less than two bytes have arrived.
fn check_first(message: &[u8], version: u8) -> Result<Option<Vec<u8>>, ProxyError> {
    match message.first() {
        Some(first) => check_version(*first, version).map(|()| None),
        None => Ok(None),
    }
}

fn check_version(version: u8, expected: u8) -> Result<(), ProxyError> {
    if version == expected {
        return Ok(());
    }
    Err(malformed(format!(
        "its first byte is {version} and not {expected}; it may not be a SOCKS server"
    )))
}

/// Checks that a message ends where it should: the server has to wait for the next one.
fn check_no_more(rest: &[u8]) -> Result<(), ProxyError> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(malformed("it has more bytes than SOCKS permits".into()))
}

fn malformed(text: String) -> ProxyError {
    ProxyError::Malformed(text)
}

fn negotiation(credentials: &Credentials) -> Vec<u8> {
    let mut message = vec![PASSWORD_VERSION];
    for text in [credentials.user(), credentials.password()] {
        push_text(&mut message, text);
    }
    message
}

fn request(target: &ProxyTarget) -> Vec<u8> {
    let mut message = vec![VERSION, CONNECT, 0];
    let port = match target {
        ProxyTarget::Address(address) => {
            push_address(&mut message, address);
            address.port()
        }
        ProxyTarget::Name(name, port) => {
            message.push(NAME);
            push_text(&mut message, name.as_str());
            *port
        }
    };
    message.extend(port.to_be_bytes());
    message
}

fn push_address(message: &mut Vec<u8>, address: &SocketAddr) {
    match address.ip() {
        IpAddr::V4(v4) => {
            message.push(IPV4);
            message.extend(v4.octets());
        }
        IpAddr::V6(v6) => {
            message.push(IPV6);
            message.extend(v6.octets());
        }
    }
}

/// Adds a text of at most 255 bytes behind its length. The parser of credentials checks theirs, and
/// a host name has at most 253.
fn push_text(message: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(255)];
    message.push(bytes.len() as u8);
    message.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> ProxyTarget {
        ProxyTarget::Address(text.parse().expect("an address"))
    }

    type Outcome = Result<Option<Vec<u8>>, ProxyError>;

    type Messages<'a> = &'a [&'a [u8]];

    /// Runs a handshake with these messages of the server, and returns what was sent for each,
    /// and the result.
    fn converse(
        target: &ProxyTarget,
        credentials: Option<&str>,
        messages: Messages<'_>,
    ) -> (Vec<Vec<u8>>, Outcome) {
        let credentials = credentials.map(|text| Credentials::parse(text).expect("valid"));
        let mut socks = Socks5::new(target, credentials.as_ref());
        let mut sent = vec![socks.take_outgoing()];
        for message in messages {
            let result = socks.receive(message);
            if !matches!(result, Ok(None)) {
                return (sent, result);
            }
            sent.push(socks.take_outgoing());
        }
        (sent, Ok(None))
    }

    const GRANTED: &[u8] = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00";

    #[test]
    fn a_tunnel_opens_without_authentication() {
        let granted = [GRANTED, b"hello"].concat();
        let (sent, result) = converse(&address("192.0.2.7:443"), None, &[b"\x05\x00", &granted]);
        assert_eq!(
            sent,
            [
                b"\x05\x01\x00".as_slice(),
                b"\x05\x01\x00\x01\xc0\x00\x02\x07\x01\xbb"
            ]
        );
        assert_eq!(result.expect("open").as_deref(), Some(&b"hello"[..]));
    }

    #[test]
    fn a_tunnel_opens_with_user_and_password_for_names_and_ipv6() {
        let name = ProxyTarget::Name("example.com".parse().expect("a name"), 80);
        let messages: [&[u8]; 3] = [b"\x05\x02", b"\x01\x00", GRANTED];
        let (sent, result) = converse(&name, Some("user:pass"), &messages);
        assert_eq!(
            sent,
            [
                b"\x05\x02\x00\x02".as_slice(),
                b"\x01\x04user\x04pass",
                b"\x05\x01\x00\x03\x0bexample.com\x00\x50",
            ]
        );
        assert_eq!(result.expect("open"), Some(Vec::new()));
        let (sent, _) = converse(&address("[2001:db8::7]:1"), None, &[b"\x05\x00"]);
        let expected = b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x00\x01";
        assert_eq!(sent[1], expected);
    }

    #[test]
    fn a_reply_may_arrive_byte_by_byte_with_any_type_of_address() {
        let v6 = [b"\x05\x00\x00\x04".as_slice(), &[0; 18]].concat();
        for granted in [GRANTED, b"\x05\x00\x00\x03\x02ab\x00\x00", &v6] {
            let mut messages: Vec<&[u8]> = vec![b"\x05", b"\x00"];
            messages.extend(granted.chunks(1));
            let (_, result) = converse(&address("192.0.2.7:443"), None, &messages);
            assert_eq!(result.expect("open"), Some(Vec::new()));
        }
    }

    #[test]
    fn every_other_message_is_an_error() {
        let target = address("192.0.2.7:443");
        let table: [(Option<&str>, Messages<'_>, &str); 11] = [
            (None, &[b"\x05\xff"], "wants credentials"),
            (Some("u:p"), &[b"\x05\xff"], "rejects the user name"),
            (
                Some("u:p"),
                &[b"\x05\x02", b"\x01\x01"],
                "rejects the user name",
            ),
            (None, &[b"\x05\x02"], "method 2 was not offered"),
            (Some("u:p"), &[b"\x05\x01"], "method 1 was not offered"),
            (None, &[b"HTTP/1.1 400"], "its first byte is 72"),
            (None, &[b"H"], "its first byte is 72"),
            (None, &[b"\x05\x00\x05"], "more bytes"),
            (
                None,
                &[b"\x05\x00", b"\x05\x05"],
                "SOCKS reply 5 (connection refused)",
            ),
            (
                None,
                &[b"\x05\x00", b"\x05\x63"],
                "SOCKS reply 99 (unassigned)",
            ),
            (None, &[b"\x05\x00", b"\x05\x00\x00\x09"], "address type 9"),
        ];
        for (credentials, messages, expected) in table {
            let error = converse(&target, credentials, messages)
                .1
                .expect_err(expected);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
