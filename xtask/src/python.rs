//! The Python tools of the build, each set in a virtual environment of its own under `target/`.

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
        venv.create()?;
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
        let venv = Self {
            dir: dir.to_path_buf(),
        };
        venv.clear()?;
        venv.create()?;
        Ok(venv)
    }

    /// Install this wheel, and nothing else, in place of another version of it.
    pub(crate) fn install(&self, wheel: &Path) -> Result<()> {
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
                .arg(wheel),
        )?;
        Ok(())
    }

    /// Fetch the pure-Python wheels that `requirements` pins into `folder`, unless they are there already.
    pub(crate) fn download(&self, requirements: &Path, folder: &Path) -> Result<()> {
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
                .args(["--only-binary", ":all:", "--platform", "any"])
                .args(["--implementation", "py", "--abi", "none", "--requirement"])
                .arg(requirements)
                .arg("--dest")
                .arg(folder),
        )?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
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

    fn create(&self) -> Result<()> {
        let version = process::output(Command::new("python3").args([
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
        if let Err(error) =
            process::output(Command::new("python3").args(["-m", "venv"]).arg(&self.dir))
        {
            bail!(
                "python3 cannot make virtual environments: install its venv module (Debian: `apt-get \
                 install python3-venv`) and run this again\n{error:#}"
            );
        }
        Ok(())
    }
}
