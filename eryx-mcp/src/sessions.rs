//! The sessions of a server, by name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use eryx::files::SessionFiles;
use eryx::{CancelHandle, Error, ExecuteResult, Program, Sandbox, Session};
use eryx_sync::Mutex;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

use crate::arguments::SessionName;
use crate::program_output::ProgramOutput;

/// The message for a call whose session was removed meanwhile.
const RESET: &str = "the session was reset";

/// All sessions.
pub(crate) struct Sessions {
    sandbox: Sandbox,
    max: usize,
    by_name: Mutex<BTreeMap<SessionName, Arc<Slot>>>,
}

/// The place of a named session: empty before its first program, and after a program has ended it.
pub(crate) struct Slot {
    /// Cancelled when the session is removed.
    removed: CancelHandle,
    programs: AtomicU64,
    /// The number of programs that run or wait for the state.
    unfinished: AtomicUsize,
    /// Locked while a call uses the session. Calls get it in their order.
    state: AsyncMutex<State>,
    /// The output of the last program.
    output: Mutex<Option<Arc<ProgramOutput>>>,
}

#[derive(Default)]
struct State {
    session: Option<Session>,
    /// The reason why the variables of earlier programs are lost, until the next result of a tool
    /// reports it.
    loss: Option<String>,
}

/// A program that ended.
pub(crate) struct FinishedProgram {
    pub(crate) result: Result<ExecuteResult, Error>,
    /// The reason why the program started without the variables of earlier ones.
    pub(crate) loss: Option<String>,
}

/// The error for a program that did not run.
pub(crate) enum RunError {
    /// The session was removed while the program waited for it.
    Removed,
    /// The call was cancelled while the program waited for its session.
    Cancelled,
    /// There are too many sessions. The message says what to do.
    TooManySessions(String),
}

/// A line of the list of sessions.
pub(crate) struct SessionSummary {
    pub(crate) name: String,
    pub(crate) is_running: bool,
    pub(crate) programs: u64,
}

impl Sessions {
    pub(crate) fn new(sandbox: Sandbox, max: usize) -> Self {
        Self {
            sandbox,
            max,
            by_name: Mutex::default(),
        }
    }

    /// Runs a program in a session, which is created if it does not exist. Waits while another
    /// program runs in it. `cancel` ends the program, and so does the removal of the session.
    pub(crate) async fn run(
        &self,
        name: &SessionName,
        code: &str,
        cancel: &CancelHandle,
    ) -> Result<(FinishedProgram, Arc<ProgramOutput>), RunError> {
        let slot = self.slot(name).map_err(RunError::TooManySessions)?;
        let _unfinished = UnfinishedProgram::new(&slot);
        let mut state = tokio::select! {
            state = slot.state.lock() => state,
            () = slot.removed.cancelled() => return Err(RunError::Removed),
            () = cancel.cancelled() => return Err(RunError::Cancelled),
        };
        if slot.removed.is_cancelled() {
            return Err(RunError::Removed);
        }
        slot.programs.fetch_add(1, Ordering::Relaxed);
        let stop = CancelHandle::new();
        let result = {
            let mut run = std::pin::pin!(state.run(&self.sandbox, code, &stop));
            tokio::select! {
                result = &mut run => result,
                () = cancelled(cancel, &slot.removed) => {
                    stop.cancel();
                    run.await
                }
            }
        };
        let loss = state.loss.take();
        state.note_loss(&result);
        let output = Arc::new(ProgramOutput::from_result(&result));
        *slot.output.lock() = Some(Arc::clone(&output));
        Ok((FinishedProgram { result, loss }, output))
    }

    /// Returns the output of the last program of a session; `None` if there is none.
    pub(crate) fn output(&self, name: &SessionName) -> Option<Arc<ProgramOutput>> {
        let slot = self.by_name.lock().get(name).map(Arc::clone)?;
        let output = slot.output.lock();
        output.clone()
    }

    /// Calls `work` with the files of a session, after the calls that use it. With `create`, a
    /// session that does not exist is created.
    ///
    /// # Errors
    ///
    /// The message for the model: there is no such session, or a program runs in it.
    pub(crate) async fn with_files<T>(
        &self,
        name: &SessionName,
        create: bool,
        work: impl FnOnce(SessionFiles<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let found = self.by_name.lock().get(name).map(Arc::clone);
        let slot = match found {
            Some(slot) => slot,
            None if create => self.slot(name)?,
            None => return Err(no_session(name)),
        };
        let mut state = slot.idle_state(name).await?;
        // Notices a session that a program has ended.
        if let Some(session) = &mut state.session
            && let Err(Error::SessionClosed { reason, .. }) = session.files().map(drop)
        {
            state.loss.get_or_insert(reason);
            state.session = None;
        }
        let session = match &mut state.session {
            Some(session) => session,
            empty => {
                let session = self.sandbox.session().await;
                empty.insert(session.map_err(|error| error.to_string())?)
            }
        };
        work(session.files().map_err(|error| error.to_string())?)
    }

    /// Copies a session to one that does not exist yet.
    ///
    /// # Errors
    ///
    /// The message for the model: see [`with_session`](Self::with_session) and
    /// [`reserve`](Self::reserve), or the session cannot be forked.
    pub(crate) async fn fork(&self, name: &SessionName, copy: &SessionName) -> Result<(), String> {
        self.with_session(name, async |session| {
            self.create(copy, async { session.fork().await }).await
        })
        .await
    }

    /// Returns the snapshot of a session.
    ///
    /// # Errors
    ///
    /// The message for the model: see [`with_session`](Self::with_session), or the session cannot
    /// be saved.
    pub(crate) async fn snapshot(&self, name: &SessionName) -> Result<Vec<u8>, String> {
        self.with_session(name, async |session| {
            session.snapshot().await.map_err(|error| error.to_string())
        })
        .await
    }

    /// Creates a session from a snapshot.
    ///
    /// # Errors
    ///
    /// The message for the model: see [`reserve`](Self::reserve), or the snapshot cannot be
    /// restored.
    pub(crate) async fn restore(&self, name: &SessionName, snapshot: &[u8]) -> Result<(), String> {
        self.create(name, self.sandbox.restore(snapshot)).await
    }

    /// Calls `work` with a session that exists, and has no running program, after the calls that
    /// use it.
    ///
    /// # Errors
    ///
    /// The message for the model: there is no such session, no program has run in it, or one is
    /// running in it.
    async fn with_session<T>(
        &self,
        name: &SessionName,
        work: impl AsyncFnOnce(&mut Session) -> Result<T, String>,
    ) -> Result<T, String> {
        let shown = name.as_str();
        let found = self.by_name.lock().get(name).map(Arc::clone);
        let slot = found.ok_or_else(|| no_session(name))?;
        let mut state = slot.idle_state(name).await?;
        match &mut state.session {
            Some(session) => work(session).await,
            None => Err(format!(
                "session `{shown}` has no variables: no program has run in it, or an earlier one \
                 ended it"
            )),
        }
    }

    /// Creates the session that `start` returns. Programs sent to it wait until then.
    async fn create(
        &self,
        name: &SessionName,
        start: impl Future<Output = Result<Session, Error>>,
    ) -> Result<(), String> {
        let slot = Arc::new(Slot::new());
        let mut state = slot.idle_state(name).await?;
        self.reserve(name, &slot)?;
        match start.await {
            Ok(session) if !slot.removed.is_cancelled() => {
                state.session = Some(session);
                Ok(())
            }
            Ok(_) => Err(RESET.to_owned()),
            Err(error) => {
                slot.removed.cancel();
                let mut by_name = self.by_name.lock();
                if by_name.get(name).is_some_and(|own| Arc::ptr_eq(own, &slot)) {
                    by_name.remove(name);
                }
                Err(error.to_string())
            }
        }
    }

    /// Gives a new session its name.
    ///
    /// # Errors
    ///
    /// The message for the model: there is a session with this name, or there are too many.
    fn reserve(&self, name: &SessionName, slot: &Arc<Slot>) -> Result<(), String> {
        let mut by_name = self.by_name.lock();
        if by_name.contains_key(name) {
            return Err(format!(
                "there is a session `{}` already: use another name, or end it with reset_session",
                name.as_str()
            ));
        }
        self.check_number(&by_name)?;
        by_name.insert(name.clone(), Arc::clone(slot));
        Ok(())
    }

    /// Returns the names of all sessions.
    pub(crate) fn names(&self) -> Vec<SessionName> {
        self.by_name.lock().keys().cloned().collect()
    }

    /// Removes a session, and ends its program. Returns whether it existed.
    pub(crate) fn remove(&self, name: &SessionName) -> bool {
        match self.by_name.lock().remove(name) {
            Some(slot) => {
                slot.removed.cancel();
                true
            }
            None => false,
        }
    }

    pub(crate) fn list(&self) -> Vec<SessionSummary> {
        let by_name = self.by_name.lock();
        let listed = by_name.iter().map(|(name, slot)| SessionSummary {
            name: name.as_str().to_owned(),
            is_running: slot.has_program(),
            programs: slot.programs.load(Ordering::Relaxed),
        });
        listed.collect()
    }

    /// Returns the entry of a session, which is added if it does not exist.
    ///
    /// # Errors
    ///
    /// The message for the model: there are too many sessions.
    fn slot(&self, name: &SessionName) -> Result<Arc<Slot>, String> {
        let mut by_name = self.by_name.lock();
        if let Some(slot) = by_name.get(name) {
            return Ok(Arc::clone(slot));
        }
        self.check_number(&by_name)?;
        let slot = Arc::new(Slot::new());
        by_name.insert(name.clone(), Arc::clone(&slot));
        Ok(slot)
    }

    /// Returns the error if there cannot be one session more.
    fn check_number(&self, by_name: &BTreeMap<SessionName, Arc<Slot>>) -> Result<(), String> {
        if by_name.len() < self.max {
            return Ok(());
        }
        let names: Vec<_> = by_name.keys().map(SessionName::as_str).collect();
        Err(format!(
            "there are {} sessions, the most that are allowed: {}. Use one of them, or end one with \
             reset_session",
            self.max,
            names.join(", ")
        ))
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            removed: CancelHandle::new(),
            programs: AtomicU64::new(0),
            unfinished: AtomicUsize::new(0),
            state: AsyncMutex::default(),
            output: Mutex::default(),
        }
    }

    /// Returns whether a program runs in the session, or will before anything else happens in it.
    fn has_program(&self) -> bool {
        self.unfinished.load(Ordering::SeqCst) > 0
    }

    /// Returns the state of a session in which no program runs. Waits for the other calls that use
    /// it, which take no longer than a copy of the session.
    ///
    /// # Errors
    ///
    /// The message for the model: a program runs in it, or it was reset.
    async fn idle_state(&self, name: &SessionName) -> Result<MutexGuard<'_, State>, String> {
        let program = async {
            if !self.has_program() {
                std::future::pending::<()>().await;
            }
        };
        let state = tokio::select! {
            biased;
            state = self.state.lock() => state,
            () = self.removed.cancelled() => return Err(RESET.to_owned()),
            // Asked when this call has its place: a program that begins later waits for it.
            () = program => return Err(format!(
                "a program runs in session `{}`: wait until it has ended, or end it with \
                 reset_session",
                name.as_str()
            )),
        };
        if self.removed.is_cancelled() {
            return Err(RESET.to_owned());
        }
        Ok(state)
    }
}

/// A program of a session that runs or waits, while this exists.
struct UnfinishedProgram<'a>(&'a Slot);

impl<'a> UnfinishedProgram<'a> {
    fn new(slot: &'a Slot) -> Self {
        slot.unfinished.fetch_add(1, Ordering::SeqCst);
        Self(slot)
    }
}

impl Drop for UnfinishedProgram<'_> {
    fn drop(&mut self) {
        self.0.unfinished.fetch_sub(1, Ordering::SeqCst);
    }
}

impl State {
    /// Runs a program in the session, or in a new one if there is none or an earlier program ended
    /// it.
    async fn run(
        &mut self,
        sandbox: &Sandbox,
        code: &str,
        stop: &CancelHandle,
    ) -> Result<ExecuteResult, Error> {
        if let Some(session) = &mut self.session {
            match session.execute_cancellable(program(code), stop).await {
                // The program did not run. A program that exits its interpreter ends its session
                // without an error that says so.
                Err(Error::SessionClosed { reason, .. }) => {
                    self.loss.get_or_insert(reason);
                }
                result => return result,
            }
        }
        self.session = None;
        let session = self.session.insert(sandbox.session().await?);
        session.execute_cancellable(program(code), stop).await
    }

    /// Removes a session that a program ended.
    fn note_loss(&mut self, result: &Result<ExecuteResult, Error>) {
        if let Err(error) = result
            && ends_session(error)
        {
            self.session = None;
            self.loss = Some(error.to_string());
        }
    }
}

fn no_session(name: &SessionName) -> String {
    format!(
        "there is no session `{}`; list_sessions shows the sessions",
        name.as_str()
    )
}

fn program(code: &str) -> Program {
    Program::new(code).with_value()
}

/// Returns whether a program that ends with `error` ends its session.
pub(crate) fn ends_session(error: &Error) -> bool {
    match error {
        Error::Limit { .. } | Error::Cancelled { .. } | Error::InterpreterCrashed { .. } => true,
        // Without a number, the program did not begin.
        Error::HostResource(_) => error.execution().is_some(),
        _ => false,
    }
}

/// Waits until one of two handles is cancelled.
async fn cancelled(first: &CancelHandle, second: &CancelHandle) {
    tokio::select! {
        () = first.cancelled() => {}
        () = second.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// Polls a future once.
    fn poll<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    fn error(state: Option<Result<MutexGuard<'_, State>, String>>) -> String {
        state.expect("it does not wait").err().expect("an error")
    }

    #[test]
    fn a_call_waits_for_other_calls_of_its_session_but_not_for_its_program() {
        let slot = Slot::new();
        let name = SessionName::default();
        let first = poll(pin!(slot.idle_state(&name))).expect("nothing uses it");
        let mut second = pin!(slot.idle_state(&name));
        assert!(poll(second.as_mut()).is_none());
        assert!(!slot.has_program());

        // A program that comes later is behind the second call, and before the third.
        let program = UnfinishedProgram::new(&slot);
        let mut run = pin!(slot.state.lock());
        assert!(poll(run.as_mut()).is_none());
        assert!(slot.has_program());
        assert!(
            error(poll(pin!(slot.idle_state(&name)))).contains("a program runs in session `main`")
        );
        drop(first);
        assert!(poll(run.as_mut()).is_none());
        let second = poll(second).expect("its turn").expect("idle");
        drop(second);
        let running = poll(run).expect("its turn");
        assert!(error(poll(pin!(slot.idle_state(&name)))).contains("end it with reset_session"));

        drop((running, program));
        assert!(poll(pin!(slot.idle_state(&name))).is_some_and(|state| state.is_ok()));
    }

    #[test]
    fn a_call_that_waits_for_a_session_ends_when_the_session_is_removed() {
        let slot = Slot::new();
        let name = SessionName::default();
        let first = poll(pin!(slot.idle_state(&name))).expect("nothing uses it");
        let mut second = pin!(slot.idle_state(&name));
        assert!(poll(second.as_mut()).is_none());
        slot.removed.cancel();
        assert_eq!(error(poll(second)), RESET);
        drop(first);
        assert_eq!(error(poll(pin!(slot.idle_state(&name)))), RESET);
    }
}
