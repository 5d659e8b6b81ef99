//! The programs of the documentation, run as they stand: every `python` block of the README and of `docs/`, with the
//! default network, printing what its comments say.

use std::fs;
use std::path::{Path, PathBuf};

use eryx::net::NetConfig;

use crate::namespace;
use crate::stage::{sandbox, succeeded};

#[test]
fn the_documents_programs_print_what_they_say() {
    namespace::run(
        "documents::the_documents_programs_print_what_they_say",
        async |world| {
            let config = NetConfig::default()
                .with_root_cert(world.authority.pem().as_bytes())
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

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths: Vec<PathBuf> = fs::read_dir(root.join("docs"))
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.push(root.join("README.md"));
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
