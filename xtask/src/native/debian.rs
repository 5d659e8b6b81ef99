//! Packages of Debian unstable, which this machine does not need to run: they are downloaded with a
//! configuration of apt of their own, and unpacked.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use eryx_guest_shims::sha256_hex;

use crate::command;
use crate::venv::{Stamp, remove_dir};

/// Unpacks the packages that the file `list` names into the folder `target`, unless they are there.
/// A line has the name of a package, or its name, version and SHA-256.
///
/// # Errors
///
/// Fails where there is no apt, where Debian does not serve a version any more, and when a digest
/// differs. The error names the package.
pub(crate) fn unpack(list: &Path, target: &Path) -> Result<()> {
    let stamp = Stamp::new(list, target.join("packages.txt"))?;
    if stamp.is_current() {
        return Ok(());
    }
    remove_dir(target)?;
    let archives = target.join("archives");
    fs::create_dir_all(&archives)?;
    let apt = Apt::configure(target.join("apt"))?;
    let packages = fs::read_to_string(list)?;
    for line in packages.lines().filter(|line| !line.starts_with('#')) {
        let Package { name, pin } =
            Package::parse(line).with_context(|| format!("{}: {line}", list.display()))?;
        let version = pin.map(|(version, _)| version);
        let archive = apt.download(name, version, &archives).with_context(|| {
            format!(
                "Debian unstable does not have {name} as {} pins it: it serves the newest version \
                 alone. Write that version and its digest there (`apt-cache show`)",
                list.display()
            )
        })?;
        ensure!(
            pin.is_none_or(|(_, digest)| sha256_hex(&archive) == digest),
            "{name} of Debian unstable is not the file that {} pins",
            list.display()
        );
    }
    for entry in fs::read_dir(&archives)? {
        command::output(
            Command::new("dpkg-deb")
                .arg("-x")
                .arg(entry?.path())
                .arg(target),
        )?;
    }
    remove_dir(&archives)?;
    remove_dir(&apt.dir)?;
    stamp.write()
}

/// A line of a list.
#[derive(Debug, PartialEq, Eq)]
struct Package<'a> {
    name: &'a str,
    /// The version and the SHA-256.
    pin: Option<(&'a str, &'a str)>,
}

impl<'a> Package<'a> {
    fn parse(line: &'a str) -> Result<Self> {
        let parts: Vec<_> = line.split_whitespace().collect();
        let (name, pin) = match parts[..] {
            [name] => (name, None),
            [name, version, digest] => (name, Some((version, digest))),
            _ => bail!("a line has a name, or a name, a version and a digest"),
        };
        Ok(Self { name, pin })
    }
}

/// apt with a configuration of its own.
struct Apt {
    dir: PathBuf,
}

impl Apt {
    /// Configures apt for Debian unstable, from the server that this machine's packages come from,
    /// and gets the index.
    fn configure(dir: PathBuf) -> Result<Self> {
        let targets = command::output(Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(SUITE) $(REPO_URI)",
            "Created-By: Packages",
            "Origin: Debian",
        ]))?;
        let server = targets
            .lines()
            .filter_map(|target| target.split_once(' '))
            .find(|(suite, _)| !suite.ends_with("-security"))
            .map(|(_, server)| server)
            .context("apt knows no packages of Debian; `apt-get update` gets its index")?;
        for folder in ["lists/partial", "cache/archives/partial", "empty"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        let key = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let source = format!("deb [signed-by={key}] {server} unstable main\n");
        fs::write(dir.join("sources.list"), source)?;
        fs::write(dir.join("status"), "")?;
        let path = dir.display();
        let configuration = format!(
            "Dir::State \"{path}\";\n\
             Dir::State::lists \"{path}/lists\";\n\
             Dir::State::status \"{path}/status\";\n\
             Dir::Cache \"{path}/cache\";\n\
             Dir::Etc::sourcelist \"{path}/sources.list\";\n\
             Dir::Etc::sourceparts \"{path}/empty\";\n\
             Dir::Etc::preferencesparts \"{path}/empty\";\n\
             APT::Sandbox::User \"\";\n\
             Acquire::Languages \"none\";\n"
        );
        fs::write(dir.join("apt.conf"), configuration)?;
        let apt = Self { dir };
        command::output(apt.get(&apt.dir).arg("update"))?;
        Ok(apt)
    }

    /// Returns a command in the folder `target`.
    fn get(&self, target: &Path) -> Command {
        let mut command = Command::new("apt-get");
        command
            .arg("--quiet")
            .current_dir(target)
            .env("APT_CONFIG", self.dir.join("apt.conf"));
        command
    }

    /// Downloads a package, in its newest version or in this one, to the folder `archives`. Returns
    /// its content.
    fn download(&self, name: &str, version: Option<&str>, archives: &Path) -> Result<Vec<u8>> {
        let package = match version {
            Some(version) => format!("{name}={version}"),
            None => name.to_owned(),
        };
        command::output(self.get(archives).args(["download", &package]))?;
        let prefix = format!("{name}_");
        for entry in fs::read_dir(archives)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                return Ok(fs::read(entry.path())?);
            }
        }
        bail!("apt-get downloaded no file {prefix}*.deb")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Package;
    use crate::workspace;

    #[test]
    fn the_packages_that_determine_machine_code_are_pinned() {
        let read = |list: &str| {
            fs::read_to_string(workspace::root().join("xtask/native").join(list)).expect(list)
        };
        let (rust, headers) = (read("debian-rust.txt"), read("debian-headers.txt"));
        let packages: Vec<_> = rust
            .lines()
            .chain(headers.lines())
            .filter(|line| !line.starts_with('#'))
            .map(|line| Package::parse(line).expect(line))
            .collect();
        for part in [
            "rustc",
            "libstd-rust-dev-wasm32",
            "libllvm",
            "libpython3.14-dev",
        ] {
            let package = packages
                .iter()
                .find(|package| package.name.starts_with(part));
            let (_, digest) = package.and_then(|package| package.pin).expect(part);
            assert_eq!(digest.len(), 64, "{part}");
        }
        Package::parse("rustc 1.97").expect_err("a version without a digest");
    }
}
