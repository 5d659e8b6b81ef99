//! Parsers of option values: durations, sizes, and names with addresses.

use std::net::IpAddr;
use std::time::Duration;

/// Parses `500ms`, `30s`, `2m`, `1h`, or a plain number of seconds such as `1.5`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let malformed = || {
        format!(
            "`{text}` is not a duration; write a positive number of seconds (1.5) or 500ms, 30s, 2m, 1h"
        )
    };
    let (number, unit) = split(text);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(malformed()),
    };
    let value: f64 = number.parse().map_err(|_| malformed())?;
    let duration = Duration::try_from_secs_f64(value * seconds).map_err(|_| malformed())?;
    if duration.is_zero() {
        return Err(malformed());
    }
    Ok(duration)
}

/// Parses `128M`, `1G`, `64MiB`, or a plain number of bytes. The units are powers of 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let malformed = || {
        format!(
            "`{text}` is not a size; write a number of bytes or 512K, 128M, 1G (powers of 1024)"
        )
    };
    let (number, unit) = split(text);
    let shift = match unit {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        _ => return Err(malformed()),
    };
    let value: u64 = number.parse().map_err(|_| malformed())?;
    value.checked_mul(1 << shift).ok_or_else(malformed)
}

/// Parses `name=address`.
pub(crate) fn name_and_address(text: &str) -> Result<(String, IpAddr), String> {
    text.split_once('=')
        .and_then(|(name, address)| Some((name.to_owned(), address.parse().ok()?)))
        .ok_or_else(|| {
            format!(
                "`{text}` is not a name and its address; write `name=address`, such as `db.corp=10.0.0.5`"
            )
        })
}

/// Splits a number from its unit.
fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Returns a number of bytes in words.
pub(crate) fn format_size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..MIB => format!("{} KiB", bytes >> 10),
        _ => format!("{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_parsed_with_and_without_a_unit() {
        for (text, millis) in [
            ("1", 1000),
            ("1.5", 1500),
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_unit_of_size_is_a_power_of_1024() {
        for (text, size) in [
            ("10", 10),
            ("10B", 10),
            ("2K", 2048),
            ("128M", 128 << 20),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
    }

    #[test]
    fn a_malformed_duration_or_size_is_an_error_that_quotes_it() {
        for text in [
            "",
            "0",
            "-1",
            "1d",
            "one",
            "1 s",
            "1e3",
            "nan",
            "..",
            "99999999999999999999999h",
        ] {
            assert!(
                duration(text).is_err_and(|error| error.contains(&format!("`{text}`"))),
                "{text}"
            );
        }
        for text in ["", "-1", "1T", "1.5M", "M", "99999999999G"] {
            assert!(
                bytes(text).is_err_and(|error| error.contains(&format!("`{text}`"))),
                "{text}"
            );
        }
    }

    #[test]
    fn sizes_are_shown_with_a_unit() {
        assert_eq!(format_size(0), "0 B");
        assert_eq!(format_size(1023), "1023 B");
        assert_eq!(format_size(1024), "1 KiB");
        assert_eq!(format_size((1 << 20) - 1), "1023 KiB");
        assert_eq!(format_size(70 << 20), "70.0 MiB");
        assert_eq!(format_size((3 << 20) + (1 << 19)), "3.5 MiB");
    }
}
