//! The bytecode of packages: compiled once, and used by the imports of programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use eryx::{Bytecode, Error, FactoryBuilder, SandboxFactory};

use crate::factory::{entries, wheel};
use crate::support::{expect_exception, expect_stdout};

/// A module that is large enough to be compiled.
const LATER: &str = "\"\"\"A module that no snapshot imports.\"\"\"\n\ndef fail():\n    raise ValueError('later')\n";

/// Imports a module, and prints whether its source was compiled for that.
const IMPORT: &str = "
import sys
compiled = []
sys.addaudithook(lambda event, args: compiled.append(args[1]) if event == 'compile' else None)
import greeting.later
print('/packages/greeting/later.py' in compiled)
";

fn greeting(dir: &Path) -> PathBuf {
    wheel(
        dir,
        "greeting",
        &[
            ("greeting/__init__.py", ""),
            ("greeting/later.py", LATER),
            ("greeting/broken.py", &format!("{LATER}\ndef broken(:\n")),
            ("greeting/data.txt", LATER),
        ],
    )
}

fn builder(dir: &Path) -> FactoryBuilder {
    SandboxFactory::builder()
        .with_package(greeting(dir))
        .with_cache_dir(dir.join("cache"))
}

async fn run(factory: &SandboxFactory, program: &str) -> String {
    let sandbox = factory.sandbox().build().expect("built");
    expect_stdout(sandbox.execute(program).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn modules_that_the_snapshot_lacks_are_imported_from_bytecode() {
    let dir = tempfile::tempdir().expect("created");
    let cache = dir.path().join("cache");
    let without = builder(dir.path()).with_bytecode(Bytecode::Never);
    let without = without.build().await.expect("built");
    assert_eq!(run(&without, IMPORT).await, "True\n");
    assert_eq!(entries(&cache, "pycs"), 0);
    drop(without);
    let factory = builder(dir.path()).build().await.expect("built");
    assert_eq!(run(&factory, IMPORT).await, "False\n");
    assert_eq!(entries(&cache, "pycs"), 1);
    // The build of an equal factory, and of one with other imports, finds it in the cache.
    drop(factory);
    for imports in [&[][..], &["json"]] {
        let builder = builder(dir.path()).with_bytecode(Bytecode::Never);
        let builder = imports
            .iter()
            .fold(builder, |builder, module| builder.with_import(*module));
        let factory = builder.build().await.expect("built");
        assert_eq!(run(&factory, IMPORT).await, "False\n");
    }
    assert_eq!(entries(&cache, "pycs"), 1);
    assert_eq!(entries(&cache, "cwasm"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_from_bytecode_looks_like_one_from_its_source() {
    let dir = tempfile::tempdir().expect("created");
    let factory = builder(dir.path()).build().await.expect("built");
    let program = "
import importlib.util, inspect, os, pkgutil
import greeting, greeting.later as later
print(later.__file__, later.__cached__, later.__doc__)
print(later.__cached__ == importlib.util.cache_from_source(later.__file__))
print(later.fail.__code__.co_filename, type(later.__loader__).__name__)
print(inspect.getsource(later.fail))
print(sorted(os.listdir('/packages/greeting')), os.listdir('/packages/greeting/__pycache__'))
print([module.name for module in pkgutil.iter_modules(greeting.__path__)])
try:
    open(later.__cached__, 'wb')
except OSError as error:
    print(error.strerror)
later.fail()
";
    let error = expect_exception(
        factory
            .sandbox()
            .build()
            .expect("built")
            .execute(program)
            .await,
    );
    let cached = "/packages/greeting/__pycache__/later.cpython-314.pyc";
    assert_eq!(
        String::from_utf8_lossy(&error.output.stdout),
        format!(
            "/packages/greeting/later.py {cached} A module that no snapshot imports.\nTrue\n\
             /packages/greeting/later.py SourceFileLoader\n\
             def fail():\n    raise ValueError('later')\n\n\
             ['__init__.py', '__pycache__', 'broken.py', 'data.txt', 'later.py'] \
             ['later.cpython-314.pyc']\n['broken', 'later']\nRead-only file system\n"
        )
    );
    let line =
        "  File \"/packages/greeting/later.py\", line 4, in fail\n    raise ValueError('later')\n";
    assert!(error.traceback.contains(line), "{}", error.traceback);
    let error = expect_exception(
        factory
            .sandbox()
            .build()
            .expect("built")
            .execute("import greeting.broken")
            .await,
    );
    assert_eq!(error.exception_type, "SyntaxError");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_fails_is_an_error_before_the_modules_are_compiled() {
    let dir = tempfile::tempdir().expect("created");
    let lines: String = (0..40_000)
        .map(|number| format!("NAME_{number} = 'value {number}'\n"))
        .collect();
    let names = ["a.py", "b.py", "c.py"];
    let large = wheel(dir.path(), "large", &names.map(|name| (name, &*lines)));
    let broken = wheel(dir.path(), "broken", &[("broken.py", "import missing")]);
    let built = SandboxFactory::builder()
        .with_package(large)
        .with_package(broken)
        .with_import("broken")
        .with_cache_dir(dir.path().join("cache"))
        .build()
        .await;
    match built {
        Err(Error::Exception(raised)) => assert_eq!(raised.exception_type, "ModuleNotFoundError"),
        other => panic!("{other:?}"),
    }
    assert_eq!(entries(&dir.path().join("cache"), "pycs"), 0);
}

/// Regression: a write of many bytes in one call may write less.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_module_has_bytecode_too() {
    let dir = tempfile::tempdir().expect("created");
    let lines: String = (0..20_000)
        .map(|number| format!("NAME_{number} = 'value {number}'\n"))
        .collect();
    let large = wheel(dir.path(), "large", &[("large.py", &lines)]);
    let factory = builder(dir.path())
        .with_package(large)
        .build()
        .await
        .expect("built");
    let program = IMPORT
        .replace("greeting.later", "large")
        .replace("greeting/later", "large");
    assert_eq!(run(&factory, &program).await, "False\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_bytecode_in_the_cache_is_not_used() {
    let dir = tempfile::tempdir().expect("created");
    let cache = dir.path().join("cache");
    drop(builder(dir.path()).build().await.expect("built"));
    let path = fs::read_dir(&cache)
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .find(|path| path.extension().is_some_and(|found| found == "pycs"))
        .expect("stored");
    let stored = fs::read(&path).expect("read");
    // The index, the bytecode, and nothing at all.
    for (position, length) in [
        (60, stored.len()),
        (stored.len() - 40, stored.len()),
        (0, 0),
    ] {
        let mut damaged = stored.clone();
        damaged[position] ^= 1;
        damaged.truncate(length);
        fs::remove_file(&path).expect("removed");
        fs::write(&path, damaged).expect("written");
        let builder = builder(dir.path()).with_bytecode(Bytecode::Never);
        let factory = builder.build().await.expect("built");
        assert_eq!(run(&factory, IMPORT).await, "True\n", "byte {position}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_that_are_built_later_find_what_was_compiled_in_the_background() {
    let dir = tempfile::tempdir().expect("created");
    let cache = dir.path().join("cache");
    let builder = builder(dir.path()).with_bytecode(Bytecode::InBackground);
    let factory = builder.build().await.expect("built");
    while entries(&cache, "pycs") == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // It is stored before sandboxes find it.
    while run(&factory, IMPORT).await == "True\n" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(entries(&cache, "pycs"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_no_compiler_bears_are_left_out_and_the_others_compiled() {
    let dir = tempfile::tempdir().expect("created");
    let nested = format!("x = {}{}", "(".repeat(100_000), ")".repeat(100_000));
    let negated = format!("x = {}1", "-".repeat(200_000));
    let concatenated = format!("x = {}1", "1+".repeat(200_000));
    let nul = format!("{LATER}\0");
    let text = String::from("# coding: nonsense\n") + LATER;
    let hostile = wheel(
        dir.path(),
        "hostile",
        &[
            ("hostile/nested.py", &nested),
            ("hostile/negated.py", &negated),
            ("hostile/concatenated.py", &concatenated),
            ("hostile/nul.py", &nul),
            ("hostile/coding.py", &text),
        ],
    );
    let factory = builder(dir.path())
        .with_package(hostile)
        .build()
        .await
        .expect("built");
    assert_eq!(run(&factory, IMPORT).await, "False\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn factories_without_imports_share_one_snapshot() {
    let dir = tempfile::tempdir().expect("created");
    let cache = dir.path().join("cache");
    let first = builder(dir.path()).build().await.expect("built");
    let other = wheel(dir.path(), "other", &[("other.py", "x = 'other'\n")]);
    let second = SandboxFactory::builder()
        .with_package(other)
        .with_cache_dir(&cache)
        .build()
        .await
        .expect("built");
    assert_eq!(entries(&cache, "cwasm"), 1);
    assert_ne!(first, second);
    let seen = "
try:
    import other
    print(other.x)
except ModuleNotFoundError:
    print('missing')
";
    assert_eq!(run(&first, seen).await, "missing\n");
    assert_eq!(run(&second, seen).await, "other\n");
}
