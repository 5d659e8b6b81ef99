//! The limits on calls of the embedder's functions, their report and their events.

use std::sync::Arc;
use std::time::Duration;

use eryx::{Function, FunctionError, ResourceLimits, Sandbox};
use eryx_sync::Mutex;

use crate::functions::{outcomes, with_echo};
use crate::support::expect_stdout;

async fn run(limits: ResourceLimits, program: &str) -> eryx::ExecuteResult {
    let sandbox = with_echo()
        .with_resource_limits(limits)
        .build()
        .expect("valid settings");
    match sandbox.execute(program).await {
        Ok(result) => result,
        other => panic!("{}", expect_stdout(other)),
    }
}

#[tokio::test]
async fn an_execution_makes_no_more_calls_than_its_limit() {
    let limits = ResourceLimits::default().with_max_function_calls(3);
    let result = run(
        limits,
        r#"
import tools
made = 0
for _ in range(1000):
    try:
        tools.echo(1)
        made += 1
    except tools.LimitError as error:
        text = str(error)
print(made, "max_function_calls" in text)
"#,
    )
    .await;
    assert_eq!(result.stdout, "3 True\n");
    assert_eq!(outcomes(&result.function_calls), [("echo", "returned"); 3]);
    let [refusals] = &result.function_calls.refusals[..] else {
        panic!("{:?}", result.function_calls)
    };
    assert_eq!(
        (refusals.reason, refusals.count),
        ("max_function_calls", 997)
    );
}

#[tokio::test]
async fn arguments_and_results_are_no_larger_than_the_limit() {
    let limits = ResourceLimits::default().with_max_function_value(1000);
    let sandbox = with_echo()
        .with_function(
            "long",
            Function::immediate(|arguments| {
                let [bytes]: [usize; 1] = arguments.to()?;
                Ok::<_, FunctionError>("x".repeat(bytes))
            }),
        )
        .with_resource_limits(limits)
        .build()
        .expect("valid");
    let result = sandbox
        .execute(
            r#"
import tools
# As JSON: [["..."],{}]
print(len(tools.echo("x" * 991)[0]), len(tools.long(998)))
for call in (lambda: tools.echo("x" * 992), lambda: tools.long(999)):
    try:
        call()
    except tools.LimitError as error:
        print("max_function_value" in str(error), "1001 bytes" in str(error))
# More than passes between a program and the host.
for argument in ("x" * (4 << 20), [0] * (4 << 20)):
    try:
        tools.echo(argument)
    except tools.LimitError as error:
        print("the limit is 1000" in str(error), "more than 3145728 bytes" in str(error))
"#,
        )
        .await
        .expect("succeeds");
    assert_eq!(
        result.stdout,
        format!("991 998\n{}", "True True\n".repeat(4))
    );
    let calls = &result.function_calls.calls;
    assert_eq!(
        (calls[0].argument_bytes, calls[0].result_bytes),
        (1000, 995)
    );
    let last = calls.last().expect("listed");
    assert_eq!(
        last.outcome,
        eryx::FunctionOutcome::Raised("tools.LimitError".into())
    );
    let refusals = &result.function_calls.refusals[0];
    assert_eq!((refusals.reason, refusals.count), ("max_function_value", 3));
}

#[tokio::test]
async fn the_host_memory_of_calls_is_bounded() {
    let result = run(
        ResourceLimits::default()
            .with_max_function_calls(10_000)
            .with_max_function_value(3 << 20),
        r#"
import tools
# Results that the program does not take.
calls, text = [], "x" * 2**20
text = text[:-20]
try:
    while True:
        calls.append(tools.echo.start(text))
except tools.LimitError as error:
    print("max_host_memory" in str(error), 20 < len(calls) < 64)
for call in calls: call.cancel()
print(len(tools.echo(text)[0]) == len(text))
# Many small values take more memory than their text.
try:
    tools.later.start([[]] * 900_000)
except tools.LimitError as error:
    print("max_host_memory" in str(error))
"#,
    )
    .await;
    assert_eq!(result.stdout, "True True\nTrue\nTrue\n");
    assert!(result.peak_host_memory <= ResourceLimits::default().max_host_memory());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_takes_no_longer_than_the_time_limit_of_functions() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = Mutex::new(released);
    let hang = Function::blocking(move |_| {
        let _ = released.lock().recv();
        Ok::<_, FunctionError>(())
    });
    let never = Function::asynchronous(|_| async {
        std::future::pending::<()>().await;
        Ok::<_, FunctionError>(())
    });
    let sandbox = Sandbox::embedded()
        .with_function("hang", hang)
        .with_function("never", never)
        .with_function("quick", Function::blocking(|_| Ok::<_, FunctionError>(1)))
        .with_resource_limits(
            ResourceLimits::default().with_function_timeout(Some(Duration::from_millis(50))),
        )
        .build()
        .expect("valid");
    let result = sandbox
        .execute(
            r#"
import tools
print(tools.quick())
for call in (tools.hang, tools.never.wait):
    try:
        call()
    except TimeoutError as error:
        print("function_timeout" in str(error))
"#,
        )
        .await
        .expect("succeeds");
    drop(release);
    assert_eq!(result.stdout, "1\nTrue\nTrue\n");
    assert_eq!(
        outcomes(&result.function_calls),
        [
            ("quick", "returned"),
            ("hang", "timed-out"),
            ("never", "timed-out")
        ]
    );
}

#[tokio::test]
async fn the_report_is_bounded_and_events_have_every_call() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let sandbox = with_echo()
        .on_function_call(move |call| seen.lock().push(call.clone()))
        .build()
        .expect("valid");
    let result = sandbox
        .execute(
            r#"
import tools
for n in range(600):
    tools.echo(n)
from wit_world.imports import functions
for name, arguments in (("none", b"[[],{}]"), ("", b""), ("echo", b"[]"), ("echo", b"\xff"), ("e" * 99999, b"")):
    try:
        functions.Call.start(name, arguments)
        print("ACCEPTED")
    except BaseException:
        pass
"#,
        )
        .await
        .expect("succeeds");
    assert_eq!(result.stdout, "");
    let report = &result.function_calls;
    assert_eq!((report.calls.len(), report.dropped), (512, 88));
    let mut refusals: Vec<_> = report
        .refusals
        .iter()
        .map(|each| (each.reason, each.count))
        .collect();
    refusals.sort_unstable();
    assert_eq!(
        refusals,
        [("invalid-arguments", 2), ("unknown-function", 3)]
    );
    let events = events.lock();
    assert_eq!(events.len(), 600);
    assert!(events.iter().all(|call| call.execution == result.execution));
    assert_eq!(report.calls[..], events[..512]);
}
