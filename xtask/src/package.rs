//! `package`: makes the files of the crates that are published, and builds a program from them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::build_guest;
use crate::command;
use crate::image_crate;
use crate::licence_texts;
use crate::progress::Progress;
use crate::published::{self, PublishedCrate};
use crate::workspace;

/// The most bytes of a crate's file that crates.io accepts.
const MAX_CRATE: u64 = 10 << 20;

/// The programs that a build of Rust code with parts in C needs, beside those of the toolchain.
const BUILD_TOOLS: [&str; 8] = ["ar", "as", "cc", "c++", "gcc", "ld", "ranlib", "sh"];

/// Makes the files in target/package. With `check`, unpacks them to a folder outside the workspace,
/// and builds and runs a program that depends on them.
pub(crate) fn run(check: bool) -> Result<()> {
    let mut progress = Progress::new(build_guest::STEPS + 2 + 2 * usize::from(check));
    build_guest::build(&mut progress, false)?;
    licence_texts::check()?;
    progress.step("compressing the guest image (a minute if it has changed)");
    image_crate::write()?;
    progress.step("packing the crates");
    let crates = pack()?;
    if check {
        progress.step("building a program from the packed crates, without Python (minutes)");
        let trial = Trial::new(&crates)?;
        trial.build()?;
        progress.step("running it twice: the first run compiles the guest image");
        for attempt in ["first", "second"] {
            let started = Instant::now();
            let stderr = trial.run()?;
            println!(
                "the {attempt} run took {:.1} s{}",
                started.elapsed().as_secs_f64(),
                if stderr.is_empty() {
                    ""
                } else {
                    ", and printed:"
                }
            );
            print!("{stderr}");
        }
    }
    progress.done();
    Ok(())
}

/// Packs the published crates, and checks their manifests and sizes.
fn pack() -> Result<Vec<PublishedCrate>> {
    let crates = published::crates()?;
    let violations = published::violations(&crates);
    if !violations.is_empty() {
        bail!("crates cannot be published:\n  {}", violations.join("\n  "));
    }
    let mut package = command::cargo(&["package", "--quiet", "--no-verify", "--allow-dirty"]);
    for published in &crates {
        package.args(["--package", &published.name]);
    }
    command::run(&mut package)?;
    for published in &crates {
        let path = file(published);
        let size = fs::metadata(&path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .len();
        println!("{:>10} bytes  {}", size, published.file_name());
        if size > MAX_CRATE {
            bail!(
                "{} has more than {MAX_CRATE} bytes, the limit of crates.io",
                path.display()
            );
        }
    }
    Ok(crates)
}

/// Returns the path of the file that [`pack`] makes.
pub(crate) fn file(published: &PublishedCrate) -> PathBuf {
    workspace::target_dir()
        .join("package")
        .join(published.file_name())
}

/// A program in a folder outside the workspace that depends on the packed crates.
struct Trial {
    folder: tempfile::TempDir,
    /// The folder with the only programs that the build finds.
    tools: PathBuf,
}

impl Trial {
    fn new(crates: &[PublishedCrate]) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        for published in crates {
            command::run(
                Command::new("tar")
                    .arg("-xzf")
                    .arg(file(published))
                    .arg("-C")
                    .arg(folder.path()),
            )?;
        }
        let sources = folder.path().join("program/src");
        fs::create_dir_all(sources.join("bin"))?;
        fs::write(folder.path().join("program/Cargo.toml"), manifest(crates))?;
        let root = workspace::root();
        let page = fs::read_to_string(root.join("docs/getting-started.md"))?;
        fs::write(sources.join("main.rs"), rust_block(&page)?)?;
        let readme = fs::read_to_string(root.join("README.md"))?;
        fs::write(sources.join("bin/readme.rs"), rust_block(&readme)?)?;
        let tools = folder.path().join("tools");
        fs::create_dir(&tools)?;
        for name in BUILD_TOOLS {
            let found = ["/usr/bin", "/bin", "/usr/local/bin"]
                .iter()
                .map(|dir| Path::new(dir).join(name))
                .find(|path| path.exists());
            if let Some(path) = found {
                symlink(path, tools.join(name))?;
            }
        }
        Ok(Self { folder, tools })
    }

    /// Builds the program, in a target folder that the next check uses again.
    fn build(&self) -> Result<()> {
        let started = Instant::now();
        command::run(self.cargo()?.args(["build", "--quiet"]))?;
        println!("built in {:.0} s", started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Runs the program, and returns what it prints on standard error.
    fn run(&self) -> Result<String> {
        let output = Command::new(self.target_dir().join("debug/program"))
            .current_dir(self.folder.path())
            .env("ERYX_CACHE_DIR", self.folder.path().join("cache"))
            .output()
            .context("cannot start the program")?;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            bail!("the program ended with {}\n{stderr}", output.status);
        }
        Ok(stderr)
    }

    fn cargo(&self) -> Result<Command> {
        let sysroot = command::output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let bin = Path::new(sysroot.trim()).join("bin");
        let path = std::env::join_paths([&bin, &self.tools])?;
        let mut cargo = Command::new(bin.join("cargo"));
        cargo
            .current_dir(self.folder.path().join("program"))
            .env("PATH", path)
            .env("CARGO_TARGET_DIR", self.target_dir())
            .env_remove("ERYX_GUEST_IMAGE");
        Ok(cargo)
    }

    fn target_dir(&self) -> PathBuf {
        workspace::target_dir().join("package-check")
    }
}

/// Returns the manifest of the program. Its profile is the one of the documentation.
fn manifest(crates: &[PublishedCrate]) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let patches: String = crates
        .iter()
        .map(|published| {
            format!(
                "{} = {{ path = \"../{}\" }}\n",
                published.name,
                published.folder_name()
            )
        })
        .collect();
    format!(
        "[package]\n\
         name = \"program\"\n\
         version = \"0.0.0\"\n\
         edition = \"2024\"\n\n\
         [dependencies]\n\
         eryx-sandbox = \"{version}\"\n\
         tokio = {{ version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }}\n\n\
         [profile.dev.package.\"*\"]\n\
         debug = false\n\
         opt-level = 2\n\n\
         [patch.crates-io]\n\
         {patches}"
    )
}

/// Returns the first Rust program of a page, with the lines that the page hides.
fn rust_block(page: &str) -> Result<String> {
    let mut lines = page
        .lines()
        .skip_while(|line| !matches!(*line, "```rust" | "```rust,no_run"))
        .skip(1)
        .peekable();
    if lines.peek().is_none() {
        bail!("the page has no program in Rust");
    }
    Ok(lines
        .take_while(|line| *line != "```")
        .map(|line| line.strip_prefix("# ").unwrap_or(line).to_owned() + "\n")
        .collect())
}

#[cfg(test)]
mod tests {
    use super::rust_block;

    #[test]
    fn the_first_rust_program_of_a_page_is_whole() {
        let page =
            "text\n```text\nx\n```\n```rust,no_run\n# fn main() {\nrun();\n# }\n```\n```rust\n";
        assert_eq!(rust_block(page).expect("found"), "fn main() {\nrun();\n}\n");
        assert!(rust_block("no program").is_err());
    }
}
