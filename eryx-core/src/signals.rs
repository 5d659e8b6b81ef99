#![allow(unsafe_code, reason = "signal handlers; see each block")]
//! The process's signal handlers, through which a trap of a guest arrives.
//!
//! wasmtime sets handlers of SIGSEGV, SIGILL and SIGFPE when the first engine is made. A handler that the embedder, a
//! crash reporter or another engine sets afterwards replaces them, and a guest's next trap would end the process. So
//! [`check`] looks at the handlers before a guest runs, and puts wasmtime's in front again. A signal then goes
//!
//! 1. to `front::<LEVEL>`, which notes its level and calls wasmtime's handler;
//! 2. from wasmtime's handler, if no guest caused it, to `last`, which was there before the first engine was made;
//! 3. from `last` to the handler that the front of this level stands before.
//!
//! Each handler found in front gets a level of its own, because it may go back to what it replaced: `faulthandler` sets
//! the previous handler again and raises the signal a second time. Going back leads to a lower level, as it would have
//! led to the previous handler. Level 0 is what was set before the first engine was made.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use libc::{sigaction, siginfo_t};
use wasmtime::{Config, Engine};

use crate::host_resource::{HostResource, HostResourceError};
use crate::process_lock::ProcessLock;

/// How many different handlers of one signal can be in front of wasmtime's, one after the other.
const LEVELS: usize = 8;

/// The signals wasmtime may handle, by number and name.
static SIGNALS: [Signal; 4] = [
    Signal::new(libc::SIGSEGV, "SIGSEGV"),
    Signal::new(libc::SIGILL, "SIGILL"),
    Signal::new(libc::SIGFPE, "SIGFPE"),
    Signal::new(libc::SIGBUS, "SIGBUS"),
];

/// What is done when a signal arrives: `sigaction(2)` with this type.
type Action = sigaction;

/// A handler with `SA_SIGINFO`.
type Handler = unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// The fronts by their levels; level 0 is wasmtime's own handler.
static FRONTS: [Handler; LEVELS] = [
    front::<0>, front::<1>, front::<2>, front::<3>, front::<4>, front::<5>, front::<6>, front::<7>,
];

struct Signal {
    number: c_int,
    name: &'static str,
    /// Whether wasmtime handles it.
    handled: AtomicBool,
    wasmtime: Slot,
    /// By level, what follows wasmtime's handler. Levels below `used` never change.
    beneath: [Slot; LEVELS],
    used: AtomicUsize,
}

/// Written once, under the lock, before a handler that reads it is set.
struct Slot(UnsafeCell<Action>);

// SAFETY: see `Slot`; the system call that sets the handler comes between the one write and every read.
unsafe impl Sync for Slot {}

impl Slot {
    const fn new() -> Self {
        // SAFETY: `sigaction` is a C structure of integers, for which zeros are values.
        Self(UnsafeCell::new(unsafe { mem::zeroed() }))
    }

    fn read(&self) -> Action {
        // SAFETY: there is no write any more, as `Slot` says.
        unsafe { *self.0.get() }
    }

    fn write(&self, action: Action) {
        // SAFETY: there is no read yet and no other write, as `Slot` says.
        unsafe { *self.0.get() = action }
    }
}

impl Signal {
    const fn new(number: c_int, name: &'static str) -> Self {
        Self {
            number,
            name,
            handled: AtomicBool::new(false),
            wasmtime: Slot::new(),
            beneath: [const { Slot::new() }; LEVELS],
            used: AtomicUsize::new(0),
        }
    }

    /// Returns the action in force.
    fn current(&self) -> Result<Action, HostResourceError> {
        // SAFETY: as in `Slot::new`.
        let mut action: Action = unsafe { mem::zeroed() };
        // SAFETY: the pointer is to a value of the right type, and nothing is set.
        match unsafe { sigaction(self.number, ptr::null(), &raw mut action) } {
            0 => Ok(action),
            _ => Err(self.refused(&std::io::Error::last_os_error())),
        }
    }

    /// Puts `action` in force and returns what was.
    fn replace(&self, action: &Action) -> Result<Action, HostResourceError> {
        // SAFETY: as in `Slot::new`.
        let mut old: Action = unsafe { mem::zeroed() };
        // SAFETY: both pointers are to values of the right type. `action` is one that the kernel returned, or that with
        // one of the handlers below, which can be called at any time.
        match unsafe { sigaction(self.number, action, &raw mut old) } {
            0 => Ok(old),
            _ => Err(self.refused(&std::io::Error::last_os_error())),
        }
    }

    fn refused(&self, reason: &dyn std::fmt::Display) -> HostResourceError {
        HostResourceError::new(
            HostResource::SignalHandlers,
            format!(
                "the handler of {} cannot be set, and a program could end this process: {reason}",
                self.name
            ),
        )
    }

    /// Whether signals reach wasmtime first.
    fn is_ours(&self, action: &Action) -> bool {
        action.sa_sigaction == self.wasmtime.read().sa_sigaction
            || FRONTS
                .iter()
                .any(|front| action.sa_sigaction == address(*front))
    }

    /// Puts a front before whatever handler is in force.
    #[cold]
    fn mend(&self) -> Result<(), HostResourceError> {
        let _locked = LOCK.take();
        let mut found = self.current()?;
        while !self.is_ours(&found) {
            if EARLIER.load(Ordering::Relaxed) {
                return Err(self.refused(
                    &"another part of this program made a wasmtime engine before the first sandbox, and a handler was \
                      set later. Make a sandbox first, or set that handler before",
                ));
            }
            let level = self.level(&found)?;
            let mut action = self.wasmtime.read();
            action.sa_sigaction = address(FRONTS[level]);
            let replaced = self.replace(&action)?;
            if same(&replaced, &found) {
                return Ok(());
            }
            // Another thread set one more handler meanwhile; it is the one that this front has to stand before.
            found = replaced;
        }
        Ok(())
    }

    /// Returns the level whose front stands before `found`, a new one if there is none yet.
    fn level(&self, found: &Action) -> Result<usize, HostResourceError> {
        let used = self.used.load(Ordering::Relaxed);
        if let Some(level) = (1..used).find(|level| same(&self.beneath[*level].read(), found)) {
            return Ok(level);
        }
        let slot = self.beneath.get(used).ok_or_else(|| {
            self.refused(&format_args!(
                "{LEVELS} different handlers were set since the first sandbox was made"
            ))
        })?;
        slot.write(*found);
        self.used.store(used + 1, Ordering::Relaxed);
        Ok(used)
    }
}

fn address(handler: Handler) -> usize {
    handler as *const () as usize
}

fn same(one: &Action, other: &Action) -> bool {
    let signals = |action: &Action| {
        SIGNAL_NUMBERS.map(|signal| {
            // SAFETY: the mask is one that the kernel returned.
            unsafe { libc::sigismember(&raw const action.sa_mask, signal) }
        })
    };
    one.sa_sigaction == other.sa_sigaction
        && one.sa_flags == other.sa_flags
        && signals(one) == signals(other)
}

/// The classic signals, which masks are compared by.
const SIGNAL_NUMBERS: [c_int; 31] = {
    let mut numbers = [0; 31];
    let mut at = 0;
    while at < numbers.len() {
        numbers[at] = at as c_int + 1;
        at += 1;
    }
    numbers
};

/// Whether [`set_up`] has been called.
static READY: AtomicBool = AtomicBool::new(false);

/// Held while levels are added.
static LOCK: ProcessLock = ProcessLock::new();

/// Whether wasmtime's handlers were there before ours: an embedder made an engine of its own. What they hand on does
/// not reach `last` then.
static EARLIER: AtomicBool = AtomicBool::new(false);

/// Makes wasmtime set its handlers, after `last`. It has to be called before any engine is made.
pub(crate) fn set_up() -> Result<(), HostResourceError> {
    if READY.load(Ordering::Acquire) {
        return Ok(());
    }
    let _locked = LOCK.take();
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
    let made = Engine::new(Config::new().enable_compiler(false));
    for signal in &SIGNALS {
        let after = signal.current()?;
        if after.sa_sigaction == address(last) {
            signal.replace(&signal.beneath[0].read())?;
        } else {
            signal.wasmtime.write(after);
            signal.handled.store(true, Ordering::Release);
        }
    }
    if let Err(reason) = made {
        return Err(HostResourceError::of_wasmtime(&reason).unwrap_or_else(|| {
            HostResourceError::new(HostResource::SignalHandlers, format!("{reason:#}"))
        }));
    }
    if SIGNALS
        .iter()
        .all(|signal| !signal.handled.load(Ordering::Relaxed))
    {
        find_earlier()?;
    }
    READY.store(true, Ordering::Release);
    Ok(())
}

/// Takes the handlers in force for wasmtime's, if they can be.
fn find_earlier() -> Result<(), HostResourceError> {
    let flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_ONSTACK;
    let (segv, ill, fpe) = (&SIGNALS[0], &SIGNALS[1], &SIGNALS[2]);
    let handler = segv.beneath[0].read().sa_sigaction;
    for signal in [segv, ill, fpe] {
        // On some architectures wasmtime has no use for SIGFPE.
        if signal.number == libc::SIGFPE && !cfg!(target_arch = "x86_64") {
            continue;
        }
        let found = signal.beneath[0].read();
        if found.sa_sigaction != handler || found.sa_flags & flags != flags {
            return Err(signal.refused(
                &"another part of this program made a wasmtime engine before the first sandbox, and a handler was set \
                  since. Make a sandbox first",
            ));
        }
        signal.wasmtime.write(found);
        signal.handled.store(true, Ordering::Release);
    }
    EARLIER.store(true, Ordering::Relaxed);
    Ok(())
}

/// Sees to it that a trap of a guest reaches wasmtime: reads the handlers, and sets those again that were replaced.
///
/// A guest may run after it on any thread, until code of others has run. It takes one system call for each signal.
///
/// # Errors
///
/// When a handler cannot be set. No guest may run then.
pub(crate) fn check() -> Result<(), HostResourceError> {
    for signal in &SIGNALS {
        if signal.handled.load(Ordering::Acquire) && !signal.is_ours(&signal.current()?) {
            signal.mend()?;
        }
    }
    Ok(())
}

/// How old a look at the handlers may be when a guest goes on after it waited.
const FRESH: Duration = Duration::from_millis(1);

/// Runs `call`, which runs a guest, and has a look at the handlers before: whenever it goes on, other code may have run.
///
/// # Errors
///
/// Those of `call` and of [`check`].
pub(crate) async fn watch<T>(
    call: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let mut call = pin!(call);
    let mut looked: Option<Instant> = None;
    poll_fn(move |context| {
        if looked.is_none_or(|looked| looked.elapsed() >= FRESH) {
            if let Err(error) = check() {
                return Poll::Ready(Err(error.into()));
            }
            looked = Some(Instant::now());
        }
        call.as_mut().poll(context)
    })
    .await
}

/// What handlers of this thread are at.
#[derive(Clone, Copy)]
struct Active {
    /// A bit for each signal and level whose handler is being called.
    levels: u32,
    /// The address of a variable of the call of `last` that set it.
    frame: usize,
}

thread_local! {
    /// The level of the front that was called.
    static LEVEL: Cell<usize> = const { Cell::new(0) };
    static ACTIVE: Cell<Active> = const { Cell::new(Active { levels: 0, frame: 0 }) };
}

/// Calls wasmtime's handler.
///
/// # Safety
///
/// The kernel calls it.
unsafe extern "C" fn front<const LEVEL_OF_FRONT: usize>(
    number: c_int,
    info: *mut siginfo_t,
    context: *mut c_void,
) {
    let Some(signal) = SIGNALS.iter().find(|signal| signal.number == number) else {
        return;
    };
    let outer = LEVEL.replace(LEVEL_OF_FRONT);
    // SAFETY: `info` and `context` are the kernel's.
    unsafe { call(&signal.wasmtime.read(), number, info, context) };
    LEVEL.set(outer);
}

/// Hands on what no guest caused, to the handler that the level's front stands before.
///
/// # Safety
///
/// The kernel calls it, or wasmtime's handler.
unsafe extern "C" fn last(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(index) = SIGNALS.iter().position(|signal| signal.number == number) else {
        return;
    };
    let level = LEVEL.replace(0);
    let outer = ACTIVE.get();
    let frame = (&raw const level).addr();
    // A handler may have left by `longjmp`: the stack is lower only inside it.
    let levels = if frame < outer.frame { outer.levels } else { 0 };
    let bit = |level: usize| 1 << (index * LEVELS + level);
    // A handler that is called from within itself would never come to an end.
    let Some(level) = [level, 0]
        .into_iter()
        .find(|level| levels & bit(*level) == 0)
    else {
        // SAFETY: `info` is the kernel's.
        unsafe { default(number, info) };
        return;
    };
    ACTIVE.set(Active {
        levels: levels | bit(level),
        frame,
    });
    // SAFETY: `info` and `context` are the kernel's.
    unsafe { call(&SIGNALS[index].beneath[level].read(), number, info, context) };
    ACTIVE.set(outer);
}

/// Does what the kernel would, were `action` in force.
///
/// # Safety
///
/// The other arguments are those of a handler.
unsafe fn call(action: &Action, number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: `info` is the kernel's.
    let sent = unsafe { (*info).si_code } <= 0;
    match action.sa_sigaction {
        libc::SIG_IGN if sent => {}
        // SAFETY: `info` is the kernel's.
        libc::SIG_IGN | libc::SIG_DFL => unsafe { default(number, info) },
        handler => {
            if action.sa_flags & libc::SA_RESETHAND != 0 {
                reset(number);
            }
            if action.sa_flags & libc::SA_SIGINFO == 0 {
                // SAFETY: an action without SA_SIGINFO has a handler of this type, or one of the values above.
                let handler: extern "C" fn(c_int) = unsafe { mem::transmute(handler) };
                handler(number);
            } else {
                // SAFETY: an action with SA_SIGINFO has a handler of this type.
                let handler: Handler = unsafe { mem::transmute(handler) };
                // SAFETY: the arguments are those the kernel gave.
                unsafe { handler(number, info, context) };
            }
        }
    }
}

/// Ends the process as the kernel would: at once if the signal was sent, else when what caused it is tried again.
///
/// # Safety
///
/// `info` is the kernel's.
unsafe fn default(number: c_int, info: *mut siginfo_t) {
    reset(number);
    // SAFETY: `info` is the kernel's.
    if unsafe { (*info).si_code } <= 0 {
        // SAFETY: it may be called in a handler, as `sigaction` may.
        unsafe { libc::raise(number) };
    }
}

/// Puts the default action in force.
fn reset(number: c_int) {
    // SAFETY: as in `Slot::new`; an empty mask, no flags, and SIG_DFL, which is 0.
    let action: Action = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to a value of the right type.
    unsafe { sigaction(number, &raw const action, ptr::null_mut()) };
}
