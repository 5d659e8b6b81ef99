//! The request log in the HTTP Archive format (HAR) 1.2.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::audit::http_request::HttpRequestReport;
use crate::audit::report::NetworkReport;

/// A request log in the HTTP Archive format 1.2, which the developer tools of browsers open. Write
/// it with a serializer for JSON.
///
/// It has no header fields, cookies or bodies: the log does not keep them. Denied requests have
/// status 0, and the version of a message that did not arrive is empty. The fields `_verdict`,
/// `_secrets` and `_error` are Eryx's own: the decision and its reason, the names of the secrets in
/// the request, and why it was denied or failed.
///
/// ```
/// use eryx_net_host::{NetConfig, Network};
///
/// let report = Network::new(&NetConfig::default()).report();
/// let har = serde_json::to_value(report.to_har())?;
/// assert_eq!(har["log"]["version"], "1.2");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct Har {
    log: Log,
}

#[derive(Clone, Debug, Serialize)]
struct Log {
    version: &'static str,
    creator: Creator,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, Serialize)]
struct Creator {
    name: &'static str,
    version: &'static str,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: String,
    /// Milliseconds, as all times.
    time: f64,
    request: Request,
    response: Response,
    cache: Empty,
    timings: Timings,
    connection: String,
    #[serde(rename = "_verdict")]
    verdict: Option<Verdict>,
    #[serde(rename = "_secrets")]
    secrets: Vec<String>,
    #[serde(rename = "_error")]
    error: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Verdict {
    decision: &'static str,
    reason: &'static str,
    rule: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    http_version: &'static str,
    cookies: [Empty; 0],
    headers: [Empty; 0],
    query_string: Vec<Parameter>,
    headers_size: i64,
    body_size: i64,
}

#[derive(Clone, Debug, Serialize)]
struct Parameter {
    name: String,
    value: String,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status: u16,
    status_text: &'static str,
    http_version: &'static str,
    cookies: [Empty; 0],
    headers: [Empty; 0],
    content: Content,
    #[serde(rename = "redirectURL")]
    redirect_url: &'static str,
    headers_size: i64,
    body_size: i64,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    size: u64,
    mime_type: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct Timings {
    send: f64,
    wait: f64,
    receive: f64,
}

#[derive(Clone, Debug, Serialize)]
struct Empty {}

/// A size that is not known.
const UNKNOWN: i64 = -1;

impl NetworkReport {
    /// Returns [`requests`](Self::requests) as a HTTP Archive.
    #[must_use]
    pub fn to_har(&self) -> Har {
        Har {
            log: Log {
                version: "1.2",
                creator: Creator {
                    name: "Eryx",
                    version: env!("CARGO_PKG_VERSION"),
                },
                entries: self.requests.iter().map(Entry::new).collect(),
            },
        }
    }
}

impl Entry {
    fn new(request: &HttpRequestReport) -> Self {
        let wait = request.time_to_first_byte.unwrap_or(request.duration);
        Self {
            started_date_time: rfc3339(request.started),
            time: milliseconds(request.duration),
            request: Request {
                method: request.method.clone(),
                url: request.url.clone(),
                http_version: request.request_version,
                cookies: [],
                headers: [],
                query_string: query(&request.url),
                headers_size: UNKNOWN,
                body_size: UNKNOWN,
            },
            response: Response {
                status: request.status.unwrap_or(0),
                status_text: "",
                http_version: request.response_version,
                cookies: [],
                headers: [],
                content: Content {
                    size: request.content_bytes,
                    mime_type: "",
                },
                redirect_url: "",
                headers_size: UNKNOWN,
                body_size: UNKNOWN,
            },
            cache: Empty {},
            timings: Timings {
                send: 0.0,
                wait: milliseconds(wait),
                receive: milliseconds(request.duration.saturating_sub(wait)),
            },
            connection: request.connection.to_string(),
            verdict: request.verdict.as_ref().map(|verdict| Verdict {
                decision: verdict.decision().as_str(),
                reason: verdict.reason().as_str(),
                rule: verdict.rule().map(ToString::to_string),
            }),
            secrets: request.secrets.clone(),
            error: request.error.clone(),
        }
    }
}

/// Returns the parameters of a URL as they were sent, not decoded.
fn query(url: &str) -> Vec<Parameter> {
    let Some((_, query)) = url.split_once('?') else {
        return Vec::new();
    };
    let parameters = query.split('&');
    parameters
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            Parameter {
                name: name.to_owned(),
                value: value.to_owned(),
            }
        })
        .collect()
}

fn rfc3339(time: SystemTime) -> String {
    let text = OffsetDateTime::from(time).format(&Rfc3339);
    text.expect("the year of the system's clock has four digits")
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
