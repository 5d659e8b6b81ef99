//! What happens when a program ends: `atexit` handlers, open files, hooks of exceptions.

use eryx::{Error, Limit};

use crate::support::{expect_exception, expect_stdout, sandbox, sandbox_with_limits, timeout_of};

#[tokio::test]
async fn handlers_run_in_reverse_order_after_the_program_and_their_output_arrives() {
    let program = "
import atexit, logging, logging.handlers, sys, weakref
class Thing: ...
thing = Thing()
atexit.register(print, 'first registered')
weakref.finalize(thing, print, 'finalised')
handler = logging.handlers.MemoryHandler(100, target=logging.StreamHandler(sys.stdout))
logging.getLogger('t').addHandler(handler)
logging.getLogger('t').warning('logged')
@atexit.register
def last_registered():
    sys.stdout.write('last registered\\n')
print('program')
";
    let printed = expect_stdout(sandbox(None).execute(program).await);
    assert_eq!(
        printed,
        "program\nlast registered\nfinalised\nfirst registered\nlogged\n"
    );
}

/// Regression: the end of a program looked for files only if the host had one open.
#[tokio::test]
async fn the_buffer_of_a_file_object_of_standard_output_is_written_at_the_end() {
    let program = "file = open(1, 'w', closefd=False)\nfile.write('written')";
    assert_eq!(
        expect_stdout(sandbox(None).execute(program).await),
        "written"
    );
}

#[tokio::test]
async fn handlers_run_after_an_exception_and_after_sys_exit_and_not_after_os_exit() {
    for (end, printed) in [
        ("raise ValueError('wrong')", "handler\n"),
        ("import sys; sys.exit(3)", "handler\n"),
        ("import os; os._exit(1)", ""),
    ] {
        let program = format!("import atexit; atexit.register(print, 'handler')\n{end}");
        let raised = expect_exception(sandbox(None).execute(program).await);
        assert_eq!(raised.output.stdout_text(), printed, "{end}");
    }
}

#[tokio::test]
async fn any_argument_of_sys_exit_is_an_exit_status() {
    for (exit, status) in [
        ("sys.exit(Status(259))", 3),
        ("sys.exit(Status(-1))", 255),
        ("sys.exit(True)", 1),
        ("sys.exit(2**40)", 255),
        ("sys.exit(Broken())", 1),
        ("del sys.stderr; sys.exit('text')", 1),
    ] {
        let program = format!(
            "import sys
class Status(int):
    def __and__(self, other): return 'no number'
    __ge__ = __gt__ = __lt__ = __le__ = __rand__ = __int__ = __index__ = __and__
class Broken:
    def __str__(self): 1 / 0
{exit}"
        );
        let exited = expect_exception(sandbox(None).execute(program).await);
        assert_eq!(exited.exit_status, Some(status), "{exit}");
    }
}

#[tokio::test]
async fn exceptions_in_handlers_are_printed_and_change_nothing_else() {
    let program = "
import atexit, sys
def fails(): raise ValueError('wrong')
atexit.register(print, 'still runs')
atexit.register(fails)
atexit.register(sys.exit, 3)
";
    let result = sandbox(None).execute(program).await.expect("finished");
    assert_eq!(result.stdout, "still runs\n");
    let errors = &result.stderr;
    assert!(
        errors.contains("Exception ignored in atexit callback <function fails"),
        "{errors}"
    );
    assert!(
        errors.contains("ValueError: wrong") && errors.contains("SystemExit: 3"),
        "{errors}"
    );
    let program = "
import atexit, sys
sys.unraisablehook = lambda raised: print('hook', raised.exc_type.__name__)
atexit.register(lambda: 1 / 0)
";
    let printed = expect_stdout(sandbox(None).execute(program).await);
    assert_eq!(printed, "hook ZeroDivisionError\n");
}

#[tokio::test]
async fn an_endless_handler_ends_by_the_time_limit_of_its_execution() {
    let limits = timeout_of(3);
    let program = "
import atexit
def endless():
    print('begun')
    while True: pass
atexit.register(endless)
";
    match sandbox_with_limits(None, limits).execute(program).await {
        Err(Error::Limit { limit, output, .. }) => {
            assert!(matches!(limit, Limit::ExecutionTime(_)), "{limit}");
            assert_eq!(output.output.stdout_text(), "begun\n");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn files_that_are_open_at_the_end_are_written() {
    let program = "
import atexit, gzip, sys, types
text = open('text', 'w'); text.write('text')
def write():
    global inner
    inner = open('inner', 'wb'); inner.write(b'inner')
write()
held = types.ModuleType('held'); sys.modules['held'] = held
held.file = open('held.txt', 'w'); held.file.write('held')
zipped = gzip.open('zipped.gz', 'wt'); zipped.write('zipped')
late = open('late', 'w')
atexit.register(lambda: late.write('late'))
";
    let result = sandbox(None).execute(program).await.expect("finished");
    for (name, content) in [
        ("text", "text"),
        ("inner", "inner"),
        ("held.txt", "held"),
        ("late", "late"),
    ] {
        let path = format!("/home/user/{name}");
        let read = result.files.read(&path).expect("written");
        assert_eq!(read, content.as_bytes(), "{name}");
    }
    let zipped = result.files.read("/home/user/zipped.gz").expect("written");
    let program = "import gzip; print(gzip.open('/zipped.gz', 'rt').read())";
    let files = eryx::Files::new().with_file("/zipped.gz", zipped);
    let reader = eryx::Sandbox::embedded().with_files(files).build();
    let printed = reader.expect("valid files").execute(program).await;
    assert_eq!(expect_stdout(printed), "zipped\n");
}

/// Regression: the files were counted before the handlers ran.
#[tokio::test]
async fn a_file_that_a_handler_leaves_open_is_written() {
    let program = "
import atexit
@atexit.register
def at_end():
    global log
    log = open('log', 'w')
    log.write('kept')
";
    let result = sandbox(None).execute(program).await.expect("finished");
    let log = result.files.read("/home/user/log");
    assert_eq!(log.expect("written"), b"kept");
}

/// The next program of a session uses what the handlers would close.
#[tokio::test]
async fn a_session_keeps_its_handlers_and_open_files_from_one_program_to_the_next() {
    let mut session = sandbox(None).session().await.expect("started");
    let program = "
import atexit
atexit.register(print, 'handler')
file = open('file', 'w'); file.write('a')
";
    assert_eq!(expect_stdout(session.execute(program).await), "");
    let program = "print(file.write('b'), atexit._ncallbacks())";
    assert_eq!(expect_stdout(session.execute(program).await), "1 1\n");
}

#[tokio::test]
async fn the_excepthook_of_a_program_is_called_and_its_error_is_reported() {
    let program = "
import sys, traceback
def hook(kind, error, trace):
    print(kind.__name__, error, [frame.name for frame in traceback.extract_tb(trace)])
sys.excepthook = hook
def fails(): raise ValueError('wrong')
fails()
";
    let raised = expect_exception(sandbox(None).execute(program).await);
    assert_eq!(
        raised.output.stdout_text(),
        "ValueError wrong ['<module>', 'fails']\n"
    );
    assert_eq!(raised.exception_type, "ValueError");

    let program = "
import sys
def hook(*arguments): raise KeyError('hook')
sys.excepthook = hook
raise ValueError('wrong')
";
    let raised = expect_exception(sandbox(None).execute(program).await);
    let errors = raised.output.stderr_text();
    let (of_hook, original) = errors
        .split_once("Original exception was:")
        .unwrap_or_else(|| panic!("{errors}"));
    assert!(
        of_hook.starts_with("Error in sys.excepthook:") && of_hook.contains("KeyError: 'hook'"),
        "{errors}"
    );
    assert!(original.contains("ValueError: wrong"), "{errors}");
    assert_eq!(raised.exception_type, "ValueError");
}
