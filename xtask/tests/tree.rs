//! Checks what the repository consists of: text alone, and each language in files of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the files of the repository by their paths from its root, or `None` outside of one, as
/// in an archive of the sources.
fn files() -> Option<Vec<PathBuf>> {
    let root = root();
    if !root.join(".git").exists() {
        return None;
    }
    let listed = Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "-z"])
        .current_dir(&root)
        .output()
        .expect("git runs");
    assert!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    let files: Vec<_> = listed
        .split_terminator('\0')
        .map(PathBuf::from)
        // Listed files may be removed from the tree.
        .filter(|path| root.join(path).is_file())
        .collect();
    assert!(files.len() > 500, "{} files", files.len());
    Some(files)
}

/// Trap: built images were committed, and stayed when their sources changed.
#[test]
fn every_file_of_the_repository_is_text() {
    for path in files().into_iter().flatten() {
        // Inputs of fuzz targets are bytes.
        if path.starts_with("fuzz/seeds") {
            continue;
        }
        let content = fs::read(root().join(&path)).expect("readable");
        let text = std::str::from_utf8(&content);
        assert!(
            text.is_ok_and(|text| !text.contains('\0')),
            "{} is not text: build it from its sources instead",
            path.display()
        );
    }
}

/// Returns whether this line of Rust is a line of Python in a string.
fn is_python(line: &str) -> bool {
    let line = line.trim();
    let starts_with_name = |text: &str| text.starts_with(|first: char| first.is_ascii_lowercase());
    line.strip_prefix("import ").is_some_and(starts_with_name)
        || line.starts_with("from ") && line.contains(" import ")
        || (line.starts_with("def ") || line.starts_with("class ")) && line.ends_with(':')
}

/// Trap: the shims were strings of the host language, which no linter and no test read.
#[test]
fn no_python_is_in_strings_of_the_product() {
    assert!(is_python("    def f(n):") && is_python("import socket"));
    let Some(files) = files() else {
        return;
    };
    let mut count = 0;
    for path in files {
        let name = path.to_str().expect("UTF-8");
        let is_product = name.starts_with("eryx") && name.contains("/src/");
        if !is_product || !name.ends_with(".rs") || name.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(root().join(&path)).expect("readable");
        let product = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (number, line) in product.lines().enumerate() {
            assert!(!is_python(line), "{name}:{}: {line}", number + 1);
        }
        count += 1;
    }
    assert!(count > 200, "{count} files");
}
