//! A thousand forks of one session. A binary of its own, since it measures the memory of the whole
//! process.
#![cfg(target_os = "linux")]

#[path = "../support.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod support;

use std::fs;

use support::{expect_stdout, sandbox};

/// The number of forks.
const FORKS: u64 = 1000;

/// The most memory of a fork besides the pages that its programs have changed, in bytes.
const MOST: u64 = 300 << 10;

/// The memory of the process, in bytes.
#[derive(Clone, Copy, Debug)]
struct Memory {
    /// The proportional set size of all mappings.
    pss: u64,
    /// The changed pages in the memories of instances.
    changed: u64,
}

/// Returns the memory of the process, or `None` where the kernel does not say it.
///
/// The memory of an instance is a private mapping of the image's memory, which is in a memfd, and
/// an anonymous one directly behind it, if the memory has grown.
fn memory() -> Option<Memory> {
    let maps = fs::read_to_string("/proc/self/smaps").ok()?;
    let mut memory = Memory { pss: 0, changed: 0 };
    let (mut is_instance, mut end) = (false, String::new());
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let first = fields.next()?;
        let Some(field) = first.strip_suffix(':') else {
            let (start, next_end) = first.split_once('-')?;
            let path = fields.nth(4);
            let continues = is_instance && path.is_none() && start == end;
            is_instance = path.is_some_and(|path| path.starts_with("/memfd:")) || continues;
            next_end.clone_into(&mut end);
            continue;
        };
        let mut size = || Some(fields.next()?.parse::<u64>().ok()? << 10);
        match field {
            "Pss" => memory.pss += size()?,
            "Anonymous" if is_instance => memory.changed += size()?,
            _ => {}
        }
    }
    (memory.changed > 0).then_some(memory)
}

#[tokio::test]
async fn a_thousand_forks_differ_and_take_little_more_than_the_pages_they_changed() {
    let sandbox = sandbox(None);
    let mut session = sandbox.session().await.expect("started");
    let start = "
class Account:
    def __init__(self): self.balance = 100
account, rows, numbers = Account(), list(range(1000)), iter(range(10))
next(numbers)
";
    expect_stdout(session.execute(start).await);
    let before = memory();
    let mut forks = Vec::new();
    for number in 0..FORKS {
        let mut fork = session.fork().await.expect("forked");
        let work = format!("account.balance += {number}; rows.append(account.balance)");
        expect_stdout(fork.execute(work.as_str()).await);
        forks.push(fork);
    }
    let after = memory();
    for (number, fork) in (0_u64..).zip(&mut forks) {
        let look = "print(account.balance, rows[-1], len(rows), next(numbers))";
        let balance = 100 + number;
        let expected = format!("{balance} {balance} 1001 1\n");
        assert_eq!(expect_stdout(fork.execute(look).await), expected);
    }
    let look = "print(account.balance, rows[-1], len(rows), next(numbers))";
    let printed = expect_stdout(session.execute(look).await);
    assert_eq!(printed, "100 999 1000 1\n");
    let (Some(before), Some(after)) = (before, after) else {
        eprintln!("SKIPPED: /proc/self/smaps does not show the memory of instances");
        return;
    };
    let changed = (after.changed - before.changed) / FORKS;
    let all = after.pss.saturating_sub(before.pss) / FORKS;
    println!("{all} bytes for each fork, {changed} of them in pages that it changed");
    assert!(changed > 0, "{before:?} {after:?}");
    assert!(all <= changed + MOST, "{all} bytes, {changed} changed");
}
