//! HTTP `CONNECT` (RFC 9110, 9.3.6), with Basic credentials (RFC 7617).

use data_encoding::BASE64;
use eryx_http::{AnsweredRequest, Event, HttpErrorKind, Limits, ResponseParser};
use zeroize::Zeroizing;

use crate::proxy::credentials::Credentials;
use crate::proxy::error::ProxyError;
use crate::proxy::target::ProxyTarget;

/// The longest head of an answer, in bytes.
const MAX_HEAD: usize = 16 * 1024;

/// The most interim answers (1xx). None has a meaning for `CONNECT`.
const MAX_INTERIM: u32 = 4;

/// A `CONNECT` request and its answer.
pub(super) struct HttpConnect {
    outgoing: Vec<u8>,
    has_credentials: bool,
    parser: ResponseParser,
    interim: u32,
}

impl HttpConnect {
    pub(super) fn new(target: &ProxyTarget, credentials: Option<&Credentials>) -> Self {
        let limits = Limits::default()
            .head_bytes(MAX_HEAD)
            .expect("less than the most");
        let mut parser = ResponseParser::new(limits);
        parser.expect_response_to(AnsweredRequest::Connect);
        Self {
            outgoing: request(target, credentials),
            has_credentials: credentials.is_some(),
            parser,
            interim: 0,
        }
    }

    pub(super) fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    pub(super) fn receive(&mut self, mut input: &[u8]) -> Result<Option<Vec<u8>>, ProxyError> {
        loop {
            let step = self
                .parser
                .advance(input)
                .map_err(|error| malformed(error.kind()))?;
            input = &input[step.consumed..];
            match step.event {
                None => return Ok(None),
                Some(Event::Switched) => return Ok(Some(input.to_vec())),
                Some(Event::Head(head)) if head.is_interim() => {
                    self.interim += 1;
                    if self.interim > MAX_INTERIM {
                        return Err(ProxyError::Malformed(format!(
                            "more than {MAX_INTERIM} interim answers"
                        )));
                    }
                }
                Some(Event::Head(head)) => match head.status() {
                    200..300 => {}
                    407 => return Err(self.rejected_credentials()),
                    status => return Err(ProxyError::Status(status)),
                },
                // Only a 2xx answer, which has no body, has further events.
                Some(_) => {}
            }
        }
    }

    fn rejected_credentials(&self) -> ProxyError {
        const STATUS: &str = "HTTP status 407; only Basic credentials are supported";
        match self.has_credentials {
            true => ProxyError::CredentialsRejected(STATUS),
            false => ProxyError::CredentialsMissing(STATUS),
        }
    }
}

fn request(target: &ProxyTarget, credentials: Option<&Credentials>) -> Vec<u8> {
    let authority = target.authority();
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(credentials) = credentials {
        let pair = Zeroizing::new(format!("{}:{}", credentials.user(), credentials.password()));
        let encoded = Zeroizing::new(BASE64.encode(pair.as_bytes()));
        request.extend_from_slice(b"Proxy-Authorization: Basic ");
        request.extend_from_slice(encoded.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// Returns the rule that the answer breaks, without the text of the answer: a proxy may repeat the
/// request, with the credentials.
fn malformed(kind: &HttpErrorKind) -> ProxyError {
    ProxyError::Malformed(kind.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> ProxyTarget {
        ProxyTarget::Address("192.0.2.7:443".parse().expect("an address"))
    }

    fn answer(text: &[u8]) -> Result<Option<Vec<u8>>, ProxyError> {
        HttpConnect::new(&target(), None).receive(text)
    }

    #[test]
    fn the_request_names_the_target_and_has_basic_credentials() {
        let name = "example.com".parse().expect("a name");
        let v6 = "[2001:db8::7]:443".parse().expect("an address");
        for (target, credentials, expected) in [
            (
                target(),
                None,
                "CONNECT 192.0.2.7:443 HTTP/1.1\r\nHost: 192.0.2.7:443\r\n\r\n",
            ),
            (
                ProxyTarget::Address(v6),
                None,
                "CONNECT [2001:db8::7]:443 HTTP/1.1\r\nHost: [2001:db8::7]:443\r\n\r\n",
            ),
            (
                ProxyTarget::Name(name, 80),
                Some("Aladdin:open%20sesame"),
                "CONNECT example.com:80 HTTP/1.1\r\nHost: example.com:80\r\n\
                 Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n",
            ),
        ] {
            let credentials = credentials.map(|text| Credentials::parse(text).expect("valid"));
            let mut connect = HttpConnect::new(&target, credentials.as_ref());
            assert_eq!(connect.take_outgoing(), expected.as_bytes());
            assert!(connect.take_outgoing().is_empty());
        }
    }

    #[test]
    fn bytes_after_a_successful_head_belong_to_the_tunnel_at_any_split() {
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nVia: x\r\n\r\nhello";
        for split in 0..=text.len() {
            let mut connect = HttpConnect::new(&target(), None);
            let mut rest = None;
            for part in [&text[..split], &text[split..]] {
                match &mut rest {
                    None => rest = connect.receive(part).expect("valid"),
                    Some(rest) => rest.extend_from_slice(part),
                }
            }
            assert_eq!(rest.as_deref(), Some(&b"hello"[..]), "{split}");
        }
    }

    #[test]
    fn any_other_answer_is_an_error_with_its_status() {
        for status in [301, 400, 403, 404, 502, 503, 504, 999] {
            let text = format!("HTTP/1.1 {status} No\r\nContent-Length: 5\r\n\r\nsorry");
            assert!(matches!(
                answer(text.as_bytes()),
                Err(ProxyError::Status(got)) if got == status
            ));
        }
        let needed = b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=x\r\n\r\n";
        assert!(matches!(
            answer(needed),
            Err(ProxyError::CredentialsMissing(_))
        ));
        let credentials = Credentials::parse("u:p").expect("valid");
        let rejected = HttpConnect::new(&target(), Some(&credentials)).receive(needed);
        assert!(matches!(rejected, Err(ProxyError::CredentialsRejected(_))));
    }

    #[test]
    fn garbage_endless_heads_and_floods_of_interim_answers_are_malformed() {
        let endless = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; MAX_HEAD]].concat();
        let flood = b"HTTP/1.1 103 Early\r\n\r\n".repeat(MAX_INTERIM as usize + 1);
        let echo = b"HTTP/1.1 200 OK\r\nBasic QWxhZGRpbg==\r\n\r\n";
        for text in [
            b"SSH-2.0-OpenSSH_9.9\r\n\r\n".as_slice(),
            b"\x05\x00",
            b"\x15\x03\x01\x00\x02\x02\x50",
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/1.1 101 Switching\r\n\r\n",
            &endless,
            &flood,
            echo,
        ] {
            match answer(text) {
                Err(ProxyError::Malformed(rule)) => assert!(!rule.contains("QWx"), "{rule}"),
                Err(ProxyError::Status(101)) => {}
                other => panic!("{other:?} for {:?}", String::from_utf8_lossy(text)),
            }
        }
        let incomplete = answer(b"HTTP/1.1 200 OK\r\n").expect("so far");
        assert!(incomplete.is_none());
    }
}
