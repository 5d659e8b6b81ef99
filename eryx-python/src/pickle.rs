//! How values are pickled: as the pieces that a static method `_restore` puts together again.

use pyo3::prelude::*;

/// What `__reduce__` returns.
pub(crate) type Reduced<'py, P> = (Bound<'py, PyAny>, (P,));

/// The method, and the one argument it is called with.
pub(crate) fn reduced<'py, C, P>(slf: &Bound<'py, C>, pieces: P) -> PyResult<Reduced<'py, P>> {
    Ok((slf.as_any().getattr("_restore")?, (pieces,)))
}
