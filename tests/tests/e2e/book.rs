//! The documentation as a whole: every block of code is run by somebody, every page is in the book, every link leads
//! somewhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::documents;

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
    let (language, marks) = info.split_once(',').unwrap_or((info, ""));
    let no_run = match (language, marks) {
        ("no_run", "") | (_, "no_run") => true,
        (_, "") => false,
        // `ignore`, `compile_fail` and the like would pass for code that is run.
        _ => return Err(format!("unknown mark in {document}: ```{info}")),
    };
    let page = document.starts_with("docs/");
    let runner = match language {
        "text" => return Ok(Fate::Text),
        // The crates' own documentation, and the module `documentation` of the crate `eryx`.
        "" | "rust" | "no_run" if doctested.iter().any(|name| name == document) => {
            // What rustdoc only compiles, documents.rs runs where there is a network.
            let run = !no_run || documents::needs_a_network(document);
            return Ok(if run { Fate::Run } else { Fate::Compiled });
        }
        // documents.rs
        "python" => page || document == "README.md",
        // eryx-python/tests/test_documents.py
        "pycon" => true,
        // eryx-net-host/tests/writing.rs
        "toml" => document == "docs/networking.md",
        // eryx-cli/tests/cli/manual.rs
        "sh" => ["docs/command-line.md", "eryx-cli/README.md"].contains(&document),
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

/// The blocks of a document, each with the words after its opening fence, and the prose between them.
fn taken_apart<'a>(document: &str, text: &'a str) -> (Vec<(&'a str, String)>, String) {
    let (mut blocks, mut prose) = (Vec::new(), String::new());
    let mut open: Option<(&str, String)> = None;
    for line in text.lines() {
        if let Some((info, mut code)) = open.take() {
            if line == "```" {
                blocks.push((info, code));
            } else {
                code.extend([line, "\n"]);
                open = Some((info, code));
            }
        } else if let Some(info) = line.strip_prefix("```") {
            open = Some((info, String::new()));
        } else {
            // Nobody who runs blocks finds these.
            let hidden = ["```", "~~~"]
                .iter()
                .any(|fence| line.trim_start().starts_with(fence));
            assert!(!hidden, "{document}: {line}");
            prose.extend([line, "\n"]);
        }
    }
    assert!(open.is_none(), "{document} has a block without an end");
    (blocks, prose)
}

#[test]
fn every_block_is_run_by_somebody_or_says_that_it_is_not() {
    let doctested = doctested();
    let mut counted: BTreeMap<Fate, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (document, text) in documents() {
        let (blocks, _) = taken_apart(&document, &text);
        for (info, code) in blocks {
            match fate(&document, info, &doctested) {
                Ok(fate) => *counted.entry(fate).or_default() += 1,
                Err(error) => wrong.push(error),
            }
            if code.contains("doctest: +SKIP") {
                wrong.push(format!("{document} skips a line of a block"));
            }
        }
    }
    println!("blocks of code in the documentation: {counted:?}");
    assert_eq!(wrong, Vec::<String>::new());
    assert!(counted[&Fate::Run] > 60, "{counted:?}");
    // One more is a decision, not an oversight. These set the checkout up, or are its own tests.
    assert_eq!(counted[&Fate::NotRun], 5, "{counted:?}");
    // These need an image or a peer of one's own.
    assert_eq!(counted[&Fate::Compiled], 2, "{counted:?}");
}

#[test]
fn every_page_is_in_the_book() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).expect("readable");
    let doctested = doctested();
    for document in documents().keys() {
        if let Some(page) = document.strip_prefix("docs/")
            && page != "SUMMARY.md"
        {
            assert!(summary.contains(&format!("({page})")), "{page}");
            assert!(doctested.contains(document), "rustdoc is not given {page}");
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
        let (_, prose) = taken_apart(document, text);
        for part in prose.split("](").skip(1) {
            let (target, _) = part.split_once(')').expect("a link has an end");
            // An address, or an item for rustdoc, which checks it.
            if target.contains("://") || target.contains("::") || target.contains('`') {
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
                let (_, prose) = taken_apart(target, &text);
                let headings = prose.lines().filter_map(|line| line.strip_prefix('#'));
                let mut anchors = headings.map(|heading| slug(heading.trim_start_matches('#')));
                assert!(anchors.any(|found| found == anchor), "{document}: {target}");
            }
            followed += 1;
        }
    }
    assert!(followed > 30, "only {followed} links were found");
}

#[test]
fn a_block_that_nobody_runs_is_found() {
    let doctested = ["docs/a.md".to_owned()];
    for (document, info, expected) in [
        ("docs/a.md", "rust", Some(Fate::Run)),
        ("eryx-tls/README.md", "no_run", Some(Fate::NotRun)),
        ("docs/a.md", "rust,ignore", None),
        ("docs/a.md", "rust,compile_fail", None),
        ("docs/b.md", "rust", None),
        ("docs/a.md", "python", Some(Fate::Run)),
        ("eryx-tls/README.md", "python", None),
        ("docs/a.md", "sh", None),
        ("docs/a.md", "sh,no_run", Some(Fate::NotRun)),
        ("docs/a.md", "toml", None),
        ("docs/a.md", "json", None),
        ("docs/a.md", "text", Some(Fate::Text)),
    ] {
        assert_eq!(
            fate(document, info, &doctested).ok(),
            expected,
            "{document} {info}"
        );
    }
    let (blocks, prose) = taken_apart("a", "# A\n```sh\n# no heading\n```\nb\n");
    assert_eq!(blocks, [("sh", "# no heading\n".to_owned())]);
    assert_eq!(prose, "# A\nb\n");
}

/// The anchor of a heading.
fn slug(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}
