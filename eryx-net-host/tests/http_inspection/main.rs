//! Tests of HTTP rules, secrets and the request log on connections.

#[cfg(feature = "serde")]
mod har;
mod recording;
mod responses;
mod rules;
mod secrets;
mod sessions;
#[path = "../support/mod.rs"]
mod support;

use crate::support::http::get;

/// Returns requests to `secure.test` with the placeholder `p` where it may not be, and that place.
fn misplacements(p: &str, port: u16) -> Vec<(String, &'static str)> {
    let body = format!(
        "POST / HTTP/1.1\r\nHost: secure.test:{port}\r\nContent-Length: {}\r\n\r\n{p}",
        p.len()
    );
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: secure.test:{port}\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        &p[..5],
        p.len() - 5,
        &p[5..]
    );
    let trailer = format!(
        "POST / HTTP/1.1\r\nHost: secure.test:{port}\r\nTransfer-Encoding: chunked\r\n\r\n\
         1\r\na\r\n0\r\nX-Leak: {p}\r\n\r\n"
    );
    vec![
        (
            get("/", port, &format!("X-Other: {p}\r\n")),
            "the field `X-Other`",
        ),
        (
            get("/", port, &format!("Cookie: a={p}\r\n")),
            "the field `Cookie`",
        ),
        (
            get("/", port, &format!("{p}: x\r\n")),
            "the name of a field",
        ),
        (get(&format!("/{p}"), port, ""), "the path"),
        (
            get(&format!("/?q={p}"), port, ""),
            "the query parameter `q`",
        ),
        (
            get(&format!("/?{p}"), port, ""),
            "the name of a query parameter",
        ),
        (body, "the body"),
        (chunked, "the body"),
        (trailer, "a trailer field"),
    ]
}
