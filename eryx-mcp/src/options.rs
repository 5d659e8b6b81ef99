//! The settings of a server.

use std::path::PathBuf;

/// The settings of a [`Server`](crate::Server): its limits, and its instructions for models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub(crate) max_sessions: usize,
    pub(crate) max_calls: usize,
    pub(crate) max_result: usize,
    pub(crate) saved_sessions: Option<PathBuf>,
    pub(crate) max_saved_sessions: usize,
    pub(crate) instructions: Vec<String>,
}

/// The error for an option that is too small.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {value}; it must be at least {least}")]
pub struct OptionsError {
    name: &'static str,
    value: usize,
    least: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_sessions: 8,
            max_calls: 16,
            max_result: 32 << 10,
            saved_sessions: None,
            max_saved_sessions: 32,
            instructions: Vec::new(),
        }
    }
}

impl Options {
    /// The least that [`with_max_result`](Self::with_max_result) accepts, in bytes.
    pub const MIN_RESULT: usize = 1 << 10;

    /// Sets how many sessions may exist at a time. Each keeps an interpreter, whose memory the
    /// limits of the sandbox bound. The default is 8.
    #[must_use]
    pub fn with_max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// Sets how many calls of tools may be in progress at a time, those included that wait for
    /// their session. More are refused, except those that list or end sessions, or read the output
    /// of a program. The default is 16.
    #[must_use]
    pub fn with_max_calls(mut self, calls: usize) -> Self {
        self.max_calls = calls;
        self
    }

    /// Sets the largest part of a text in the result of a tool, in bytes: of standard output,
    /// of standard error, of a traceback. The default is 32 KiB.
    #[must_use]
    pub fn with_max_result(mut self, bytes: usize) -> Self {
        self.max_result = bytes;
        self
    }

    /// Sets the folder of the machine in which the model can save sessions, and from which it can
    /// restore them, also after a restart of the server. It has to exist. A snapshot contains all
    /// that programs have in memory, and is not encrypted. By default no session can be saved.
    #[must_use]
    pub fn with_saved_sessions(mut self, folder: impl Into<PathBuf>) -> Self {
        self.saved_sessions = Some(folder.into());
        self
    }

    /// Sets how many sessions can be saved. Each takes at most as many bytes as the memory and the
    /// files of a session, and usually a small part of that. The default is 32.
    #[must_use]
    pub fn with_max_saved_sessions(mut self, sessions: usize) -> Self {
        self.max_saved_sessions = sessions;
        self
    }

    /// Adds a sentence about the sandboxes to the instructions that a client gives its model: which
    /// hosts they reach, which packages they have.
    #[must_use]
    pub fn with_instruction(mut self, sentence: impl Into<String>) -> Self {
        self.instructions.push(sentence.into());
        self
    }

    /// Checks the limits.
    pub(crate) fn validate(&self) -> Result<(), OptionsError> {
        for (name, value, least) in [
            ("max_sessions", self.max_sessions, 1),
            ("max_calls", self.max_calls, 1),
            ("max_result", self.max_result, Self::MIN_RESULT),
            ("max_saved_sessions", self.max_saved_sessions, 1),
        ] {
            if value < least {
                return Err(OptionsError { name, value, least });
            }
        }
        Ok(())
    }
}
