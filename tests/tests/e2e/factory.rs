//! Sandboxes with packages.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use eryx::{Error, PackageError, SandboxFactory};
use zip::write::SimpleFileOptions;

use crate::stage::{raised, succeeded};

/// A wheel of these files, and the metadata every wheel has.
fn wheel(dir: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let path = dir.join(format!("{name}-1.0-py3-none-any.whl"));
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).expect("created"));
    let metadata = format!("{name}-1.0.dist-info/METADATA");
    let text = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n");
    for (file, text) in files.iter().chain([&(metadata.as_str(), text.as_str())]) {
        archive
            .start_file(*file, SimpleFileOptions::default())
            .expect("begun");
        archive.write_all(text.as_bytes()).expect("written");
    }
    archive.finish().expect("finished");
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_are_imported_once_and_there_for_every_sandbox() {
    let dir = tempfile::tempdir().expect("made");
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
    fs::create_dir(&helper).expect("made");
    fs::write(helper.join("helper.py"), "PREFIX = '> '\n").expect("written");
    let cache = dir.path().join("cache");
    let builder = SandboxFactory::builder()
        .with_package(greeting)
        .with_package(helper)
        .with_import("greeting")
        .with_setup_code("import random\ncounter = 41\nprint('set up')")
        .with_cache_dir(&cache);
    let kept = || fs::read_dir(&cache).map_or(0, Iterator::count);
    assert_eq!(kept(), 0);
    let factory = builder.clone().build().await.expect("built");
    assert_eq!(kept(), 1);
    // The second one is found, and something else is not taken for it.
    builder.clone().build().await.expect("found");
    assert_eq!(kept(), 1);
    let other = builder.with_setup_code("counter = 0").build().await;
    assert_eq!(kept(), 2);
    let other = other.expect("built").sandbox().build().expect("built");
    assert_eq!(succeeded(other.execute("print(counter)").await), "0\n");
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
        print('refused')
print(random.random())
";
    let mut printed = Vec::new();
    for _ in 0..2 {
        let result = sandbox.execute(program).await.expect("it runs");
        assert_eq!(
            result.stderr, "",
            "imported when the snapshot was made, not now"
        );
        printed.push(result.stdout);
    }
    let (first, second) = (
        printed[0].rsplit_once("refused\n").expect("three refusals"),
        printed[1].rsplit_once("refused\n").expect("three refusals"),
    );
    assert_eq!(
        first.0,
        "True 41\n> hello imported later\ndata\n1.0\ndata\nrefused\nrefused\n"
    );
    assert_eq!(first.0, second.0);
    assert_ne!(first.1, second.1, "the random generator is seeded anew");
    let mut session = sandbox.session().await.expect("started");
    succeeded(session.execute("counter += 1").await);
    assert_eq!(succeeded(session.execute("print(counter)").await), "42\n");
    let error = raised(sandbox.execute("import greeting\ngreeting.missing").await);
    assert_eq!(error.exception_type, "AttributeError");
    // What a session has not imported yet stays where it is, whoever made it.
    drop((factory, sandbox, other));
    let late = "import greeting.later\nprint(greeting.later.LATER)";
    assert_eq!(succeeded(session.execute(late).await), "imported later\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_used_is_named_before_anything_is_compiled() {
    let dir = tempfile::tempdir().expect("made");
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
async fn an_import_that_fails_names_what_is_missing() {
    let dir = tempfile::tempdir().expect("made");
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
            Err(Error::Raised(raised)) => {
                assert_eq!(raised.exception_type, "ModuleNotFoundError");
                assert!(raised.message.contains(missing), "{raised}");
                assert!(raised.message.contains("while importing"), "{raised}");
            }
            other => panic!("{other:?}"),
        }
    }
    match SandboxFactory::builder()
        .with_setup_code("1 / 0")
        .build()
        .await
    {
        Err(Error::Raised(raised)) => {
            assert_eq!(raised.exception_type, "ZeroDivisionError");
            assert!(raised.traceback.contains("<setup>"), "{}", raised.traceback);
        }
        other => panic!("{other:?}"),
    }
}
