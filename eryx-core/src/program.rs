//! A program with its inputs: variables, arguments, environment, standard input and files.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use tokio::io::AsyncRead;

use crate::bindings::StartState;
use crate::config_error::ConfigError;
use crate::environment::Environment;
use crate::files::Files;
use crate::json_value::{JsonValue, JsonValueError};
use crate::program_error::ProgramError;
use crate::stdin::Stdin;

/// A program to execute: its source, and its inputs.
///
/// The functions that execute programs take any type that converts to one, such as the source
/// alone: Python in UTF-8, or in the encoding that its first lines declare (PEP 263).
///
/// ```no_run
/// # async fn example(sandbox: eryx_core::Sandbox) -> Result<(), Box<dyn std::error::Error>> {
/// use eryx_core::Program;
///
/// let program = Program::new("sum(numbers) * factor")
///     .with_input("numbers", &[1, 2, 3])
///     .with_input("factor", &10)
///     .with_value();
/// let result = sandbox.execute(program).await?;
/// let value: u64 = result.value.ok_or("no value")??.to()?;
/// assert_eq!(value, 60);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Program {
    pub(crate) source: Vec<u8>,
    arguments: Option<Vec<String>>,
    pub(crate) environment: Environment,
    inputs: BTreeMap<String, Result<JsonValue, JsonValueError>>,
    pub(crate) stdin: Stdin,
    pub(crate) files: Files,
    pub(crate) wants_value: bool,
}

impl Program {
    /// The most bytes that the JSON of all inputs may have together.
    pub const MAX_INPUTS: usize = 3 << 20;

    /// The most bytes that all arguments may have together, with 10 for each.
    pub const MAX_ARGUMENTS: usize = Environment::MAX_BYTES;

    /// Returns the program with this source.
    pub fn new(source: impl Into<Vec<u8>>) -> Self {
        Self {
            source: source.into(),
            ..Self::default()
        }
    }

    /// Defines `name` in the program's `__main__` module, with `value` as JSON. In a session it
    /// stays defined. Up to [`MAX_INPUTS`](Self::MAX_INPUTS) bytes of JSON.
    ///
    /// An input that cannot be passed is an error of the execution.
    #[must_use]
    pub fn with_input(
        mut self,
        name: impl Into<String>,
        value: &(impl Serialize + ?Sized),
    ) -> Self {
        self.inputs.insert(name.into(), JsonValue::new(value));
        self
    }

    /// Defines `name` as [`with_input`](Self::with_input), with a value that is JSON already.
    #[must_use]
    pub fn with_json_input(mut self, name: impl Into<String>, value: JsonValue) -> Self {
        self.inputs.insert(name.into(), Ok(value));
        self
    }

    /// Sets `sys.argv`, whose first item is the name of the script. Without this, it is `[""]`; in
    /// a session, it stays as it is. Up to [`MAX_ARGUMENTS`](Self::MAX_ARGUMENTS) bytes.
    #[must_use]
    pub fn with_arguments<A: Into<String>>(
        mut self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments = Some(arguments.into_iter().map(Into::into).collect());
        self
    }

    /// Sets environment variables, in addition to those of the sandbox; see
    /// [`SandboxBuilder::with_env`](crate::SandboxBuilder::with_env). In a session they stay set.
    #[must_use]
    pub fn with_env<N: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.environment.extend(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        self
    }

    /// Sets what the program reads from standard input. Without this, it is empty.
    #[must_use]
    pub fn with_stdin(mut self, input: impl Into<Bytes>) -> Self {
        self.stdin = Stdin::Bytes(input.into());
        self
    }

    /// Connects the program's standard input with a reader. It is read when the program reads, and
    /// up to 64 KiB in advance. A program that waits for it can be ended as any other.
    #[must_use]
    pub fn with_stdin_reader(mut self, reader: impl AsyncRead + Send + Unpin + 'static) -> Self {
        self.stdin = Stdin::Reader(Box::new(reader));
        self
    }

    /// Adds files to those of the sandbox, for this execution; see
    /// [`SandboxBuilder::with_files`](crate::SandboxBuilder::with_files). They do not count against
    /// the limits until the program changes them. No two may have the same path.
    ///
    /// A session has its own files, which [`Session::files`](crate::Session::files) writes: to
    /// execute a program with files there is an error.
    #[must_use]
    pub fn with_files(mut self, files: Files) -> Self {
        self.files = files;
        self
    }

    /// Asks for the value of the program: that of its last statement, if that is an expression, and
    /// else `None`. The result has it as [`value`](crate::ExecuteResult::value) and
    /// [`display`](crate::ExecuteResult::display).
    #[must_use]
    pub fn with_value(mut self) -> Self {
        self.wants_value = true;
        self
    }

    /// Checks the inputs, the arguments and the environment variables. Executing the program does
    /// that, too.
    ///
    /// # Errors
    ///
    /// When one of them cannot be passed to the program.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.environment.validate()?;
        self.check_arguments()?;
        Ok(self.check_inputs()?)
    }

    /// Returns the state that the interpreter sets before it runs this program; `None` if there is
    /// none to set.
    pub(crate) fn start_state(&mut self, opens_stdin: bool) -> Option<StartState> {
        let inputs = self.inputs.iter();
        let inputs = inputs.filter_map(|(name, value)| Some((name.as_str(), value.as_ref().ok()?)));
        let start = StartState {
            environment: self.environment.variables().to_vec(),
            arguments: self.arguments.take(),
            inputs: (!self.inputs.is_empty()).then(|| JsonValue::object(inputs).into_bytes()),
            opens_stdin,
        };
        let is_needed = !start.environment.is_empty()
            || start.arguments.is_some()
            || start.inputs.is_some()
            || start.opens_stdin;
        is_needed.then_some(start)
    }

    fn check_arguments(&self) -> Result<(), ProgramError> {
        let arguments = self.arguments.as_deref().unwrap_or_default();
        if let Some(position) = arguments.iter().position(|text| text.contains('\0')) {
            return Err(ProgramError::NulInArgument { position });
        }
        let bytes = arguments.iter().map(|text| text.len() + 10).sum();
        if bytes > Self::MAX_ARGUMENTS {
            return Err(ProgramError::TooLarge {
                setting: "argv",
                bytes,
                max: Self::MAX_ARGUMENTS,
                remedy: "pass large data as an input or on standard input",
            });
        }
        Ok(())
    }

    fn check_inputs(&self) -> Result<(), ProgramError> {
        // The braces, without the comma after the last.
        let mut bytes = 1;
        for (name, value) in &self.inputs {
            if let Some(reason) = refusal_of_name(name) {
                let name = name.chars().take(64).collect();
                return Err(ProgramError::InputName { name, reason });
            }
            let value = value.as_ref().map_err(|source| ProgramError::InputValue {
                name: name.clone(),
                source: source.clone(),
            })?;
            bytes += name.len() + value.as_str().len() + 4;
        }
        if bytes > Self::MAX_INPUTS {
            return Err(ProgramError::TooLarge {
                setting: "inputs",
                bytes,
                max: Self::MAX_INPUTS,
                remedy: "pass large data as a file or on standard input",
            });
        }
        Ok(())
    }
}

/// Returns why a name cannot be that of an input, if it cannot.
fn refusal_of_name(name: &str) -> Option<&'static str> {
    /// The keywords of Python 3.14, which no program can use as names.
    const KEYWORDS: [&str; 35] = [
        "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class",
        "continue", "def", "del", "elif", "else", "except", "finally", "for", "from", "global",
        "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return",
        "try", "while", "with", "yield",
    ];
    let is_identifier = name.chars().enumerate().all(|(position, c)| {
        c == '_' || c.is_alphabetic() || (position > 0 && c.is_alphanumeric())
    });
    if name.is_empty() || !is_identifier {
        Some("it is not an identifier")
    } else if KEYWORDS.contains(&name) {
        Some("it is a keyword of Python")
    } else if name.starts_with("__") {
        Some("names that start with `__` are Python's own")
    } else {
        None
    }
}

/// Returns the program with this source.
macro_rules! impl_from_source {
    ($($source:ty),*) => {$(
        impl From<$source> for Program {
            fn from(source: $source) -> Self {
                Self::new(source)
            }
        }
    )*};
}

impl_from_source!(&str, String, &[u8], Vec<u8>);

impl From<&String> for Program {
    fn from(source: &String) -> Self {
        Self::new(source.as_str())
    }
}

impl From<&Vec<u8>> for Program {
    fn from(source: &Vec<u8>) -> Self {
        Self::new(source.as_slice())
    }
}

impl<const N: usize> From<&[u8; N]> for Program {
    fn from(source: &[u8; N]) -> Self {
        Self::new(source.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(program: Program) -> String {
        program.validate().expect_err("refused").to_string()
    }

    #[test]
    fn an_error_has_the_part_the_rule_and_the_remedy() {
        for (name, wanted) in [
            ("", "not an identifier"),
            ("1a", "not an identifier"),
            ("a-b", "not an identifier"),
            ("a.b", "not an identifier"),
            ("class", "keyword"),
            ("__builtins__", "Python's own"),
        ] {
            let error = error(Program::new("").with_input(name, &1));
            assert!(
                error.starts_with(&format!("inputs: {name:?} cannot")) && error.contains(wanted),
                "{error}"
            );
        }
        let keys = BTreeMap::from([((1, 2), 3)]);
        let error_of_value = error(Program::new("").with_input("x", &keys));
        assert!(
            error_of_value.starts_with("inputs: \"x\" cannot be passed as JSON: key must be"),
            "{error_of_value}"
        );
        let large = "x".repeat(Program::MAX_INPUTS);
        let error_of_size = error(Program::new("").with_input("x", &large));
        assert!(
            error_of_size.contains("pass large data as a file"),
            "{error_of_size}"
        );
        let arguments = vec!["x".repeat(1000); 200];
        let error_of_size = error(Program::new("").with_arguments(arguments));
        assert!(
            error_of_size.starts_with("argv: they have 202000 bytes"),
            "{error_of_size}"
        );
        let error_of_argument = error(Program::new("").with_arguments(["a", "b\0"]));
        assert!(
            error_of_argument.starts_with("argv: argument 1 contains"),
            "{error_of_argument}"
        );
        error(Program::new("").with_env([("", "")]));
    }

    #[test]
    fn a_program_without_inputs_needs_no_preparation() {
        assert!(
            Program::new("pass")
                .with_value()
                .start_state(false)
                .is_none()
        );
        assert!(Program::new("pass").start_state(true).is_some());
        for name in ["x", "größe", "_1", "_"] {
            Program::new("")
                .with_input(name, &1)
                .validate()
                .expect(name);
        }
    }
}
