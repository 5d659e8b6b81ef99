//! Locks of a program that starts no thread: a wait with a timeout times out, and a wait without
//! one is an error.

use crate::support::{expect_exception, expect_stdout, sandbox};

#[tokio::test]
async fn waiting_with_a_timeout_times_out() {
    let program = "
import queue, threading, time

def waited(wait):
    before = time.monotonic()
    value = wait()
    return value, time.monotonic() - before >= 0.1

def empty(kind):
    try:
        kind().get(timeout=0.1)
    except queue.Empty:
        return 'empty'

def condition():
    condition = threading.Condition()
    with condition:
        return condition.wait(0.1)

held = threading.Lock()
print(held, waited(lambda: held.acquire()))
print(waited(lambda: held.acquire(timeout=0.1)), waited(lambda: held.acquire(False)))
print(waited(lambda: threading.Event().wait(0.1)), waited(condition))
print(waited(lambda: threading.Semaphore(0).acquire(timeout=0.1)))
print(waited(lambda: empty(queue.Queue)), waited(lambda: empty(queue.SimpleQueue)))
";
    let printed = expect_stdout(sandbox(None).execute(program).await);
    let mut lines = printed.lines();
    let first = lines.next().expect("a line");
    assert!(
        first.starts_with("<locked _thread.lock object at 0x")
            && first.ends_with("> (True, False)"),
        "{first}"
    );
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "(False, True) (False, False)",
            "(False, True) (False, True)",
            "(False, True)",
            "('empty', True) ('empty', True)",
        ]
    );
}

#[tokio::test]
async fn waiting_without_a_timeout_raises_a_deadlock_error() {
    let program = "
import queue, threading
held = threading.Lock()
held.acquire()
for wait in (held.acquire, threading.Event().wait, queue.Queue().get, queue.SimpleQueue().get):
    try:
        wait()
    except RuntimeError as error:
        print(error)
held.release()
with held:
    print(held.locked())
for arguments in ((False, 1), (True, -2), (True, 1e30)):
    try:
        held.acquire(*arguments)
    except (ValueError, OverflowError) as error:
        print(error)
held.release()
";
    let error = expect_exception(sandbox(None).execute(program).await);
    assert_eq!(error.exception_type, "RuntimeError");
    assert_eq!(error.message, "release unlocked lock");
    let deadlock = "deadlock: the program has started no thread that could release this lock\n";
    assert_eq!(
        error.output.stdout_text(),
        format!(
            "{}True\ncan't specify a timeout for a non-blocking call\n\
             timeout value must be a non-negative number\n\
             timestamp out of range for platform time_t\n",
            deadlock.repeat(4)
        )
    );
}
