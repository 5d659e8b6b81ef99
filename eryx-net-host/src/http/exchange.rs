//! A request and its response, as the request log records them.

use std::sync::Arc;
use std::time::SystemTime;

use eryx_http::{ResponseHead, Version};
use eryx_net_policy::HttpVerdict;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::audit::http_request::HttpRequestReport;
use crate::http::secret_store::Values;

/// The most bytes of a URL that the log stores.
const MAX_URL: usize = 1024;

/// The most characters of a method that the log stores.
const MAX_METHOD: usize = 32;

/// The most characters of a URL that a message repeats.
const MAX_SHOWN: usize = 256;

/// The most reasons why a request would be denied that the log stores.
const MAX_REASONS: usize = 4;

/// A request whose response has not ended.
pub(super) struct Exchange {
    report: HttpRequestReport,
    started: Instant,
    /// The most bytes that the body of the response may have.
    pub(super) max_response_bytes: Option<u64>,
    /// The number of reasons in the report why the request would be denied.
    reasons: usize,
    /// The secrets in the request, which responses are searched for until this one has ended.
    values: Values,
}

impl Exchange {
    pub(super) fn new(method: &str, mut url: String, verdict: Option<HttpVerdict>) -> Self {
        url.truncate(url.floor_char_boundary(MAX_URL));
        Self {
            max_response_bytes: None,
            reasons: 0,
            values: Values::new(),
            report: HttpRequestReport {
                connection: 0,
                method: method.chars().take(MAX_METHOD).collect(),
                url,
                started: SystemTime::now(),
                status: None,
                sent_bytes: 0,
                received_bytes: 0,
                content_bytes: 0,
                request_version: "",
                response_version: "",
                time_to_first_byte: None,
                duration: std::time::Duration::ZERO,
                verdict,
                secrets: Vec::new(),
                is_upgraded: false,
                error: None,
                goes_on: false,
            },
            started: Instant::now(),
        }
    }

    /// Returns the verdict of the HTTP rules about the request.
    pub(super) fn verdict(&self) -> Option<&HttpVerdict> {
        self.report.verdict.as_ref()
    }

    /// Returns the URL for a message, shortened.
    pub(super) fn shown_url(&self) -> String {
        self.report.url.chars().take(MAX_SHOWN).collect()
    }

    pub(super) fn add_sent(&mut self, bytes: usize) {
        self.report.sent_bytes += bytes as u64;
    }

    /// Subtracts bytes that were added, but will not be sent.
    pub(super) fn remove_sent(&mut self, bytes: usize) {
        self.report.sent_bytes = self.report.sent_bytes.saturating_sub(bytes as u64);
    }

    pub(super) fn add_received(&mut self, bytes: usize) {
        self.report.received_bytes += bytes as u64;
    }

    /// Counts bytes of the response's content, which were counted as received, too.
    pub(super) fn add_content(&mut self, bytes: usize) {
        self.report.content_bytes += bytes as u64;
    }

    /// Records the version of the request.
    pub(super) fn set_version(&mut self, version: Version) {
        self.report.request_version = text(version);
    }

    /// Records that the request contains the secret `name`.
    pub(super) fn add_secret(&mut self, name: &str, index: usize, value: Arc<SecretString>) {
        if !self.values.iter().any(|(other, _)| *other == index) {
            self.report.secrets.push(name.to_owned());
            self.values.push((index, value));
        }
    }

    pub(super) fn is_head_request(&self) -> bool {
        self.report.method == "HEAD"
    }

    /// Records the head of a response. Interim responses count only for the time.
    pub(super) fn head_received(&mut self, head: &ResponseHead) {
        let elapsed = self.started.elapsed();
        self.report.time_to_first_byte.get_or_insert(elapsed);
        if !head.is_interim() {
            self.report.status = Some(head.status());
            self.report.response_version = text(head.version());
        }
    }

    pub(super) fn upgraded(&mut self) {
        self.report.is_upgraded = true;
    }

    /// Records why the request would be denied, and goes on in report-only mode. The first reasons
    /// count, each once.
    pub(super) fn would_be_denied(&mut self, message: &str) {
        let error = match self.report.error.take() {
            None => format!("goes on, report_only is set: {message}"),
            Some(error) if self.reasons < MAX_REASONS && !error.contains(message) => {
                format!("{error}; {message}")
            }
            error => {
                self.report.error = error;
                return;
            }
        };
        self.reasons += 1;
        self.report.error = Some(error);
        self.report.goes_on = true;
    }

    /// Returns the entry of the log, with the error that ended the exchange, if one did.
    pub(super) fn end(mut self, error: Option<String>) -> HttpRequestReport {
        self.report.duration = self.started.elapsed();
        self.report.error = match (self.report.error.take(), error) {
            (Some(denial), Some(error)) => Some(format!("{denial}; {error}")),
            (denial, error) => denial.or(error),
        };
        self.report
    }
}

/// Returns a version as it is in a message.
fn text(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    }
}
