//! The programs of the documentation, run as they stand: every `python` block of the README and of `docs/`, with the
//! default network, printing what its comments say.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use eryx::net::NetConfig;

use crate::namespace;
use crate::page::compile;
use crate::stage::{sandbox, succeeded};

#[test]
fn the_documents_programs_print_what_they_say() {
    namespace::run(
        "documents::the_documents_programs_print_what_they_say",
        async |certificate| {
            let config = NetConfig::default()
                .with_root_cert(certificate.as_bytes())
                .expect("a certificate");
            let mut count = 0;
            for path in documents() {
                let text = fs::read_to_string(&path).expect("readable");
                for program in blocks(&text, "python") {
                    let result = sandbox(Some(config.clone())).execute(program).await;
                    let printed = succeeded(result);
                    assert_eq!(
                        printed.lines().collect::<Vec<_>>(),
                        announced(program),
                        "{}:\n{program}",
                        path.display()
                    );
                    count += 1;
                }
            }
            assert!(count >= 7, "only {count} programs were found");
        },
    );
}

/// Whether the Rust programs of `document`, by its path from the top, that rustdoc does not run are run here.
pub(crate) fn needs_a_network(document: &str) -> bool {
    document.starts_with("docs/") || ["README.md", "eryx/README.md"].contains(&document)
}

#[test]
fn the_documents_rust_programs_run_where_there_is_a_network() {
    namespace::run(
        "documents::the_documents_rust_programs_run_where_there_is_a_network",
        async |certificate| {
            let folder = tempfile::tempdir().expect("made");
            fs::write(folder.path().join("internal-ca.pem"), certificate).expect("written");
            let mut printed = Vec::new();
            for path in documents()
                .into_iter()
                .chain([root().join("eryx/README.md")])
            {
                let text = fs::read_to_string(&path).expect("readable");
                let programs = [blocks(&text, "rust,no_run"), blocks(&text, "no_run")].concat();
                for program in programs {
                    let built = compile(&trusting(&unhidden(program)), folder.path());
                    let here = folder.path().to_path_buf();
                    let run = move || Command::new(built).current_dir(here).output();
                    let output = tokio::task::spawn_blocking(run)
                        .await
                        .expect("no panic")
                        .expect("it starts");
                    assert!(output.status.success(), "{}: {output:?}", path.display());
                    printed.push(String::from_utf8_lossy(&output.stdout).into_owned());
                }
            }
            // README.md, docs/networking.md twice, eryx/README.md.
            assert_eq!(printed.len(), 4, "{printed:?}");
            assert!(
                printed[0].starts_with("200\napi.example.com -> "),
                "{printed:?}"
            );
            assert_eq!(printed[1..], ["", "", "200\n\n"]);
        },
    );
}

/// With the lines that rustdoc hides from the reader.
fn unhidden(program: &str) -> String {
    let lines = program
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// With the servers' authority among the roots. Nothing else is added.
fn trusting(program: &str) -> String {
    let authority = r#"&std::fs::read("internal-ca.pem").expect("read")"#;
    program.replace(
        "NetConfig::default()",
        &format!("NetConfig::default().with_root_cert({authority}).expect(\"read\")"),
    )
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn documents() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root().join("docs"))
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.push(root().join("README.md"));
    paths.sort();
    paths
}

/// The code blocks of a Markdown text in `language`.
pub(crate) fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}");
    text.split("\n```")
        .filter_map(|part| part.split_once('\n'))
        .filter(|(first, _)| format!("```{first}") == opening)
        .map(|(_, code)| code)
        .collect()
}

/// What a program's comments say that it prints.
fn announced(program: &str) -> Vec<&str> {
    program
        .lines()
        .filter_map(|line| match line.strip_prefix("# ") {
            Some(text) => Some(text),
            None => line.split_once("  # ").map(|(_, text)| text),
        })
        .collect()
}

#[test]
fn blocks_are_cut_out_of_a_document_by_their_language() {
    let text =
        "a\n\n```python\nx = 1\nprint(x)  # 1\n```\n\n```sh\nls\n```\nb\n```python\ny\n```\n";
    assert_eq!(blocks(text, "python"), ["x = 1\nprint(x)  # 1", "y"]);
    assert_eq!(blocks(text, "sh"), ["ls"]);
    assert_eq!(announced("x = 1\nprint(x)  # 1\n# [2]"), ["1", "[2]"]);
}
