//! What takes long is told on the terminal.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use eryx::BuildStage;

/// What is done sooner is not worth a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// Says on standard error what is being done, when that takes more than a second and somebody may be looking: a
/// terminal. The line is gone when the work is.
pub(crate) struct Progress {
    stages: Option<Sender<BuildStage>>,
    printer: Option<thread::JoinHandle<()>>,
}

impl Progress {
    /// Work begins.
    pub(crate) fn begin() -> Self {
        if !stderr().is_terminal() {
            return Self {
                stages: None,
                printer: None,
            };
        }
        let (stages, next) = channel();
        let printer = thread::Builder::new().spawn(move || {
            let mut stage = None;
            let mut shown = false;
            loop {
                match next.recv_timeout(PATIENCE) {
                    Ok(new) => {
                        stage = Some(new);
                        if shown {
                            show(new);
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        if let (Some(stage), false) = (stage, shown) {
                            show(stage);
                            shown = true;
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            if shown {
                say("");
            }
        });
        // Where no thread can be started, nothing is said.
        let printer = printer.ok();
        Self {
            stages: printer.as_ref().map(|_| stages),
            printer,
        }
    }

    /// What to call when a part of the work begins.
    pub(crate) fn teller(&self) -> impl Fn(BuildStage) + Send + Sync + 'static {
        let stages = self.stages.clone();
        move |stage| {
            // Nobody listens once the work is over.
            if let Some(stages) = &stages {
                let _ = stages.send(stage);
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stages = None;
        if let Some(printer) = self.printer.take() {
            let _ = printer.join();
        }
    }
}

fn show(stage: BuildStage) {
    say(match stage {
        BuildStage::Importing => "eryx: importing the packages",
        BuildStage::Compiling => "eryx: compiling the packages, once for this user",
        _ => "eryx: preparing the packages",
    });
}

/// Replaces the line. A terminal that cannot be written to cannot be told, either.
fn say(text: &str) {
    let _ = write!(stderr(), "\r\x1b[K{text}").and_then(|()| stderr().flush());
}
