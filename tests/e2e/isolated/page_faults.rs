//! What a sandbox costs the kernel after others: a binary of its own, whose pool has no other sandboxes.
#![cfg(target_os = "linux")]

#[path = "../support.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod support;

use std::fs;

use eryx::Sandbox;

use support::{expect_stdout, sandbox};

/// The pages this thread had to ask the kernel for.
fn faults() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").expect("readable");
    // The second field is a name in brackets, and the tenth the one that is asked for.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    fields
        .split(' ')
        .nth(7)
        .expect("a tenth field")
        .parse()
        .expect("a number")
}

async fn faults_of_each(sandbox: &Sandbox, program: &str) -> u64 {
    const TIMES: u64 = 50;
    let mut before = 0;
    for time in 0..2 * TIMES {
        // The first ones find places that nobody had.
        if time == TIMES {
            before = faults();
        }
        expect_stdout(sandbox.execute(program).await);
    }
    (faults() - before) / TIMES
}

/// Trap: what a program writes to lay all over the heap, and each page was copied anew for each sandbox: 392 faults. The
/// slot's pages go back to the kernel when a sandbox ends, so that the next one pays for what it touches, and no more.
#[tokio::test]
async fn a_sandbox_in_a_reused_slot_causes_few_page_faults() {
    let sandbox = sandbox(None);
    for program in [
        "print(sum(range(1000)))",
        "import json; print(json.dumps({'a': [1, 2.5, None]}))",
    ] {
        let faults = faults_of_each(&sandbox, program).await;
        assert!(faults < 200, "{faults} for each of {program:?}");
    }
}
