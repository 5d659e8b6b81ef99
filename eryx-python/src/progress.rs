//! A progress line on the terminal for factory builds that take more than a second.

use std::io::{IsTerminal, Write, stderr};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use eryx::BuildStage;

/// The time after which a build shows its progress.
const SHOW_AFTER: Duration = Duration::from_secs(1);

/// Shows the stage of a build on standard error, if that is a terminal and the build takes more
/// than a second. Dropping it removes the line.
pub(crate) struct Progress {
    stages: Option<Sender<BuildStage>>,
    printer: Option<thread::JoinHandle<()>>,
}

impl Progress {
    pub(crate) fn start() -> Self {
        if !stderr().is_terminal() {
            return Self {
                stages: None,
                printer: None,
            };
        }
        let (stages, received) = channel();
        let printer = thread::Builder::new().spawn(move || {
            let mut stage = None;
            let mut shown = false;
            loop {
                match received.recv_timeout(SHOW_AFTER) {
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
                print_line("");
            }
        });
        // Without a thread there is no progress line.
        let printer = printer.ok();
        Self {
            stages: printer.as_ref().map(|_| stages),
            printer,
        }
    }

    /// Returns the function to call when a stage begins.
    pub(crate) fn callback(&self) -> impl Fn(BuildStage) + Send + Sync + 'static {
        let stages = self.stages.clone();
        move |stage| {
            if let Some(stages) = &stages {
                // Fails once the build is over and the printer has ended.
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
    print_line(match stage {
        BuildStage::Downloading => "eryx: downloading the packages",
        BuildStage::CompilingModules => {
            "eryx: compiling the modules of the packages, once for this user"
        }
        BuildStage::Importing => "eryx: importing the packages",
        BuildStage::Compiling => "eryx: compiling the packages, once for this user",
        _ => "eryx: preparing the packages",
    });
}

/// Replaces the line on standard error. Errors are ignored: they could only be printed there.
fn print_line(text: &str) {
    let _ = write!(stderr(), "\r\x1b[K{text}").and_then(|()| stderr().flush());
}
