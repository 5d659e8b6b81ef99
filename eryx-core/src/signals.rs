//! The process's signal handlers, through which the traps of guests arrive.
//!
//! wasmtime sets handlers of SIGSEGV, SIGILL and SIGFPE when the first engine is made. A handler
//! that the embedder, a crash reporter or another engine sets afterwards replaces them, and a
//! guest's next trap would end the process. So [`check`] compares the handlers before a guest runs,
//! and puts wasmtime's in front again. A signal then goes
//!
//! 1. to `front::<LEVEL>`, which records its level and calls wasmtime's handler;
//! 2. from wasmtime's handler, if no guest caused it, to `last`, which was installed before the
//!    first engine was made;
//! 3. from `last` to the handler that the front of this level precedes.
//!
//! Each handler found in front gets a level of its own, because it may go back to the one it
//! replaced: `faulthandler` sets the previous handler again and raises the signal a second time.
//! Going back leads to a lower level, as it would have led to the previous handler. Level 0 is the
//! handler that was set before the first engine was made.

mod handlers;
mod table;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use eryx_sync::ProcessLock;
use wasmtime::{Config, Engine};

use crate::host_resource::{HostResource, HostResourceError};
use crate::signals::handlers::{FRONTS, last};
use crate::signals::table::{Action, LEVELS, SIGNALS, Signal, address, is_same_action};

/// Whether [`set_up`] has been called.
static READY: AtomicBool = AtomicBool::new(false);

/// Held while levels are added.
static LOCK: ProcessLock = ProcessLock::new();

/// Whether wasmtime's handlers were installed before ours, because the embedder made an engine of
/// its own. They do not pass signals on to `last` then.
static INSTALLED_EARLIER: AtomicBool = AtomicBool::new(false);

/// How long a check of the handlers stays valid: a later poll of the guest repeats it.
const CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// Makes wasmtime set its handlers, on top of `last`. Must be called before any engine is made.
pub(crate) fn set_up() -> Result<(), HostResourceError> {
    if READY.load(Ordering::Acquire) {
        return Ok(());
    }
    let _guard = LOCK.lock();
    if READY.load(Ordering::Acquire) {
        return Ok(());
    }
    for signal in &SIGNALS {
        let before = signal.current()?;
        signal.beneath[0].write(before);
        signal.used.store(1, Ordering::Relaxed);
        let mut action = before;
        action.sa_sigaction = address(last);
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_ONSTACK;
        signal.replace(&action)?;
    }
    let engine = Engine::new(Config::new().enable_compiler(false));
    for signal in &SIGNALS {
        let after = signal.current()?;
        if after.sa_sigaction == address(last) {
            signal.replace(&signal.beneath[0].read())?;
        } else {
            signal.wasmtime.write(after);
            signal.handled.store(true, Ordering::Release);
        }
    }
    if let Err(reason) = engine {
        return Err(
            HostResourceError::from_wasmtime(&reason).unwrap_or_else(|| {
                HostResourceError::new(HostResource::SignalHandlers, format!("{reason:#}"))
            }),
        );
    }
    if SIGNALS
        .iter()
        .all(|signal| !signal.handled.load(Ordering::Relaxed))
    {
        adopt_earlier()?;
    }
    READY.store(true, Ordering::Release);
    Ok(())
}

/// Treats the handlers in force as wasmtime's, if they have the shape of wasmtime's.
fn adopt_earlier() -> Result<(), HostResourceError> {
    let flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_ONSTACK;
    let (segv, ill, fpe) = (&SIGNALS[0], &SIGNALS[1], &SIGNALS[2]);
    let handler = segv.beneath[0].read().sa_sigaction;
    for signal in [segv, ill, fpe] {
        // wasmtime handles SIGFPE only on some architectures.
        if signal.number == libc::SIGFPE && !cfg!(target_arch = "x86_64") {
            continue;
        }
        let found = signal.beneath[0].read();
        if found.sa_sigaction != handler || found.sa_flags & flags != flags {
            return Err(signal.error(
                &"another part of this program made a wasmtime engine before the first sandbox, and \
                  a handler was set since. Make a sandbox first",
            ));
        }
        signal.wasmtime.write(found);
        signal.handled.store(true, Ordering::Release);
    }
    INSTALLED_EARLIER.store(true, Ordering::Relaxed);
    Ok(())
}

/// Ensures that the trap of a guest reaches wasmtime: reads the handlers, and repairs those that
/// were replaced.
///
/// Guests may then run on any thread, until code of the embedder runs again. It takes one system
/// call for each signal.
///
/// # Errors
///
/// When a handler cannot be set. No guest may run then.
pub(crate) fn check() -> Result<(), HostResourceError> {
    for signal in &SIGNALS {
        if signal.handled.load(Ordering::Acquire) && !reaches_wasmtime(signal, &signal.current()?) {
            repair(signal)?;
        }
    }
    Ok(())
}

/// Runs `call`, which runs a guest, and checks the handlers before: other code may have run
/// whenever `call` is polled.
///
/// # Errors
///
/// Those of `call` and of [`check`].
pub(crate) async fn watch<T>(
    call: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let mut call = pin!(call);
    let mut checked: Option<Instant> = None;
    poll_fn(move |cx| {
        if checked.is_none_or(|checked| checked.elapsed() >= CHECK_INTERVAL) {
            if let Err(error) = check() {
                return Poll::Ready(Err(error.into()));
            }
            checked = Some(Instant::now());
        }
        call.as_mut().poll(cx)
    })
    .await
}

/// Returns whether `action` passes a signal to wasmtime first.
fn reaches_wasmtime(signal: &Signal, action: &Action) -> bool {
    action.sa_sigaction == signal.wasmtime.read().sa_sigaction
        || FRONTS
            .iter()
            .any(|front| action.sa_sigaction == address(*front))
}

/// Puts a front before the handler in force.
#[cold]
fn repair(signal: &Signal) -> Result<(), HostResourceError> {
    let _guard = LOCK.lock();
    let mut found = signal.current()?;
    while !reaches_wasmtime(signal, &found) {
        if INSTALLED_EARLIER.load(Ordering::Relaxed) {
            return Err(signal.error(
                &"another part of this program made a wasmtime engine before the first sandbox, and \
                  a handler was set later. Make a sandbox first, or set that handler before",
            ));
        }
        let level = level_before(signal, &found)?;
        let mut action = signal.wasmtime.read();
        action.sa_sigaction = address(FRONTS[level]);
        let replaced = signal.replace(&action)?;
        if is_same_action(&replaced, &found) {
            return Ok(());
        }
        // Another thread set one more handler meanwhile; the front has to precede that one.
        found = replaced;
    }
    Ok(())
}

/// Returns the level whose front precedes `found`, a new one if there is none yet.
fn level_before(signal: &Signal, found: &Action) -> Result<usize, HostResourceError> {
    let used = signal.used.load(Ordering::Relaxed);
    if let Some(level) =
        (1..used).find(|level| is_same_action(&signal.beneath[*level].read(), found))
    {
        return Ok(level);
    }
    let slot = signal.beneath.get(used).ok_or_else(|| {
        signal.error(&format_args!(
            "{LEVELS} different handlers were set since the first sandbox was made"
        ))
    })?;
    slot.write(*found);
    signal.used.store(used + 1, Ordering::Relaxed);
    Ok(used)
}
