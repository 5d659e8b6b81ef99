//! Finds the CPython interpreters of this machine.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::command;

/// A CPython that runs and can create virtual environments.
pub(crate) struct Interpreter {
    /// The path of its own executable.
    pub(crate) path: PathBuf,
    /// Its minor version of Python 3.
    pub(crate) minor: u32,
}

impl Interpreter {
    /// Returns the newest interpreter among the names on the path and the versions of pyenv, whose
    /// names on the path run only with `PYENV_VERSION` set.
    ///
    /// # Errors
    ///
    /// Fails if none can create virtual environments.
    pub(crate) fn newest() -> Result<Self> {
        let names = (OLDEST..=NEWEST).map(|minor| format!("python3.{minor}"));
        let on_path = names
            .chain(["python3".to_owned()])
            .map(|name| Command::new(&name));
        let versions = command::output(Command::new("pyenv").args(["versions", "--bare"]));
        let versions = versions.unwrap_or_default();
        let of_pyenv = versions.lines().map(|version| {
            let mut command = Command::new("python3");
            command.env("PYENV_VERSION", version.trim());
            command
        });
        let interpreters = on_path.chain(of_pyenv).filter_map(Self::probe);
        match interpreters.max_by_key(|interpreter| interpreter.minor) {
            Some(interpreter) => Ok(interpreter),
            None => bail!(
                "no CPython was found: install one (Debian: `apt-get install python3 python3-venv`)"
            ),
        }
    }

    /// Returns the interpreter that the command runs, if it is a CPython.
    fn probe(mut command: Command) -> Option<Self> {
        let output = command::output(command.args(["-c", PROBE])).ok()?;
        let (minor, path) = output.trim().split_once(' ')?;
        Some(Self {
            path: path.into(),
            minor: minor.parse().ok()?,
        })
    }
}

/// Prints the base interpreter: a virtual environment's own must not be used to create others.
const PROBE: &str = "
import sys, ensurepip, ssl, venv
assert sys.implementation.name == 'cpython' and sys.version_info[0] == 3
print(sys.version_info[1], sys._base_executable)
";

/// The minor versions of Python 3 whose names are looked up on the path.
const OLDEST: u32 = 11;
const NEWEST: u32 = 20;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Interpreter;

    #[test]
    fn probe_returns_the_executable_of_a_cpython_and_rejects_other_programs() {
        let interpreter = Interpreter::probe(Command::new("python3")).expect("tests need one");
        assert!(interpreter.path.is_absolute());
        assert!(interpreter.minor >= 9);
        let again = Interpreter::probe(Command::new(&interpreter.path)).expect("it runs");
        assert_eq!(again.path, interpreter.path);
        for other in ["false", "true", "/nowhere/python3"] {
            assert!(Interpreter::probe(Command::new(other)).is_none(), "{other}");
        }
    }
}
