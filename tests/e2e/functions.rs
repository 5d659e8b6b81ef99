//! The embedder's functions: values, signatures, exceptions, panics, and nested sandboxes.

use std::sync::Arc;

use eryx::{Arguments, Function, FunctionError, FunctionReport, Sandbox, SandboxBuilder, Session};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::support::{expect_exception, expect_stdout};

/// Returns its positional arguments.
fn echo(arguments: Arguments) -> Result<Value, FunctionError> {
    let (positional, _): (Value, Value) =
        serde_json::from_str(arguments.as_str()).expect("the form of arguments");
    Ok(positional)
}

/// Returns a sandbox with `echo` in every kind of function.
pub(crate) fn with_echo() -> SandboxBuilder {
    let later = Function::asynchronous(|arguments| async {
        tokio::task::yield_now().await;
        echo(arguments)
    });
    Sandbox::embedded()
        .with_function("echo", Function::immediate(echo))
        .with_function("block", Function::blocking(echo))
        .with_function("later", later)
        .with_function(
            "soon",
            Function::asynchronous(|arguments| async { echo(arguments) }),
        )
}

pub(crate) async fn run(builder: SandboxBuilder, program: &str) -> String {
    let sandbox = builder.build().expect("valid settings");
    expect_stdout(sandbox.execute(program).await)
}

/// Returns the names and outcomes of the calls of a report.
pub(crate) fn outcomes(report: &FunctionReport) -> Vec<(&str, &str)> {
    let calls = report.calls.iter();
    calls
        .map(|call| (&*call.name, call.outcome.as_str()))
        .collect()
}

#[tokio::test]
async fn values_cross_in_both_directions_in_every_kind_of_function() {
    let printed = run(
        with_echo(),
        r#"
import tools
value = [None, True, 1, 2.5, "é\n", [], {}, {"a": [b"\x00\xff", 2**63]}]
print(tools.echo(*value) == value, tools.block(*value) == value)
print(await tools.later(*value) == value, await tools.soon(*value) == value)
print(tools.later.wait(*value) == value, tools.soon.wait(1), tools.block.wait(2))
print(await tools.echo.start(*value) == value, await tools.block.start(1), await tools.later.start(2))
"#,
    )
    .await;
    assert_eq!(
        printed,
        "True True\nTrue True\nTrue [1] [2]\nTrue [1] [2]\n"
    );
}

#[tokio::test]
async fn arguments_bind_to_the_fields_of_a_struct() {
    #[derive(serde::Deserialize)]
    struct Search {
        q: String,
        #[serde(default)]
        limit: usize,
    }
    let search = Function::blocking(|arguments| {
        let Search { q, limit } = arguments.to()?;
        Ok::<_, FunctionError>(vec![q; limit])
    });
    let printed = run(
        Sandbox::embedded().with_function("search", search),
        r#"
import tools
print(tools.search("a", 2), tools.search("a", limit=1), tools.search(q="a"))
try:
    tools.search(limit=1)
except TypeError as error:
    print(error)
"#,
    )
    .await;
    assert_eq!(printed, "['a', 'a'] ['a'] []\nmissing field `q`\n");
}

#[tokio::test]
async fn a_program_sees_signatures_and_docstrings() {
    let search = Function::asynchronous(|_| async { Ok::<_, FunctionError>(()) })
        .with_signature("(q: str, *, limit: int = 10, **more) -> list[str]")
        .with_documentation("Search the archive.");
    let odd = Function::immediate(|_| Ok::<_, FunctionError>(())).with_signature("(odd one");
    let builder = Sandbox::embedded()
        .with_function("search", search)
        .with_function("odd", odd);
    let described = builder.clone().build().expect("valid").describe_functions();
    assert!(
        described.contains(
            "async def search(q: str, *, limit: int = 10, **more) -> list[str]:\n    \"\"\"Search"
        ),
        "{described}"
    );
    let printed = run(
        builder,
        r#"
import inspect, pydoc, tools
print(inspect.signature(tools.search), inspect.signature(tools.odd))
print(inspect.iscoroutinefunction(tools.search), inspect.iscoroutinefunction(tools.odd))
text = pydoc.plain(pydoc.render_doc(tools.search))
print("search(q: str, *, limit: int = 10, **more) -> list[str]" in text, "Search the archive." in text)
print("search" in pydoc.plain(pydoc.render_doc(tools)), tools.__all__)
"#,
    )
    .await;
    assert_eq!(
        printed,
        "(q: str, *, limit: int = 10, **more) -> list[str] (*args, **kwargs)\nTrue False\n\
         True True\nTrue ['odd', 'search']\n"
    );
}

#[tokio::test]
async fn without_functions_there_is_no_module_and_a_name_for_one_of_the_program() {
    let printed = run(
        Sandbox::embedded(),
        r#"
import sys
try:
    import tools
except ModuleNotFoundError as error:
    print(error)
with open("/tmp/tools.py", "w") as file:
    file.write("mine = 42")
sys.path.append("/tmp")
import importlib; importlib.invalidate_caches()
import tools
print(tools.mine)
"#,
    )
    .await;
    assert_eq!(printed, "No module named 'tools'\n42\n");
}

#[tokio::test]
async fn no_module_of_the_standard_library_is_the_module_of_functions() {
    let listed = Sandbox::embedded().build().expect("valid");
    let program = "import sys; print(*(n for n in sys.stdlib_module_names if n[0] != '_'))";
    let names = expect_stdout(listed.execute(program).await);
    assert!(names.split_whitespace().count() > 150, "{names}");
    for name in names.split_whitespace() {
        let functions = with_echo().with_functions_module(name).build();
        let error = functions.err().map(|error| error.to_string());
        let wanted = format!("functions_module={name:?}: the standard library");
        assert!(error.is_some_and(|error| error.contains(&wanted)), "{name}");
    }
    for name in ["api", "app"] {
        let program = format!("import {name}; print({name}.echo(1))");
        let builder = with_echo().with_functions_module(name);
        assert_eq!(run(builder, &program).await, "[1]\n");
    }
}

/// Regression: the functions could not be reached, as `import` found the module of the image.
#[tokio::test]
async fn no_imported_module_of_the_image_is_the_module_of_functions() {
    let listed = Sandbox::embedded().build().expect("valid");
    let program = "import sys; print(*{n.partition('.')[0] for n in sys.modules})";
    let names = expect_stdout(listed.execute(program).await);
    assert!(names.contains("eryx_guest"), "{names}");
    for name in names.split_whitespace() {
        let functions = with_echo().with_functions_module(name).build();
        let error = functions.err().map(|error| error.to_string());
        assert!(
            error.is_some_and(|error| error.starts_with("functions_module=")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn exceptions_arrive_with_their_type_and_message_and_without_a_traceback_of_the_host() {
    let fail = Function::blocking(|arguments| {
        let (kind, message): (String, String) = arguments.to()?;
        Err::<(), _>(FunctionError::new(kind, message))
    });
    let printed = run(
        Sandbox::embedded().with_function("fail", fail),
        r#"
import tools, traceback
for kind in ("ValueError", "KeyError", "TimeoutError", "PermissionError", "BlockingIOError"):
    try:
        tools.fail(kind, "the message")
    except Exception as error:
        print(type(error).__name__, error.args)
for kind in ("sqlite.OperationalError", "SystemExit", "_Pending", "tools.LimitError", ""):
    try:
        tools.fail(kind, "the message")
    except tools.Error as error:
        print(type(error), error.type, error.message)
        text = traceback.format_exc()
    except tools.LimitError as error:
        print(error)
print(".rs" in text, "/work" in text, "/home" in text)
try:
    await tools.fail.start("LookupError", "later")
except LookupError as error:
    print(error)
"#,
    )
    .await;
    assert_eq!(
        printed,
        "ValueError ('the message',)\nKeyError ('the message',)\nTimeoutError ('the message',)\n\
         PermissionError ('the message',)\nBlockingIOError ('the message',)\n\
         <class 'tools.Error'> sqlite.OperationalError the message\n\
         <class 'tools.Error'> SystemExit the message\n\
         <class 'tools.Error'> _Pending the message\nthe message\n\
         <class 'tools.Error'>  the message\nFalse False False\nlater\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_a_function_becomes_a_panic_of_execute_that_the_program_does_not_see() {
    let programs = [
        "import tools\ntry:\n    tools.plain()\nexcept BaseException as error:\n    print(error)",
        "import tools\ntry:\n    await tools.later()\nexcept BaseException as error:\n    print(error)",
        "import tools\ntools.now()",
        // It is never awaited.
        "import time, tools\ncall = tools.later.start()\ntime.sleep(0.2)",
    ];
    for program in programs {
        let sandbox = Sandbox::embedded()
            .with_function(
                "plain",
                Function::blocking::<()>(|_| panic!("expected here")),
            )
            .with_function(
                "now",
                Function::immediate::<()>(|_| panic!("expected here")),
            )
            .with_function(
                "later",
                Function::asynchronous::<(), _>(|_| async {
                    tokio::task::yield_now().await;
                    panic!("expected here")
                }),
            )
            .build()
            .expect("valid");
        let executed = tokio::spawn(async move { sandbox.execute(program).await });
        let joined = executed.await;
        let panic = joined.expect_err("it panics").into_panic();
        let message = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        let message = message.expect("a text");
        assert!(
            message == "expected here" || message.contains("the function `later`"),
            "{message}"
        );
    }
}

/// Returns a sandbox with a function that runs its argument in a sandbox like this one.
fn nested(levels: usize, is_blocking: bool) -> Sandbox {
    let run = move |arguments: Arguments| async move {
        let [program]: [String; 1] = arguments.to()?;
        let inner = nested(levels - 1, is_blocking);
        match inner.execute(program).await {
            Ok(result) => Ok(result.stdout),
            Err(error) => Err(FunctionError::new("RuntimeError", error.to_string())),
        }
    };
    let mut builder = Sandbox::embedded();
    if levels > 0 {
        let function = match is_blocking {
            false => Function::asynchronous(run),
            true => Function::blocking(move |arguments| {
                tokio::runtime::Handle::current().block_on(run(arguments))
            }),
        };
        builder = builder.with_function("run", function);
    }
    builder.build().expect("valid")
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_can_run_sandboxes_to_a_bounded_depth() {
    let wrap = |program: &str| format!("import tools\nprint(tools.run.wait({program:?}), end='')");
    for is_blocking in [false, true] {
        let mut program = "print('inner')".to_owned();
        for _ in 0..7 {
            program = wrap(&program);
        }
        let result = nested(20, is_blocking).execute(&program).await;
        assert_eq!(expect_stdout(result), "inner\n");
        let error = expect_exception(nested(20, is_blocking).execute(wrap(&program)).await);
        assert!(
            error.message.contains("nested 8 levels deep"),
            "{}",
            error.message
        );
    }
}

/// Returns a sandbox with a function that runs a program in `session`, in so many nested functions.
fn around(session: &Arc<Mutex<Session>>, levels: usize) -> Sandbox {
    let session = Arc::clone(session);
    let run = move |_: Arguments| {
        let session = Arc::clone(&session);
        async move {
            if levels > 1 {
                let inner = around(&session, levels - 1);
                let result = inner.execute(RUN).await;
                return Ok::<_, FunctionError>(expect_stdout(result));
            }
            let refused = session.lock().await.execute("pass").await;
            Ok(refused.expect_err("too deep").to_string())
        }
    };
    let builder = Sandbox::embedded().with_function("run", Function::asynchronous(run));
    builder.build().expect("valid")
}

const RUN: &str = "import tools\nprint(tools.run.wait(), end='')";

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_nested_too_deep_leaves_the_variables_to_the_next_one_of_its_session() {
    let sandbox = Sandbox::embedded().with_env([("GREETING", "hello")]);
    let session = sandbox.build().expect("valid").session().await;
    let session = Arc::new(Mutex::new(session.expect("started")));
    let printed = expect_stdout(around(&session, 8).execute(RUN).await);
    assert!(printed.contains("nested 8 levels deep"), "{printed}");
    let program = "import os; print(os.environ['GREETING'])";
    let result = session.lock().await.execute(program).await;
    assert_eq!(expect_stdout(result), "hello\n");
}
