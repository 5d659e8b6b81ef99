//! Progress of a task: one line per step, with the time since the task began.

use std::time::Instant;

/// The steps of a task. A new step prints its number, the elapsed minutes and seconds, and its
/// name.
pub(crate) struct Progress {
    begin: Instant,
    step: usize,
    steps: usize,
}

impl Progress {
    /// Begins a task of `steps` steps.
    pub(crate) fn new(steps: usize) -> Self {
        Self {
            begin: Instant::now(),
            step: 0,
            steps,
        }
    }

    /// Begins the next step.
    pub(crate) fn step(&mut self, name: &str) {
        self.step += 1;
        eprintln!(
            "== [{}/{}, {}] {name}",
            self.step,
            self.steps,
            self.elapsed()
        );
    }

    /// Ends the task.
    pub(crate) fn done(&self) {
        debug_assert_eq!(self.step, self.steps, "every step is announced");
        eprintln!("== done in {}", self.elapsed());
    }

    fn elapsed(&self) -> String {
        let seconds = self.begin.elapsed().as_secs();
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}
