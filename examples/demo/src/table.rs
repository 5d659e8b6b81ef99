//! The network report as a table.

use std::fmt::Write as _;

use eryx::net::policy::{escape, quote_word};
use eryx::net::{Activity, ConnectionReport, NetworkReport};

const HEADINGS: [&str; 6] = [
    "host",
    "verdict",
    "rule or reason",
    "address",
    "bytes out/in",
    "end",
];

/// Formats a report as a table with one line for each connection and lookup.
pub(crate) fn render(report: &NetworkReport) -> String {
    let rows: Vec<[String; 6]> = report.connections.iter().map(row).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = line(&HEADINGS.map(str::to_owned), &widths);
    text.push_str(&line(&widths.map(|width| "-".repeat(width)), &widths));
    for row in &rows {
        text.push_str(&line(row, &widths));
    }
    if report.dropped > 0 {
        let _ = writeln!(text, "   … and {} more", report.dropped);
    }
    text
}

fn row(entry: &ConnectionReport) -> [String; 6] {
    let mut host = quote_word(&entry.host);
    if let Some(port) = entry.port {
        let _ = write!(host, ":{port}");
    }
    if entry.activity == Activity::Lookup {
        host.push_str(" (lookup)");
    }
    let (verdict, rule) = match &entry.verdict {
        None => ("-".to_owned(), String::new()),
        Some(verdict) => (
            if verdict.is_allowed() {
                "allow"
            } else {
                "DENY"
            }
            .to_owned(),
            verdict
                .rule()
                .map_or_else(|| verdict.reason().as_str().to_owned(), ToString::to_string),
        ),
    };
    let address = match entry.address {
        Some(address) => address.to_string(),
        None => entry
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "),
    };
    let end = match (&entry.close_reason, entry.tls) {
        (None, _) => "open".to_owned(),
        (Some(end), None) => escape(&end.to_string()),
        (Some(end), Some(tls)) => escape(&format!("{tls}, {end}")),
    };
    [
        host,
        verdict,
        rule,
        address,
        format!("{}/{}", entry.sent, entry.received),
        end,
    ]
}

fn line(cells: &[String; 6], widths: &[usize; 6]) -> String {
    let mut text = String::from("  ");
    for (cell, width) in cells.iter().zip(widths) {
        let _ = write!(text, " {cell:<width$} ");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}
