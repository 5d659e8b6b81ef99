//! The Python interpreters of this machine.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// A CPython that runs.
pub(crate) struct Interpreter {
    /// Its own path, whatever it was called by.
    pub(crate) path: PathBuf,
    /// The minor version of Python 3.
    pub(crate) minor: u32,
}

impl Interpreter {
    /// The newest there is: of the names on the path, and of what pyenv keeps, whose names on the path run only where
    /// it is told a version.
    ///
    /// # Errors
    ///
    /// When there is none that can make virtual environments.
    pub(crate) fn newest() -> Result<Self> {
        let names = (OLDEST..=NEWEST).map(|minor| format!("python3.{minor}"));
        let on_path = names
            .chain(["python3".to_owned()])
            .map(|name| Command::new(&name));
        let kept = process::output(Command::new("pyenv").args(["versions", "--bare"]));
        let kept = kept.unwrap_or_default();
        let of_pyenv = kept.lines().map(|version| {
            let mut command = Command::new("python3");
            command.env("PYENV_VERSION", version.trim());
            command
        });
        let found = on_path.chain(of_pyenv).filter_map(Self::of);
        match found.max_by_key(|interpreter| interpreter.minor) {
            Some(interpreter) => Ok(interpreter),
            None => bail!(
                "no CPython was found: install one (Debian: `apt-get install python3 python3-venv`)"
            ),
        }
    }

    /// What the command runs, if it runs a CPython.
    fn of(mut command: Command) -> Option<Self> {
        let told = process::output(command.args(["-c", WHO])).ok()?;
        let (minor, path) = told.trim().split_once(' ')?;
        Some(Self {
            path: path.into(),
            minor: minor.parse().ok()?,
        })
    }
}

/// A virtual environment is no interpreter to make others of.
const WHO: &str = "
import sys, ensurepip, ssl, venv
assert sys.implementation.name == 'cpython' and sys.version_info[0] == 3
print(sys.version_info[1], sys._base_executable)
";

/// Versions of Python 3 that are looked for by their own names.
const OLDEST: u32 = 11;
const NEWEST: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interpreter_is_known_by_its_own_path_and_nothing_else_is_one() {
        let found = Interpreter::of(Command::new("python3")).expect("tests need one");
        assert!(found.path.is_absolute());
        assert!(found.minor >= 9);
        let again = Interpreter::of(Command::new(&found.path)).expect("it runs by its path");
        assert_eq!(again.path, found.path);
        for other in ["false", "true", "/nowhere/python3"] {
            assert!(Interpreter::of(Command::new(other)).is_none(), "{other}");
        }
    }
}
