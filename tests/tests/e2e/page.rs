//! The user's page, as it is written: the program it begins with is compiled and run.
//!
//! The page is kept beside the repository, at `../shared/spec/networking.md`; without it these tests say that they
//! are skipped.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::namespace;

/// The page's text, if it is there.
fn page(test: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/spec/networking.md");
    match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "\nSKIPPED {test}: ../shared/spec/networking.md is not there ({error})"
            );
            None
        }
    }
}

#[test]
fn the_pages_rust_program_compiles_and_runs_as_it_stands() {
    const TEST: &str = "page::the_pages_rust_program_compiles_and_runs_as_it_stands";
    let Some(text) = page(TEST) else { return };
    namespace::run(TEST, async |_certificate| {
        // `# ` hides a line from the reader, not from the compiler.
        let program = rust_blocks(&text)[0].replace("\n# extern", "\nextern");
        let program = program.strip_prefix("# ").unwrap_or(&program);
        let folder = tempfile::tempdir().expect("made");
        let built = compile(program, folder.path());
        let output = tokio::task::spawn_blocking(move || Command::new(built).output())
            .await
            .expect("no panic")
            .expect("it starts");
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

/// Compile `program` in `folder`, against the libraries this test was built with. Returns the program's path.
pub(crate) fn compile(program: &str, folder: &Path) -> PathBuf {
    let source = folder.join("page.rs");
    fs::write(&source, program).expect("written");
    let binary = folder.join("page");
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

/// The build of `name` that was made last.
fn newest(deps: &Path, name: &str) -> PathBuf {
    builds(deps, name)
        .max_by_key(|path| fs::metadata(path).and_then(|found| found.modified()).ok())
        .expect("it was built")
}

/// The build of `name` that `library` was built with: it names it by the hash in its file name. With another one
/// the program would have two runtimes that know nothing of each other.
fn used_by(library: &Path, deps: &Path, name: &str) -> PathBuf {
    let content = fs::read(library).expect("readable");
    builds(deps, name)
        .find(|path| {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let hash = &stem.as_bytes()[format!("lib{name}").len()..];
            content.windows(hash.len()).any(|window| window == hash)
        })
        .expect("it was built with one of them")
}

/// Every build of the library `name`: there may be several with different features.
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
