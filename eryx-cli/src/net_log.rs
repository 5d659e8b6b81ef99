//! The network log: one line of JSON for every event.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use eryx::CancelHandle;
use eryx::net::{Event, Observer};
use serde::Serialize;

/// Writes events as they come. A script that nobody watches any more is ended: that is `cancel`'s part.
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
    /// Opens `path` to append to it; `-` is standard error.
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

    /// Why the log is not complete, if it is not.
    pub(crate) fn failure(&self) -> Option<String> {
        match &*self.state.lock().unwrap_or_else(PoisonError::into_inner) {
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
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State::Writing(sink) = &mut *state else {
            return;
        };
        let written = serde_json::to_string(&Line { time, event })
            .map_err(io::Error::from)
            .and_then(|line| {
                let line = visible(&line) + "\n";
                // In one piece, so that lines of several writers do not mix.
                sink.write_all(line.as_bytes())?;
                sink.flush()
            });
        if let Err(error) = written {
            *state = State::Failed(error);
            self.cancel.cancel();
        }
    }
}

/// The same JSON with everything invisible escaped, which is in strings only: a terminal acts on some of it, and JSON
/// asks for no escape beyond U+001F.
fn visible(json: &str) -> String {
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
    use super::visible;

    #[test]
    fn what_a_terminal_acts_on_is_escaped_and_the_json_says_the_same() {
        let host = "a\u{7f}\u{9b}31m\u{202e}\u{2028}\u{a0}\u{e0001}b \"münchen\" \n";
        let json = serde_json::to_string(host).expect("a string is JSON");
        let line = visible(&json);
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
