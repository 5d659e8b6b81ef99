//! Resource limits, and the end of programs that exceed them.

use std::time::{Duration, Instant};

use eryx::{CancelHandle, Error, Limit, ResourceLimits, Sandbox};
use eryx_testkit::{Behaviour, Peer};

use crate::support::{
    expect_exception, expect_stdout, loopback, sandbox, sandbox_with_limits, timeout_of,
};

/// Regression: all executions shared one clock, so concurrent timeouts fired early and for one
/// another.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_execution_timeouts_fire_independently_and_not_early() {
    let runs = (0..8).map(|_| {
        tokio::spawn(async {
            let start = Instant::now();
            let limits = ResourceLimits::default().with_execution_timeout(Duration::from_secs(2));
            let result = sandbox_with_limits(None, limits)
                .execute("while True: pass")
                .await;
            (start.elapsed(), result)
        })
    });
    for run in runs.collect::<Vec<_>>() {
        let (took, result) = run.await.expect("no panic");
        assert!(matches!(
            result,
            Err(Error::Limit {
                limit: Limit::ExecutionTime(_),
                ..
            })
        ));
        assert!(took >= Duration::from_secs(2), "fired after {took:?}");
    }
}

/// Regression: cancelling one execution interrupted all others.
#[tokio::test(flavor = "multi_thread")]
async fn cancelling_one_execution_does_not_affect_others() {
    let sandbox = sandbox(None);
    let cancel = CancelHandle::new();
    let cancelled = {
        let (sandbox, cancel) = (sandbox.clone(), cancel.clone());
        tokio::spawn(async move {
            sandbox
                .execute_cancellable("print(1)\nwhile True: pass", &cancel)
                .await
        })
    };
    let other = {
        let sandbox = sandbox.clone();
        tokio::spawn(async move {
            sandbox
                .execute("import time\ntime.sleep(1)\nprint('done')")
                .await
        })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let start = Instant::now();
    cancel.cancel();
    match cancelled.await.expect("no panic") {
        Err(Error::Cancelled { output, .. }) => assert_eq!(output.stdout, b"1\n"),
        other => panic!("{other:?}"),
    }
    assert!(
        start.elapsed() < Duration::from_millis(500),
        "took {:?}",
        start.elapsed()
    );
    assert_eq!(expect_stdout(other.await.expect("no panic")), "done\n");
}

#[tokio::test]
async fn a_used_cancel_handle_ends_an_execution_before_it_begins() {
    let cancel = CancelHandle::new();
    cancel.cancel();
    let sandbox = sandbox(None);
    let result = sandbox.execute_cancellable("print(1)", &cancel).await;
    assert!(matches!(result, Err(Error::Cancelled { .. })));

    // Nothing of the program has run, so the session goes on.
    let mut session = sandbox.session().await.expect("started");
    session.execute("x = 1").await.expect("executed");
    let result = session.execute_cancellable("x = 2", &cancel).await;
    assert!(matches!(result, Err(Error::Cancelled { .. })));
    assert_eq!(expect_stdout(session.execute("print(x)").await), "1\n");
}

/// Regression: dropping the future of an execution leaked its connections.
#[tokio::test(flavor = "multi_thread")]
async fn dropping_an_execution_closes_its_connections() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("started");
    let sandbox = sandbox(Some(loopback()));
    let program = format!(
        "import socket\nsocket.create_connection(('127.0.0.1', {})).recv(1)",
        peer.port()
    );
    let run = tokio::spawn(async move { sandbox.execute(program).await });
    while peer.open() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    run.abort();
    assert_eq!(peer.ended(1).await.len(), 1);
}

/// Trap: a dropped future left its ticker behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_executions_leave_no_tasks_behind() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let peer = Peer::plain(Behaviour::Silent).await.expect("started");
    let waiting = format!(
        "import socket\ns = socket.create_connection(('127.0.0.1', {}))\nprint('begun')\ns.recv(1)",
        peer.port()
    );
    let programs = [
        "print('begun')\nwhile True: pass".to_owned(),
        "import time\nprint('begun')\ntime.sleep(60)".to_owned(),
        waiting,
    ];
    let before = tasks();
    for program in programs.iter().cycle().take(30) {
        let (begun, mut is_begun) = tokio::sync::mpsc::unbounded_channel();
        let sandbox = Sandbox::embedded()
            .with_network(loopback())
            .on_stdout(move |_| begun.send(()).unwrap_or_default())
            .build()
            .expect("valid settings");
        let program = program.clone();
        let run = tokio::spawn(async move { sandbox.execute(program).await });
        is_begun.recv().await.expect("it runs");
        run.abort();
        assert!(run.await.is_err_and(|error| error.is_cancelled()));
    }
    // Tasks of the peer are among those that end.
    assert_eq!(peer.ended(10).await.len(), 10);
    let start = Instant::now();
    while tasks() > before && start.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(tasks(), before);
}

#[tokio::test]
async fn an_endless_list_hits_the_memory_limit() {
    for program in [
        "x = []\nwhile True: x.append(1)",
        "x = []\nwhile True: x.append(bytearray(1 << 20))",
        "x = 'ab'\nwhile True: x += x",
    ] {
        let limits = ResourceLimits::default().with_max_memory(64 << 20);
        match sandbox_with_limits(None, limits).execute(program).await {
            Err(Error::Limit { limit, .. }) => {
                assert_eq!(limit, Limit::Memory(64 << 20), "{program}")
            }
            other => panic!("{program}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_program_can_recover_from_a_memory_error() {
    let program = "
try:
    bytearray(1 << 30)
except MemoryError:
    print('no')
";
    let result = sandbox(None).execute(program).await.expect("recovers");
    assert_eq!(result.stdout, "no\n");
    assert!(result.peak_memory < 128 << 20);
    assert!(result.peak_memory > 1 << 20);
}

/// Regression: output was buffered without bound.
#[tokio::test(flavor = "multi_thread")]
async fn large_output_arrives_complete() {
    let program = "
import os, sys
print('o' * 3_000_000)
sys.stderr.write('e' * 1_000_000)
print('first')
sys.stdout.buffer.write(b'second\\n')
sys.stdout.flush()
os.write(1, b'third\\n')
print('\\ud800', sys.stdout.name, sys.stdout.encoding, sys.stderr.name)
";
    let result = sandbox(None).execute(program).await.expect("succeeds");
    let (long, rest) = result.stdout.split_at(3_000_001);
    assert_eq!(long, format!("{}\n", "o".repeat(3_000_000)));
    assert_eq!(
        rest,
        "first\nsecond\nthird\n\\ud800 <stdout> utf-8 <stderr>\n"
    );
    assert_eq!(result.stderr, "e".repeat(1_000_000));
}

#[tokio::test]
async fn output_beyond_the_limit_ends_the_program_and_keeps_the_output_before() {
    let limits = ResourceLimits::default().with_max_output(1 << 20);
    let program = "for _ in range(100_000): print('x' * 1000)";
    match sandbox_with_limits(None, limits).execute(program).await {
        Err(Error::Limit { limit, output, .. }) => {
            assert_eq!(limit, Limit::Output(1 << 20));
            assert_eq!(output.stdout.len(), 1 << 20);
        }
        other => panic!("{other:?}"),
    }
}

/// Regression: `os.write(1, …)` bypassed the captured output and its limit.
#[tokio::test]
async fn os_write_to_a_standard_stream_is_captured_and_limited() {
    let result = sandbox(None)
        .execute("import os\nos.write(1, b'out')\nos.write(2, b'err')")
        .await;
    let result = result.expect("succeeds");
    assert_eq!(
        (result.stdout.as_str(), result.stderr.as_str()),
        ("out", "err")
    );
    let limits = ResourceLimits::default().with_max_output(100_000);
    let program =
        "import os\nwhile True:\n    try: os.write(2, b'x' * 4096)\n    except OSError: pass";
    match sandbox_with_limits(None, limits).execute(program).await {
        Err(Error::Limit { limit, output, .. }) => {
            assert_eq!(limit, Limit::Output(100_000));
            assert_eq!(output.stderr.len(), 100_000);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn deep_recursion_raises_recursion_error() {
    for program in [
        "def f(): f()\nf()",
        "x = []\nfor _ in range(100_000): x = [x]\nrepr(x)",
        "class A:\n    def __getattr__(self, name): return getattr(self, name)\nA().x",
        "import json\njson.loads('[' * 200_000)",
        "import json\njson.loads('{\"a\":' * 200_000)",
        "a = b = None\nfor _ in range(100_000): a, b = [a], [b]\na == b",
        "a = b = None\nfor _ in range(100_000): a, b = {1: a}, {1: b}\na == b",
        "x = int\nfor _ in range(100_000): x = (x,)\nisinstance('', x)",
        "x = None\nfor _ in range(100_000): x = [x]\nimport pickle\npickle.dumps(x)",
        "x = None\nfor _ in range(100_000): x = [x]\nimport json\njson.dumps(x)",
        "x = None\nfor _ in range(100_000): x = [x]\nimport copy\ncopy.deepcopy(x)",
        "import re\nre.compile('(' * 50_000 + ')' * 50_000)",
        "compile('1+' * 20_000 + '1', '', 'eval')",
        "import ast\nx = ast.Constant(1, lineno=1, col_offset=0)\n\
         for _ in range(100_000): x = ast.UnaryOp(ast.USub(), x, lineno=1, col_offset=0)\n\
         compile(ast.Expression(x), '', 'eval')",
    ] {
        assert_eq!(
            expect_exception(sandbox(None).execute(program).await).exception_type,
            "RecursionError",
            "{program}"
        );
    }
}

#[tokio::test]
async fn deeply_nested_objects_are_freed() {
    let program = "
import functools
class Node:
    def __init__(self, next): self.next = next
class Slotted:
    __slots__ = ('next',)
    def __init__(self, next): self.next = next
def closure(next): return lambda: next
def generator(next): yield next
for make in (Node, Slotted, closure, generator, lambda next: [next], lambda next: (next, 1), lambda next: {1: next},
             lambda next: functools.partial(print, next)):
    chain = None
    for _ in range(100_000): chain = make(chain)
    del chain
print('freed')
";
    assert_eq!(
        expect_stdout(sandbox(None).execute(program).await),
        "freed\n"
    );
}

/// The interpreter's recursion limit of 1000 calls applies before its stack limit, as in native
/// CPython.
#[tokio::test]
async fn recursion_through_c_code_reaches_the_recursion_limit_before_the_stack_limit() {
    let program = "
class A:
    def __repr__(self): return repr(self)
    def __eq__(self, other): return [self] == [other]
    def __format__(self, spec): return f'{self}'
    def __hash__(self): return hash(self)
    def __getattr__(self, name): return getattr(self, name)
def mapped(_): return list(map(mapped, [1]))
for call in (lambda: repr(A()), lambda: A() == A(), lambda: f'{A()}', lambda: hash(A()), lambda: A().x, lambda: mapped(1)):
    try:
        call()
    except RecursionError as error:
        print(error)
";
    assert_eq!(
        expect_stdout(sandbox(None).execute(program).await),
        "maximum recursion depth exceeded\n".repeat(6)
    );
}

#[tokio::test]
async fn unlimited_recursion_does_not_crash_the_host() {
    let program = "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()";
    let result = sandbox(None).execute(program).await;
    assert!(
        matches!(
            result,
            Err(Error::Exception(_) | Error::Limit { .. } | Error::InterpreterCrashed { .. })
        ),
        "{result:?}"
    );
    assert_eq!(
        expect_stdout(sandbox(None).execute("print('alive')").await),
        "alive\n"
    );
}

#[tokio::test]
async fn an_exit_status_of_zero_is_success_and_any_other_is_reported() {
    for program in [
        "raise SystemExit",
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
    ] {
        let program = format!("print('before')\n{program}");
        assert_eq!(
            expect_stdout(sandbox(None).execute(&program).await),
            "before\n",
            "{program}"
        );
    }
    let exit = expect_exception(
        sandbox(None)
            .execute("print('before')\nraise SystemExit(3)")
            .await,
    );
    assert_eq!(
        (exit.exception_type.as_str(), exit.exit_status),
        ("SystemExit", Some(3))
    );
    assert_eq!(exit.output.stdout, b"before\n");
    assert_eq!(exit.to_string(), "SystemExit: 3");
    let exit = expect_exception(sandbox(None).execute("raise SystemExit('because')").await);
    assert_eq!(
        exit.to_string(),
        "SystemExit: 1; the last line on standard error: \"because\""
    );
    assert_eq!(
        (exit.exit_status, exit.output.stderr),
        (Some(1), b"because\n".to_vec())
    );
    // WASI only transmits whether the process succeeded.
    let exit = expect_exception(sandbox(None).execute("import os; os._exit(3)").await);
    assert_eq!(exit.exit_status, Some(1));
}

#[tokio::test]
async fn an_abort_of_the_interpreter_is_reported_as_a_crash() {
    let result = sandbox(None)
        .execute("print('before')\nimport os\nos.abort()")
        .await;
    match result {
        Err(Error::InterpreterCrashed { output, .. }) => assert_eq!(output.stdout, b"before\n"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn invalid_source_raises_a_syntax_error() {
    for (source, type_name) in [
        (&b"x = ("[..], "SyntaxError"),
        (b"\xff\xfe = 1", "SyntaxError"),
        (b"x = '\x00'", "SyntaxError"),
        (b"# coding: no-such-codec\n", "SyntaxError"),
        (b"if 1:\nx", "IndentationError"),
    ] {
        let exception = expect_exception(sandbox(None).execute(source).await);
        assert_eq!(
            exception.exception_type, type_name,
            "{source:?}: {exception}"
        );
        assert!(
            exception.traceback.contains(type_name),
            "{}",
            exception.traceback
        );
    }
}

#[tokio::test]
async fn a_declared_encoding_is_honoured() {
    let source = b"# coding: latin-1\nprint(len('\xe4\xf6'))";
    assert_eq!(expect_stdout(sandbox(None).execute(source).await), "2\n");
    let source = b"# coding: latin-1\nraise ValueError('\xe4\xf6')";
    let error = expect_exception(sandbox(None).execute(source).await);
    assert_eq!(error.message, "\u{e4}\u{f6}");
    assert!(
        error.traceback.contains("raise ValueError('\u{e4}\u{f6}')"),
        "{}",
        error.traceback
    );
}

/// Regression: the output of a program was lost when it raised.
#[tokio::test]
async fn an_exception_has_type_message_traceback_and_output() {
    let program = "
import json, sys
def load(text):
    return json.loads(text)
print('out')
print('err', file=sys.stderr)
sys.stdout.write('unfinished line')
load('{')
";
    let exception = expect_exception(sandbox(None).execute(program).await);
    assert_eq!(exception.exception_type, "json.decoder.JSONDecodeError");
    assert!(
        exception.message.contains("line 1 column 2"),
        "{}",
        exception.message
    );
    assert_eq!(exception.output.stdout, b"out\nunfinished line");
    assert_eq!(exception.output.stderr, b"err\n");
    for part in [
        "Traceback (most recent call last)",
        "return json.loads(text)",
        "in load",
        "json/decoder.py",
    ] {
        assert!(
            exception.traceback.contains(part),
            "no {part:?} in\n{}",
            exception.traceback
        );
    }
    assert!(
        !exception.traceback.contains("runner.py"),
        "{}",
        exception.traceback
    );
}

/// Where native CPython runs C code, the traceback ends at the last Python frame.
/// Regression: `open` and `time.sleep` are Python functions of the image, and programs saw that.
#[tokio::test]
async fn tracebacks_that_a_program_prints_omit_internal_frames() {
    let program = "
import logging, sys, threading, time, traceback
def file(): open('missing')
def wait(): time.sleep(-1)
for function in (file, wait):
    try:
        function()
    except Exception:
        print([each.name for each in traceback.extract_tb(sys.exc_info()[2])])
        traceback.print_exc()
        logging.exception('logged')
thread = threading.Thread(target=wait)
thread.start()
thread.join()
traceback.print_stack()
print([each.name for each in traceback.extract_stack()])
";
    let result = sandbox(None).execute(program).await.expect("finished");
    assert_eq!(
        result.stdout,
        "['<module>', 'file']\n['<module>', 'wait']\n['<module>']\n"
    );
    assert_eq!(result.stderr.matches("sleep length must be").count(), 3);
    for part in ["eryx", "wit_world"] {
        assert!(!result.stderr.contains(part), "{part} in {}", result.stderr);
    }
}

#[tokio::test]
async fn a_traceback_omits_internal_frames() {
    let program = "
import asyncio, socket
def connect(): socket.create_connection(('10.0.0.1', 80))
try:
    connect()
except OSError as error:
    first = error
async def later(): await asyncio.open_connection('10.0.0.1', 80)
try:
    asyncio.run(later())
except OSError as error:
    raise ExceptionGroup('both', [first, error]) from error
";
    let config = eryx::net::NetConfig::default();
    let exception = expect_exception(sandbox(Some(config)).execute(program).await);
    for part in [
        "in connect",
        "in later",
        "socket.py\", line",
        "sock.connect(sa)",
        "selector_events.py",
        "is denied",
    ] {
        assert!(
            exception.traceback.contains(part),
            "no {part:?} in\n{}",
            exception.traceback
        );
    }
    for part in ["eryx_net", "eryx_guest", "wit_world"] {
        assert!(
            !exception.traceback.contains(part),
            "{}",
            exception.traceback
        );
    }
}

#[tokio::test]
async fn a_hostile_exception_is_reported_with_bounded_size() {
    for program in [
        "class E(Exception):\n    def __str__(self): raise self\nraise E",
        "class E(BaseException):\n    __module__ = None\nraise E",
        "raise Exception('\\ud800')",
        "raise Exception('x' * 10_000_000)",
        "import traceback\ntraceback.format_exception = None\n1 / 0",
        "import sys\nsys.stdout = None\nsys.stderr = 3\n1 / 0",
        "import sys\nsys.stdout.close()\n1 / 0",
        "raise KeyboardInterrupt",
        "raise ExceptionGroup('several', [ValueError(1), TypeError(2)])",
        "import builtins\nbuiltins.str = builtins.len = None\n1 / 0",
    ] {
        let exception = expect_exception(sandbox(None).execute(program).await);
        assert!(exception.message.len() < 20_000, "{program}");
        assert!(exception.traceback.len() < 200_000, "{program}");
    }
}

#[tokio::test]
async fn output_is_delivered_while_the_program_runs() {
    use std::sync::Arc;

    use eryx_sync::Mutex;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let sandbox = eryx::Sandbox::embedded()
        .on_stdout(move |bytes| sink.lock().extend_from_slice(bytes))
        .with_resource_limits(timeout_of(3))
        .build()
        .expect("built");
    let result = sandbox.execute("print('early')\nwhile True: pass").await;
    assert!(matches!(result, Err(Error::Limit { .. })));
    assert_eq!(*seen.lock(), b"early\n");
}

#[tokio::test]
async fn unusable_limits_are_rejected_when_the_sandbox_is_built() {
    let builder = eryx::Sandbox::embedded()
        .with_resource_limits(ResourceLimits::default().with_max_memory(1));
    match builder.build() {
        Err(Error::Config(error)) => assert!(error.to_string().contains("max_memory"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_timeout_beyond_the_range_of_the_clock_never_fires() {
    let limits = ResourceLimits::default().with_execution_timeout(Duration::MAX);
    assert_eq!(
        expect_stdout(sandbox_with_limits(None, limits).execute("print(1)").await),
        "1\n"
    );
}

#[test]
fn sandboxes_and_sessions_can_move_between_threads() {
    fn assert_send_sync<T: Send + Sync + 'static>() {}
    fn assert_send<T: Send + 'static>() {}
    assert_send_sync::<eryx::Sandbox>();
    assert_send_sync::<CancelHandle>();
    assert_send::<eryx::Session>();
    assert_send::<Error>();
}

#[tokio::test]
async fn an_invalid_image_is_rejected() {
    let result = eryx::Sandbox::from_component(*b"\0asm\x0d\0\x01\0").build();
    match result {
        Err(error @ Error::Image(_)) => {
            assert!(error.to_string().contains("does not yield"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let result = eryx::Sandbox::from_component(*b"garbage").build();
    assert!(matches!(result, Err(Error::Image(_))), "{result:?}");
}

/// Regression: the memory limit of a sandbox did not apply to its sessions.
#[tokio::test]
async fn the_limits_of_a_sandbox_apply_to_its_sessions() {
    for (seconds, program, limit) in [
        (
            60,
            "x = []\nwhile True: x.append(bytearray(1 << 20))",
            Limit::Memory(64 << 20),
        ),
        (
            3,
            "while True: pass",
            Limit::ExecutionTime(Duration::from_secs(3)),
        ),
        (60, "print('x' * 2000)", Limit::Output(1000)),
    ] {
        let limits = timeout_of(seconds)
            .with_max_memory(64 << 20)
            .with_max_output(1000);
        let sandbox = sandbox_with_limits(None, limits);
        let mut session = sandbox.session().await.expect("started");
        session.execute("pass").await.expect("succeeds");
        match session.execute(program).await {
            Err(Error::Limit { limit: found, .. }) => assert_eq!(found, limit),
            other => panic!("{program}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn random_numbers_differ_between_sandboxes() {
    let sandbox = sandbox(None);
    let program =
        "import random, secrets, uuid\nprint(random.random(), secrets.token_hex(), uuid.uuid4())";
    let first = expect_stdout(sandbox.execute(program).await);
    let second = expect_stdout(sandbox.execute(program).await);
    for (a, b) in first.split_whitespace().zip(second.split_whitespace()) {
        assert_ne!(a, b);
    }
}
