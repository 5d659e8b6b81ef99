//! Virtual environments under `target/`, one for each set of Python tools.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;

/// The interpreter of environments that any Python suits.
const DEFAULT_PYTHON: &str = "python3";

/// A virtual environment.
pub(crate) struct Venv {
    dir: PathBuf,
}

impl Venv {
    /// Returns the environment at `dir` with exactly the packages of `requirements`. Creates it
    /// anew if that file has changed.
    pub(crate) fn ensure(dir: &Path, requirements: &Path) -> Result<Self> {
        let venv = Self {
            dir: dir.to_path_buf(),
        };
        let stamp = Stamp::new(requirements, dir.join("eryx-requirements.txt"))?;
        if stamp.is_current() && venv.python().is_file() {
            return Ok(venv);
        }
        venv.create(DEFAULT_PYTHON)?;
        eprintln!(
            "installing {} into {}",
            requirements.display(),
            dir.display()
        );
        command::output(
            venv.pip("install")
                .args([
                    "--require-hashes",
                    // The file has all dependencies. Pitfall: pip takes the newest version of a
                    // dependency with an extra, and rejects it as it is not pinned.
                    "--no-deps",
                    "--only-binary",
                    ":all:",
                    "--requirement",
                ])
                .arg(requirements),
        )
        .context(
            "the build tools could not be installed: this step needs the network and a package \
             index (see `pip config list`); once it has run, later builds need neither",
        )?;
        stamp.write()?;
        Ok(venv)
    }

    /// Creates an environment without packages at `dir`, in place of an older one.
    pub(crate) fn empty(dir: &Path) -> Result<Self> {
        Self::empty_with(DEFAULT_PYTHON, dir)
    }

    /// Creates an environment without packages at `dir`, with this interpreter.
    pub(crate) fn empty_with(interpreter: impl AsRef<OsStr>, dir: &Path) -> Result<Self> {
        let venv = Self {
            dir: dir.to_path_buf(),
        };
        venv.create(interpreter)?;
        Ok(venv)
    }

    /// Installs a wheel of this workspace without its dependencies, in place of another version of
    /// it, and of the distribution `eryx`, which has files of the same names.
    pub(crate) fn install(&self, wheel: &Path) -> Result<()> {
        command::output(self.pip("uninstall").args(["--yes", "eryx"]))?;
        self.install_all(&[wheel])
    }

    /// Installs wheels without their dependencies.
    pub(crate) fn install_all(&self, wheels: &[impl AsRef<OsStr>]) -> Result<()> {
        command::output(
            self.pip("install")
                .args(["--no-index", "--no-deps", "--force-reinstall"])
                .args(wheels),
        )?;
        Ok(())
    }

    /// Downloads the pure-Python wheels that `requirements` pins into `folder`, unless they are
    /// there.
    pub(crate) fn download(&self, requirements: &Path, folder: &Path) -> Result<()> {
        let pure = [
            "--only-binary",
            ":all:",
            "--platform",
            "any",
            "--implementation",
            "py",
            "--abi",
            "none",
            // Of the guest.
            "--python-version",
            "3.14",
        ];
        self.fetch(requirements, folder, &pure)
    }

    /// Downloads the wheels for this environment that `requirements` pins into `folder`, unless
    /// they are there.
    pub(crate) fn download_native(&self, requirements: &Path, folder: &Path) -> Result<()> {
        self.fetch(requirements, folder, &["--only-binary", ":all:"])
    }

    fn fetch(&self, requirements: &Path, folder: &Path, options: &[&str]) -> Result<()> {
        let stamp = Stamp::new(requirements, folder.join("requirements.txt"))?;
        if stamp.is_current() {
            return Ok(());
        }
        remove_dir(folder)?;
        command::output(
            self.pip("download")
                .args(["--require-hashes", "--no-deps"])
                .args(options)
                .arg("--requirement")
                .arg(requirements)
                .arg("--dest")
                .arg(folder),
        )?;
        stamp.write()
    }

    /// Builds pure-Python wheels of the sources that `requirements` pins into `folder`, unless they
    /// are there, and returns them. The environment has the build tools.
    pub(crate) fn build_pure(&self, requirements: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
        let stamp = Stamp::new(requirements, folder.join("requirements.txt"))?;
        if stamp.is_current() {
            return wheels(folder);
        }
        remove_dir(folder)?;
        command::output(
            self.wheel_of_sources(requirements, folder)
                .env("NO_EXT", "1")
                // Setuptools leaves out optional native code if it cannot be compiled.
                .env("CC", "false"),
        )?;
        // The tags of the wheels name the interpreter that built them, which the wheels do not
        // need.
        for wheel in wheels(folder)? {
            command::output(
                Command::new(self.python())
                    .args(["-m", "wheel", "tags", "--remove", "--python-tag", "py3"])
                    .args(["--abi-tag", "none", "--platform-tag", "any"])
                    .arg(wheel),
            )?;
        }
        stamp.write()?;
        wheels(folder)
    }

    /// Returns the command that builds wheels of the sources that `requirements` pins into
    /// `folder`. The environment has the build tools.
    pub(crate) fn wheel_of_sources(&self, requirements: &Path, folder: &Path) -> Command {
        let mut command = self.pip("wheel");
        command
            // A cached wheel may have native code of another platform.
            .args(["--no-cache-dir", "--require-hashes", "--no-deps"])
            .args(["--no-build-isolation", "--no-binary", ":all:"])
            .arg("--requirement")
            .arg(requirements)
            .arg("--wheel-dir")
            .arg(folder);
        command
    }

    /// Downloads the sources that `requirements` pins into `folder`, unless they are there. The
    /// environment has the build tools, which give the metadata.
    pub(crate) fn download_sources(&self, requirements: &Path, folder: &Path) -> Result<()> {
        let sources = ["--no-build-isolation", "--no-binary", ":all:"];
        self.fetch(requirements, folder, &sources)
    }

    /// Returns the environment's interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.dir.join("bin/python3")
    }

    /// Returns a program that the environment's packages installed.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    fn pip(&self, subcommand: &str) -> Command {
        let mut command = Command::new(self.python());
        command
            .args(["-m", "pip", subcommand])
            .args(["--quiet", "--disable-pip-version-check"]);
        command
    }

    fn create(&self, interpreter: impl AsRef<OsStr>) -> Result<()> {
        remove_dir(&self.dir)?;
        let interpreter = interpreter.as_ref();
        let version = command::output(Command::new(interpreter).args([
            "-c",
            "import sys; print('%d.%d' % sys.version_info[:2]); sys.exit(sys.version_info < (3, 9))",
        ]));
        if let Err(error) = version {
            bail!(
                "Python 3.9 or newer is needed to build the guest image and the wheel, and \
                 `python3` did not answer as one: install it (Debian: `apt-get install python3 \
                 python3-venv`) and run this again\n{error:#}"
            );
        }
        if let Err(error) = command::output(
            Command::new(interpreter)
                .args(["-m", "venv"])
                .arg(&self.dir),
        ) {
            bail!(
                "python3 cannot make virtual environments: install its venv module (Debian: \
                 `apt-get install python3-venv`) and run this again\n{error:#}"
            );
        }
        Ok(())
    }
}

/// A copy of a requirements file, written to a folder after the folder was filled from it.
pub(crate) struct Stamp {
    path: PathBuf,
    requirements: String,
}

impl Stamp {
    pub(crate) fn new(requirements: &Path, path: PathBuf) -> Result<Self> {
        let requirements = fs::read_to_string(requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        Ok(Self { path, requirements })
    }

    /// Returns whether the folder was filled from the file as it is now.
    pub(crate) fn is_current(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|filled_from| filled_from == self.requirements)
    }

    pub(crate) fn write(&self) -> Result<()> {
        fs::write(&self.path, &self.requirements)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

pub(crate) fn remove_dir(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot remove {}", dir.display()))?;
    }
    Ok(())
}

/// Returns the wheels in a folder.
pub(crate) fn wheels(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut wheels = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            wheels.push(path);
        }
    }
    Ok(wheels)
}
