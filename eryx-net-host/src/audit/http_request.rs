//! The log entry of one HTTP request.

use std::fmt;
use std::time::{Duration, SystemTime};

use eryx_net_policy::HttpVerdict;

/// An HTTP request of the guest program to an inspected host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpRequestReport {
    /// The number of its connection, as in [`ConnectionReport::id`](crate::ConnectionReport::id).
    pub connection: u64,
    /// The method, cut to 32 characters. Empty if the request has no well-formed request line.
    pub method: String,
    /// The URL, cut to 1,024 characters. Values of query parameters that can hold secrets are
    /// replaced by `REDACTED`.
    pub url: String,
    /// When the head of the request was complete.
    pub started: SystemTime,
    /// The status code of the final response; `None` if there was none.
    pub status: Option<u16>,
    /// The bytes that were sent for the request: head, framing and body.
    pub sent_bytes: u64,
    /// The bytes that were received in response: heads, framing and body.
    pub received_bytes: u64,
    /// The bytes of the content of the final response: without the head and framing.
    pub(crate) content_bytes: u64,
    /// The version of the request, such as `HTTP/1.1`; empty if it is malformed.
    pub(crate) request_version: &'static str,
    /// The version of the response; empty if there was none.
    pub(crate) response_version: &'static str,
    /// The time until the head of the first response was complete.
    pub time_to_first_byte: Option<Duration>,
    /// The time until the response ended, or the exchange failed.
    pub duration: Duration,
    /// The verdict of the HTTP rules; `None` for a request that is malformed.
    pub verdict: Option<HttpVerdict>,
    /// The names of the secrets that Eryx put into the request.
    pub secrets: Vec<String>,
    /// Whether the connection has left HTTP with this request, for example for a WebSocket.
    pub is_upgraded: bool,
    /// Why the request was denied or the exchange failed. In [report-only
    /// mode](crate::NetConfig::with_report_only) also why it would be denied, unless the rules
    /// are the reason.
    pub error: Option<String>,
    /// Whether the error begins with why the request would be denied.
    pub(crate) goes_on: bool,
}

impl fmt::Display for HttpRequestReport {
    /// Writes one line. It does not escape the URL, which the guest program chose.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)?;
        match self.status {
            Some(status) => write!(f, " answered with {status}")?,
            None => f.write_str(" not answered")?,
        }
        write!(
            f,
            " after {:.1?}: {} bytes sent, {} received",
            self.duration, self.sent_bytes, self.received_bytes
        )?;
        if !self.secrets.is_empty() {
            write!(f, ", with the secrets {}", self.secrets.join(", "))?;
        }
        match &self.error {
            Some(error) if self.goes_on => write!(f, ", {error}"),
            Some(error) => write!(f, ", failed: {error}"),
            None => Ok(()),
        }
    }
}
