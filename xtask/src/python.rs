//! The Python tools of the build, each set in a virtual environment of its own under `target/`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// A virtual environment with exactly the packages of a requirements file.
pub(crate) struct Venv {
    dir: PathBuf,
}

impl Venv {
    /// The environment at `dir`, made or renewed unless it already holds `requirements` as they are now.
    pub(crate) fn ensure(dir: &Path, requirements: &Path) -> Result<Self> {
        let wanted = fs::read_to_string(requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        let venv = Self {
            dir: dir.to_path_buf(),
        };
        let stamp = dir.join("eryx-requirements.txt");
        if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) && venv.python().is_file() {
            return Ok(venv);
        }
        venv.clear()?;
        venv.create(DEFAULT)?;
        eprintln!(
            "installing {} into {}",
            requirements.display(),
            dir.display()
        );
        process::output(
            Command::new(venv.python())
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--require-hashes", "--only-binary", ":all:", "--requirement"])
                .arg(requirements),
        )
        .context(
            "the build tools could not be installed: this step needs the network and a package index \
             (see `pip config list`); once it has run, later builds need neither",
        )?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(venv)
    }

    /// A new environment at `dir` with nothing in it, in place of what is there.
    pub(crate) fn fresh(dir: &Path) -> Result<Self> {
        Self::fresh_of(DEFAULT, dir)
    }

    /// The same, of another interpreter.
    pub(crate) fn fresh_of(interpreter: impl AsRef<OsStr>, dir: &Path) -> Result<Self> {
        let venv = Self {
            dir: dir.to_path_buf(),
        };
        venv.clear()?;
        venv.create(interpreter)?;
        Ok(venv)
    }

    /// Install this wheel, and nothing else, in place of another version of it.
    pub(crate) fn install(&self, wheel: &Path) -> Result<()> {
        self.install_all(&[wheel])
    }

    /// Install these wheels, and nothing else.
    pub(crate) fn install_all(&self, wheels: &[impl AsRef<OsStr>]) -> Result<()> {
        process::output(
            Command::new(self.python())
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                ])
                .args(["--no-index", "--no-deps", "--force-reinstall"])
                .args(wheels),
        )?;
        Ok(())
    }

    /// Fetch the pure-Python wheels that `requirements` pins into `folder`, unless they are there already.
    pub(crate) fn download(&self, requirements: &Path, folder: &Path) -> Result<()> {
        let pure = [
            "--platform",
            "any",
            "--implementation",
            "py",
            "--abi",
            "none",
        ];
        self.fetch(requirements, folder, &pure)
    }

    /// Fetch the wheels for this environment that `requirements` pins into `folder`, unless they are there already.
    pub(crate) fn download_native(&self, requirements: &Path, folder: &Path) -> Result<()> {
        self.fetch(requirements, folder, &[])
    }

    fn fetch(&self, requirements: &Path, folder: &Path, which: &[&str]) -> Result<()> {
        let wanted = fs::read_to_string(requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        let stamp = folder.join("requirements.txt");
        if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
            return Ok(());
        }
        if folder.exists() {
            fs::remove_dir_all(folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        process::output(
            Command::new(self.python())
                .args(["-m", "pip", "download", "--quiet"])
                .args([
                    "--disable-pip-version-check",
                    "--require-hashes",
                    "--no-deps",
                ])
                .args(["--only-binary", ":all:"])
                .args(which)
                .arg("--requirement")
                .arg(requirements)
                .arg("--dest")
                .arg(folder),
        )?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
    }

    /// Build pure-Python wheels of the sources that `requirements` pins into `folder`, unless they are there already,
    /// and return them. What builds them is in the environment.
    pub(crate) fn build_pure(&self, requirements: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
        let wanted = fs::read_to_string(requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        let stamp = folder.join("requirements.txt");
        if fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
            return wheels(folder);
        }
        if folder.exists() {
            fs::remove_dir_all(folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        process::output(
            Command::new(self.python())
                // A cached wheel may be one with native code.
                .args(["-m", "pip", "wheel", "--quiet", "--no-cache-dir"])
                .args([
                    "--disable-pip-version-check",
                    "--require-hashes",
                    "--no-deps",
                ])
                .args(["--no-build-isolation", "--no-binary", ":all:"])
                .arg("--requirement")
                .arg(requirements)
                .arg("--wheel-dir")
                .arg(folder)
                .env("NO_EXT", "1"),
        )?;
        // They are named after the interpreter that built them, and do not need it.
        for wheel in wheels(folder)? {
            process::output(
                Command::new(self.python())
                    .args(["-m", "wheel", "tags", "--remove", "--python-tag", "py3"])
                    .args(["--abi-tag", "none", "--platform-tag", "any"])
                    .arg(wheel),
            )?;
        }
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        wheels(folder)
    }

    /// The environment's interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.dir.join("bin/python3")
    }

    /// A program the environment's packages installed.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.dir.join("bin").join(name)
    }

    fn clear(&self) -> Result<()> {
        if self.dir.exists() {
            fs::remove_dir_all(&self.dir)
                .with_context(|| format!("cannot remove {}", self.dir.display()))?;
        }
        Ok(())
    }

    fn create(&self, interpreter: impl AsRef<OsStr>) -> Result<()> {
        let interpreter = interpreter.as_ref();
        let version = process::output(Command::new(interpreter).args([
            "-c",
            "import sys; print('%d.%d' % sys.version_info[:2]); sys.exit(sys.version_info < (3, 9))",
        ]));
        match version {
            Ok(_) => {}
            Err(error) => bail!(
                "Python 3.9 or newer is needed to build the guest image and the wheel, and `python3` did not answer as \
                 one: install it (Debian: `apt-get install python3 python3-venv`) and run this again\n{error:#}"
            ),
        }
        if let Err(error) = process::output(
            Command::new(interpreter)
                .args(["-m", "venv"])
                .arg(&self.dir),
        ) {
            bail!(
                "python3 cannot make virtual environments: install its venv module (Debian: `apt-get \
                 install python3-venv`) and run this again\n{error:#}"
            );
        }
        Ok(())
    }
}

/// The wheels in a folder.
pub(crate) fn wheels(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            found.push(path);
        }
    }
    Ok(found)
}

/// The interpreter of environments that may have any.
const DEFAULT: &str = "python3";
