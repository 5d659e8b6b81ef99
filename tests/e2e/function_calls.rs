//! Calls of the embedder's functions: how they overlap, how they are cancelled, and when they end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use eryx::{CancelHandle, Error, Function, FunctionError, Limit, ResourceLimits, Sandbox};
use eryx_sync::Mutex;
use tokio::sync::Semaphore;

use crate::functions::{outcomes, run, with_echo};
use crate::support::{expect_exception, expect_stdout, timeout_of};

/// A function that waits until it may end, and counts.
#[derive(Clone)]
struct Gate {
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    open: Arc<Semaphore>,
    opens_at: usize,
}

/// Counts a running call.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Gate {
    /// Returns a gate that opens once this many calls run at the same time.
    fn opening_at(opens_at: usize) -> Self {
        Self {
            running: Arc::default(),
            most: Arc::default(),
            open: Arc::new(Semaphore::new(0)),
            opens_at,
        }
    }

    fn function(&self) -> Function {
        let gate = self.clone();
        Function::asynchronous(move |arguments| {
            let gate = gate.clone();
            async move {
                let running = gate.running.fetch_add(1, Ordering::SeqCst) + 1;
                let _running = Running(Arc::clone(&gate.running));
                gate.most.fetch_max(running, Ordering::SeqCst);
                if running == gate.opens_at {
                    gate.open.add_permits(10_000);
                }
                let _ = gate.open.acquire().await.expect("never closed");
                // A pass for the next ones too.
                let [number]: [u32; 1] = arguments.to()?;
                if number == 7 {
                    return Err(FunctionError::new("ValueError", "seven"));
                }
                Ok(number * 2)
            }
        })
    }

    fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// Waits until this many calls run.
    async fn wait_for(&self, running: usize) {
        while self.running() != running {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

const FETCH_200: &str = r#"
import asyncio, tools
results = await asyncio.gather(*(tools.fetch(n) for n in range(200)), return_exceptions=True)
failed = [n for n, result in enumerate(results) if isinstance(result, Exception)]
print(failed, results[7], all(results[n] == 2 * n for n in range(200) if n != 7))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn calls_overlap_up_to_the_limit_and_an_exception_of_one_does_not_disturb_others() {
    // The functions return only once all of these run at the same time.
    for in_flight in [32, 200] {
        let gate = Gate::opening_at(in_flight);
        let limits = ResourceLimits::default().with_max_function_calls_in_flight(in_flight);
        let printed = run(
            Sandbox::embedded()
                .with_resource_limits(limits)
                .with_function("fetch", gate.function()),
            FETCH_200,
        )
        .await;
        assert_eq!(printed, "[7] seven True\n");
        assert_eq!(gate.most.load(Ordering::SeqCst), in_flight);
        assert_eq!(gate.running(), 0);
    }
}

#[tokio::test]
async fn calls_make_progress_while_the_program_computes() {
    let ended = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ended);
    let work = Function::asynchronous(move |_| {
        let ended = Arc::clone(&ended);
        async move {
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            ended.store(true, Ordering::SeqCst);
            Ok::<_, FunctionError>(())
        }
    });
    let has_ended =
        Function::immediate(move |_| Ok::<_, FunctionError>(seen.load(Ordering::SeqCst)));
    let printed = run(
        Sandbox::embedded()
            .with_function("work", work)
            .with_function("has_ended", has_ended),
        "import tools\ncall = tools.work.start()\nwhile not tools.has_ended(): sum(range(100_000))\n\
         print(await call)",
    )
    .await;
    assert_eq!(printed, "None\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_an_execution_or_dropping_it_or_its_timeout_cancels_its_calls() {
    let program =
        "import asyncio, tools\nawait asyncio.gather(*(tools.fetch(n) for n in range(20)))";
    let gate = Gate::opening_at(usize::MAX);
    let builder = Sandbox::embedded().with_function("fetch", gate.function());
    let sandbox = builder.clone().build().expect("valid");

    let cancel = CancelHandle::new();
    let cancelled = sandbox.execute_cancellable(program, &cancel);
    let (result, ()) = tokio::join!(cancelled, async {
        gate.wait_for(20).await;
        cancel.cancel();
    });
    let error = result.expect_err("cancelled");
    assert!(matches!(error, Error::Cancelled { .. }), "{error}");
    let report = error.function_calls().expect("it had begun");
    assert_eq!(outcomes(report), [("fetch", "cancelled"); 20]);
    gate.wait_for(0).await;

    tokio::select! {
        _ = sandbox.execute(program) => unreachable!("the gate is closed"),
        () = gate.wait_for(20) => {}
    }
    gate.wait_for(0).await;

    let limited = builder.with_resource_limits(timeout_of(1));
    let result = limited.build().expect("valid").execute(program).await;
    let error = result.expect_err("timed out");
    assert!(
        matches!(
            error,
            Error::Limit {
                limit: Limit::ExecutionTime(_),
                ..
            }
        ),
        "{error}"
    );
    gate.wait_for(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_can_cancel_a_call() {
    let gate = Gate::opening_at(usize::MAX);
    let count = {
        let gate = gate.clone();
        Function::blocking(move |_| Ok::<_, FunctionError>(gate.running()))
    };
    let sandbox = Sandbox::embedded()
        .with_function("fetch", gate.function())
        .with_function("running", count)
        .build()
        .expect("valid");
    let result = sandbox
        .execute(
            r#"
import asyncio, tools
def wait_until(count):
    while tools.running() != count: pass
try:
    await asyncio.wait_for(tools.fetch(1), 0.05)
except TimeoutError:
    print("timed out")
wait_until(0)
task = asyncio.create_task(tools.fetch(2))
await asyncio.sleep(0.01)
wait_until(1)
task.cancel()
try:
    await task
except asyncio.CancelledError:
    print("cancelled")
wait_until(0)
call = tools.fetch.start(3)
wait_until(1)
print(call.cancel(), call.cancel())
wait_until(0)
"#,
        )
        .await
        .expect("succeeds");
    assert_eq!(result.stdout, "timed out\ncancelled\nTrue False\n");
    let fetches = result.function_calls.calls.iter();
    let fetches = fetches.filter(|call| call.name == "fetch");
    assert!(
        fetches
            .clone()
            .all(|call| call.outcome.as_str() == "cancelled")
    );
    assert_eq!(fetches.count(), 3);
}

#[tokio::test]
async fn a_call_that_is_never_awaited_warns() {
    let sandbox = with_echo().build().expect("valid");
    let result = sandbox
        .execute("import tools\ntools.later(1)\ntools.echo.start(1)\nprint('end')")
        .await
        .expect("succeeds");
    assert_eq!(result.stdout, "end\n");
    let stderr = result.stderr;
    assert!(
        stderr.contains("coroutine 'later' was never awaited"),
        "{stderr}"
    );
    assert!(
        stderr.contains("the call of tools.echo was never awaited"),
        "{stderr}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_never_returns_does_not_hold_the_time_limit() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Mutex::new(released);
    let hang = Function::blocking(move |_| {
        let _ = released.lock().recv();
        Ok::<_, FunctionError>("late")
    });
    let sandbox = Sandbox::embedded()
        .with_resource_limits(timeout_of(3))
        .with_function("hang", hang)
        .build()
        .expect("valid");
    let error = sandbox
        .execute("import tools; print('begun'); tools.hang()")
        .await
        .expect_err("timed out");
    assert!(
        matches!(
            error,
            Error::Limit {
                limit: Limit::ExecutionTime(_),
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(
        outcomes(error.function_calls().expect("it had begun")),
        [("hang", "cancelled")]
    );
    drop(release);
}

#[tokio::test]
async fn calls_belong_to_their_execution_also_in_a_session() {
    let gate = Gate::opening_at(usize::MAX);
    let sandbox = Sandbox::embedded()
        .with_function("fetch", gate.function())
        .build()
        .expect("valid");
    let mut session = sandbox.session().await.expect("started");
    let first = session
        .execute("import tools\ncall = tools.fetch.start(1)")
        .await
        .expect("succeeds");
    assert_eq!(outcomes(&first.function_calls), [("fetch", "cancelled")]);
    gate.wait_for(0).await;
    let exception = expect_exception(session.execute("await call").await);
    assert_eq!(exception.exception_type, "RuntimeError");
    assert!(
        exception
            .message
            .contains("the execution that made the call has ended")
    );
    // An exception does not end the session, and the functions still work.
    gate.open.add_permits(10);
    let last = session.execute("print(await tools.fetch(4))").await;
    let last = last.expect("succeeds");
    assert_eq!(last.stdout, "8\n");
    assert_eq!(outcomes(&last.function_calls), [("fetch", "returned")]);
    assert_eq!(last.function_calls.calls[0].execution, last.execution);
}

#[tokio::test]
async fn a_call_that_a_fork_inherits_is_reset_and_both_sessions_can_call() {
    let sandbox = with_echo().build().expect("valid settings");
    let mut session = sandbox.session().await.expect("started");
    let start = "import asyncio, tools\ncalls = [tools.later.start(n) for n in range(3)]";
    expect_stdout(session.execute(start).await);
    let mut fork = session.fork().await.expect("forked");
    let program = "
try:
    await calls[0]
except ConnectionResetError as error:
    print('reset')
results = await asyncio.gather(calls[1], tools.later(7), return_exceptions=True)
print(type(results[0]).__name__, results[1], tools.echo(8))
del calls
";
    assert_eq!(
        expect_stdout(fork.execute(program).await),
        "reset\nConnectionResetError [7] [8]\n"
    );
    assert_eq!(
        expect_stdout(
            session
                .execute("del calls\nprint(await tools.later(9))")
                .await
        ),
        "[9]\n"
    );
    let state = session.snapshot().await.expect("saved");
    let mut restored = sandbox.restore(&state).await.expect("restored");
    assert_eq!(
        expect_stdout(restored.execute("print(tools.echo(1))").await),
        "[1]\n"
    );
}

#[tokio::test]
async fn a_restored_session_has_the_functions_of_its_sandbox() {
    let plain = |text: &'static str| Function::immediate(move |_| Ok::<_, FunctionError>(text));
    let sandbox = Sandbox::embedded()
        .with_function("changed", plain("plain"))
        .with_function("old", plain("old"))
        .build()
        .expect("valid");
    let mut session = sandbox.session().await.expect("started");
    let program = "import tools; print(tools.changed(), tools.old())";
    assert_eq!(expect_stdout(session.execute(program).await), "plain old\n");
    let state = session.snapshot().await.expect("saved");
    let changed = Function::asynchronous(|_| async { Ok::<_, FunctionError>("asynchronous") });
    let other = Sandbox::embedded()
        .with_function("changed", changed)
        .with_function("new", plain("new"))
        .build()
        .expect("valid");
    let mut restored = other.restore(&state).await.expect("restored");
    let program = "
print(await tools.changed(), tools.new(), tools.__all__)
try:
    tools.old()
except AttributeError as error:
    print(error)
";
    assert_eq!(
        expect_stdout(restored.execute(program).await),
        "asynchronous new ['changed', 'new']\n\
         the embedder has given this sandbox no function \"old\"\n"
    );
}
