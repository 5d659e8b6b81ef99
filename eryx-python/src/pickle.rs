//! Pickling of value classes: the static method `_restore` of a class rebuilds it from its parts.

use std::time::Duration;

use pyo3::PyClass;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::PyBytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The value that `__reduce__` returns: a callable and its arguments.
pub(crate) type Reduced<'py, P> = (Bound<'py, PyAny>, (P,));

/// All fields of a value.
pub(crate) type Pickled<'py> = Bound<'py, PyBytes>;

/// Returns the class's `_restore` and its one argument.
pub(crate) fn reduce<'py, C, P>(slf: &Bound<'py, C>, parts: P) -> PyResult<Reduced<'py, P>> {
    Ok((slf.as_any().getattr("_restore")?, (parts,)))
}

/// Returns the class's `_restore`, which is [`from_pickle`], and the fields of the value.
pub(crate) fn to_pickle<'py, C>(slf: &Bound<'py, C>) -> PyResult<Reduced<'py, Pickled<'py>>>
where
    C: PyClass<Frozen = True> + Serialize + Sync,
{
    let fields = postcard::to_allocvec(slf.get())
        .map_err(|error| PyValueError::new_err(format!("{slf} cannot be pickled: {error}")))?;
    reduce(slf, PyBytes::new(slf.py(), &fields))
}

/// Rebuilds a value from its fields.
pub(crate) fn from_pickle<T: DeserializeOwned>(fields: &[u8]) -> PyResult<T> {
    postcard::from_bytes(fields).map_err(|error| {
        PyValueError::new_err(format!(
            "the pickle is damaged, or of another version of eryx: {error}"
        ))
    })
}

/// Returns the pickled form of a duration: nanoseconds.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
