//! Requirements of factories, with a program in the place of the machine's interpreter: it answers
//! as pip does, and records its arguments. The tests of the Python package run pip itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use eryx::{BuildStage, Error, FactoryBuilder, SandboxFactory};

use crate::factory::{entries, wheel};
use crate::support::expect_stdout;

/// Writes a program that runs the shell commands `script` as the interpreter.
fn interpreter(dir: &Path, script: &str) -> PathBuf {
    let path = dir.join("python");
    // The destination is the argument after `--dest`.
    let text = format!(
        "#!/bin/sh\necho \"$@\" >> {0}/calls\nfor argument; do\n\
         [ \"$last\" = --dest ] && dest=$argument\nlast=$argument\ndone\n{script}\n",
        dir.display()
    );
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    path
}

fn calls(dir: &Path) -> String {
    fs::read_to_string(dir.join("calls")).unwrap_or_default()
}

async fn error(builder: FactoryBuilder) -> String {
    match builder.build().await {
        Err(error @ Error::Package(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requirements_are_downloaded_once_and_then_taken_from_the_cache() {
    let dir = tempfile::tempdir().expect("created");
    let links = dir.path().join("links");
    fs::create_dir(&links).expect("created");
    let stored = wheel(
        dir.path(),
        "greeting",
        &[("greeting.py", "WORD = 'hello'\n")],
    );
    let python = interpreter(dir.path(), &format!("cp {} \"$dest\"", stored.display()));
    let file = dir.path().join("requirements.txt");
    fs::write(&file, "polite==1.0 --hash=sha256:00\n").expect("written");
    let builder = || {
        SandboxFactory::builder()
            .with_requirement(" greeting>=1 ")
            .with_requirements_file(&file)
            .with_find_links(&links)
            .with_python(&python)
            .with_cache_dir(dir.path().join("cache"))
    };
    for _ in 0..2 {
        let factory = builder().build().await.expect("built");
        let sandbox = factory.sandbox().build().expect("built");
        let program = "import greeting\nprint(greeting.WORD)";
        assert_eq!(expect_stdout(sandbox.execute(program).await), "hello\n");
    }
    let calls = calls(dir.path());
    assert_eq!(calls.lines().count(), 1, "{calls}");
    for wanted in [
        "-m pip download ".to_owned(),
        " --only-binary :all: --platform any --platform wasm32_wasi --python-version 3.14 \
         --implementation cp --abi cp314 --abi abi3 --abi none "
            .to_owned(),
        format!(" --find-links {} ", links.display()),
        format!(" --requirement {} -- greeting>=1\n", file.display()),
    ] {
        assert!(calls.contains(&wanted), "{calls}");
    }
    assert!(!calls.contains("--no-index"), "{calls}");
    assert_eq!(entries(&dir.path().join("cache"), "wheels"), 1);
    let stages = |builder: FactoryBuilder| async {
        let (sender, receiver) = std::sync::mpsc::channel();
        let builder = builder.on_progress(move |stage| sender.send(stage).expect("received"));
        builder.build().await.expect("built");
        receiver.iter().collect::<Vec<_>>()
    };
    assert_eq!(stages(builder()).await, []);
    fs::write(&file, "polite==1.0\n").expect("written");
    assert_eq!(stages(builder()).await, [BuildStage::Downloading]);
    let without_index = stages(builder().without_index()).await;
    assert_eq!(without_index, [BuildStage::Downloading]);
    assert!(self::calls(dir.path()).contains(" --no-index --find-links "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requirement_that_is_not_met_is_named_with_the_reason() {
    let dir = tempfile::tempdir().expect("created");
    let no_release = "echo 'ERROR: Could not find a version that satisfies the requirement \
                      fast-core==2.0 (from fast) (from versions: none)' >&2; exit 1";
    let builder = |script: &str| {
        SandboxFactory::builder()
            .with_requirement("fast")
            .with_python(interpreter(dir.path(), script))
            .with_cache_dir(dir.path().join("cache"))
    };
    // The project exists.
    let known = format!("[ $3 = index ] && exit 0\n{no_release}");
    let text = error(builder(&known)).await;
    assert!(
        text.contains("fast-core==2.0 (of fast) cannot be met") && text.contains("native code"),
        "{text}"
    );
    assert!(calls(dir.path()).contains(" fast-core\n"));
    let text = error(builder(no_release)).await;
    assert!(text.contains("there is no project fast-core"), "{text}");
    // The directories have a wheel of it, which is not pure.
    fs::write(
        dir.path()
            .join("Fast_Core-2.0-cp314-cp314-linux_x86_64.whl"),
        "",
    )
    .expect("written");
    let offline = builder(no_release)
        .with_find_links(dir.path())
        .without_index();
    let text = error(offline).await;
    assert!(text.contains("native code"), "{text}");
    let text = error(builder(
        "echo 'WARNING: connection broken by NewConnectionError' >&2; exit 1",
    ))
    .await;
    assert!(text.contains("the index cannot be reached"), "{text}");
    let text = error(builder("echo 'ERROR: hashes differ' >&2; exit 1")).await;
    assert!(text.contains("pip says: hashes differ"), "{text}");
    assert_eq!(entries(&dir.path().join("cache"), "wheels"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_release_than_the_newest_is_taken_with_a_warning_that_has_the_reason() {
    let dir = tempfile::tempdir().expect("created");
    let older = wheel(dir.path(), "greeting", &[("greeting.py", "")]);
    // Under the constraint that pip takes the newest releases, it names what these need.
    let script = format!(
        "case \"$*\" in *--constraint*)\n\
         cat constraints.txt >> {dir}/constraints\n\
         echo 'ERROR: Could not find a version that satisfies the requirement fast>=2 \
         (from polite<3->greeting) (from versions: none)' >&2; exit 1;; esac\n\
         echo 'Collecting greeting'\n\
         echo '  Downloading greeting-2.0-py3-none-any.whl.metadata (1 kB)'\n\
         echo 'Collecting greeting'\n\
         echo '  Downloading greeting-1.0-py3-none-any.whl.metadata (1 kB)'\n\
         cp {older} \"$dest\"",
        dir = dir.path().display(),
        older = older.display()
    );
    let builder = SandboxFactory::builder()
        .with_requirement("greeting")
        .with_python(interpreter(dir.path(), &script))
        .with_cache_dir(dir.path().join("cache"));
    let warnings = |builder: FactoryBuilder| async {
        let (sender, receiver) = std::sync::mpsc::channel();
        let builder = builder.on_warning(move |warning| {
            sender.send(warning.to_owned()).expect("received");
        });
        builder.build().await.expect("built");
        receiver.iter().collect::<Vec<_>>()
    };
    let expected = "of greeting, the release 1.0 is taken, and not 2.0: the newer one needs fast>=2 \
                    (of polite), of which there is no wheel for sandboxes. Require a version \
                    (greeting==1.0) if it is the right one";
    assert_eq!(warnings(builder.clone()).await, [expected]);
    let constraints = fs::read_to_string(dir.path().join("constraints")).expect("written");
    assert_eq!(constraints, "greeting==2.0\n");
    // The cache has the download.
    assert_eq!(warnings(builder).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_newest_releases_need_is_the_reason_when_pip_tried_many() {
    let dir = tempfile::tempdir().expect("created");
    let script = "case \"$*\" in *--constraint*)\n\
         echo 'ERROR: Could not find a version that satisfies the requirement fast>=2 \
         (from greeting) (from versions: none)' >&2; exit 1;; esac\n\
         [ $3 = index ] && exit 0\n\
         echo 'Collecting greeting'\n\
         while n=$((n+1)); do echo \"  Downloading greeting-$n-py3-none-any.whl (1 kB)\"; done";
    let builder = |script| {
        SandboxFactory::builder()
            .with_requirement("greeting")
            .with_python(interpreter(dir.path(), script))
            .with_cache_dir(dir.path().join("cache"))
    };
    let text = error(builder(script)).await;
    assert!(
        text.contains("requirement fast>=2 (of greeting) cannot be met: the releases of fast"),
        "{text}"
    );
    let script = script.replace("ERROR: Could", "ERROR: It could");
    let script = script.replace("satisfies the requirement", "fits");
    let text = error(builder(&script)).await;
    assert!(
        text.contains("it tried too many releases") && text.contains("of greeting, to find"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn requirements_that_pip_would_build_are_rejected_before_it_runs() {
    let dir = tempfile::tempdir().expect("created");
    let python = interpreter(dir.path(), "exit 0");
    let file = dir.path().join("requirements.txt");
    fs::write(&file, "six\n-e .\n").expect("written");
    let builder = || SandboxFactory::builder().with_python(&python);
    for (builder, wanted) in [
        (builder().with_requirement("--index-url=x"), "option"),
        (builder().with_requirement("."), "not a requirement"),
        (
            builder().with_requirement("x @ git+https://example.com/x"),
            "path or an address",
        ),
        (builder().with_requirements_file(&file), "-e"),
        (
            builder().with_requirements_file("/does-not-exist.txt"),
            "/does-not-exist.txt",
        ),
    ] {
        let text = error(builder).await;
        assert!(text.contains(wanted), "{text}");
    }
    assert_eq!(calls(dir.path()), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_with_native_code_is_rejected_by_its_name() {
    let dir = tempfile::tempdir().expect("created");
    let native = wheel(dir.path(), "native", &[("native/x.so", "")]);
    let python = interpreter(dir.path(), &format!("cp {} \"$dest\"", native.display()));
    let builder = SandboxFactory::builder()
        .with_requirement("native")
        .with_python(python)
        .with_cache_dir(dir.path().join("cache"));
    let text = error(builder).await;
    assert!(
        text.contains(
            "native-1.0-py3-none-any.whl has native code of another platform (native/x.so"
        ),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_wheels_is_one_of_packages_and_a_name_is_no_path() {
    let dir = tempfile::tempdir().expect("created");
    let wheels = dir.path().join("wheels");
    fs::create_dir(&wheels).expect("created");
    wheel(
        &wheels,
        "one",
        &[("one.py", "import two\nNAME = two.NAME\n")],
    );
    wheel(&wheels, "two", &[("two.py", "NAME = 'two'\n")]);
    let factory = SandboxFactory::builder()
        .with_package(&wheels)
        .with_cache_dir(dir.path().join("cache"))
        .build()
        .await
        .expect("built");
    let sandbox = factory.sandbox().build().expect("built");
    let program = "import one, os\nprint(one.NAME, [name for name in os.listdir('/packages') if name.endswith('whl')])";
    assert_eq!(expect_stdout(sandbox.execute(program).await), "two []\n");
    let text = error(SandboxFactory::builder().with_package("no-such-package")).await;
    assert!(
        text.contains("requirements=[\"no-such-package\"]"),
        "{text}"
    );
}
