//! The programs of the documentation: every `python` block of the README and of `docs/` runs
//! unchanged with the default network, and prints the output that its comments announce.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use eryx::net::NetConfig;

use crate::netns;
use crate::networking_guide::compile;
use crate::support::{expect_stdout, sandbox, workspace_root};

#[test]
fn python_programs_of_the_documentation_print_what_their_comments_say() {
    netns::with_fake_internet(
        "docs_programs::python_programs_of_the_documentation_print_what_their_comments_say",
        async |certificate| {
            let config = NetConfig::default()
                .with_root_cert(certificate.as_bytes())
                .expect("a certificate");
            let mut count = 0;
            for path in documents() {
                let text = fs::read_to_string(&path).expect("readable");
                for program in blocks(&text, "python") {
                    let result = sandbox(Some(config.clone())).execute(program).await;
                    let printed = expect_stdout(result);
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

/// Returns whether this file runs the Rust programs of `document` (a path from the workspace root)
/// that rustdoc does not run.
pub(crate) fn runs_with_network(document: &str) -> bool {
    document.starts_with("docs/") || ["README.md", "eryx/README.md"].contains(&document)
}

#[test]
fn rust_programs_of_the_documentation_that_need_a_network_run() {
    netns::with_fake_internet(
        "docs_programs::rust_programs_of_the_documentation_that_need_a_network_run",
        async |certificate| {
            let folder = tempfile::tempdir().expect("created");
            fs::write(folder.path().join("internal-ca.pem"), certificate).expect("written");
            let mut printed = Vec::new();
            for path in documents()
                .into_iter()
                .chain([workspace_root().join("eryx/README.md")])
            {
                let text = fs::read_to_string(&path).expect("readable");
                let programs = [blocks(&text, "rust,no_run"), blocks(&text, "no_run")].concat();
                for program in programs {
                    let built = compile(&trusting(&unhidden(program)), folder.path());
                    let directory = folder.path().to_path_buf();
                    let run = move || Command::new(built).current_dir(directory).output();
                    let output = tokio::task::spawn_blocking(run)
                        .await
                        .expect("no panic")
                        .expect("starts");
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

/// Returns `program` with the lines that rustdoc hides from the reader.
fn unhidden(program: &str) -> String {
    let lines = program
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Adds the servers' CA to the roots that `program` trusts.
fn trusting(program: &str) -> String {
    let certificate = r#"&std::fs::read("internal-ca.pem").expect("read")"#;
    program.replace(
        "NetConfig::default()",
        &format!("NetConfig::default().with_root_cert({certificate}).expect(\"read\")"),
    )
}

fn documents() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(workspace_root().join("docs"))
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.push(workspace_root().join("README.md"));
    paths.sort();
    paths
}

/// Returns the code blocks of a Markdown text in `language`.
pub(crate) fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let opening = format!("```{language}");
    text.split("\n```")
        .filter_map(|part| part.split_once('\n'))
        .filter(|(first, _)| format!("```{first}") == opening)
        .map(|(_, code)| code)
        .collect()
}

/// Returns the output of `program` according to its comments.
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
fn blocks_of_one_language_are_extracted_from_a_document() {
    let text =
        "a\n\n```python\nx = 1\nprint(x)  # 1\n```\n\n```sh\nls\n```\nb\n```python\ny\n```\n";
    assert_eq!(blocks(text, "python"), ["x = 1\nprint(x)  # 1", "y"]);
    assert_eq!(blocks(text, "sh"), ["ls"]);
    assert_eq!(announced("x = 1\nprint(x)  # 1\n# [2]"), ["1", "[2]"]);
}
