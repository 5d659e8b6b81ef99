//! Checks the arguments that Python code passes, with errors that say what to write instead.

use std::path::PathBuf;

use pyo3::exceptions::{PyTypeError, PyUnicodeEncodeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyEllipsis, PyInt, PyMapping, PyString, PyTuple};

use crate::error::ConfigError;
use crate::keyword_hints;

/// Returns a whole number of `unit`, 0 or more.
pub(crate) fn non_negative_int(name: &str, value: &Bound<'_, PyAny>, unit: &str) -> PyResult<u64> {
    if !value.is_instance_of::<PyInt>() || value.is_instance_of::<PyBool>() {
        return Err(wrong_type(
            name,
            &format!("a whole number of {unit}"),
            value,
        ));
    }
    if value.lt(0)? {
        return Err(ConfigError::new_err(format!(
            "{name}={value}: a number of {unit} cannot be negative"
        )));
    }
    value
        .extract()
        .map_err(|_| ConfigError::new_err(format!("{name}={value}: pass {} at most", u64::MAX)))
}

/// Returns a whole number of `unit`, or `None`.
pub(crate) fn optional_int(
    name: &str,
    value: &Bound<'_, PyAny>,
    unit: &str,
) -> PyResult<Option<u64>> {
    if value.is_none() {
        return Ok(None);
    }
    non_negative_int(name, value, unit).map(Some)
}

/// Returns a bool.
pub(crate) fn flag(name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    match value.cast::<PyBool>() {
        Ok(flag) => Ok(flag.is_true()),
        Err(_) => Err(wrong_type(name, "True or False", value)),
    }
}

/// Returns a str.
pub(crate) fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    match value.cast::<PyString>() {
        Ok(text) => string(name, text),
        Err(_) => Err(wrong_type(name, "a str", value)),
    }
}

/// Returns the text of a str.
pub(crate) fn string(name: &str, text: &Bound<'_, PyString>) -> PyResult<String> {
    text.extract()
        .map_err(|error| encoding_error(name, "leave them out", error, text.py()))
}

/// Returns the bytes of a str, where bytes could be given too.
pub(crate) fn string_bytes(name: &str, text: &Bound<'_, PyString>) -> PyResult<Vec<u8>> {
    text.extract()
        .map(String::into_bytes)
        .map_err(|error| encoding_error(name, "leave them out, or give bytes", error, text.py()))
}

/// Returns the error for a str that has no encoding, in place of the `UnicodeEncodeError`. It does
/// not have the str, which may be a secret.
fn encoding_error(name: &str, remedy: &str, error: PyErr, py: Python<'_>) -> PyErr {
    if !error.is_instance_of::<PyUnicodeEncodeError>(py) {
        return error;
    }
    let start = error.value(py).getattr("start");
    let place = match start.and_then(|start| start.extract::<usize>()) {
        Ok(index) => format!(" (the first one at index {index})"),
        Err(_) => String::new(),
    };
    ConfigError::new_err(format!(
        "{name} has surrogates, which UTF-8 cannot encode{place}: {remedy}"
    ))
}

/// Returns the items of an iterable of str. A single str is an error, not a list of its characters.
pub(crate) fn str_list(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Err(PyTypeError::new_err(format!(
            "{name} has to be a list of str, not one str: write {name}=[{}]",
            text.repr()?
        )));
    }
    let Ok(items) = value.try_iter() else {
        return Err(wrong_type(name, "a list of str", value));
    };
    items
        .enumerate()
        .map(|(index, item)| {
            let item = item?;
            match item.cast::<PyString>() {
                Ok(text) => string(&format!("{name}[{index}]"), text),
                Err(_) => Err(wrong_type(name, "a list of str, and each entry", &item)),
            }
        })
        .collect()
}

/// An item of a mapping.
pub(crate) struct Item<'py> {
    pub(crate) key: Bound<'py, PyAny>,
    pub(crate) value: Bound<'py, PyAny>,
}

/// Returns the items of a mapping. `wanted` describes it, for the error about any other value.
pub(crate) fn items<'py>(
    name: &str,
    wanted: &str,
    value: &Bound<'py, PyAny>,
) -> PyResult<Vec<Item<'py>>> {
    let Ok(mapping) = value.cast::<PyMapping>() else {
        return Err(wrong_type(name, wanted, value));
    };
    let items = mapping.items()?;
    let items = items.iter().map(|item| {
        let (key, value) = item.extract()?;
        Ok(Item { key, value })
    });
    items.collect()
}

/// Returns the items of a mapping from names to values. No error shows a value: it may be a secret.
pub(crate) fn variables(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    items(name, "a dict from names to values", value)?
        .into_iter()
        .map(|Item { key, value }| {
            let key = text(&format!("a name in {name}"), &key)?;
            // What follows an `=` may be a value.
            let shown = key.split('=').next().unwrap_or_default();
            let value = text(&format!("{name}[{shown:?}]"), &value)?;
            Ok((key, value))
        })
        .collect()
}

/// Returns a path.
pub(crate) fn path(name: &str, value: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    machine_path(name, "a str or a path", value)
}

/// Returns a path. The error for another value says that `wanted` is wanted.
pub(crate) fn machine_path(
    name: &str,
    wanted: &str,
    value: &Bound<'_, PyAny>,
) -> PyResult<PathBuf> {
    value.extract().map_err(|error: PyErr| {
        match error.is_instance_of::<PyUnicodeEncodeError>(value.py()) {
            true => encoding_error(name, "leave them out", error, value.py()),
            false => wrong_type(name, wanted, value),
        }
    })
}

/// Returns the items of an iterable of paths, with `None` for each `...`. A single path is an
/// error, not a list of its characters.
pub(crate) fn paths(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<Option<PathBuf>>> {
    if value.is_instance_of::<PyString>() || value.extract::<PathBuf>().is_ok() {
        return Err(PyTypeError::new_err(format!(
            "{name} has to be a list of paths, not one: write {name}=[{}]",
            value.repr()?
        )));
    }
    let Ok(items) = value.try_iter() else {
        return Err(wrong_type(name, "a list of paths", value));
    };
    items
        .map(|item| {
            let item = item?;
            if item.is_instance_of::<PyEllipsis>() {
                return Ok(None);
            }
            let wanted = "a list of paths, and each entry a str or a path";
            machine_path(name, wanted, &item).map(Some)
        })
        .collect()
}

/// Returns the source of a program.
pub(crate) fn program_source(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = value.cast::<PyString>() {
        return string_bytes(name, text);
    }
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Ok(bytes.as_bytes().to_vec());
    }
    let hint = if value.hasattr("read_bytes")? {
        "; for the program in a file give path.read_bytes()"
    } else {
        ""
    };
    Err(PyTypeError::new_err(format!(
        "{name} has to be the program's text, a str or bytes, not {}{hint}",
        type_name(value)
    )))
}

/// Returns a callable that takes `argument`, or `None`.
pub(crate) fn callback(
    name: &str,
    argument: &str,
    value: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Py<PyAny>>> {
    match value {
        Some(value) if value.is_callable() => Ok(Some(value.clone().unbind())),
        Some(value) => Err(wrong_type(
            name,
            &format!("a function that takes {argument}"),
            value,
        )),
        None => Ok(None),
    }
}

/// Calls `apply` with every keyword argument, in the order of `known`. A keyword that is not in
/// `known` is an error.
pub(crate) fn for_each_keyword(
    function: &str,
    known: &[&str],
    arguments: Option<&Bound<'_, PyDict>>,
    mut apply: impl FnMut(&str, &Bound<'_, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    let Some(arguments) = arguments else {
        return Ok(());
    };
    // By position: looking up each name would create a Python string for it in every call.
    let mut values = Vec::with_capacity(arguments.len());
    for (key, value) in arguments {
        let key = text("a keyword", &key)?;
        let Some(position) = known.iter().position(|name| *name == key) else {
            return Err(unknown_keyword(function, known, &key, arguments.py()));
        };
        values.push((position, value));
    }
    values.sort_unstable_by_key(|(position, _)| *position);
    for (position, value) in &values {
        apply(known[*position], value)?;
    }
    Ok(())
}

/// Raises an error for positional arguments.
pub(crate) fn keywords_only(
    function: &str,
    known: &[&str],
    positional: &Bound<'_, PyTuple>,
) -> PyResult<()> {
    if positional.is_empty() {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!(
        "{function}() takes no positional arguments; pass each by its keyword, as in {function}({}=...)",
        known.first().copied().unwrap_or_default()
    )))
}

/// Returns the error for a value of the wrong type.
pub(crate) fn wrong_type(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!(
        "{name} has to be {wanted}, not {}",
        type_name(value)
    ))
}

fn type_name(value: &Bound<'_, PyAny>) -> String {
    if value.is_none() {
        return "None".to_owned();
    }
    match value.get_type().name() {
        Ok(name) => format!("of type {name}"),
        Err(_) => "of another type".to_owned(),
    }
}

fn unknown_keyword(function: &str, known: &[&str], key: &str, py: Python<'_>) -> PyErr {
    if let Some(instead) = keyword_hints::in_place_of(key, known) {
        return PyTypeError::new_err(format!(
            "{function}() has no argument {key}: write {instead}"
        ));
    }
    let hint = unknown_name_hint(known, key, py);
    PyTypeError::new_err(format!("{function}() has no argument {key}: {hint}"))
}

/// Raises an error for the keyword arguments that a function has not named.
pub(crate) fn no_other_keyword(
    function: &str,
    known: &[&str],
    others: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let Some((others, (key, _))) = others.and_then(|others| Some((others, others.iter().next()?)))
    else {
        return Ok(());
    };
    let key = text("a keyword", &key)?;
    Err(unknown_keyword(function, known, &key, others.py()))
}

/// Returns what to write in place of `key`, which is none of the `known` names.
pub(crate) fn unknown_name_hint(known: &[&str], key: &str, py: Python<'_>) -> String {
    let near = py
        .import("difflib")
        .and_then(|difflib| {
            difflib.call_method1("get_close_matches", (key, known.to_vec(), 1, 0.5))
        })
        .and_then(|matches| matches.extract::<Vec<String>>())
        .unwrap_or_default();
    match near.first() {
        Some(near) => format!("did you mean {near}?"),
        None => format!("it takes {}", known.join(", ")),
    }
}
