//! Packages with extension modules in WebAssembly.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use eryx::{Error, Limit, PackageError, ResourceLimits, Sandbox, SandboxFactory};

use crate::support::{expect_exception, expect_stdout};

const MODULE: &str = include_str!("native/_speed.wat");

/// Writes the package `speed` with the module in `text`, and returns its directory.
fn package(dir: &Path, text: &str) -> PathBuf {
    package_of_bytes(dir, &wat::parse_str(text).expect("assembles"))
}

fn package_of_bytes(dir: &Path, module: &[u8]) -> PathBuf {
    let package = dir.join("speed");
    fs::create_dir_all(&package).expect("created");
    fs::write(package.join("__init__.py"), "").expect("written");
    let file = package.join("_speed.cpython-314-wasm32-wasi.so");
    fs::write(file, module).expect("written");
    package
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_module_is_imported_in_the_snapshot_or_later() {
    let dir = tempfile::tempdir().expect("created");
    let package = package(dir.path(), MODULE);
    let cache = dir.path().join("cache");
    for import in [Some("speed._speed"), None] {
        let mut builder = SandboxFactory::builder()
            .with_package(&package)
            .with_cache_dir(&cache);
        if let Some(import) = import {
            builder = builder.with_import(import);
        }
        let factory = builder.clone().build().await.expect("built");
        let program = "
import sys
print('speed._speed' in sys.modules)
from speed import _speed
print(_speed.add_one(41), _speed.repr('text'), _speed.__file__)
assert _speed.flags(4) & 4 and _speed.flags(1) & 31 == 5
try:
    _speed.add_one(-1)
except ValueError as error:
    print(error)
";
        let expected = format!(
            "{}\n42 'text' /packages/speed/_speed.cpython-314-wasm32-wasi.so\nit is negative\n",
            if import.is_some() { "True" } else { "False" }
        );
        let sandbox = factory.sandbox().build().expect("built");
        for _ in 0..2 {
            assert_eq!(expect_stdout(sandbox.execute(program).await), expected);
        }
        let mut session = sandbox.session().await.expect("started");
        assert_eq!(expect_stdout(session.execute(program).await), expected);
        let mut fork = session.fork().await.expect("forked");
        let program = "print(_speed.add_one(1))";
        assert_eq!(expect_stdout(fork.execute(program).await), "2\n");
        // From the cache, and from the bytes of the factory.
        drop((session, fork, sandbox));
        let bytes = factory.to_bytes().expect("written");
        drop(factory);
        let loaded = eryx::FactoryBuilder::from_bytes(&bytes).expect("read");
        let factory = loaded.with_cache_dir(&cache).build().await.expect("found");
        let sandbox = factory.sandbox().build().expect("built");
        let program = "from speed import _speed\nprint(_speed.add_one(2))";
        assert_eq!(expect_stdout(sandbox.execute(program).await), "3\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_module_draws_in_the_snapshot_is_the_same_in_every_sandbox() {
    let dir = tempfile::tempdir().expect("created");
    let package = package(dir.path(), MODULE);
    let program = "from speed import _speed\nprint(_speed.drawn())\nprint(_speed.draw())";
    for is_in_snapshot in [true, false] {
        let mut builder = SandboxFactory::builder()
            .with_package(&package)
            .without_cache();
        if is_in_snapshot {
            builder = builder.with_import("speed._speed");
        }
        let factory = builder.build().await.expect("built");
        let mut drawn_at_import = HashSet::new();
        let mut drawn_later = HashSet::new();
        for _ in 0..3 {
            let sandbox = factory.sandbox().build().expect("built");
            let stdout = expect_stdout(sandbox.execute(program).await);
            let (at_import, later) = stdout.split_once('\n').expect("two numbers");
            drawn_at_import.insert(at_import.to_owned());
            drawn_later.insert(later.to_owned());
        }
        assert_eq!(drawn_at_import.len(), if is_in_snapshot { 1 } else { 3 });
        assert_eq!(drawn_later.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn native_code_is_under_the_limits_of_the_sandbox() {
    let dir = tempfile::tempdir().expect("created");
    let factory = SandboxFactory::builder()
        .with_package(package(dir.path(), MODULE))
        .with_import("speed._speed")
        .without_cache()
        .build()
        .await
        .expect("built");
    let limits = ResourceLimits::default().with_max_memory(256 << 20);
    let short = limits
        .clone()
        .with_execution_timeout(Duration::from_millis(300));
    let build = |limits| {
        let sandbox = factory.sandbox().with_resource_limits(limits);
        sandbox.build().expect("built")
    };
    let (sandbox, short) = (build(limits), build(short));
    let run_in = |sandbox: &Sandbox, code: &str| {
        let program = format!("from speed import _speed\n{code}");
        let sandbox = sandbox.clone();
        async move { sandbox.execute(program).await }
    };
    let run = |code: &str| run_in(&sandbox, code);
    let assert_limit = |result: Result<_, Error>, expected: fn(&Limit) -> bool| match result {
        Err(Error::Limit { limit, .. }) => assert!(expected(&limit), "{limit}"),
        other => panic!("{other:?}"),
    };
    assert_limit(run_in(&short, "_speed.spin()").await, |limit| {
        matches!(limit, Limit::ExecutionTime(_))
    });
    // The module gets no memory beyond the limit, and returns.
    let taken = run("_speed.take_memory()").await.expect("succeeds");
    assert!(taken.peak_memory <= 256 << 20, "{}", taken.peak_memory);
    assert_limit(run("_speed.recurse()").await, |limit| {
        matches!(limit, Limit::Stack)
    });
    match run("_speed.write_outside()").await {
        Err(Error::InterpreterCrashed { .. }) => {}
        other => panic!("{other:?}"),
    }
    // CPython's own limit comes before the end of the native stack.
    let nested = "
class Nested:
    def __repr__(self):
        return _speed.nested(self)
repr(Nested())";
    let error = expect_exception(run(nested).await);
    assert_eq!(error.exception_type, "RecursionError");
    assert_eq!(
        expect_stdout(run("print(_speed.add_one(1))").await),
        "2\n",
        "the sandbox is usable"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_runs_for_ever_when_it_is_loaded_ends_the_build() {
    for (place, code) in [
        (
            "(i32.store offset=240 (global.get $base) (i32.const 1))",
            "(loop $again (br $again))",
        ),
        (
            "(call $PyModule_Create2 (global.get $base) (i32.const 1013))",
            "(loop $again (br $again)) (unreachable)",
        ),
        (
            r#"(func (export "PyInit__speed")"#,
            r#"(start $begin) (func $begin (loop $again (br $again)))
               (func (export "PyInit__speed")"#,
        ),
    ] {
        let dir = tempfile::tempdir().expect("created");
        assert!(MODULE.contains(place));
        let limits = ResourceLimits::default().with_execution_timeout(Duration::from_millis(500));
        let built = SandboxFactory::builder()
            .with_package(package(dir.path(), &MODULE.replace(place, code)))
            .with_import("speed._speed")
            .with_resource_limits(limits)
            .without_cache()
            .build()
            .await;
        match built {
            Err(Error::Limit {
                limit: Limit::ExecutionTime(_),
                ..
            }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_cannot_be_linked_is_rejected_by_name() {
    let with = |definition: &str| {
        let text = MODULE.replace(
            "(import \"env\" \"memory\"",
            &format!("{definition} (import \"env\" \"memory\""),
        );
        wat::parse_str(text).expect("assembles")
    };
    for (module, expected) in [
        (
            with(r#"(import "env" "no_such_function" (func (result i32)))"#),
            "needs symbols that sandboxes do not have: no_such_function",
        ),
        (
            with(r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i64)))"#),
            "fd_write",
        ),
        (
            with(r#"(import "$root" "yield-now" (func))"#),
            "yield-now from $root",
        ),
        (b"\0asm\x01\0\0\0".to_vec(), "no section dylink.0"),
        (b"\0asm\x01\0\0\0garbage".to_vec(), "not valid WebAssembly"),
    ] {
        let dir = tempfile::tempdir().expect("created");
        let path = package_of_bytes(dir.path(), &module);
        let built = SandboxFactory::builder().with_package(&path).build().await;
        let Err(Error::Package(error)) = built else {
            panic!("{built:?}");
        };
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        let PackageError::NativeModule {
            path: named, file, ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(named, path);
        assert_eq!(file, "speed/_speed.cpython-314-wasm32-wasi.so");
    }
}
