//! Starting the runtime where file descriptors or threads may be exhausted: tokio panics then, so
//! this checks first that there are enough.

use std::io;
use std::panic::catch_unwind;
use std::thread;

use eryx_sync::Mutex;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

use crate::error::host_resource;

/// How many pairs of file descriptors must be available. A runtime opens one descriptor for epoll,
/// one for its waker and three for signals; the rest is a margin for other threads.
const DESCRIPTOR_PAIRS: usize = 6;

/// Starts a runtime with one thread per processor, or with as many threads as can be started.
///
/// # Errors
///
/// `HostResourceError` when descriptors or threads are exhausted.
pub(super) fn runtime() -> PyResult<Runtime> {
    check_descriptors().map_err(|error| missing("file descriptors", &error))?;
    let threads = startable_threads().map_err(|error| missing("threads", &error))?;
    let built = catch_unwind(|| {
        Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("eryx")
            .enable_all()
            .build()
    });
    match built {
        Ok(built) => built.map_err(|error| match error.raw_os_error() {
            // EBADF: tokio opens its signal pipe once per process, and that descriptor was closed.
            Some(9) => missing("file descriptors", &DESCRIPTOR_CLOSED),
            _ => missing("file descriptors", &error),
        }),
        Err(_) => Err(missing(
            "threads",
            &"other threads took the last of them, or of the descriptors, at that moment",
        )),
    }
}

/// The reason when a runtime does not start again in a process that had one.
const DESCRIPTOR_CLOSED: &str = "other code in this process closed a descriptor that sandboxes use; a process that \
                                 becomes a daemon has to do that before it makes its first sandbox";

fn missing(resource: &str, reason: &dyn std::fmt::Display) -> PyErr {
    host_resource(
        resource,
        format!("this machine lacks {resource} for the asynchronous runtime: {reason}"),
    )
}

/// Opens and closes as many descriptors as a runtime needs.
fn check_descriptors() -> io::Result<()> {
    (0..DESCRIPTOR_PAIRS)
        .map(|_| std::os::unix::net::UnixStream::pair())
        .collect::<io::Result<Vec<_>>>()
        .map(drop)
}

/// Returns how many threads can be started, up to the number of processors.
fn startable_threads() -> io::Result<usize> {
    let wanted = thread::available_parallelism().map_or(1, usize::from);
    let gate = Mutex::new(());
    thread::scope(|scope| {
        // Each thread waits for this lock, so that all exist at the same time.
        let closed = gate.lock();
        let mut failure = None;
        let mut started = 0;
        for _ in 0..wanted {
            let spawned = thread::Builder::new().spawn_scoped(scope, || {
                drop(gate.lock());
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
