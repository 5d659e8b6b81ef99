//! The comparison of what was checked with what an origin has seen.

use std::collections::{BTreeMap, HashMap};

use eryx_http::Scheme;
use eryx_net_host::HttpRequestReport;

use crate::exchange::CheckedConnection;
use crate::origin::{Body, Seen};

/// The differences between checked requests and those that an origin has seen.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) differences: Vec<String>,
    /// The names of what the origin refused although it was allowed, with the status.
    pub(crate) refused: BTreeMap<String, u64>,
    /// The number of requests that were allowed, sent, and seen with the same body.
    pub(crate) complete: usize,
}

/// Compares all connections to one origin.
pub(crate) fn compare(scheme: Scheme, checked: &[CheckedConnection], seen: &[Seen]) -> Comparison {
    let mut by_connection: HashMap<(u16, u16), Vec<&Seen>> = HashMap::new();
    for request in seen {
        by_connection
            .entry(request.ports)
            .or_default()
            .push(request);
    }
    let mut comparison = Comparison::default();
    for connection in checked {
        let seen = by_connection.remove(&connection.ports).unwrap_or_default();
        if let Err(difference) = comparison.connection(scheme, connection, &seen) {
            let input = [&connection.sent.first[..], &connection.sent.second].concat();
            comparison.differences.push(format!(
                "{} ({:?}): {difference}\n  sent {}\n  checked {:?}\n  seen {seen:?}",
                connection.sent.name,
                connection.sent.pieces,
                input.escape_ascii(),
                connection
                    .requests
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>(),
            ));
        }
    }
    let others = by_connection.values().flatten();
    let others = others.map(|request| format!("a request on no connection: {request:?}"));
    comparison.differences.extend(others);
    comparison
}

impl Comparison {
    fn connection(
        &mut self,
        scheme: Scheme,
        connection: &CheckedConnection,
        seen: &[&Seen],
    ) -> Result<(), String> {
        let sent: Vec<&HttpRequestReport> = connection
            .requests
            .iter()
            .filter(|request| request.sent_bytes > 0)
            .collect();
        for (index, request) in seen.iter().enumerate() {
            let checked = sent
                .get(index)
                .ok_or("the origin has seen a request that was not checked")?;
            if !checked.verdict.as_ref().is_some_and(|v| v.is_allowed()) {
                return Err("the origin has seen a request that was not allowed".into());
            }
            let mut words = request.line.split(' ');
            let method = words.next().unwrap_or_default();
            let target = words.next().unwrap_or_default();
            let url = url(scheme, &request.host, target);
            let is_same = method == checked.method && url == checked.url;
            match &request.body {
                // An origin that refuses a head need not have parsed it.
                Body::None(status @ 400..) if index + 1 == seen.len() => {
                    if !is_same && !request.line.starts_with(&format!("{} ", checked.method)) {
                        return Err(format!("the origin has seen `{method}` for `{url}`"));
                    }
                    if connection.bodies.len() > index {
                        if connection.is_settled {
                            self.refused.insert(connection.sent.name.clone(), *status);
                        }
                        return Ok(());
                    }
                }
                Body::None(_) if connection.bodies.len() > index => {
                    return Err("the origin misses the end of a body".into());
                }
                _ if !is_same => return Err(format!("the origin has seen `{method}` for `{url}`")),
                Body::None(_) => {}
                // The origin has answered before the end.
                Body::Discarded => self.complete += usize::from(connection.bodies.len() > index),
                Body::Complete(_) if connection.bodies.len() <= index => {
                    return Err("the origin takes an incomplete request for complete".into());
                }
                Body::Complete(body) if *body != connection.bodies[index] => {
                    return Err(format!("the body is `{}`", body.escape_ascii()));
                }
                Body::Complete(_) => {
                    if request
                        .length
                        .is_some_and(|length| length != checked.sent_bytes)
                    {
                        return Err("the lengths differ".into());
                    }
                    self.complete += 1;
                }
            }
        }
        if connection.is_settled && seen.len() < sent.len() {
            return Err("the origin has not seen all requests that were sent".into());
        }
        Ok(())
    }
}

/// Returns the URL of a request to `host` (RFC 9112, 3.3).
fn url(scheme: Scheme, host: &str, target: &str) -> String {
    let origin = format!("{}://{}", scheme.as_str(), host.to_ascii_lowercase());
    match target.get(..origin.len()) {
        Some(start) if start.eq_ignore_ascii_case(&origin) => {
            let rest = &target[origin.len()..];
            let slash = if rest.starts_with('/') { "" } else { "/" };
            format!("{origin}{slash}{rest}")
        }
        _ if target == "*" => origin,
        _ => format!("{origin}{target}"),
    }
}
