//! Fairness: other tasks run while a program runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use eryx::Sandbox;

/// Longer than a time slice.
const LONG: Duration = Duration::from_millis(6);

/// Trap: the duration of host calls was not counted, so dozens of long ones ran before another
/// task.
#[tokio::test(flavor = "current_thread")]
async fn other_tasks_run_after_every_host_call_that_takes_a_time_slice() {
    let calls = 20;
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let beside = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let last = AtomicUsize::new(usize::MAX);
    let seen = Arc::clone(&turns);
    let missed = Arc::new(AtomicUsize::new(0));
    let noted = Arc::clone(&missed);
    let sandbox = Sandbox::embedded()
        .on_stdout(move |_| {
            let now = seen.load(Ordering::Relaxed);
            if last.swap(now, Ordering::Relaxed) == now {
                noted.fetch_add(1, Ordering::Relaxed);
            }
            let begun = Instant::now();
            while begun.elapsed() < LONG {
                std::hint::spin_loop();
            }
        })
        .build()
        .expect("built");
    let program = format!("import os\nfor _ in range({calls}): os.write(1, b'x')");
    let result = sandbox.execute(program).await.expect("succeeds");
    beside.abort();
    assert_eq!(result.stdout.len(), calls);
    assert_eq!(
        missed.load(Ordering::Relaxed),
        0,
        "calls without a turn before them"
    );
    assert!(turns.load(Ordering::Relaxed) >= calls);
}
