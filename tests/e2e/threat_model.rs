//! The table of threats in `docs/security.md`: each test that it names exists.

use std::collections::BTreeSet;
use std::fs;

use crate::support::workspace_root;

/// Returns the names of the tests in the last column of the table, each with its row.
fn named_tests() -> Vec<(String, String)> {
    let page = workspace_root().join("docs/security.md");
    let page = fs::read_to_string(page).expect("readable");
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| Who | Tries |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut named = Vec::new();
    for row in rows {
        let tests = row.trim_end_matches('|').rsplit('|').next().unwrap_or("");
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "this row names no test: {row}");
        named.extend(
            names
                .into_iter()
                .map(|name| (name.to_owned(), row.to_owned())),
        );
    }
    named
}

/// Returns the names of all functions in the Rust and Python sources.
fn functions() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![workspace_root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("readable").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
                continue;
            }
            let start = match path.extension().and_then(|extension| extension.to_str()) {
                Some("rs") => "fn ",
                Some("py") => "def ",
                _ => continue,
            };
            let text = fs::read_to_string(&path).unwrap_or_default();
            found.extend(text.lines().filter_map(|line| {
                let (before, rest) = line.split_once(start)?;
                // At most an attribute or `async` precedes it, and it is not in a comment.
                if before.contains('/') || before.contains('#') {
                    return None;
                }
                let (name, _) = rest.split_once('(')?;
                Some(name.to_owned())
            }));
        }
    }
    found
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let named = named_tests();
    assert!(
        named.len() >= 30,
        "the table names too few tests: {named:?}"
    );
    let functions = functions();
    for (name, row) in named {
        assert!(functions.contains(&name), "no test is called {name}: {row}");
    }
}
