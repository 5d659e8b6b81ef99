//! A process with pip, which ends in bounded time.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The longest time of a process.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The interval between two looks at the process.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The bytes of messages that are read: the last ones.
const MAX_MESSAGES: u64 = 64 << 10;

/// The most bytes of output, and of messages: pip writes some hundred for each release it tries.
const MAX_OUTPUT: u64 = 4 << 20;

/// Ends the process of a download when it is dropped.
#[derive(Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Returns a value that ends the download when it is dropped.
    pub(super) fn on_drop(self) -> StopOnDrop {
        StopOnDrop(self)
    }

    fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// See [`Stop::on_drop`].
pub(super) struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProcessEnd {
    Success,
    Failure,
    /// It was ended: it took too long, or wrote too much. Has the reason.
    Killed(String),
}

/// A process that has ended.
pub(super) struct FinishedProcess {
    pub(super) end: ProcessEnd,
    /// What it wrote to standard output, at most [`MAX_OUTPUT`].
    pub(super) output: String,
    /// The end of what it wrote to standard error.
    pub(super) messages: String,
}

impl FinishedProcess {
    pub(super) fn succeeded(&self) -> bool {
        self.end == ProcessEnd::Success
    }
}

/// Runs a command. What it writes goes to files, which need no thread that reads them.
pub(super) fn run_to_end(
    mut command: Command,
    directory: &Path,
    stop: &Stop,
) -> io::Result<FinishedProcess> {
    let mut output = tempfile::tempfile()?;
    let mut messages = tempfile::tempfile()?;
    let child = command
        .current_dir(directory)
        .env("PYTHONIOENCODING", "utf-8")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(messages.try_clone()?)
        .spawn()?;
    let mut process = Process(child);
    let started = Instant::now();
    let end = loop {
        if let Some(status) = process.0.try_wait()? {
            break match status.success() {
                true => ProcessEnd::Success,
                false => ProcessEnd::Failure,
            };
        }
        if stop.is_requested() {
            return Err(io::Error::other("it was ended"));
        }
        if started.elapsed() > TIMEOUT {
            break ProcessEnd::Killed(format!("it took more than {} s", TIMEOUT.as_secs()));
        }
        if output.metadata()?.len().max(messages.metadata()?.len()) > MAX_OUTPUT {
            break ProcessEnd::Killed("it tried too many releases".to_owned());
        }
        thread::sleep(POLL_INTERVAL);
    };
    drop(process);
    Ok(FinishedProcess {
        end,
        output: read(&mut output, 0, MAX_OUTPUT)?,
        messages: {
            let size = messages.metadata()?.len();
            read(
                &mut messages,
                size.saturating_sub(MAX_MESSAGES),
                MAX_MESSAGES,
            )?
        },
    })
}

/// Reads at most `max` bytes of a file, from `start`.
fn read(file: &mut File, start: u64, max: u64) -> io::Result<String> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A process that is killed unless it has ended.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail for a process that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_killed_when_the_download_is_not_wanted_any_more() {
        let stop = Stop::default();
        drop(stop.clone().on_drop());
        let mut command = Command::new("sleep");
        command.arg("1000");
        let ended = run_to_end(command, Path::new("/"), &stop);
        assert!(ended.is_err());
    }

    #[test]
    fn a_process_that_writes_without_end_is_killed_and_its_output_is_bounded() {
        let ended = run_to_end(Command::new("yes"), Path::new("/"), &Stop::default());
        let ended = ended.expect("run");
        assert_eq!(
            ended.end,
            ProcessEnd::Killed("it tried too many releases".to_owned())
        );
        assert_eq!(ended.output.len() as u64, MAX_OUTPUT);
    }
}
