//! Sessions: programs that share an interpreter.

use std::time::Duration;

use eryx::{CancelHandle, Error};
use eryx_testkit::{Behaviour, Peer};

use crate::support::{
    expect_exception, expect_stdout, loopback, sandbox, sandbox_with_limits, timeout_of,
};

#[tokio::test]
async fn names_imports_and_functions_persist_in_a_session() {
    let mut session = sandbox(None).session().await.expect("started");
    expect_stdout(
        session
            .execute("import json\nx = 20\ndef double(n): return 2 * n")
            .await,
    );
    assert_eq!(
        expect_stdout(session.execute("print(json.dumps([double(x) + 2]))").await),
        "[42]\n"
    );
}

/// Regression: `argparse` takes the name of its program from `sys.argv[0]`, which did not exist.
#[tokio::test]
async fn sys_argv_contains_only_the_name_of_the_program() {
    let program = "
import argparse, sys
parser = argparse.ArgumentParser()
parser.add_argument('--size', type=int, default=3)
print(sys.argv, parser.parse_args().size)
";
    let sandbox = sandbox(None);
    assert_eq!(expect_stdout(sandbox.execute(program).await), "[''] 3\n");
    let mut session = sandbox.session().await.expect("started");
    for _ in 0..2 {
        assert_eq!(expect_stdout(session.execute(program).await), "[''] 3\n");
    }
}

/// Regression: a program had no `__file__`, and the source of its classes was not found.
#[tokio::test]
async fn file_is_the_name_of_the_program_and_leads_to_its_directory_and_source() {
    let program = "
import inspect, pathlib
class Point:
    x: int
class Base:
    def method(self): pass
print(__file__, pathlib.Path(__file__).resolve().parent)
print([inspect.getsource(each).split()[1] for each in (Point, Base)])
";
    let sandbox = sandbox(None);
    let first = "<script> /home/user\n['Point:', 'Base:']\n";
    assert_eq!(expect_stdout(sandbox.execute(program).await), first);
    let mut session = sandbox.session().await.expect("started");
    assert_eq!(expect_stdout(session.execute(program).await), first);
    let later = "print(__file__, [inspect.getsource(each).split()[1] for each in (Point, Base)])";
    assert_eq!(
        expect_stdout(session.execute(later).await),
        "<script 2> ['Point:', 'Base:']\n"
    );
}

#[tokio::test]
async fn executions_of_a_sandbox_are_isolated() {
    let sandbox = sandbox(None);
    expect_stdout(
        sandbox
            .execute("import builtins, sys\nx = 1\nbuiltins.y = 2\nsys.modules['z'] = 3")
            .await,
    );
    let program =
        "import builtins, sys\nprint('x' in globals(), hasattr(builtins, 'y'), 'z' in sys.modules)";
    assert_eq!(
        expect_stdout(sandbox.execute(program).await),
        "False False False\n"
    );
}

#[tokio::test]
async fn a_session_survives_an_exception() {
    let mut session = sandbox(None).session().await.expect("started");
    expect_stdout(session.execute("x = 1").await);
    let error = expect_exception(
        session
            .execute("def f():\n    return 1 / 0\nprint('out')\nf()")
            .await,
    );
    assert_eq!(error.exception_type, "ZeroDivisionError");
    assert!(
        error.traceback.contains("return 1 / 0"),
        "{}",
        error.traceback
    );
    assert_eq!(error.output.stdout, b"out\n");
    assert_eq!(expect_stdout(session.execute("print(x)").await), "1\n");
    // Tracebacks of a function from an earlier execution show its own source.
    let error = expect_exception(session.execute("\n\n\nf()").await);
    assert!(
        error.traceback.contains("return 1 / 0"),
        "{}",
        error.traceback
    );
}

#[tokio::test]
async fn a_session_closes_when_an_execution_hits_a_limit() {
    let mut session = sandbox_with_limits(None, timeout_of(1))
        .session()
        .await
        .expect("started");
    assert!(matches!(
        session.execute("while True: pass").await,
        Err(Error::Limit { .. })
    ));
    match session.execute("print(1)").await {
        Err(Error::SessionClosed { reason, .. }) => {
            assert!(reason.contains("execution_timeout"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
    let mut session = sandbox(None).session().await.expect("started");
    expect_stdout(session.execute("import os\nos._exit(0)").await);
    assert!(matches!(
        session.execute("print(1)").await,
        Err(Error::SessionClosed { .. })
    ));
}

#[tokio::test]
async fn a_session_closes_when_an_execution_is_dropped() {
    let mut session = sandbox(None).session().await.expect("started");
    let wait = Duration::from_millis(100);
    tokio::time::timeout(wait, session.execute("while True: pass"))
        .await
        .expect_err("dropped");
    assert!(matches!(
        session.execute("print(1)").await,
        Err(Error::SessionClosed { .. })
    ));
}

/// A session that an interrupted execution closes also closes the connections of earlier
/// executions, while the embedder still holds the session.
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_session_closes_its_connections() {
    let ways = [
        "timed out",
        "cancelled",
        "dropped",
        "out of memory",
        "left the process",
        "aborted",
    ];
    for way in ways {
        let peer = Peer::plain(Behaviour::Silent).await.expect("started");
        let limits = timeout_of(if way == "timed out" { 3 } else { 60 });
        let mut session = sandbox_with_limits(Some(loopback()), limits)
            .session()
            .await
            .expect("started");
        let connect = format!(
            "import os, socket\ns = socket.create_connection(('127.0.0.1', {}))\nt = s.dup()",
            peer.port()
        );
        expect_stdout(session.execute(connect).await);
        match way {
            "timed out" => drop(session.execute("s.recv(1)").await),
            "cancelled" => {
                let cancel = CancelHandle::new();
                let wait = async {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    cancel.cancel();
                };
                let waiting = session.execute_cancellable("s.recv(1)", &cancel);
                let (ended, ()) = tokio::join!(waiting, wait);
                assert!(matches!(ended, Err(Error::Cancelled { .. })), "{ended:?}");
            }
            "dropped" => {
                let wait = Duration::from_millis(100);
                let waiting = session.execute("s.recv(1)");
                tokio::time::timeout(wait, waiting)
                    .await
                    .expect_err("dropped");
            }
            "out of memory" => drop(session.execute("x = 'x'\nwhile True: x += x").await),
            "left the process" => drop(session.execute("os._exit(0)").await),
            _ => drop(session.execute("os.abort()").await),
        }
        // Only guards against a hang.
        let ended = async {
            while peer.open() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(5), ended).await;
        assert!(ended.is_ok(), "{way}: the connection is still open");
        drop(session);
    }
}

/// A program that exits closes neither its session nor its connections.
#[tokio::test]
async fn a_program_that_exits_keeps_its_connections_for_the_next() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("started");
    let mut session = sandbox(Some(loopback())).session().await.expect("started");
    let exit = format!(
        "import socket, sys\ns = socket.create_connection(('127.0.0.1', {}))\nsys.exit(3)",
        peer.port()
    );
    assert_eq!(
        expect_exception(session.execute(exit).await).exit_status,
        Some(3)
    );
    let program = "s.sendall(b'hello')\nprint(s.recv(5))";
    assert_eq!(expect_stdout(session.execute(program).await), "b'hello'\n");
    drop(session);
    assert_eq!(peer.ended(1).await.len(), 1);
}

#[tokio::test]
async fn a_pending_task_resumes_when_a_later_execution_awaits() {
    let mut session = sandbox(None).session().await.expect("started");
    let begin = "
import asyncio, time
async def count():
    while True:
        print('tick')
        await asyncio.sleep(0.01)
task = asyncio.create_task(count())
await asyncio.sleep(0)
";
    assert_eq!(expect_stdout(session.execute(begin).await), "tick\n");
    // It runs neither in a program that awaits nothing nor in an event loop of that program.
    let rest = "
time.sleep(0.05)
asyncio.run(asyncio.sleep(0.05))
print(task.done())
";
    assert_eq!(expect_stdout(session.execute(rest).await), "False\n");
    let go_on = "await asyncio.sleep(0.05)\ntask.cancel()";
    assert!(expect_stdout(session.execute(go_on).await).starts_with("tick\n"));
    let end = "
try:
    await task
except asyncio.CancelledError:
    print('over')
";
    assert_eq!(expect_stdout(session.execute(end).await), "over\n");
}

/// A program whose main task was stopped by the program itself does not resume in the next
/// execution.
#[tokio::test]
async fn context_variables_stay_also_after_a_program_that_awaits() {
    let mut session = sandbox(None).session().await.expect("started");
    let program = "
import asyncio, contextvars, decimal
number = contextvars.ContextVar('number', default=0)
decimal.getcontext().prec = 5
await asyncio.sleep(0)
number.set(1)
";
    expect_stdout(session.execute(program).await);
    let program = "print(decimal.Decimal(1) / 3, number.get()); number.set(2)";
    assert_eq!(expect_stdout(session.execute(program).await), "0.33333 1\n");
    let program = "await asyncio.sleep(0); print(number.get()); number.set(3); 1 / 0";
    let exception = expect_exception(session.execute(program).await);
    assert_eq!(exception.output.stdout_text(), "2\n");
    // A task has a copy of its own.
    let program = "
async def other(): number.set(4)
await asyncio.create_task(other())
print(number.get())
";
    assert_eq!(expect_stdout(session.execute(program).await), "3\n");
}

#[tokio::test]
async fn a_program_stopped_by_its_own_loop_does_not_resume_in_the_next() {
    let mut session = sandbox(None).session().await.expect("started");
    let stopped = "
import asyncio
asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)
await asyncio.sleep(0.01)
print('went on')
";
    assert_eq!(
        expect_exception(session.execute(stopped).await).exception_type,
        "RuntimeError"
    );
    let next = "await asyncio.sleep(0.1)\nprint('next')";
    assert_eq!(expect_stdout(session.execute(next).await), "next\n");
}

#[tokio::test]
async fn a_connection_of_one_execution_works_in_the_next() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("started");
    let mut session = sandbox(Some(loopback())).session().await.expect("started");
    let connect = format!(
        "import socket\ns = socket.create_connection(('127.0.0.1', {}), timeout=5)",
        peer.port()
    );
    expect_stdout(session.execute(connect).await);
    expect_stdout(session.execute("s.sendall(b'hello')").await);
    let result = session
        .execute("print(s.recv(5))")
        .await
        .expect("it answers");
    assert_eq!(result.stdout, "b'hello'\n");
    assert_eq!(
        result.network.connections.len(),
        1,
        "open connections are reported again"
    );
    expect_stdout(session.execute("s.close()").await);
    assert_eq!(peer.ended(1).await[0].received, 5);
}

#[tokio::test]
async fn an_asyncio_stream_of_one_execution_works_in_the_next() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("started");
    let mut session = sandbox(Some(loopback())).session().await.expect("started");
    let connect = format!(
        "import asyncio\nr, w = await asyncio.open_connection('127.0.0.1', {})",
        peer.port()
    );
    expect_stdout(session.execute(connect).await);
    expect_stdout(session.execute("w.write(b'hello')\nawait w.drain()").await);
    assert_eq!(
        expect_stdout(session.execute("print(await r.readexactly(5))").await),
        "b'hello'\n"
    );
}

#[tokio::test]
async fn output_and_reports_belong_to_one_execution() {
    let mut session = sandbox(None).session().await.expect("started");
    assert_eq!(expect_stdout(session.execute("print(1)").await), "1\n");
    assert_eq!(expect_stdout(session.execute("print(2)").await), "2\n");
}

#[tokio::test]
async fn await_is_allowed_at_the_top_level() {
    let program = "
import asyncio
async def answer():
    await asyncio.sleep(0.01)
    return 42
print(await answer())
async with asyncio.timeout(5):
    print([await answer() for _ in range(2)])
";
    assert_eq!(
        expect_stdout(sandbox(None).execute(program).await),
        "42\n[42, 42]\n"
    );
    let program = "import asyncio\nasync def main(): print('run')\nasyncio.run(main())";
    assert_eq!(expect_stdout(sandbox(None).execute(program).await), "run\n");
}

#[tokio::test]
async fn a_session_drops_the_source_of_old_programs() {
    let mut session = sandbox(None).session().await.expect("started");
    for number in 0..1500 {
        expect_stdout(session.execute(format!("x = {number}")).await);
    }
    let program =
        "import linecache\nprint(sum(name.startswith('<script') for name in linecache.cache))";
    assert_eq!(expect_stdout(session.execute(program).await), "1024\n");
}

#[tokio::test]
async fn a_repeated_program_behaves_the_same_and_keeps_its_file_name() {
    let mut session = sandbox(None).session().await.expect("started");
    expect_stdout(session.execute("n = 0").await);
    let program = "n += 1\ndef f():\n    assert n < 3, n\nf()\nprint(n)";
    assert_eq!(expect_stdout(session.execute(program).await), "1\n");
    assert_eq!(expect_stdout(session.execute(program).await), "2\n");
    let error = expect_exception(session.execute(program).await);
    assert_eq!(error.message, "3");
    assert!(
        error.traceback.contains("\"<script 2>\", line 3")
            && error.traceback.contains("assert n < 3, n"),
        "{}",
        error.traceback
    );
}

/// Each page that a program writes to is copied. Objects that it only reads are immortal, so they
/// are not written to, and its allocations are contiguous.
#[tokio::test]
async fn a_program_starts_with_a_compacted_heap_of_immortal_objects() {
    let program = "
import asyncio, os, sys
print(all(sys.getrefcount(item) > 1 << 28 for item in (os, os.path.join, os.path.join.__code__, asyncio)))
places = sorted(id(block) for block in [bytes(100) for _ in range(200)])
# A few blocks fill holes that exist when the program starts.
print(places[-1] - places[20] < 200 * 256)
";
    let printed = expect_stdout(sandbox(None).execute(program).await);
    assert_eq!(printed, "True\nTrue\n");
}

/// The image runs warm-up programs before its snapshot is taken.
#[tokio::test]
async fn a_program_sees_no_trace_of_the_warm_up() {
    let program = "
import asyncio, linecache, re, socket, sys

def below(kind):
    for subclass in type.__subclasses__(kind):
        yield subclass
        yield from below(subclass)

print([name for name in globals() if name[:2] != '__'], list(linecache.cache), sys.argv)
print([subclass for subclass in below(object) if '<locals>' in subclass.__qualname__ and subclass.__module__.startswith('eryx_guest')])
caches = [cache for module in sys.modules.values() for cache in vars(module).values() if type(cache).__name__ == '_lru_cache_wrapper']
print([cache.__qualname__ for cache in caches if cache.cache_info().currsize], len(caches) > 5, len(re._cache), sys.exception())
with socket.socket() as first:
    print(first.fileno())
async def task():
    return asyncio.current_task()
task_in_loop = asyncio.create_task(task())
print(len(asyncio.all_tasks() - {asyncio.current_task(), task_in_loop}), (await task_in_loop).get_name())
";
    let printed = expect_stdout(sandbox(None).execute(program).await);
    assert_eq!(
        printed,
        "['asyncio', 'linecache', 're', 'socket', 'sys', 'below'] ['<script>'] ['']\n\
         []\n\
         [] True 0 None\n\
         65538\n\
         0 Task-1\n"
    );
}

/// Each session has the slot of an ended one, or none of the pool.
#[tokio::test]
async fn hundreds_of_concurrent_sessions_are_isolated() {
    const SESSIONS: usize = 300;
    let sandbox = sandbox(None);
    // Leave traces in many slots, in more memory than a slot keeps resident.
    let mut ended = Vec::new();
    for _ in 0..20 {
        let mut session = sandbox.session().await.expect("started");
        expect_stdout(
            session
                .execute("import builtins\nbuiltins.mine = [bytearray(b'x' * 100_000) for _ in range(80)]")
                .await,
        );
        ended.push(session);
    }
    drop(ended);
    let mut sessions = Vec::new();
    for number in 0..SESSIONS {
        let mut session = sandbox.session().await.expect("started");
        let program =
            format!("import builtins\nprint(hasattr(builtins, 'mine'))\nbuiltins.mine = {number}");
        assert_eq!(expect_stdout(session.execute(&program).await), "False\n");
        sessions.push(session);
    }
    for (number, session) in sessions.iter_mut().enumerate() {
        let printed = expect_stdout(session.execute("print(mine)").await);
        assert_eq!(printed, format!("{number}\n"));
    }
}
