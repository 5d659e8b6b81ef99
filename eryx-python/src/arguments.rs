//! What callers pass, taken apart with errors that say what to write instead.

use std::path::PathBuf;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyEllipsis, PyInt, PyString, PyTuple};

use crate::error::ConfigError;

/// A whole number of `unit`, 0 or more.
pub(crate) fn whole(name: &str, value: &Bound<'_, PyAny>, unit: &str) -> PyResult<u64> {
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
        .map_err(|_| ConfigError::new_err(format!("{name}={value}: give {} at most", u64::MAX)))
}

/// A whole number of `unit`, or `None`.
pub(crate) fn limit(name: &str, value: &Bound<'_, PyAny>, unit: &str) -> PyResult<Option<u64>> {
    if value.is_none() {
        return Ok(None);
    }
    whole(name, value, unit).map(Some)
}

/// True or false.
pub(crate) fn flag(name: &str, value: &Bound<'_, PyAny>) -> PyResult<bool> {
    match value.cast::<PyBool>() {
        Ok(flag) => Ok(flag.is_true()),
        Err(_) => Err(wrong_type(name, "True or False", value)),
    }
}

/// Text.
pub(crate) fn text(name: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    match value.cast::<PyString>() {
        Ok(text) => text.extract(),
        Err(_) => Err(wrong_type(name, "a str", value)),
    }
}

/// A number of texts. One text alone is not taken for a list of its characters.
pub(crate) fn texts(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if let Ok(one) = value.cast::<PyString>() {
        return Err(PyTypeError::new_err(format!(
            "{name} wants a list of str, not one str: write {name}=[{}]",
            one.repr()?
        )));
    }
    let Ok(items) = value.try_iter() else {
        return Err(wrong_type(name, "a list of str", value));
    };
    items
        .map(|item| {
            let item = item?;
            match item.cast::<PyString>() {
                Ok(text) => text.extract(),
                Err(_) => Err(wrong_type(name, "a list of str, and each entry", &item)),
            }
        })
        .collect()
}

/// A path.
pub(crate) fn path(name: &str, value: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    value
        .extract()
        .map_err(|_| wrong_type(name, "a str or a path", value))
}

/// A number of paths, and `None` for each `...`. One path alone is not taken for a list of its characters.
pub(crate) fn paths(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<Option<PathBuf>>> {
    if value.extract::<PathBuf>().is_ok() {
        return Err(PyTypeError::new_err(format!(
            "{name} wants a list of paths, not one: write {name}=[{}]",
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
            item.extract().map(Some).map_err(|_| {
                wrong_type(
                    name,
                    "a list of paths, and each entry a str or a path",
                    &item,
                )
            })
        })
        .collect()
}

/// The source of a program.
pub(crate) fn source(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_cow()?.into_owned().into_bytes());
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
        kind(value)
    )))
}

/// `callback`, which takes `argument`, if it can be called and is not `None`.
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

/// Calls `apply` with those of the `known` keyword arguments that are given, in the order they are known in.
pub(crate) fn each(
    function: &str,
    known: &[&str],
    arguments: Option<&Bound<'_, PyDict>>,
    mut apply: impl FnMut(&str, &Bound<'_, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    let Some(arguments) = arguments else {
        return Ok(());
    };
    for key in arguments.keys() {
        let key = text("a keyword", &key)?;
        if !known.contains(&key.as_str()) {
            return Err(unknown(function, known, &key, arguments.py()));
        }
    }
    for name in known {
        if let Some(value) = arguments.get_item(name)? {
            apply(name, &value)?;
        }
    }
    Ok(())
}

/// Refuses arguments without a keyword.
pub(crate) fn keywords_only(
    function: &str,
    known: &[&str],
    positional: &Bound<'_, PyTuple>,
) -> PyResult<()> {
    if positional.is_empty() {
        return Ok(());
    }
    Err(PyTypeError::new_err(format!(
        "{function}() takes no positional arguments; give each by its keyword, as in {function}({}=...)",
        known.first().copied().unwrap_or_default()
    )))
}

/// The error for a value of the wrong type.
pub(crate) fn wrong_type(name: &str, wanted: &str, value: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("{name} has to be {wanted}, not {}", kind(value)))
}

fn kind(value: &Bound<'_, PyAny>) -> String {
    if value.is_none() {
        return "None".to_owned();
    }
    match value.get_type().name() {
        Ok(name) => format!("of type {name}"),
        Err(_) => "that".to_owned(),
    }
}

fn unknown(function: &str, known: &[&str], key: &str, py: Python<'_>) -> PyErr {
    let near = py
        .import("difflib")
        .and_then(|difflib| {
            difflib.call_method1("get_close_matches", (key, known.to_vec(), 1, 0.5))
        })
        .and_then(|matches| matches.extract::<Vec<String>>())
        .unwrap_or_default();
    let hint = match near.first() {
        Some(near) => format!("did you mean {near}?"),
        None => format!("it takes {}", known.join(", ")),
    };
    PyTypeError::new_err(format!("{function}() has no argument {key}: {hint}"))
}
