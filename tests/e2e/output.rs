//! The delivery of a program's output to the embedder.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use eryx::{CancelHandle, Error, Limit, OutputSink, ResourceLimits, Sandbox};
use eryx_sync::Mutex;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use crate::support::{expect_stdout, sandbox, sandbox_with_limits, timeout_of};

/// Creates a sandbox with `limits`, and returns it with the list of delivered pieces of standard
/// output.
fn pieces(limits: ResourceLimits) -> (Sandbox, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let sandbox = Sandbox::embedded()
        .on_stdout(move |bytes| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            sink.lock().push(text);
        })
        .with_resource_limits(limits)
        .build()
        .expect("valid settings");
    (sandbox, seen)
}

#[tokio::test]
async fn output_is_delivered_before_the_program_continues() {
    let (sandbox, seen) = pieces(ResourceLimits::default());
    for (program, expected) in [
        (
            "for n in range(3): print(n, end=' ')",
            &["0 ", "1 ", "2 "][..],
        ),
        ("for n in range(3): print(n)", &["0\n", "1\n", "2\n"]),
        // One piece, even if `print` writes several times.
        ("print('a', 2, [3], 'd', sep='-')", &["a-2-[3]-d\n"]),
        ("print('a', 2, [3], 'd', end='')", &["a 2 [3] d"]),
        (
            "import sys\nsys.stdout.write('a')\nsys.stdout.write('b')",
            &["a", "b"],
        ),
        (
            "import sys\nsys.stdout.buffer.write(b'a')\nsys.stdout.buffer.write(bytearray(b'b'))",
            &["a", "b"],
        ),
        (
            "import os, sys\nprint('a', end='')\nos.write(1, b'b')\nprint('c', end='')",
            &["a", "b", "c"],
        ),
        (
            "print('a\\nb', end='')\nprint('', end='')\nprint('c\\n', end='')",
            &["a\nb", "c\n"],
        ),
        (
            "def f():\n print('a', end='')\n f2()\ndef f2(): print('b', end='')\nf()",
            &["a", "b"],
        ),
        (
            "await __import__('asyncio').sleep(0, print('a', end=''))\nprint('b', end='')",
            &["a", "b"],
        ),
    ] {
        seen.lock().clear();
        expect_stdout(sandbox.execute(program).await);
        assert_eq!(*seen.lock(), expected, "{program}");
    }
}

#[tokio::test]
async fn long_output_arrives_complete_however_it_is_written() {
    let program = "
import sys
lengths = [0, 1, 2, 1018, 1019, 1020, 1021, 1022, 2039, 2040, 2041, 4095, 4096, 4097, 70_000]
expected = []
for end in ('', '\\n'):
    for first in lengths:
        for second in lengths:
            sys.stdout.write('a' * first)
            sys.stdout.write('b' * second + end)
            expected.append('a' * first + 'b' * second + end)
            print('c' * first, 'd' * second, sep=',', end=end)
            expected.append('c' * first + ',' + 'd' * second + end)
    sys.stdout.writelines('e' for _ in range(5000))
    expected.append('e' * 5000)
    list(map(sys.stdout.write, ['f'] * 5000))
    expected.append('f' * 5000)
    sys.stdout.buffer.write(memoryview(bytes(200_000))[::2])
    expected.append('\\0' * 100_000)
import hashlib
sys.stderr.write(hashlib.sha256(''.join(expected).encode()).hexdigest())
";
    let limits = ResourceLimits::default()
        .with_max_output(64 << 20)
        .with_max_host_memory(96 << 20);
    let result = sandbox_with_limits(None, limits)
        .execute(program)
        .await
        .expect("succeeds");
    let digest: String = Sha256::digest(&result.output.stdout)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(digest, result.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_error_of_a_program_contains_its_output() {
    let long = "x".repeat(5000);
    let mut running = JoinSet::new();
    for (print, stdout, stderr) in [
        ("print('a', end='')".to_owned(), "a", ""),
        ("import sys; sys.stderr.write('err')".to_owned(), "", "err"),
        (
            "import sys; sys.stdout.buffer.write(b'raw')".to_owned(),
            "raw",
            "",
        ),
        (format!("print({long:?}, end='')"), &long, ""),
        ("print('a\\nb', 'c', end=' ')".to_owned(), "a\nb c ", ""),
    ] {
        for (end, expected) in [
            ("while True: pass", Some("time")),
            ("import time; time.sleep(60)", Some("time")),
            ("sum(iter(int, 1))", Some("time")),
            ("x = bytearray(1 << 40)", None),
            (
                "x = []\n while True: x.append(bytearray(1 << 20))",
                Some("memory"),
            ),
            ("import os; os._exit(3)", None),
            ("import os; os.abort()", None),
            ("print('y' * 20_000)", Some("output")),
        ] {
            let limits = if expected == Some("time") {
                // A busy machine has the time to run the first line.
                timeout_of(5)
            } else {
                ResourceLimits::default()
            };
            let limits = limits.with_max_memory(96 << 20).with_max_output(20_000);
            let program = format!("{print}\nif True:\n {end}");
            let (stdout, stderr) = (stdout.to_owned(), stderr.to_owned());
            running.spawn(async move {
                let error = sandbox_with_limits(None, limits)
                    .execute(&program)
                    .await
                    .expect_err(&program);
                let limit = match &error {
                    Error::Limit { limit, .. } => Some(match limit {
                        Limit::ExecutionTime(_) => "time",
                        Limit::Memory(_) => "memory",
                        Limit::Output(_) => "output",
                        other => panic!("{program}: {other}"),
                    }),
                    _ => None,
                };
                assert_eq!(limit, expected, "{program}: {error}");
                let output = error.output().expect("has started");
                assert!(
                    output.stdout_text().starts_with(&stdout),
                    "{program}: {error}"
                );
                assert!(
                    output.stderr_text().starts_with(&stderr),
                    "{program}: {error}"
                );
            });
        }
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("as expected");
    }
}

#[tokio::test]
async fn the_error_of_a_cancelled_program_contains_its_output() {
    let (sandbox, seen) = pieces(ResourceLimits::default());
    let cancel = CancelHandle::new();
    let running = {
        let cancel = cancel.clone();
        tokio::spawn(async move {
            sandbox
                .execute_cancellable("print('a', end='')\nwhile True: pass", &cancel)
                .await
        })
    };
    while seen.lock().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cancel.cancel();
    match running.await.expect("no panic") {
        Err(Error::Cancelled { output, .. }) => assert_eq!(output.stdout, b"a"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn writing_to_a_closed_or_detached_stream_raises() {
    let program = "
import io, sys
out = sys.stdout
def print_error(call, *arguments):
    try:
        call(*arguments)
    except (ValueError, OSError, TypeError) as error:
        print(type(error).__name__, error, file=sys.stderr)
print_error(sys.stdout.buffer.write, 'text')
print_error(sys.stdout.buffer.write, [65])
buffer = sys.stdout.detach()
print(isinstance(buffer, io.BufferedWriter), buffer.fileno(), buffer.isatty(), file=sys.stderr)
buffer.write(b'still')
buffer.close()
print_error(buffer.write, b'x')
print_error(buffer.flush)
sys.stdout = io.TextIOWrapper(io.FileIO(1, 'w', closefd=False))
print(' here', end='')
";
    let result = sandbox(None).execute(program).await.expect("succeeds");
    assert_eq!(result.stdout, "still here");
    assert_eq!(
        result.stderr,
        "TypeError memoryview: a bytes-like object is required, not 'str'\n\
         TypeError memoryview: a bytes-like object is required, not 'list'\n\
         True 1 False\n\
         ValueError write to closed file\n\
         ValueError flush of closed file\n"
    );
}

/// An output sink that is full after the first write.
#[derive(Default)]
struct Full(AtomicUsize);

impl OutputSink for Full {
    fn write(&self, bytes: &[u8]) {
        self.0.fetch_add(bytes.len(), Ordering::SeqCst);
    }

    fn poll_ready(&self, _cx: &mut Context<'_>) -> Poll<()> {
        if self.0.load(Ordering::SeqCst) == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

#[tokio::test]
async fn a_program_waits_for_a_full_output_sink_but_its_timeout_still_fires() {
    let sink = Arc::new(Full::default());
    let sandbox = Sandbox::embedded()
        .with_stdout(Arc::clone(&sink) as _)
        .with_resource_limits(timeout_of(1))
        .build()
        .expect("valid settings");
    let result = sandbox.execute("while True: print('x' * 99)").await;
    let error = result.expect_err("does not end");
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    assert_eq!(sink.0.load(Ordering::SeqCst), 100);
    assert_eq!(error.output().expect("has started").stdout.len(), 100);
}
