//! Fairness: other tasks run while a program runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use eryx::Sandbox;

/// Longer than a time slice.
const LONG: Duration = Duration::from_millis(6);

/// Regression: the duration of host calls was not counted, so dozens of long ones ran before
/// another task.
#[tokio::test(flavor = "current_thread")]
async fn other_tasks_run_after_every_host_call_that_takes_a_time_slice() {
    let calls = 20;
    let other_runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&other_runs);
    let other_task = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let last = AtomicUsize::new(usize::MAX);
    let seen = Arc::clone(&other_runs);
    let missed = Arc::new(AtomicUsize::new(0));
    let missed_count = Arc::clone(&missed);
    let sandbox = Sandbox::embedded()
        .on_stdout(move |_| {
            let now = seen.load(Ordering::Relaxed);
            if last.swap(now, Ordering::Relaxed) == now {
                missed_count.fetch_add(1, Ordering::Relaxed);
            }
            let start = Instant::now();
            while start.elapsed() < LONG {
                std::hint::spin_loop();
            }
        })
        .build()
        .expect("built");
    let program = format!("import os\nfor _ in range({calls}): os.write(1, b'x')");
    let result = sandbox.execute(program).await.expect("succeeds");
    other_task.abort();
    assert_eq!(result.stdout.len(), calls);
    assert_eq!(
        missed.load(Ordering::Relaxed),
        0,
        "no other task ran before some host calls"
    );
    assert!(other_runs.load(Ordering::Relaxed) >= calls);
}
