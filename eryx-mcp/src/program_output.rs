//! The output of a program, as text.

use eryx::{Error, ExecuteResult};

use crate::arguments::Stream;

/// The output of a program that ended, and its value as text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ProgramOutput {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) traceback: String,
    pub(crate) value: String,
}

impl ProgramOutput {
    pub(crate) fn from_result(result: &Result<ExecuteResult, Error>) -> Self {
        let (stdout, stderr) = match result {
            Ok(result) => (result.stdout.clone(), result.stderr.clone()),
            Err(error) => match error.output() {
                Some(output) => (output.stdout_text(), output.stderr_text()),
                None => (String::new(), String::new()),
            },
        };
        let traceback = match result {
            Err(Error::Exception(raised)) => raised.traceback.clone(),
            _ => String::new(),
        };
        Self {
            stdout,
            stderr,
            traceback,
            value: result.as_ref().map_or_else(|_| String::new(), value_text),
        }
    }

    pub(crate) fn stream(&self, stream: Stream) -> &str {
        match stream {
            Stream::Stdout => &self.stdout,
            Stream::Stderr => &self.stderr,
            Stream::Traceback => &self.traceback,
            Stream::Value => &self.value,
        }
    }
}

/// Returns the value of a program as text; nothing for `None`, and if there is none.
fn value_text(result: &ExecuteResult) -> String {
    let mut plain = result.display.iter();
    if let Some(display) = plain.find(|display| display.media_type == "text/plain") {
        return String::from_utf8_lossy(&display.data).into_owned();
    }
    match &result.value {
        Some(Ok(value)) if value.as_str() != "null" => value.as_str().to_owned(),
        _ => String::new(),
    }
}
