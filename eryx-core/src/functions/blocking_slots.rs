//! The threads that the plain functions of all sandboxes may occupy.
//!
//! A runtime has 512 threads for blocking work by default. Compiling a factory needs one as well,
//! so that functions must not take them all. A function that runs another sandbox waits for
//! functions of that one: each depth has threads of its own, so that they never wait for each
//! other.

use std::process;
use std::sync::Arc;

use eryx_sync::Mutex;
use tokio::sync::Semaphore;

use crate::nesting::MAX_NESTING;

/// The threads for the functions of sandboxes that run in no function.
const OUTER: usize = 256;

/// The threads for each depth below.
const INNER: usize = 24;

type Slots = Arc<[Arc<Semaphore>]>;

/// Returns the slots for functions at `depth`.
pub(super) fn at_depth(depth: usize) -> Arc<Semaphore> {
    // The threads of a process do not exist in its forks, which have slots of their own.
    static SLOTS: Mutex<Option<(u32, Slots)>> = Mutex::new(None);
    let process = process::id();
    let mut slots = SLOTS.lock();
    let slots = match &*slots {
        Some((owner, slots)) if *owner == process => slots,
        _ => {
            let new = (0..=MAX_NESTING)
                .map(|depth| Arc::new(Semaphore::new(if depth == 0 { OUTER } else { INNER })))
                .collect();
            &slots.insert((process, new)).1
        }
    };
    Arc::clone(&slots[depth.min(MAX_NESTING)])
}
