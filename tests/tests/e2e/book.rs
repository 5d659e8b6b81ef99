//! The documentation as a whole: every block of code is run by somebody, every page is in the book, every link leads
//! somewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every document, by its path from the top, with its text.
fn documents() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root()];
    let top: Vec<PathBuf> = entries(&root()).collect();
    folders.extend(top.into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default();
        path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.')
    }));
    for path in folders.iter().flat_map(|folder| entries(folder)) {
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.strip_prefix(root()).expect("below");
            let text = fs::read_to_string(&path).expect("readable");
            found.insert(name.display().to_string(), text);
        }
    }
    found
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder)
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
}

/// What is done with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Run,
    /// Marked `no_run`: rustdoc compiles it.
    Compiled,
    /// Marked `no_run`, and nothing a compiler reads.
    NotRun,
    /// No code.
    Text,
}

/// What is done with a block of `document` that is marked with `info`. An error for one that nobody runs.
fn fate(document: &str, info: &str, doctested: &[String]) -> Result<Fate, String> {
    let mut words = info.split(',');
    let language = words.next().unwrap_or_default();
    let marks: Vec<&str> = words.collect();
    let no_run = language == "no_run" || marks.contains(&"no_run");
    let page = document.starts_with("docs/");
    let runner = match language {
        "text" => return Ok(Fate::Text),
        // The crates' own documentation, and the module `documentation` of the crate `eryx`.
        "" | "rust" | "no_run" if doctested.iter().any(|name| name == document) => {
            return Ok(if no_run { Fate::Compiled } else { Fate::Run });
        }
        // documents.rs
        "python" => page || document == "README.md",
        // eryx-python/tests/test_documents.py
        "pycon" => true,
        // eryx-net-host/tests/writing.rs
        "toml" => document == "docs/networking.md",
        // eryx-cli/tests/manual.rs
        "sh" => document == "docs/command-line.md",
        _ => false,
    };
    match (no_run, runner) {
        (true, _) => Ok(Fate::NotRun),
        (false, true) => Ok(Fate::Run),
        (false, false) => Err(format!("nobody runs this block of {document}: ```{info}")),
    }
}

/// The documents whose Rust blocks rustdoc is given.
fn doctested() -> Vec<String> {
    let mut found = Vec::new();
    for folder in entries(&root()) {
        let Ok(library) = fs::read_to_string(folder.join("src/lib.rs")) else {
            continue;
        };
        for part in library.split("include_str!(\"").skip(1) {
            let (path, _) = part.split_once('"').expect("an end");
            let path = folder.join("src").join(path).canonicalize().expect("there");
            let top = root().canonicalize().expect("there");
            found.push(path.strip_prefix(top).expect("below").display().to_string());
        }
    }
    found
}

#[test]
fn every_block_is_run_by_somebody_or_says_that_it_is_not() {
    let doctested = doctested();
    let mut counted: BTreeMap<Fate, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (document, text) in documents() {
        let mut inside = false;
        for line in text.lines() {
            let Some(info) = line.strip_prefix("```") else {
                continue;
            };
            inside = !inside;
            if inside {
                match fate(&document, info, &doctested) {
                    Ok(fate) => *counted.entry(fate).or_default() += 1,
                    Err(error) => wrong.push(error),
                }
            }
        }
        assert!(!inside, "{document} has a block without an end");
    }
    println!("blocks of code in the documentation: {counted:?}");
    assert_eq!(wrong, Vec::<String>::new());
    assert!(counted[&Fate::Run] > 45, "{counted:?}");
    // One more is a decision, not an oversight: write down why it cannot run beside it.
    assert_eq!(counted[&Fate::NotRun], 6, "{counted:?}");
}

#[test]
fn every_page_is_in_the_book() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).expect("readable");
    for document in documents().keys() {
        if let Some(page) = document.strip_prefix("docs/")
            && page != "SUMMARY.md"
        {
            assert!(summary.contains(&format!("({page})")), "{page}");
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    let documents = documents();
    let mut followed = 0;
    for (document, text) in &documents {
        let folder = root().join(document);
        let folder = folder.parent().expect("it is in one");
        for part in text.split("](").skip(1) {
            let Some((target, _)) = part.split_once(')') else {
                continue;
            };
            if target.contains("://") || target.contains(' ') || target.contains('`') {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() {
                root().join(document)
            } else {
                folder.join(path)
            };
            assert!(file.exists(), "{document}: {target}");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&file).expect("readable");
                let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                let mut anchors = headings.map(|heading| slug(heading.trim_start_matches('#')));
                assert!(anchors.any(|found| found == anchor), "{document}: {target}");
            }
            followed += 1;
        }
    }
    assert!(followed > 30, "only {followed} links were found");
}

/// The anchor of a heading.
fn slug(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-');
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}
