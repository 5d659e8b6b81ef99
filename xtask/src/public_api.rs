//! `public-api`: compares the public items of the libraries with the lists in `docs/api/`.
//!
//! A change of the API shows in the diff of a commit. rustdoc's JSON output is unstable, so the
//! lists are compared only by the compiler they were made with (`rust-version` in `Cargo.toml`);
//! others skip the comparison.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::workspace;

/// The libraries whose public items are listed, by their names and those of their folders.
const CRATES: [&str; 7] = [
    "eryx",
    "eryx-core",
    "eryx-files",
    "eryx-http",
    "eryx-net-host",
    "eryx-net-policy",
    "eryx-tls",
];

/// Compares the lists with the code, or writes them.
pub(crate) fn run(write: bool) -> Result<()> {
    let rustc = command::output(Command::new("rustc").arg("--version"))?;
    let listed = env!("CARGO_PKG_RUST_VERSION");
    if !rustc.starts_with(&format!("rustc {listed}.")) {
        println!(
            "skipped: the lists are compared by rustc {listed}, and this is {}",
            rustc.trim()
        );
        return Ok(());
    }
    let mut changed = Vec::new();
    for name in CRATES {
        let items = items(name)?;
        let path = workspace::root().join(format!("docs/api/{name}.txt"));
        if write {
            std::fs::write(&path, items)
                .with_context(|| format!("cannot write {}", path.display()))?;
            continue;
        }
        let listed = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        for (sign, of, other) in [('-', &listed, &items), ('+', &items, &listed)] {
            let missing = of
                .lines()
                .filter(|line| !other.lines().any(|item| item == *line));
            changed.extend(missing.map(|line| format!("{sign} {line}")));
        }
    }
    if !changed.is_empty() {
        bail!(
            "the public API has changed; if that is meant, run `cargo xtask public-api --write`:\n{}",
            changed.join("\n")
        );
    }
    println!("the public API is as listed in docs/api");
    Ok(())
}

/// Returns the public items of the crate `name`, one a line.
fn items(name: &str) -> Result<String> {
    let root = workspace::root();
    let mut rustdoc = command::cargo(&["rustdoc", "--quiet", "--all-features", "--lib"]);
    // By its folder: the package of the library `eryx` has another name.
    rustdoc
        .arg("--manifest-path")
        .arg(root.join(name).join("Cargo.toml"));
    // Only rustdoc sees unstable features: set for cargo, the variable would have every dependency
    // rebuilt.
    rustdoc.env("RUSTDOC", root.join("xtask/rustdoc-json.sh"));
    rustdoc.env_remove("RUSTDOCFLAGS");
    command::run(&mut rustdoc)?;
    let json = root
        .join("target/doc")
        .join(format!("{}.json", name.replace('-', "_")));
    let api = public_api::Builder::from_rustdoc_json(&json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .with_context(|| format!("cannot read {}", json.display()))?;
    Ok(api.items().map(|item| format!("{item}\n")).collect())
}
