//! The record of all calls of an execution, from which events and the report are made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use eryx_sync::Mutex;

use crate::functions::report::{FunctionCall, FunctionOutcome, FunctionRefusals, FunctionReport};

/// The most calls that a report lists.
const MAX_LISTED: usize = 512;

/// The host memory of the record of one execution, in bytes: its listed calls and its refusals.
pub(super) const MEMORY: u64 = 256 << 10;

/// Receives each call when it has ended.
pub(crate) type CallObserver = Arc<dyn Fn(&FunctionCall) + Send + Sync>;

/// The record of the calls of an execution.
pub(super) struct CallLog {
    observer: Option<CallObserver>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    execution: u64,
    next: u64,
    live: BTreeMap<u64, LiveCall>,
    report: FunctionReport,
    /// The first function that panicked, until the panic is passed on.
    panicked: Option<Arc<str>>,
}

/// A call that has not ended.
struct LiveCall {
    name: Arc<str>,
    argument_bytes: u64,
    began: Instant,
}

/// The result of the calls of an execution that ended.
#[derive(Default)]
pub(crate) struct CallsEnd {
    report: FunctionReport,
    /// The name of a function whose panic was not passed on.
    panicked: Option<Arc<str>>,
}

impl CallsEnd {
    /// Returns the report.
    ///
    /// # Panics
    ///
    /// If a function panicked and its call was not awaited.
    pub(crate) fn into_report(self) -> FunctionReport {
        if let Some(name) = self.panicked {
            panic!("the function `{name}` of the sandbox panicked; its message is above");
        }
        self.report
    }
}

impl CallLog {
    pub(super) fn new(observer: Option<CallObserver>) -> Self {
        Self {
            observer,
            state: Mutex::default(),
        }
    }

    /// Begins an execution.
    pub(super) fn begin_execution(&self, execution: u64) {
        self.state.lock().execution = execution;
    }

    /// Adds a call. The returned record ends it.
    pub(super) fn begin(self: &Arc<Self>, name: &Arc<str>, argument_bytes: u64) -> CallRecord {
        let mut state = self.state.lock();
        state.next += 1;
        let number = state.next;
        let call = LiveCall {
            name: Arc::clone(name),
            argument_bytes,
            began: Instant::now(),
        };
        state.live.insert(number, call);
        CallRecord {
            log: Arc::clone(self),
            number,
        }
    }

    /// Counts a call that was refused.
    pub(super) fn refuse(&self, reason: &'static str) {
        let refusals = &mut self.state.lock().report.refusals;
        match refusals.iter_mut().find(|each| each.reason == reason) {
            Some(each) => each.count += 1,
            None => refusals.push(FunctionRefusals { reason, count: 1 }),
        }
    }

    /// Ends an execution: its calls that have not ended count as cancelled.
    pub(super) fn end_execution(&self) -> CallsEnd {
        let live: Vec<u64> = self.state.lock().live.keys().copied().collect();
        for number in live {
            self.end(number, FunctionOutcome::Cancelled, 0);
        }
        let mut state = self.state.lock();
        CallsEnd {
            report: std::mem::take(&mut state.report),
            panicked: state.panicked.take(),
        }
    }

    /// Discards the panic of a function, because the caller passes it on.
    pub(super) fn panic_passed_on(&self) {
        self.state.lock().panicked = None;
    }

    fn end(&self, number: u64, outcome: FunctionOutcome, result_bytes: u64) {
        let ended = {
            let mut state = self.state.lock();
            let Some(live) = state.live.remove(&number) else {
                return;
            };
            if outcome == FunctionOutcome::Panicked {
                state.panicked.get_or_insert(Arc::clone(&live.name));
            }
            let is_listed = state.report.calls.len() < MAX_LISTED;
            if !is_listed {
                state.report.dropped += 1;
            }
            let is_logged = tracing::enabled!(target: "eryx::functions", tracing::Level::DEBUG);
            if !is_listed && !is_logged && self.observer.is_none() {
                return;
            }
            let ended = FunctionCall {
                execution: state.execution,
                name: live.name.to_string(),
                argument_bytes: live.argument_bytes,
                result_bytes,
                duration: live.began.elapsed(),
                outcome,
            };
            if is_listed {
                state.report.calls.push(ended.clone());
            }
            ended
        };
        tracing::debug!(
            target: "eryx::functions",
            execution = ended.execution,
            outcome = ended.outcome.as_str(),
            argument_bytes = ended.argument_bytes,
            result_bytes = ended.result_bytes,
            duration = ?ended.duration,
            "{}",
            ended.name
        );
        if let Some(observer) = &self.observer {
            observer(&ended);
        }
    }
}

/// One call in the log. Only its first end counts; dropping the record ends the call, too.
pub(super) struct CallRecord {
    log: Arc<CallLog>,
    number: u64,
}

impl CallRecord {
    pub(super) fn end(&self, outcome: FunctionOutcome, result_bytes: u64) {
        self.log.end(self.number, outcome, result_bytes);
    }

    /// Returns the record that it belongs to.
    pub(super) fn log(&self) -> &CallLog {
        &self.log
    }

    /// Ends the call if the function's code did not: it has panicked, or was dropped.
    pub(super) fn end_unless_ended(&self) {
        self.end(
            match thread::panicking() {
                true => FunctionOutcome::Panicked,
                false => FunctionOutcome::Cancelled,
            },
            0,
        );
    }
}

/// Ends a call when the code of its function is dropped.
pub(super) struct EndOnDrop(pub(super) Arc<CallRecord>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end_unless_ended();
    }
}
