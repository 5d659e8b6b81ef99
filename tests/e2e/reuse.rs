//! Programs in instances that other programs used before: nothing of those is left, and nothing of
//! the settings of their sandboxes.

use eryx::{
    Error, ExecuteResult, Files, Function, FunctionError, Limit, Program, ResourceLimits, Sandbox,
};

use crate::support::{expect_stdout, sandbox, sandbox_with_limits};

/// Programs that leave something behind. Most use no handle but that of standard output, so that
/// their instances are reused.
const LEAVING: &[&str] = &[
    "pass",
    "import os; os.environ['LEFT'] = 'SECRET'; os.putenv('LEFT', 'SECRET')",
    "import os; os.chdir('/tmp')",
    "import builtins; builtins.left = 'SECRET'; builtins.print = None",
    "import sys; sys.setrecursionlimit(50); sys.path.insert(0, '/left'); sys.argv.append('left')",
    "import sys; sys.modules['json'] = None; sys.stdout = None",
    "import gc; gc.disable(); gc.set_threshold(1)",
    "import random; random.seed(1)",
    "import warnings; warnings.simplefilter('error')",
    "import atexit; atexit.register(print, 'SECRET')",
    "import sys; sys.settrace(lambda *_: None); sys.setprofile(lambda *_: None)",
    "import asyncio\nasyncio.get_running_loop().call_later(0, print, 'SECRET')",
    "import asyncio\nasyncio.create_task(asyncio.sleep(60))\nawait asyncio.sleep(0)",
    "def left():\n    try: yield\n    finally: print('SECRET')\nkept = left(); next(kept)",
    "class Left:\n    def __del__(self): print('SECRET')\nkept = Left()",
    "def deep(n): return deep(n + 1)\ndeep(0)",
    "print('SECRET', end='')\nraise SystemExit(3)",
    "raise ValueError('SECRET' * 1000)",
    "import sys; sys.stdin.read()",
    "kept = ['SECRET'] * 10_000; print(len(kept))",
    "open('/tmp/left', 'w').write('SECRET')",
    "import os; os._exit(0)",
    "not Python",
];

/// Prints what a program finds when it starts.
const PROBE: &str = "
import gc, json, os, sys, warnings
print(json.dumps([
    sorted(os.environ.items()), os.getcwd(), sys.path, sys.argv, sorted(sys.modules), dir(),
    dir(__builtins__), sys.getrecursionlimit(), gc.isenabled(), gc.get_threshold(),
    str(warnings.filters), str(sys.gettrace()), str(sys.getprofile()), sys.stdin.read(),
    os.listdir('/tmp'), os.listdir(), 'tools' in sys.modules,
]))
";

async fn probe(sandbox: &Sandbox) -> ExecuteResult {
    sandbox.execute(PROBE).await.expect("it ends normally")
}

#[tokio::test]
async fn what_a_program_leaves_is_not_there_for_the_next_one() {
    let default = sandbox(None);
    let offered = Function::immediate(|_| Ok::<_, FunctionError>("SECRET"));
    let other = Sandbox::embedded()
        .with_env([("LEFT", "SECRET")])
        .with_files(Files::new().with_file("/tmp/given", "SECRET"))
        .with_function("left", offered)
        .with_resource_limits(ResourceLimits::default().with_max_output(1 << 12))
        .build()
        .expect("valid settings");
    let first = probe(&default).await;
    let calling = "import tools; print(tools.left())";
    for source in LEAVING.iter().chain([&calling]) {
        for sandbox in [&default, &other] {
            for stdin in ["", "SECRET"] {
                let program = Program::from(*source).with_stdin(stdin);
                let _ = sandbox.execute(program).await;
                let next = probe(&default).await;
                assert_eq!(next.stdout, first.stdout, "{source}");
                assert_eq!(next.stderr, "", "{source}");
                assert_eq!(next.peak_memory, first.peak_memory);
                assert_eq!(next.peak_host_memory, first.peak_host_memory);
            }
        }
    }
}

#[tokio::test]
async fn generators_of_random_numbers_differ_between_programs_in_one_instance() {
    let sandbox = sandbox(None);
    let program = "
import os, random, uuid
print(random.random(), os.urandom(8).hex(), uuid.uuid4())
random.seed(1)
";
    let mut outputs = Vec::new();
    for _ in 0..8 {
        let output = expect_stdout(sandbox.execute(program).await);
        outputs.extend(output.split_whitespace().take(3).map(str::to_owned));
    }
    let count = outputs.len();
    outputs.sort();
    outputs.dedup();
    assert_eq!((count, outputs.len()), (24, 24), "{outputs:?}");
}

#[tokio::test]
async fn limits_apply_to_a_program_whatever_its_instance_was_used_for() {
    let free = sandbox(None);
    let size = free.execute("pass").await.expect("it ends").peak_memory;
    let limits = ResourceLimits::default();
    let tight = limits.clone().with_max_memory(ResourceLimits::MIN_MEMORY);
    let tight = sandbox_with_limits(None, tight);
    let quiet = sandbox_with_limits(None, limits.with_max_output(4));
    for _ in 0..4 {
        for source in ["pass", "print('more than four')"] {
            free.execute(source).await.expect("it ends");
            let ended = tight.execute("kept = bytearray(32 << 20)").await;
            assert!(
                matches!(
                    &ended,
                    Err(Error::Limit {
                        limit: Limit::Memory(_),
                        ..
                    })
                ),
                "{ended:?}"
            );
            let within = tight.execute("pass").await.expect("it ends");
            assert_eq!(within.peak_memory, size);
            let ended = quiet.execute("print('more than four')").await;
            assert!(
                matches!(
                    &ended,
                    Err(Error::Limit {
                        limit: Limit::Output(4),
                        ..
                    })
                ),
                "{ended:?}"
            );
            // What has no room in a smaller sandbox has it here, after a program of that sandbox.
            tight.execute("pass").await.expect("it ends");
            let grown = free.execute("kept = bytearray(32 << 20)").await;
            assert!(grown.expect("it ends").peak_memory > size);
        }
    }
}
