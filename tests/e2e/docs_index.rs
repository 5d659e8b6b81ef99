//! The documentation as a whole: a test runs every code block, every page is in the book, and every
//! link has a target.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::docs_programs;
use crate::support::workspace_root;

/// Returns the text of every document by its path from the workspace root.
fn documents() -> BTreeMap<String, String> {
    let root = workspace_root();
    let mut found = BTreeMap::new();
    let mut folders = vec![root.clone()];
    let top: Vec<PathBuf> = entries(&root).collect();
    folders.extend(top.into_iter().filter(|path| {
        let name = path.file_name().unwrap_or_default();
        path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.')
    }));
    for path in folders.iter().flat_map(|folder| entries(folder)) {
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.strip_prefix(&root).expect("below");
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

/// How the tests treat a code block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Treatment {
    /// A test runs it.
    Run,
    /// Marked `no_run`: rustdoc compiles it.
    Compiled,
    /// Marked `no_run`, and not for a compiler.
    NotRun,
    /// Not code.
    Text,
}

/// Returns the treatment of a block of `document` with the info string `info`.
///
/// # Errors
///
/// If no test runs the block.
fn treatment(document: &str, info: &str, doctested: &[String]) -> Result<Treatment, String> {
    let (language, marks) = info.split_once(',').unwrap_or((info, ""));
    let no_run = match (language, marks) {
        ("no_run", "") | (_, "no_run") => true,
        (_, "") => false,
        // A reader would take a block with `ignore`, `compile_fail` and the like for tested code.
        _ => return Err(format!("unknown mark in {document}: ```{info}")),
    };
    let page = document.starts_with("docs/");
    let runs = match language {
        "text" => return Ok(Treatment::Text),
        // The documentation of the crates, and the module `documentation` of the crate `eryx`.
        "" | "rust" | "no_run" if doctested.iter().any(|name| name == document) => {
            // docs_programs.rs runs the blocks that rustdoc only compiles.
            let run = !no_run || docs_programs::runs_with_network(document);
            return Ok(if run {
                Treatment::Run
            } else {
                Treatment::Compiled
            });
        }
        // docs_programs.rs
        "python" => page || document == "README.md",
        // eryx-python/tests/test_docs.py
        "pycon" => true,
        // eryx-net-host/tests/config_files.rs
        "toml" => document == "docs/networking.md",
        // eryx-cli/tests/cli/manual.rs
        "sh" => ["docs/command-line.md", "eryx-cli/README.md"].contains(&document),
        // tests/agents/test_configuration.py
        "json" => ["README.md", "docs/mcp.md", "eryx-python/README.md"].contains(&document),
        _ => false,
    };
    match (no_run, runs) {
        (true, _) => Ok(Treatment::NotRun),
        (false, true) => Ok(Treatment::Run),
        (false, false) => Err(format!("no test runs this block of {document}: ```{info}")),
    }
}

/// Returns the documents whose Rust blocks rustdoc tests.
fn doctested() -> Vec<String> {
    let mut found = Vec::new();
    let root = workspace_root();
    let top = root.canonicalize().expect("exists");
    for folder in entries(&root) {
        let Ok(library) = fs::read_to_string(folder.join("src/lib.rs")) else {
            continue;
        };
        for part in library.split("include_str!(\"").skip(1) {
            let (path, _) = part.split_once('"').expect("an end");
            let path = folder.join("src").join(path);
            let path = path.canonicalize().expect("exists");
            found.push(
                path.strip_prefix(&top)
                    .expect("below")
                    .display()
                    .to_string(),
            );
        }
    }
    found
}

/// Returns the blocks of a document, each with its info string, and the prose between them.
fn split_blocks<'a>(document: &str, text: &'a str) -> (Vec<(&'a str, String)>, String) {
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
            // The tests that run blocks do not find indented fences and `~~~`.
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
fn every_block_is_run_by_a_test_or_marked_no_run() {
    let doctested = doctested();
    let mut counts: BTreeMap<Treatment, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (document, text) in documents() {
        let (blocks, _) = split_blocks(&document, &text);
        for (info, code) in blocks {
            match treatment(&document, info, &doctested) {
                Ok(treatment) => *counts.entry(treatment).or_default() += 1,
                Err(error) => wrong.push(error),
            }
            if code.contains("doctest: +SKIP") {
                wrong.push(format!("{document} skips a line of a block"));
            }
        }
    }
    println!("code blocks in the documentation: {counts:?}");
    assert_eq!(wrong, Vec::<String>::new());
    assert!(counts[&Treatment::Run] > 60, "{counts:?}");
    // Exact numbers, so that one more is a decision and not an oversight. These blocks set up the
    // checkout, run its tests, or need a compiler for WebAssembly or what it has compiled.
    assert_eq!(counts[&Treatment::NotRun], 8, "{counts:?}");
    // These blocks need an image or a peer of the reader's own.
    assert_eq!(counts[&Treatment::Compiled], 2, "{counts:?}");
}

#[test]
fn every_page_is_in_the_book() {
    let summary = workspace_root().join("docs/SUMMARY.md");
    let summary = fs::read_to_string(summary).expect("readable");
    let doctested = doctested();
    for document in documents().keys() {
        if let Some(page) = document.strip_prefix("docs/")
            && page != "SUMMARY.md"
        {
            assert!(summary.contains(&format!("({page})")), "{page}");
            assert!(doctested.contains(document), "rustdoc does not test {page}");
        }
    }
}

#[test]
fn every_feature_is_documented() {
    let root = workspace_root();
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("readable");
    let manifest = read("eryx/Cargo.toml");
    let (_, features) = manifest.split_once("[features]\n").expect("features");
    let (features, _) = features.split_once("\n[").expect("an end");
    let (guide, readme) = (read("docs/rust.md"), read("eryx/README.md"));
    let names = features.lines().filter_map(|line| line.split_once(" = "));
    let mut count = 0;
    for (name, _) in names {
        // Those are for this workspace, and the list of the others.
        if !["default", "watchdog", "workspace-features"].contains(&name) {
            assert!(guide.contains(&format!("| `{name}` | on")), "{name}");
            assert!(readme.contains(&format!("- `{name}` (default")), "{name}");
            count += 1;
        }
    }
    assert_eq!(count, 4);
}

#[test]
fn every_link_has_a_target() {
    let root = workspace_root();
    let documents = documents();
    let mut links = 0;
    for (document, text) in &documents {
        let folder = root.join(document);
        let folder = folder.parent().expect("a folder");
        let (_, prose) = split_blocks(document, text);
        for part in prose.split("](").skip(1) {
            let (target, _) = part.split_once(')').expect("a link has an end");
            // A URL, or an item, which rustdoc checks.
            if target.contains("://") || target.contains("::") || target.contains('`') {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() {
                root.join(document)
            } else {
                folder.join(path)
            };
            assert!(file.exists(), "{document}: {target}");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&file).expect("readable");
                let (_, prose) = split_blocks(target, &text);
                let headings = prose.lines().filter_map(|line| line.strip_prefix('#'));
                let mut anchors = headings.map(|heading| slug(heading.trim_start_matches('#')));
                assert!(anchors.any(|found| found == anchor), "{document}: {target}");
            }
            links += 1;
        }
    }
    assert!(links > 30, "only {links} links were found");
}

#[test]
fn a_block_that_no_test_runs_is_an_error() {
    let doctested = ["docs/a.md".to_owned()];
    for (document, info, expected) in [
        ("docs/a.md", "rust", Some(Treatment::Run)),
        ("eryx-tls/README.md", "no_run", Some(Treatment::NotRun)),
        ("docs/a.md", "rust,ignore", None),
        ("docs/a.md", "rust,compile_fail", None),
        ("docs/b.md", "rust", None),
        ("docs/a.md", "python", Some(Treatment::Run)),
        ("eryx-tls/README.md", "python", None),
        ("docs/a.md", "sh", None),
        ("docs/a.md", "sh,no_run", Some(Treatment::NotRun)),
        ("docs/a.md", "toml", None),
        ("docs/a.md", "json", None),
        ("docs/a.md", "text", Some(Treatment::Text)),
    ] {
        assert_eq!(
            treatment(document, info, &doctested).ok(),
            expected,
            "{document} {info}"
        );
    }
    let (blocks, prose) = split_blocks("a", "# A\n```sh\n# no heading\n```\nb\n");
    assert_eq!(blocks, [("sh", "# no heading\n".to_owned())]);
    assert_eq!(prose, "# A\nb\n");
}

/// Returns the anchor of a heading.
fn slug(heading: &str) -> String {
    let characters = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    characters
        .collect::<String>()
        .to_lowercase()
        .replace(' ', "-")
}
