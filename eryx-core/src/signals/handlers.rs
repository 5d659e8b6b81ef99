//! The signal handlers: `front`, which calls wasmtime's handler, and `last`, which passes on the
//! signals that no guest caused.
#![allow(unsafe_code, reason = "signal handlers; see each block")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr;

use libc::{sigaction, siginfo_t};

use crate::signals::table::{Action, Handler, LEVELS, SIGNALS};

/// The fronts by their levels; level 0 is wasmtime's own handler.
pub(super) static FRONTS: [Handler; LEVELS] = [
    front::<0>, front::<1>, front::<2>, front::<3>, front::<4>, front::<5>, front::<6>, front::<7>,
];

/// The handlers that are being called on this thread.
#[derive(Clone, Copy)]
struct Active {
    /// A bit for each signal and level whose handler is being called.
    levels: u32,
    /// The address of a local variable in the call of `last` that set it.
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
/// Only the kernel may call it.
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

/// Passes a signal that no guest caused to the handler that the level's front precedes.
///
/// # Safety
///
/// Only the kernel or wasmtime's handler may call it.
pub(super) unsafe extern "C" fn last(number: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(index) = SIGNALS.iter().position(|signal| signal.number == number) else {
        return;
    };
    let level = LEVEL.replace(0);
    let outer = ACTIVE.get();
    let frame = (&raw const level).addr();
    // A handler may have left by `longjmp`: only inside it is the stack lower.
    let levels = if frame < outer.frame { outer.levels } else { 0 };
    let bit = |level: usize| 1 << (index * LEVELS + level);
    // A handler that is called from within itself would recurse without end.
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

/// Does what the kernel would do if `action` were in force.
///
/// # Safety
///
/// The other arguments must be those of a handler.
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
                // SAFETY: an action without SA_SIGINFO has a handler of this type, or one of the
                // values above.
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

/// Ends the process as the kernel would: at once if the signal was sent, or else when the
/// instruction that caused it runs again.
///
/// # Safety
///
/// `info` must be the kernel's.
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
