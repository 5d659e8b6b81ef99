//! Page faults of a sandbox in a reused pool slot. A binary of its own, so that no other sandbox
//! uses the pool.
#![cfg(target_os = "linux")]

#[path = "../support.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod support;

use std::fs;

use eryx::Sandbox;

use support::{expect_stdout, sandbox};

/// Returns the number of minor page faults of this thread.
fn page_faults() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").expect("readable");
    // The second field is a name in parentheses, and the tenth is `minflt` (proc(5)).
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    fields
        .split(' ')
        .nth(7)
        .expect("a tenth field")
        .parse()
        .expect("a number")
}

/// Returns the number of page faults per execution.
async fn faults_per_execution(sandbox: &Sandbox, program: &str) -> u64 {
    const COUNT: u64 = 50;
    let mut before = 0;
    for number in 0..2 * COUNT {
        // The first executions use slots for the first time.
        if number == COUNT {
            before = page_faults();
        }
        expect_stdout(sandbox.execute(program).await);
    }
    (page_faults() - before) / COUNT
}

/// Regression: the objects that a program writes to were scattered over the heap, and each of their
/// pages was copied for each sandbox: 392 faults. Most programs now run in an instance that is
/// reset and has its pages; the instances of others end, and so the next one pays for the pages
/// that it touches.
#[tokio::test]
async fn a_sandbox_causes_few_page_faults() {
    let sandbox = sandbox(None);
    for (program, most) in [
        ("print(sum(range(1000)))", 8),
        ("import json; print(json.dumps({'a': [1, 2.5, None]}))", 8),
        // Two open handles at the same time: its instance is not reused.
        ("import sys; print(1); print(2, file=sys.stderr)", 200),
    ] {
        let faults = faults_per_execution(&sandbox, program).await;
        println!("{faults} page faults per execution of {program:?}");
        assert!(faults < most, "{faults} per execution of {program:?}");
    }
}

#[tokio::test]
async fn without_reuse_each_program_faults_in_the_pages_of_a_new_instance() {
    let program = "print(sum(range(1000)))";
    let build = |reuse| {
        let builder = Sandbox::embedded().with_instance_reuse(reuse);
        builder.build().expect("valid settings")
    };
    let reused = faults_per_execution(&build(true), program).await;
    let new = faults_per_execution(&build(false), program).await;
    assert!(reused < 8, "{reused}");
    assert!(new >= 32, "{new}");
    // Forks and sessions of such a sandbox get new instances, too.
    let sandbox = build(false);
    let before = page_faults();
    let mut session = sandbox.session().await.expect("started");
    expect_stdout(session.execute(program).await);
    drop(session);
    assert!(page_faults() - before >= 32);
}
