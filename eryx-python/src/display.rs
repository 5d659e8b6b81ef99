//! The Python class `Display`.

use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::pickle::{Reduced, reduce};

/// A picture, a page or a text that a program shows: a representation of its value.
///
/// The program chose the media type and the data. Neither an image nor a page of HTML is safe to
/// show only because a sandbox made it: a page can contain scripts.
///
/// >>> import eryx
/// >>> code = '''
/// ... class Table:
/// ...     def _repr_html_(self):
/// ...         return "<table></table>"
/// ... Table()
/// ... '''
/// >>> result = eryx.Sandbox().execute(code, value=True)
/// >>> [(item.media_type, item.data) for item in result.display][0]
/// ('text/html', b'<table></table>')
#[pyclass(module = "eryx", frozen, eq, from_py_object)]
#[derive(Clone, PartialEq, Hash)]
pub(crate) struct Display {
    media_type: String,
    data: Vec<u8>,
}

impl From<eryx::Display> for Display {
    fn from(display: eryx::Display) -> Self {
        Self {
            media_type: display.media_type,
            data: display.data,
        }
    }
}

type Parts = (String, Vec<u8>);

#[pymethods]
impl Display {
    /// The media type (RFC 6838), a str such as ``"image/png"``.
    #[getter]
    fn media_type(&self) -> &str {
        &self.media_type
    }

    /// The data, bytes: in UTF-8 for types of text.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.data)
    }

    /// The data as a str. Bytes that are not UTF-8 are replaced by U+FFFD.
    #[getter]
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }

    fn __repr__(&self) -> String {
        format!(
            "<eryx.Display: {}, {} bytes>",
            self.media_type,
            self.data.len()
        )
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, Parts>> {
        let this = slf.get();
        reduce(slf, (this.media_type.clone(), this.data.clone()))
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(parts: Parts) -> Self {
        let (media_type, data) = parts;
        Self { media_type, data }
    }
}
