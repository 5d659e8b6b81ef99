//! The signals that wasmtime may handle, with the actions that handlers read.
#![allow(unsafe_code, reason = "signal handlers; see each block")]

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::fmt;
use std::io;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use libc::{sigaction, siginfo_t};

use crate::host_resource::{HostResource, HostResourceError};

/// The most handlers of one signal that can be in front of wasmtime's, one after the other.
pub(super) const LEVELS: usize = 8;

/// The signals that wasmtime may handle.
pub(super) static SIGNALS: [Signal; 4] = [
    Signal::new(libc::SIGSEGV, "SIGSEGV"),
    Signal::new(libc::SIGILL, "SIGILL"),
    Signal::new(libc::SIGFPE, "SIGFPE"),
    Signal::new(libc::SIGBUS, "SIGBUS"),
];

/// The action for a signal, as in `sigaction(2)`.
pub(super) type Action = sigaction;

/// A handler with `SA_SIGINFO`.
pub(super) type Handler = unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

pub(super) struct Signal {
    pub(super) number: c_int,
    name: &'static str,
    /// Whether wasmtime handles it.
    pub(super) handled: AtomicBool,
    /// wasmtime's action.
    pub(super) wasmtime: Slot,
    /// By level, the action after wasmtime's handler. Levels below `used` never change.
    pub(super) beneath: [Slot; LEVELS],
    pub(super) used: AtomicUsize,
}

/// An action that is written once, under the lock, before a handler that reads it is set.
pub(super) struct Slot(UnsafeCell<Action>);

// SAFETY: see `Slot`; the system call that sets the handler comes between the one write and every
// read.
unsafe impl Sync for Slot {}

impl Slot {
    const fn new() -> Self {
        // SAFETY: `sigaction` is a C structure of integers, for which zeros are values.
        Self(UnsafeCell::new(unsafe { mem::zeroed() }))
    }

    pub(super) fn read(&self) -> Action {
        // SAFETY: there is no write any more, as `Slot` says.
        unsafe { *self.0.get() }
    }

    pub(super) fn write(&self, action: Action) {
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
    pub(super) fn current(&self) -> Result<Action, HostResourceError> {
        // SAFETY: as in `Slot::new`.
        let mut action: Action = unsafe { mem::zeroed() };
        // SAFETY: the pointer is to a value of the right type, and nothing is set.
        match unsafe { sigaction(self.number, ptr::null(), &raw mut action) } {
            0 => Ok(action),
            _ => Err(self.error(&io::Error::last_os_error())),
        }
    }

    /// Puts `action` in force, and returns the previous one.
    pub(super) fn replace(&self, action: &Action) -> Result<Action, HostResourceError> {
        // SAFETY: as in `Slot::new`.
        let mut old: Action = unsafe { mem::zeroed() };
        // SAFETY: both pointers are to values of the right type. `action` is one that the kernel
        // returned, or that with a handler of `handlers`, which can be called at any time.
        match unsafe { sigaction(self.number, action, &raw mut old) } {
            0 => Ok(old),
            _ => Err(self.error(&io::Error::last_os_error())),
        }
    }

    /// Returns the error for a handler that cannot be set.
    pub(super) fn error(&self, reason: &dyn fmt::Display) -> HostResourceError {
        HostResourceError::new(
            HostResource::SignalHandlers,
            format!(
                "the handler of {} cannot be set, and a program could end this process: {reason}",
                self.name
            ),
        )
    }
}

/// Returns the address of a handler, as an action has it.
pub(super) fn address(handler: Handler) -> usize {
    handler as *const () as usize
}

/// Returns whether two actions have the same handler, flags and mask.
pub(super) fn is_same_action(one: &Action, other: &Action) -> bool {
    let mask = |action: &Action| {
        SIGNAL_NUMBERS.map(|signal| {
            // SAFETY: the mask is one that the kernel returned.
            unsafe { libc::sigismember(&raw const action.sa_mask, signal) }
        })
    };
    one.sa_sigaction == other.sa_sigaction
        && one.sa_flags == other.sa_flags
        && mask(one) == mask(other)
}

/// The standard signals, by which masks are compared.
const SIGNAL_NUMBERS: [c_int; 31] = {
    let mut numbers = [0; 31];
    let mut at = 0;
    while at < numbers.len() {
        numbers[at] = at as c_int + 1;
        at += 1;
    }
    numbers
};
