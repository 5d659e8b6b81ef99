//! The value of a program in Python.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::json_values;

/// The value of a program, which is decoded when it is first asked for.
pub(crate) struct ProgramValue {
    /// The JSON, or why there is none; `None` if the value was not asked for.
    json: Option<Result<String, String>>,
    decoded: PyOnceLock<Py<PyAny>>,
}

/// The parts that are pickled: the JSON, and the reason why there is none.
pub(crate) type Parts = (Option<String>, Option<String>);

impl ProgramValue {
    pub(crate) fn new(value: Option<Result<eryx::JsonValue, eryx::ProgramValueError>>) -> Self {
        let json = value.map(|value| match value {
            Ok(json) => Ok(json.as_str().to_owned()),
            Err(error) => Err(error.to_string()),
        });
        Self {
            json,
            decoded: PyOnceLock::new(),
        }
    }

    /// Returns the value; `None` if it was not asked for.
    pub(crate) fn get(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let value = self.decoded.get_or_try_init(py, || match &self.json {
            None => Ok(py.None()),
            Some(Ok(json)) => match json_values::decode(py, json) {
                Ok(value) => Ok(value.unbind()),
                // The program has raised its own limit on the digits of ints.
                Err(error) if error.is_instance_of::<PyValueError>(py) => {
                    Err(PyTypeError::new_err(format!(
                        "the value of the program cannot be read: {}",
                        error.value(py)
                    )))
                }
                Err(error) => Err(error),
            },
            Some(Err(reason)) => Err(PyTypeError::new_err(format!(
                "the program has no value as JSON: {reason}"
            ))),
        })?;
        Ok(value.clone_ref(py))
    }

    pub(crate) fn to_parts(&self) -> Parts {
        match self.json.clone() {
            None => (None, None),
            Some(Ok(json)) => (Some(json), None),
            Some(Err(reason)) => (None, Some(reason)),
        }
    }

    pub(crate) fn from_parts((json, reason): Parts) -> Self {
        Self {
            json: json.map(Ok).or(reason.map(Err)),
            decoded: PyOnceLock::new(),
        }
    }
}

/// A clone decodes the value anew, so that no two results share a list.
impl Clone for ProgramValue {
    fn clone(&self) -> Self {
        Self::from_parts(self.to_parts())
    }
}

impl PartialEq for ProgramValue {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}
