//! The head of a request (RFC 9112, 3).

use std::ops::Range;

use crate::error::{HttpError, HttpErrorKind};
use crate::field_line::{check_override, is_token};
use crate::fields::Fields;
use crate::framing::{self, Framing, Version};
use crate::origin::Origin;

/// The head of a request that was found to be well-formed and for the origin of its connection.
#[derive(Clone, Debug)]
pub struct RequestHead {
    line: RequestLine,
    fields: Fields,
    framing: Framing,
    is_persistent: bool,
    expects_continue: bool,
    upgrade: Option<Box<str>>,
}

/// The request line, as ranges of the head.
#[derive(Clone, Debug)]
pub(crate) struct RequestLine {
    method_len: usize,
    target: Range<usize>,
    version: Version,
}

impl RequestHead {
    /// Parses a head whose request line was parsed.
    pub(crate) fn parse(
        line: RequestLine,
        bytes: Vec<u8>,
        origin: &Origin,
    ) -> Result<Self, HttpError> {
        let start = line.target.end + VERSION_LEN;
        let fields = Fields::parse(bytes, start)?;
        fields.check_padding()?;
        let method = &fields.bytes()[..line.method_len];
        let target = &fields.bytes()[line.target.clone()];
        let host = check_host(&fields, origin)?;
        check_target(method, target, host, origin)?;
        framing::check_options(&fields)?;
        for (name, value) in fields.iter_bytes() {
            check_override(name, value, method)?;
        }
        let framing = framing::announced(&fields, line.version)?.unwrap_or(Framing::Empty);
        if fields.all("content-length").nth(1).is_some() {
            return Err(HttpErrorKind::RepeatedContentLength.into());
        }
        check_content(method, framing)?;
        let expects_continue = expects_continue(&fields, line.version)?;
        let upgrade = upgrade(&fields, line.version)?;
        Ok(Self {
            is_persistent: framing::request_persists(&fields, line.version),
            framing,
            expects_continue,
            upgrade,
            line,
            fields,
        })
    }

    /// Returns the method, which is a token.
    pub fn method(&self) -> &str {
        self.text(0..self.line.method_len)
    }

    /// Returns the target as it was sent: in origin-form, in absolute-form, or `*`.
    pub fn target(&self) -> &str {
        self.text(self.line.target.clone())
    }

    /// Returns the path and query of the target, without the scheme and host of absolute-form.
    ///
    /// It is `*` for the target `*`, and starts with `/` otherwise; an absolute-form without a path
    /// has the path `/` (RFC 9110, 4.2.3).
    pub fn path_and_query(&self) -> std::borrow::Cow<'_, str> {
        let target = self.target();
        if target.starts_with('/') {
            return target.into();
        }
        let Some((_, rest)) = target.split_once("://") else {
            return target.into();
        };
        match rest.find(['/', '?']) {
            Some(at) if rest[at..].starts_with('/') => rest[at..].into(),
            Some(at) => format!("/{}", &rest[at..]).into(),
            None => "/".into(),
        }
    }

    /// Returns the version.
    pub fn version(&self) -> Version {
        self.line.version
    }

    /// Returns the fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Returns the fields, to change those that neither frame nor route the message.
    pub fn fields_mut(&mut self) -> &mut Fields {
        &mut self.fields
    }

    /// Returns how the end of the body is found.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Returns whether another request can follow on the connection, in the eyes of every server.
    ///
    /// Stricter than RFC 9112, 9.3: `Connection` must not contain `close` even as a part of another
    /// word, and an HTTP/1.0 request must have exactly `Connection: keep-alive`.
    pub fn is_persistent(&self) -> bool {
        self.is_persistent
    }

    /// Returns whether the client waits for a 100 response before it sends the body
    /// (RFC 9110, 10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// Returns the protocols that the request offers, as they are in `Upgrade`.
    pub fn upgrade(&self) -> Option<&str> {
        self.upgrade.as_deref()
    }

    /// Sets the query of the target, without its `?`, or removes it. The path and the form of the
    /// target stay as they are.
    ///
    /// # Errors
    ///
    /// Fails if the query has a byte that a target may not contain (RFC 3986, 3.4), if the target
    /// is `*`, or if the head would exceed [`Limits::MAX_HEAD_BYTES`]. The head is then unchanged.
    ///
    /// [`Limits::MAX_HEAD_BYTES`]: crate::Limits::MAX_HEAD_BYTES
    pub fn set_query(&mut self, query: Option<&str>) -> Result<(), HttpError> {
        let target = self.target();
        if query.is_some() && target == "*" {
            return Err(HttpError::new(b"*", HttpErrorKind::Asterisk));
        }
        let replacement = query.map_or_else(String::new, |query| format!("?{query}"));
        check_target_bytes(replacement.as_bytes())?;
        let path_len = target.find('?').unwrap_or(target.len());
        let old = self.line.target.start + path_len..self.line.target.end;
        self.fields
            .replace_in_start_line(old.clone(), replacement.as_bytes())?;
        self.line.target.end = old.start + replacement.len();
        Ok(())
    }

    /// Sets the length of a body that has one, in bytes: replaces all fields `Content-Length` by
    /// one. A parser that has parsed this head still expects the body that the client announced.
    ///
    /// # Errors
    ///
    /// Fails if the framing is not [`Framing::Length`], if the length is 2^63 or more
    /// (RFC 9110, 8.6), if the method is `GET` or `HEAD` and the length is not 0, or if the head
    /// would exceed [`Limits::MAX_HEAD_BYTES`]. The head is then unchanged.
    ///
    /// [`Limits::MAX_HEAD_BYTES`]: crate::Limits::MAX_HEAD_BYTES
    pub fn set_content_length(&mut self, length: u64) -> Result<(), HttpError> {
        const NAME: &str = "Content-Length";
        let Framing::Length(_) = self.framing else {
            let kind = HttpErrorKind::ProtectedField;
            return Err(HttpError::new(NAME.as_bytes(), kind));
        };
        let value = length.to_string();
        if framing::parse_length(value.as_bytes()).is_none() {
            let kind = HttpErrorKind::ContentLength;
            return Err(HttpError::new(value.as_bytes(), kind));
        }
        let framing = Framing::Length(length);
        check_content(self.method().as_bytes(), framing)?;
        self.fields.replace(NAME, value.as_bytes())?;
        self.framing = framing;
        Ok(())
    }

    /// Removes `Expect`, for a head that is sent together with its body, and returns whether there
    /// was one. The sender then answers `100 Continue` in place of the server (RFC 9110, 10.1.1).
    pub fn remove_expectation(&mut self) -> bool {
        if self.expects_continue {
            self.fields.remove_all("expect");
        }
        std::mem::take(&mut self.expects_continue)
    }

    /// Returns the number of bytes that [`write`](Self::write) appends.
    #[expect(clippy::len_without_is_empty, reason = "a head is never empty")]
    pub fn len(&self) -> usize {
        self.line.target.end + VERSION_LEN + self.fields.lines_len() + 2
    }

    /// Appends the head to `output`. A head that was not changed is byte-identical to the head that
    /// was parsed.
    pub fn write(&self, output: &mut Vec<u8>) {
        output.reserve_exact(self.len());
        output.extend_from_slice(&self.fields.bytes()[..self.line.target.end + VERSION_LEN]);
        self.fields.write(output);
    }

    fn text(&self, range: Range<usize>) -> &str {
        str::from_utf8(&self.fields.bytes()[range]).expect("the request line is ASCII")
    }
}

impl PartialEq for RequestHead {
    /// Compares the bytes that [`RequestHead::write`] appends.
    fn eq(&self, other: &Self) -> bool {
        (self.method(), self.target(), self.version())
            == (other.method(), other.target(), other.version())
            && self.fields == other.fields
    }
}

impl Eq for RequestHead {}

impl RequestLine {
    /// Parses a request line without its CR LF.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, HttpError> {
        if line == b"PRI * HTTP/2.0" {
            return Err(HttpError::new(line, HttpErrorKind::Http2Preface));
        }
        let mut parts = line.split(|&b| b == b' ');
        let (method, target, version) = match (parts.next(), parts.next(), parts.next()) {
            (Some(method), Some(target), Some(version)) if parts.next().is_none() => {
                (method, target, version)
            }
            (Some(b"GET"), Some([b'/', ..]), None) => {
                return Err(HttpError::new(line, HttpErrorKind::Http09));
            }
            _ => return Err(HttpError::new(line, HttpErrorKind::RequestLine)),
        };
        if method.is_empty() || target.is_empty() || version.is_empty() {
            return Err(HttpError::new(line, HttpErrorKind::RequestLine));
        }
        check_method(method)?;
        check_target_bytes(target)?;
        let version = Version::parse(version)?;
        let start = method.len() + 1;
        Ok(Self {
            method_len: method.len(),
            target: start..start + target.len(),
            version,
        })
    }
}

/// The length of ` HTTP/1.1` and the line end.
const VERSION_LEN: usize = " HTTP/1.1\r\n".len();

/// Refuses methods in any case, because some servers convert them to upper case.
///
/// `HEAD` is refused in any other case. Servers disagree about whether the response to `head` has a
/// body, so the start of the next response cannot be known.
pub(crate) fn check_method(method: &[u8]) -> Result<(), HttpError> {
    if !method.iter().copied().all(is_token) {
        return Err(HttpError::new(method, HttpErrorKind::Method));
    }
    if method.eq_ignore_ascii_case(b"CONNECT") {
        return Err(HttpError::new(method, HttpErrorKind::Connect));
    }
    if method.eq_ignore_ascii_case(b"TRACE") || method.eq_ignore_ascii_case(b"TRACK") {
        return Err(HttpError::new(method, HttpErrorKind::Trace));
    }
    if method != b"HEAD" && method.eq_ignore_ascii_case(b"HEAD") {
        return Err(HttpError::new(method, HttpErrorKind::HeadCase));
    }
    Ok(())
}

fn check_target_bytes(target: &[u8]) -> Result<(), HttpError> {
    // `#` starts a fragment, which is not part of a target (RFC 9112, 3.2). The loop looks at all
    // bytes, so that the compiler can use vector instructions.
    let is_permitted = |byte: u8| matches!(byte, b'!'..=b'~') & (byte != b'#');
    if !target
        .iter()
        .fold(true, |all, &byte| all & is_permitted(byte))
    {
        return Err(HttpError::new(target, HttpErrorKind::TargetByte));
    }
    Ok(())
}

/// Refuses content in any case of these methods, as [`check_method`].
fn check_content(method: &[u8], framing: Framing) -> Result<(), HttpError> {
    let has_content = !matches!(framing, Framing::Empty | Framing::Length(0));
    let is_get = method.eq_ignore_ascii_case(b"GET") || method.eq_ignore_ascii_case(b"HEAD");
    if has_content && is_get {
        return Err(HttpError::new(method, HttpErrorKind::UnexpectedContent));
    }
    Ok(())
}

fn check_target(
    method: &[u8],
    target: &[u8],
    host: &[u8],
    origin: &Origin,
) -> Result<(), HttpError> {
    if target == b"*" {
        return match method {
            b"OPTIONS" => Ok(()),
            _ => Err(HttpError::new(method, HttpErrorKind::Asterisk)),
        };
    }
    if target.starts_with(b"/") {
        return Ok(());
    }
    let Some(at) = memchr::memmem::find(target, b"://") else {
        return Err(HttpError::new(target, HttpErrorKind::TargetForm));
    };
    let rest = &target[at + 3..];
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?'));
    let authority = &rest[..end.unwrap_or(rest.len())];
    let scheme = origin.scheme().as_str().as_bytes();
    // Where any port is accepted, both have to name the same one.
    let is_same = origin.port().is_some() || authority.eq_ignore_ascii_case(host);
    if !target[..at].eq_ignore_ascii_case(scheme) || !origin.matches(authority) || !is_same {
        let expected = origin.to_string().into();
        return Err(HttpError::new(
            target,
            HttpErrorKind::TargetAuthority { expected },
        ));
    }
    Ok(())
}

fn check_host<'a>(fields: &'a Fields, origin: &Origin) -> Result<&'a [u8], HttpError> {
    let mut hosts = fields.all("host");
    let host = hosts.next().ok_or(HttpErrorKind::MissingHost)?;
    if hosts.next().is_some() {
        return Err(HttpErrorKind::RepeatedHost.into());
    }
    if !origin.matches(host) {
        let expected = origin.authority();
        return Err(HttpError::new(
            host,
            HttpErrorKind::HostMismatch { expected },
        ));
    }
    Ok(host)
}

fn expects_continue(fields: &Fields, version: Version) -> Result<bool, HttpError> {
    let mut values = fields.all("expect");
    let Some(value) = values.next() else {
        return Ok(false);
    };
    if version == Version::Http10 {
        return Err(HttpError::new(b"Expect", HttpErrorKind::FieldInHttp10));
    }
    if values.next().is_some() || !value.eq_ignore_ascii_case(b"100-continue") {
        return Err(HttpError::new(value, HttpErrorKind::Expect));
    }
    Ok(true)
}

/// Returns the protocols of `Upgrade`, with or without `Connection: upgrade`, which some servers do
/// not require.
fn upgrade(fields: &Fields, version: Version) -> Result<Option<Box<str>>, HttpError> {
    let mut protocols = String::new();
    for protocol in fields.elements("upgrade") {
        if version == Version::Http10 {
            return Err(HttpError::new(b"Upgrade", HttpErrorKind::FieldInHttp10));
        }
        let name = protocol.split(|&b| b == b'/').next().unwrap_or_default();
        if [&b"h2c"[..], b"h2", b"HTTP"]
            .iter()
            .any(|h2| h2.eq_ignore_ascii_case(name))
        {
            return Err(HttpError::new(protocol, HttpErrorKind::Http2Upgrade));
        }
        if !protocol.iter().all(|&b| is_token(b) || b == b'/') {
            return Err(HttpError::new(b"Upgrade", HttpErrorKind::FieldValue));
        }
        if !protocols.is_empty() {
            protocols.push_str(", ");
        }
        protocols.extend(protocol.iter().copied().map(char::from));
    }
    Ok((!protocols.is_empty()).then(|| protocols.into()))
}
