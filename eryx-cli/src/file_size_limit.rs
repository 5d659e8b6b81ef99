//! The limit on the size of files that the process writes (`ulimit -f`).

use rustix::process::Signal;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// Makes writes beyond the limit fail, for as long as the process runs. By default they end it with
/// SIGXFSZ: a script could so end a server, and a log or snapshot would be cut off without a word.
///
/// If no handler can be installed, the default stays.
pub(crate) fn make_writes_fail(runtime: &Runtime) {
    let _inside = runtime.enter();
    // The handler stays when its stream is dropped.
    let _ = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()));
}
