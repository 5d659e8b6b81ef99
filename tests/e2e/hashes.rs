//! `hashlib` and `hmac`, and the derivation of keys by the host.

use std::time::Duration;

use eryx::ResourceLimits;

use crate::support::{expect_stdout, expect_time_limit, sandbox, sandbox_with_limits, timeout_of};

#[tokio::test]
async fn hashes_and_keys_are_those_of_openssl() {
    let program = include_str!("programs/hashes.py");
    let printed = expect_stdout(sandbox(None).execute(program).await);
    assert_eq!(printed, "the same\n");
}

/// Derivations that take hours.
const ENDLESS: [&str; 4] = [
    "hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)",
    "hashlib.pbkdf2_hmac('md5', b'', bytes(1 << 20), 2**20, 1 << 20)",
    "hashlib.pbkdf2_hmac('sha3_512', b'', b'', 2**31 - 1)",
    "hashlib.scrypt(b'', salt=b'', n=2, r=1, p=2**18, dklen=1 << 20, maxmem=2**31 - 1)\n    \
     hashlib.scrypt(b'', salt=b'', n=2**14, r=8, p=2**14, maxmem=2**31 - 1)",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_derivation_of_a_key_ends_at_the_time_limit() {
    for derivation in ENDLESS {
        let text = format!("import hashlib\nwhile True:\n    {derivation}");
        let result = sandbox_with_limits(None, timeout_of(1)).execute(text).await;
        expect_time_limit(result, derivation);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tasks_of_the_runtime_go_on_while_a_key_is_derived() {
    let text = "import hashlib\nhashlib.pbkdf2_hmac('sha512', b'', b'', 2**31 - 1)";
    let sandbox = sandbox(None);
    // On the thread of the execution.
    let ticks = async {
        let mut ticks = 0;
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            ticks += 1;
            if ticks == 20 {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        result = sandbox.execute(text) => panic!("it ended first: {result:?}"),
        () = ticks => {}
    }
}

#[tokio::test]
async fn the_memory_of_scrypt_counts_towards_the_host_memory_of_the_sandbox() {
    let text = "import hashlib\n\
                try:\n    \
                hashlib.scrypt(b'', salt=b'', n=2**13, r=8, p=1, maxmem=2**30)\n\
                except MemoryError as error: print(error)\n";
    let result = sandbox(None).execute(text).await.expect("runs");
    assert_eq!(result.stdout, "");
    let (peak, base) = (result.peak_host_memory, ResourceLimits::HOST_MEMORY_BASE);
    assert!(peak > base + (8 << 20), "{peak}");
    let limits = ResourceLimits::default()
        .with_max_output(1 << 20)
        .with_max_host_memory(20 << 20);
    let printed = expect_stdout(sandbox_with_limits(None, limits).execute(text).await);
    assert!(printed.contains("max_host_memory"), "{printed}");
}
