//! Durations and sizes as people write them on a command line.

use std::time::Duration;

/// `500ms`, `30s`, `2m`, `1h`, or a plain number of seconds such as `1.5`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wanted = || {
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
        _ => return Err(wanted()),
    };
    let value: f64 = number.parse().map_err(|_| wanted())?;
    let duration = Duration::try_from_secs_f64(value * seconds).map_err(|_| wanted())?;
    if duration.is_zero() {
        return Err(wanted());
    }
    Ok(duration)
}

/// `128M`, `1G`, `64MiB`, or a plain number of bytes. The units are powers of 1024.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let wanted = || {
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
        _ => return Err(wanted()),
    };
    let value: u64 = number.parse().map_err(|_| wanted())?;
    value.checked_mul(1 << shift).ok_or_else(wanted)
}

fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_and_without_units() {
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
    fn sizes_are_powers_of_1024() {
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
    fn what_is_neither_is_refused_with_its_text() {
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
}
