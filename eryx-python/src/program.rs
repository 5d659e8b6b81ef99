//! The arguments of `execute`: a program and its inputs.

use eryx::{JsonValue, Program};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::arguments::{
    Item, flag, for_each_keyword, items, program_source, str_list, string_bytes, text, variables,
    wrong_type,
};
use crate::error::exception;
use crate::files::files;
use crate::json_values;
use crate::traced_functions::TracedFunctions;

const NAMES: [&str; 6] = ["inputs", "value", "stdin", "argv", "env", "files"];

/// A program to execute.
pub(crate) struct ProvidedProgram {
    pub(crate) program: Program,
    /// What provides the content of its files.
    pub(crate) providers: TracedFunctions,
}

/// Returns the program with the source `code` and the keyword arguments `arguments`.
pub(crate) fn program(
    code: &Bound<'_, PyAny>,
    arguments: Option<&Bound<'_, PyDict>>,
) -> PyResult<ProvidedProgram> {
    let mut providers = TracedFunctions::default();
    let mut program = Program::new(program_source("code", code)?);
    for_each_keyword("execute", &NAMES, arguments, |name, value| {
        let changed = std::mem::take(&mut program);
        program = match name {
            "value" if flag(name, value)? => changed.with_value(),
            "value" => changed,
            _ if value.is_none() => changed,
            "inputs" => inputs(value)?
                .into_iter()
                .fold(changed, |program, (name, value)| {
                    program.with_json_input(name, value)
                }),
            "stdin" => changed.with_stdin(input(value)?),
            "files" => {
                let provided = files(name, value)?;
                providers = provided.providers;
                changed.with_files(provided.files)
            }
            "argv" => changed.with_arguments(str_list(name, value)?),
            _ => changed.with_env(variables(name, value)?),
        };
        Ok(())
    })?;
    program
        .validate()
        .map_err(|error| exception(error.into()))?;
    Ok(ProvidedProgram { program, providers })
}

/// Returns the items of a mapping from names to values.
fn inputs(inputs: &Bound<'_, PyAny>) -> PyResult<Vec<(String, JsonValue)>> {
    let items = items("inputs", "a dict from names to values", inputs)?;
    let inputs = items.into_iter().map(|Item { key, value }| {
        let name = text("a name in inputs", &key)?;
        let shown: String = name.chars().take(64).collect();
        let path = format!("inputs[{shown:?}]");
        let value = json_values::encode(&value, Program::MAX_INPUTS, &path)?;
        Ok((name, value))
    });
    inputs.collect()
}

/// Returns the bytes of standard input.
fn input(stdin: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = stdin.cast::<PyString>() {
        return string_bytes("stdin", text);
    }
    if let Ok(bytes) = stdin.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    let hint = if stdin.hasattr("read")? {
        "; pass what it reads, stdin=file.read()"
    } else {
        ""
    };
    Err(PyTypeError::new_err(format!(
        "{}{hint}",
        wrong_type("stdin", "a str or bytes", stdin).value(stdin.py())
    )))
}
