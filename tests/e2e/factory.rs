//! Sandbox factories: sandboxes with packages.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use eryx::{BuildStage, Error, FactoryBuilder, PackageError, PackageLimits, SandboxFactory};
use zip::write::SimpleFileOptions;

use crate::netns;
use crate::support::{expect_exception, expect_stdout};

/// Creates a wheel with `files` and the required metadata, and returns its path.
pub(crate) fn wheel(dir: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let path = dir.join(format!("{name}-1.0-py3-none-any.whl"));
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).expect("created"));
    let metadata = format!("{name}-1.0.dist-info/METADATA");
    let text = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n");
    for (file, text) in files.iter().chain([&(metadata.as_str(), text.as_str())]) {
        archive
            .start_file(*file, SimpleFileOptions::default())
            .expect("started");
        archive.write_all(text.as_bytes()).expect("written");
    }
    archive.finish().expect("finished");
    path
}

/// Returns the number of files with this extension in the cache.
pub(crate) fn entries(cache: &Path, extension: &str) -> usize {
    let entries = fs::read_dir(cache).into_iter().flatten();
    entries
        .filter(|entry| {
            let path = entry.as_ref().expect("readable").path();
            path.extension().is_some_and(|found| found == extension)
        })
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_are_imported_once_and_available_in_every_sandbox() {
    let dir = tempfile::tempdir().expect("created");
    let greeting = wheel(
        dir.path(),
        "greeting",
        &[
            (
                "greeting/__init__.py",
                "import sys\nprint('imported', file=sys.stderr)\nimport helper\ndef hello(): return helper.PREFIX + 'hello'\n",
            ),
            ("greeting/later.py", "LATER = 'imported later'\n"),
            ("greeting/data.txt", "data\n"),
        ],
    );
    let helper = dir.path().join("source");
    fs::create_dir(&helper).expect("created");
    fs::write(helper.join("helper.py"), "PREFIX = '> '\n").expect("written");
    let cache = dir.path().join("cache");
    let builder = SandboxFactory::builder()
        .with_package(greeting)
        .with_package(helper)
        .with_import("greeting")
        .with_setup_code("import random\ncounter = 41\nprint('set up')")
        .with_cache_dir(&cache);
    let cached = || entries(&cache, "cwasm");
    assert_eq!(cached(), 0);
    let factory = builder.clone().build().await.expect("built");
    assert_eq!(cached(), 1);
    // The second factory comes from the cache; one with other packages does not.
    builder.clone().build().await.expect("found");
    assert_eq!(cached(), 1);
    let other = builder.with_setup_code("counter = 0").build().await;
    assert_eq!(cached(), 2);
    let other = other.expect("built").sandbox().build().expect("built");
    assert_eq!(expect_stdout(other.execute("print(counter)").await), "0\n");
    let sandbox = factory.sandbox().build().expect("built");
    let program = "
import sys
print('greeting' in sys.modules, counter)
counter += 1
import greeting, greeting.later, importlib.resources, importlib.metadata
print(greeting.hello(), greeting.later.LATER)
print(importlib.resources.files('greeting').joinpath('data.txt').read_text().strip())
print(importlib.metadata.version('greeting'))
print(open('/packages/greeting/data.txt').read().strip())
for attempt in (lambda: open('/packages/new', 'w'), lambda: open('/packages/../etc/passwd'), lambda: open('/etc/passwd')):
    try:
        attempt()
    except OSError:
        print('denied')
print(random.random())
";
    let mut printed = Vec::new();
    for _ in 0..2 {
        let result = sandbox.execute(program).await.expect("succeeds");
        assert_eq!(result.stderr, "", "imported before the snapshot, not now");
        printed.push(result.stdout);
    }
    let (first, second) = (
        printed[0].rsplit_once("denied\n").expect("three denials"),
        printed[1].rsplit_once("denied\n").expect("three denials"),
    );
    assert_eq!(
        first.0,
        "True 41\n> hello imported later\ndata\n1.0\ndata\ndenied\ndenied\n"
    );
    assert_eq!(first.0, second.0);
    assert_ne!(first.1, second.1, "the random generator is seeded again");
    let mut session = sandbox.session().await.expect("started");
    expect_stdout(session.execute("counter += 1").await);
    assert_eq!(
        expect_stdout(session.execute("print(counter)").await),
        "42\n"
    );
    let error = expect_exception(sandbox.execute("import greeting\ngreeting.missing").await);
    assert_eq!(error.exception_type, "AttributeError");
    // Packages not imported yet remain importable in a session, even after its factory is dropped.
    drop((factory, sandbox, other));
    let late = "import greeting.later\nprint(greeting.later.LATER)";
    assert_eq!(
        expect_stdout(session.execute(late).await),
        "imported later\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_packages_are_rejected_by_name_before_compilation() {
    let dir = tempfile::tempdir().expect("created");
    let text = dir.path().join("notes.txt");
    fs::write(&text, "not a wheel").expect("written");
    let native = wheel(
        dir.path(),
        "native",
        &[("native/_speedups.cpython-314-x86_64-linux-gnu.so", "")],
    );
    let outside = wheel(dir.path(), "outside", &[("../../outside.py", "")]);
    let one = wheel(dir.path(), "one", &[("same.py", "x = 1\n")]);
    let two = wheel(dir.path(), "two", &[("same.py", "x = 2\n")]);
    let cases: [(&[&Path], &str); 5] = [
        (&[&text], "notes.txt"),
        (&[&native], "_speedups"),
        (&[&outside], "outside"),
        (&[&one, &two], "same.py"),
        (&[&dir.path().join("absent.whl")], "absent.whl"),
    ];
    for (packages, named) in cases {
        let mut builder = SandboxFactory::builder();
        for package in packages {
            builder = builder.with_package(package);
        }
        match builder.build().await {
            Err(Error::Package(error)) => {
                assert!(error.to_string().contains(named), "{error}");
            }
            other => panic!("{named}: {other:?}"),
        }
    }
    match SandboxFactory::builder()
        .with_package(&native)
        .build()
        .await
    {
        Err(Error::Package(PackageError::NativeCode { path, .. })) => assert_eq!(path, native),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_import_names_the_missing_module() {
    let dir = tempfile::tempdir().expect("created");
    let needy = wheel(dir.path(), "needy", &[("needy.py", "import not_there\n")]);
    for (builder, missing) in [
        (
            SandboxFactory::builder()
                .with_package(needy)
                .with_import("needy"),
            "not_there",
        ),
        (SandboxFactory::builder().with_import("nowhere"), "nowhere"),
    ] {
        match builder.build().await {
            Err(Error::Exception(exception)) => {
                assert_eq!(exception.exception_type, "ModuleNotFoundError");
                assert!(exception.message.contains(missing), "{exception}");
                assert!(exception.message.contains("while importing"), "{exception}");
            }
            other => panic!("{other:?}"),
        }
    }
    match SandboxFactory::builder()
        .with_setup_code("1 / 0")
        .build()
        .await
    {
        Err(Error::Exception(exception)) => {
            assert_eq!(exception.exception_type, "ZeroDivisionError");
            assert!(
                exception.traceback.contains("<setup>"),
                "{}",
                exception.traceback
            );
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn package_files_are_readable_and_read_only() {
    let dir = tempfile::tempdir().expect("created");
    let files = wheel(
        dir.path(),
        "files",
        &[
            ("files/__init__.py", ""),
            ("files/deep/er/data.txt", "0123456789"),
            ("files/deep/empty.txt", ""),
        ],
    );
    let factory = SandboxFactory::builder()
        .with_package(files)
        .with_cache_dir(dir.path().join("cache"))
        .build()
        .await
        .expect("built");
    let program = r#"
import errno, io, os, pathlib, stat, zipfile
root = pathlib.Path("/packages")
for folder, folders, names in os.walk(root):
    folders.sort()
    print(folder, folders, sorted(names))
print(sorted((entry.name, entry.is_dir(), entry.is_file()) for entry in os.scandir(root / "files/deep")))
data = root / "files/deep/er/data.txt"
found = data.stat()
print(found.st_size, stat.S_ISREG(found.st_mode), stat.S_ISDIR(data.parent.stat().st_mode), found.st_mtime)
print(os.path.samefile(data, root / "files/deep/../deep/./er/data.txt"), os.path.samefile(data, root))
print(data.read_bytes(), (root / "files/deep/empty.txt").read_bytes())
with data.open("rb", buffering=0) as file:
    print(file.read(3), file.seek(-2, os.SEEK_END), file.read(), file.read(), file.seek(100), file.read(1))
    print(os.pread(file.fileno(), 4, 8), os.pread(file.fileno(), 4, 2**62), os.fstat(file.fileno()).st_size)
zipfile.ZipFile(io.BytesIO(), "w").write(data)

def errno_of(function):
    try:
        function()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "allowed"

os.chdir("/packages/files")
print(open("deep/er/data.txt").read())
print([errno_of(function) for function in (
    lambda: open("/packages/new", "w"),
    lambda: open(data, "r+"),
    lambda: open(data, "a"),
    lambda: open(data, "x"),
    lambda: os.mkdir("/packages/new"),
    lambda: os.remove(data),
    lambda: os.rmdir(data.parent),
    lambda: os.rename(data, "/packages/new"),
    lambda: os.truncate(data, 0),
    lambda: os.utime(data),
    lambda: os.symlink(data, "/packages/new"),
    lambda: os.link(data, "/packages/new"),
)])
print([errno_of(function) for function in (
    lambda: open("/packages/absent"),
    lambda: open("/packages/files/deep/absent/x"),
    lambda: open(str(data) + "/x"),
    lambda: os.listdir(data),
    lambda: open("/packages/files").read(),
    lambda: os.readlink(data),
    lambda: open("/packages/" + "x/" * 2000 + "x"),
)])
print(data.read_text())
"#;
    let sandbox = factory.sandbox().build().expect("built");
    let printed = expect_stdout(sandbox.execute(program).await);
    let expected = "\
/packages ['files', 'files-1.0.dist-info'] []
/packages/files ['deep'] ['__init__.py']
/packages/files/deep ['er'] ['empty.txt']
/packages/files/deep/er [] ['data.txt']
/packages/files-1.0.dist-info [] ['METADATA']
[('empty.txt', False, True), ('er', True, False)]
10 True True 315532800.0
True False
b'0123456789' b''
b'012' 8 b'89' b'' 100 b''
b'89' b'' 10
0123456789
['EROFS', 'EROFS', 'EROFS', 'EEXIST', 'EROFS', 'EROFS', 'EROFS', 'EROFS', 'EROFS', 'EROFS', 'EROFS', 'EROFS']
['ENOENT', 'ENOENT', 'ENOTDIR', 'ENOTDIR', 'EISDIR', 'EINVAL', 'ENOENT']
0123456789
";
    assert_eq!(printed, expected);
}

/// Regression: each open file was a descriptor of the host process, and one sandbox could exhaust
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_open_package_files_is_bounded_and_closing_frees_them() {
    let dir = tempfile::tempdir().expect("created");
    let many = wheel(dir.path(), "many", &[("many.py", "x = 1\n")]);
    let factory = SandboxFactory::builder()
        .with_package(many)
        .with_cache_dir(dir.path().join("cache"))
        .build()
        .await
        .expect("built");
    let program = r#"
import errno, os
for attempt in range(3):
    held = []
    try:
        while True:
            held.append(os.open("/packages/many.py", os.O_RDONLY))
    except OSError as error:
        print(len(held), errno.errorcode[error.errno])
    for file in held:
        os.close(file)
import many
print(many.x)
"#;
    let sandbox = factory.sandbox().build().expect("built");
    let mut session = sandbox.session().await.expect("started");
    let expected = "255 EMFILE\n255 EMFILE\n255 EMFILE\n1\n";
    assert_eq!(expect_stdout(session.execute(program).await), expected);
    // A sandbox at its limit does not reduce the limit of another.
    expect_stdout(
        session
            .execute(
                "import os\nheld = [os.open('/packages/many.py', os.O_RDONLY) for _ in range(255)]",
            )
            .await,
    );
    assert_eq!(expect_stdout(sandbox.execute(program).await), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_beyond_a_size_limit_are_rejected_with_the_limit() {
    let dir = tempfile::tempdir().expect("created");
    let zeros = "0".repeat(1 << 20);
    let large = wheel(
        dir.path(),
        "large",
        &[("large.txt", &zeros), ("small.txt", "1")],
    );
    let folder = dir.path().join("folder");
    fs::create_dir(&folder).expect("created");
    fs::write(folder.join("other.txt"), &zeros).expect("written");
    let limits = PackageLimits::default();
    for (packages, limits, bound) in [
        (
            &[&large][..],
            limits.with_max_bytes(1 << 20),
            "1048576 bytes",
        ),
        (&[&large], limits.with_max_files(2), "2 files"),
        (
            &[&large, &folder],
            limits.with_max_bytes(2 << 20),
            "2097152 bytes",
        ),
        (&[&folder, &large], limits.with_max_files(3), "3 files"),
    ] {
        let mut builder = SandboxFactory::builder().with_package_limits(limits);
        for package in packages {
            builder = builder.with_package(package);
        }
        match builder.build().await {
            Err(Error::Package(error @ PackageError::TooLarge { .. })) => {
                let error = error.to_string();
                assert!(
                    error.contains(bound) && error.contains("PackageLimits"),
                    "{error}"
                );
            }
            other => panic!("{bound}: {other:?}"),
        }
    }
    let factory = SandboxFactory::builder()
        .with_package(&large)
        .with_package_limits(limits.with_max_files(3))
        .with_cache_dir(dir.path().join("cache"))
        .build()
        .await
        .expect("built");
    let saved = factory.to_bytes().expect("saved");
    assert!(saved.len() < 10_000, "{}", saved.len());
    let read = FactoryBuilder::from_bytes_with_limits(&saved, limits.with_max_files(3));
    drop(read.expect("read"));
    for limits in [limits.with_max_files(2), limits.with_max_bytes(1 << 20)] {
        match FactoryBuilder::from_bytes_with_limits(&saved, limits) {
            Err(Error::Package(PackageError::TooLarge { .. })) => {}
            other => panic!("{other:?}"),
        }
    }
    for limits in [limits.with_max_files(0), limits.with_max_bytes(0)] {
        let result = FactoryBuilder::from_bytes_with_limits(&saved, limits);
        result.expect_err("no memory for any");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_builds_of_one_factory_compile_it_once() {
    let dir = tempfile::tempdir().expect("created");
    let compiled = Arc::new(AtomicUsize::new(0));
    let build = || {
        let compiled = Arc::clone(&compiled);
        let count = move |stage| {
            if stage == BuildStage::Compiling {
                compiled.fetch_add(1, Ordering::Relaxed);
            }
        };
        SandboxFactory::builder()
            .with_setup_code("twice = 'once'")
            .with_cache_dir(dir.path().join("cache"))
            .on_progress(count)
            .build()
    };
    let (first, second) = tokio::join!(build(), build());
    let (first, second) = (first.expect("built"), second.expect("built"));
    assert_eq!(compiled.load(Ordering::Relaxed), 1);
    assert_eq!(first, second);
    let entries = fs::read_dir(dir.path().join("cache")).expect("readable");
    assert_eq!(entries.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_build_leaves_nothing_in_the_cache_and_does_not_affect_another() {
    let dir = tempfile::tempdir().expect("created");
    let cache = dir.path().join("cache");
    let build = |code: &str| {
        SandboxFactory::builder()
            .with_setup_code(code)
            .with_cache_dir(&cache)
            .build()
    };
    build_error(build("1 / 0").await);
    let dropped = tokio::time::timeout(Duration::from_millis(200), build("while True: pass"));
    dropped.await.expect_err("does not end");
    assert_eq!(fs::read_dir(&cache).expect("readable").count(), 0);
}

fn build_error(built: Result<SandboxFactory, Error>) {
    match built {
        Err(Error::Exception(_)) => {}
        other => panic!("{other:?}"),
    }
}

/// Home directories of some machines are mounted with `noexec`.
#[test]
fn a_factory_is_cached_on_a_noexec_file_system() {
    netns::without_network(
        "factory::a_factory_is_cached_on_a_noexec_file_system",
        async || {
            let dir = tempfile::tempdir().expect("created");
            let mounted = Command::new("mount")
                .args(["-t", "tmpfs", "-o", "noexec,mode=700", "cache"])
                .arg(dir.path())
                .status();
            assert!(mounted.expect("mount starts").success());
            let compiled = Arc::new(AtomicUsize::new(0));
            for _ in 0..2 {
                let compiled = Arc::clone(&compiled);
                let factory = SandboxFactory::builder()
                    .with_setup_code("x = 3")
                    .with_cache_dir(dir.path())
                    .on_progress(move |_| {
                        compiled.fetch_add(1, Ordering::Relaxed);
                    })
                    .build()
                    .await
                    .expect("built");
                let sandbox = factory.sandbox().build().expect("built");
                assert_eq!(expect_stdout(sandbox.execute("print(x)").await), "3\n");
            }
            assert_eq!(compiled.load(Ordering::Relaxed), 2, "its two stages, once");
            assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
        },
    );
}
