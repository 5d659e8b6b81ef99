//! Set-up code of a factory with objects that run code when they are looked at.

use eryx::SandboxFactory;

use crate::support::expect_stdout;

/// A snapshot reads every object of the interpreter.
#[tokio::test(flavor = "multi_thread")]
async fn no_code_of_the_program_runs_while_the_snapshot_is_taken() {
    let factory = SandboxFactory::builder()
        .with_setup_code(include_str!("programs/stdlib/set_up.py"))
        .without_cache()
        .build()
        .await
        .expect("built");
    // The audit hook and the profiler stay active: what follows belongs to this program.
    let program = "
import sys
events = list(audited)
sys.settrace(None)
sys.monitoring.set_events(sys.monitoring.PROFILER_ID, 0)
print(calls)
print([event for event in events if event.startswith('gc.') or event == 'all_objects'])
print([name for name in traced if 'immortal' in name or 'all_objects' in name])
print(sorted(map(str, finalised)), next(suspended, 'ended') if not calls else '')
";
    let sandbox = factory.sandbox().build().expect("valid settings");
    let printed = match sandbox.execute(program).await {
        Err(eryx::Error::Exception(raised)) => raised.output.stdout_text(),
        result => expect_stdout(result),
    };
    let lines: Vec<_> = printed.lines().collect();
    assert_eq!(lines[0], "[]", "{printed}");
    assert_eq!(lines[1], "[]", "{printed}");
    assert_eq!(lines[2], "[]", "{printed}");
}

/// Finalizers of garbage run once, as a part of the set-up.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_of_set_up_code_is_finalised_before_the_snapshot() {
    let factory = SandboxFactory::builder()
        .with_setup_code(
            "
finalised = []
class Node:
    def __init__(self): self.me = self
    def __del__(self): finalised.append(1)
for _ in range(3): Node()
del _
",
        )
        .without_cache()
        .build()
        .await
        .expect("built");
    let sandbox = factory.sandbox().build().expect("valid settings");
    let program = "import gc; gc.collect(); print(len(finalised))";
    assert_eq!(expect_stdout(sandbox.execute(program).await), "3\n");
}

/// `atexit` handlers of set-up code run at the end of every execution.
#[tokio::test(flavor = "multi_thread")]
async fn handlers_of_set_up_code_run_in_every_sandbox_and_not_in_the_factory() {
    let factory = SandboxFactory::builder()
        .with_setup_code("import atexit\natexit.register(print, 'handler')")
        .without_cache()
        .build()
        .await
        .expect("built");
    let sandbox = factory.sandbox().build().expect("valid settings");
    for _ in 0..2 {
        let printed = expect_stdout(sandbox.execute("print('program')").await);
        assert_eq!(printed, "program\nhandler\n");
    }
}

/// Directory handles and open files of set-up code mean nothing in the instance of a sandbox.
#[tokio::test(flavor = "multi_thread")]
async fn what_set_up_code_leaves_open_is_closed_in_sandboxes() {
    let factory = SandboxFactory::builder()
        .with_setup_code(
            "
import os, tempfile
text = open('/tmp/text', 'w')
text.write('left')
binary = open('/tmp/binary', 'w+b')
null = open(os.devnull, 'w')
temporary = tempfile.NamedTemporaryFile()
folder = tempfile.TemporaryDirectory()
raw = open('/tmp/text', 'rb', buffering=0)
entries = os.scandir('/tmp')
next(entries)
read_end, write_end = map(os.fdopen, os.pipe(), 'rw')
",
        )
        .without_cache()
        .build()
        .await
        .expect("built");
    let sandbox = factory.sandbox().build().expect("valid settings");
    let program = "
import os
print([each.closed for each in (text, binary, null, temporary.file, raw)], list(entries))
print([os.path.exists(name) for name in ('/tmp/text', temporary.name, folder.name)])
write_end.write('pipe'); write_end.close(); print(read_end.read())
with open('/tmp/new', 'w+') as new:
    new.write('new')
for each in (text, binary, null, raw, temporary):
    try: each.flush(); print('open', each)
    except ValueError: pass
print(open('/tmp/new').read())
";
    assert_eq!(
        expect_stdout(sandbox.execute(program).await),
        "[True, True, True, True, True] []\n[False, False, False]\npipe\nnew\n"
    );
}

/// A descriptor has no object that would know that it is closed.
#[tokio::test(flavor = "multi_thread")]
async fn set_up_code_that_leaves_a_descriptor_open_is_refused() {
    for (setup, text) in [
        (
            "import os; os.open('/tmp', os.O_RDONLY)",
            "the descriptor 4 is open",
        ),
        (
            "import sqlite3; database = sqlite3.connect('/tmp/a.db'); \
             database.execute('create table a (b)')",
            "sqlite3.connect",
        ),
    ] {
        let built = SandboxFactory::builder()
            .with_setup_code(setup)
            .without_cache()
            .build()
            .await;
        let error = built.expect_err("refused").to_string();
        assert!(error.contains(text), "{error}");
    }
    for setup in [
        "import sqlite3; database = sqlite3.connect(':memory:')",
        "import os; os.close(os.open('/tmp', os.O_RDONLY))",
    ] {
        let built = SandboxFactory::builder()
            .with_setup_code(setup)
            .without_cache()
            .build()
            .await;
        assert!(built.is_ok(), "{built:?}");
    }
}
