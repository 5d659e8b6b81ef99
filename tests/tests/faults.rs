//! What a sandbox costs the kernel after others: a binary of its own, whose pool has no other sandboxes.
#![cfg(target_os = "linux")]

#[path = "e2e/stage.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod stage;

use std::fs;
use std::io::Write;

use eryx::Sandbox;

use stage::{sandbox, succeeded};

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

/// Whether the kernel tells which pages were written to: since Linux 6.7.
fn tells_pages() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("readable");
    let mut parts = release
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    (parts.next(), parts.next()) >= (Some(6), Some(7))
}

async fn faults_of_each(sandbox: &Sandbox, program: &str) -> u64 {
    const TIMES: u64 = 50;
    let mut before = 0;
    for time in 0..2 * TIMES {
        // The first ones find places that nobody had.
        if time == TIMES {
            before = faults();
        }
        succeeded(sandbox.execute(program).await);
    }
    (faults() - before) / TIMES
}

/// Trap: what a program writes to lay in more places than are put back, and was copied anew for each sandbox; two
/// threads then did little more than to wait for each other.
#[tokio::test]
async fn a_sandbox_after_another_needs_no_page_from_the_kernel() {
    if !tells_pages() {
        // Past the harness, which shows nothing of a test that passes.
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED: this kernel does not tell which pages a sandbox wrote to"
        );
        return;
    }
    let sandbox = sandbox(None);
    for program in [
        "print(sum(range(1000)))",
        "import json; print(json.dumps({'a': [1, 2.5, None]}))",
    ] {
        let faults = faults_of_each(&sandbox, program).await;
        assert!(faults < 2, "{faults} for each of {program:?}");
    }
}
