//! The networking guide that Eryx was specified with: its first Rust program is compiled and run.
//!
//! The guide lies beside the repository, at `../shared/spec/networking.md`. Without it, the test
//! prints that it is skipped.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::netns;

/// Returns the text of the guide, if it exists.
fn guide(test: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec/networking.md");
    match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "\nSKIPPED {test}: cannot read ../shared/spec/networking.md: {error}"
            );
            None
        }
    }
}

#[test]
fn the_first_rust_program_of_the_guide_compiles_and_runs_unchanged() {
    const TEST: &str =
        "networking_guide::the_first_rust_program_of_the_guide_compiles_and_runs_unchanged";
    let Some(text) = guide(TEST) else { return };
    netns::with_fake_internet(TEST, async |_certificate| {
        // rustdoc hides lines that begin with `# ` from the reader; the compiler needs them.
        let program = rust_blocks(&text)[0].replace("\n# extern", "\nextern");
        let program = program.strip_prefix("# ").unwrap_or(&program);
        let folder = tempfile::tempdir().expect("created");
        let built = compile(program, folder.path());
        let output = tokio::task::spawn_blocking(move || Command::new(built).output())
            .await
            .expect("no panic")
            .expect("starts");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "Connected!\n\n");
    });
}

fn rust_blocks(text: &str) -> Vec<&str> {
    text.split("\n```")
        .filter(|part| part.starts_with("rust"))
        .filter_map(|part| part.split_once('\n').map(|(_, code)| code))
        .collect()
}

/// Compiles `program` in `folder` against the libraries of this test, and returns the path of the
/// executable.
pub(crate) fn compile(program: &str, folder: &Path) -> PathBuf {
    let source = folder.join("program.rs");
    fs::write(&source, program).expect("written");
    let binary = folder.join("program");
    // target/debug/deps/e2e-…
    let deps = std::env::current_exe()
        .expect("known")
        .parent()
        .expect("has one")
        .to_path_buf();
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--edition", "2024", "-o"])
        .arg(&binary)
        .arg(&source);
    rustc
        .arg("-L")
        .arg(format!("dependency={}", deps.display()));
    let eryx = newest(&deps, "eryx");
    let tokio = used_by(&eryx, &deps, "tokio");
    for (name, library) in [("eryx", eryx), ("tokio", tokio)] {
        rustc
            .arg("--extern")
            .arg(format!("{name}={}", library.display()));
    }
    let output = rustc.output().expect("rustc starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    binary
}

/// Returns the newest build of the library `name`.
fn newest(deps: &Path, name: &str) -> PathBuf {
    builds(deps, name)
        .max_by_key(|path| fs::metadata(path).and_then(|found| found.modified()).ok())
        .expect("built")
}

/// Returns the build of `name` that `library` was linked with, found by the hash in its file name.
/// With another build the program would contain two unrelated tokio runtimes.
fn used_by(library: &Path, deps: &Path, name: &str) -> PathBuf {
    let content = fs::read(library).expect("readable");
    builds(deps, name)
        .find(|path| {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let hash = &stem.as_bytes()[format!("lib{name}").len()..];
            content.windows(hash.len()).any(|window| window == hash)
        })
        .expect("linked with one of them")
}

/// Returns all builds of the library `name`: there may be several, with different features.
fn builds(deps: &Path, name: &str) -> impl Iterator<Item = PathBuf> {
    let prefix = format!("lib{name}-");
    fs::read_dir(deps)
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(move |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(&prefix) && name.ends_with(".rlib")
        })
}
