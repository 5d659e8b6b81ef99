//! Starting a runtime where descriptors or threads may be missing. tokio panics then, so that first it is tried whether
//! there are enough.

use std::io;
use std::panic::catch_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::error::host_resource;

/// How many pairs of descriptors have to be left: a runtime opens one for what it waits on, one for waking it, and three
/// for signals. The rest is for other threads.
#[cfg(unix)]
const PAIRS: usize = 6;

/// Starts a runtime with a thread for each processor, or as many as can be started.
///
/// # Errors
///
/// `HostResourceError` when the descriptors or the threads cannot be had.
pub(super) fn runtime() -> PyResult<Runtime> {
    descriptors().map_err(|error| missing("file descriptors", &error))?;
    let threads = threads().map_err(|error| missing("threads", &error))?;
    let built = catch_unwind(|| {
        Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("eryx")
            .enable_all()
            .build()
    });
    match built {
        Ok(built) => built.map_err(|error| match error.raw_os_error() {
            // Bad file descriptor: the process has one runtime's part for all, and opens it once.
            Some(9) => missing("file descriptors", &CLOSED),
            _ => missing("file descriptors", &error),
        }),
        Err(_) => Err(missing(
            "threads",
            &"others took the last of them, or of the descriptors, at that moment",
        )),
    }
}

/// Why a runtime that was there does not start again.
const CLOSED: &str = "a descriptor that sandboxes use was closed by another part of this process, as one does that \
                      becomes a daemon; let it become one before the first program is run";

fn missing(resource: &str, reason: &dyn std::fmt::Display) -> PyErr {
    host_resource(
        resource,
        format!("this machine lacks {resource} for the asynchronous runtime: {reason}"),
    )
}

/// Opens and closes as many as a runtime needs.
#[cfg(unix)]
fn descriptors() -> io::Result<()> {
    (0..PAIRS)
        .map(|_| std::os::unix::net::UnixStream::pair())
        .collect::<io::Result<Vec<_>>>()
        .map(drop)
}

#[cfg(not(unix))]
fn descriptors() -> io::Result<()> {
    Ok(())
}

/// Returns how many threads can be started, and no more than there are processors.
fn threads() -> io::Result<usize> {
    let wanted = thread::available_parallelism().map_or(1, usize::from);
    let gate = Mutex::new(());
    thread::scope(|scope| {
        // Each waits until all are started.
        let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failure = None;
        let mut started = 0;
        for _ in 0..wanted {
            let spawned = thread::Builder::new().spawn_scoped(scope, || {
                drop(gate.lock().unwrap_or_else(PoisonError::into_inner));
            });
            match spawned {
                Ok(_) => started += 1,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        drop(closed);
        match failure {
            Some(error) if started == 0 => Err(error),
            _ => Ok(started),
        }
    })
}
