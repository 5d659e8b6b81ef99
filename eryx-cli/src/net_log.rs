//! The network log: one line of JSON for every event.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use eryx::CancelHandle;
use eryx::net::{Event, Observer};
use eryx_sync::Mutex;
use serde::Serialize;

/// Writes events as they happen. When writing fails, it cancels the script: a script must not
/// continue without a log.
pub(crate) struct NetLog {
    path: PathBuf,
    cancel: CancelHandle,
    state: Mutex<State>,
}

enum State {
    Writing(Box<dyn Write + Send>),
    Failed(io::Error),
}

#[derive(Serialize)]
struct Line<'a> {
    /// Seconds since 1970.
    time: f64,
    #[serde(flatten)]
    event: &'a Event,
}

impl NetLog {
    /// Opens the file to append to it; `-` is standard error.
    pub(crate) fn open(path: &Path, cancel: &CancelHandle) -> Result<Self> {
        let sink: Box<dyn Write + Send> = if path.as_os_str() == "-" {
            Box::new(io::stderr())
        } else {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("--net-log: cannot write {}", path.display()))?;
            Box::new(file)
        };
        Ok(Self {
            path: path.to_owned(),
            cancel: cancel.clone(),
            state: Mutex::new(State::Writing(sink)),
        })
    }

    /// Returns why the log is incomplete; `None` when it is complete.
    pub(crate) fn failure(&self) -> Option<String> {
        match &*self.state.lock() {
            State::Writing(_) => None,
            State::Failed(error) => Some(format!(
                "the script was ended because the network log {} cannot be written: {error}",
                self.path.display()
            )),
        }
    }
}

impl Observer for NetLog {
    fn event(&self, event: &Event) {
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_micros() as f64 / 1e6);
        let mut state = self.state.lock();
        let State::Writing(sink) = &mut *state else {
            return;
        };
        let written = serde_json::to_string(&Line { time, event })
            .map_err(io::Error::from)
            .and_then(|line| {
                let line = escape_invisible(&line) + "\n";
                // In one write, so that lines of several writers do not mix.
                sink.write_all(line.as_bytes())?;
                sink.flush()
            });
        if let Err(error) = written {
            *state = State::Failed(error);
            self.cancel.cancel();
        }
    }
}

/// Escapes every invisible character of the JSON, which occur in strings only. A terminal acts on
/// some of them, and JSON requires no escape above U+001F.
fn escape_invisible(json: &str) -> String {
    let mut line = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if c.is_ascii() && !c.is_control() || c.escape_debug().len() == 1 && !c.is_whitespace() {
            line.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(line, "\\u{unit:04x}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::escape_invisible;

    #[test]
    fn escaping_removes_terminal_controls_and_keeps_the_json_value() {
        let host = "a\u{7f}\u{9b}31m\u{202e}\u{2028}\u{a0}\u{e0001}b \"münchen\" \n";
        let json = serde_json::to_string(host).expect("a string is JSON");
        let line = escape_invisible(&json);
        assert!(
            line.chars()
                .all(|c| !c.is_control() && (c.is_ascii() || c == 'ü')),
            "{line}"
        );
        assert_eq!(
            serde_json::from_str::<String>(&line).expect("it is JSON"),
            host
        );
    }
}
