//! Pickling of value classes: the static method `_restore` of a class rebuilds it from its parts.

use std::time::Duration;

use pyo3::prelude::*;

/// The value that `__reduce__` returns: a callable and its arguments.
pub(crate) type Reduced<'py, P> = (Bound<'py, PyAny>, (P,));

/// Returns the class's `_restore` and its one argument.
pub(crate) fn reduce<'py, C, P>(slf: &Bound<'py, C>, parts: P) -> PyResult<Reduced<'py, P>> {
    Ok((slf.as_any().getattr("_restore")?, (parts,)))
}

/// Returns the pickled form of a duration: nanoseconds.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
