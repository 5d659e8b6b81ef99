//! The Python class `Display`.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use eryx::files::FileContent;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::changed_files::{ChangedFiles, read, size};
use crate::pickle::{Reduced, reduce};

/// A picture, a page or a text that a program shows: a representation of its value, or a file.
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
///
/// A file that the program created or modified is one too, if its name ends in ``.png``, ``.jpg``,
/// ``.jpeg``, ``.gif``, ``.webp``, ``.svg``, ``.html``, ``.htm`` or ``.pdf``:
///
/// >>> result = eryx.Sandbox().execute("open('plot.svg', 'w').write('<svg/>')")
/// >>> [(item.media_type, item.path, item.text) for item in result.display]
/// [('image/svg+xml', '/home/user/plot.svg', '<svg/>')]
#[pyclass(module = "eryx", frozen, from_py_object)]
#[derive(Clone)]
pub(crate) struct Display {
    /// The media type (RFC 6838), a str such as ``"image/png"``.
    #[pyo3(get)]
    media_type: String,
    source: Source,
}

#[derive(Clone)]
enum Source {
    /// A representation of a value.
    Value(Vec<u8>),
    /// A file, whose content is read when it is asked for.
    File(
        String,
        FileContent,
        #[expect(dead_code, reason = "the files of the execution keep what provides it")]
        ChangedFiles,
    ),
}

impl Display {
    /// Returns a representation of a value.
    pub(crate) fn from_representation((media_type, data): (String, Vec<u8>)) -> Self {
        Self {
            media_type,
            source: Source::Value(data),
        }
    }

    /// Returns the file `path` with this content, if it shows something.
    pub(crate) fn from_file(
        path: &str,
        content: &FileContent,
        files: &ChangedFiles,
    ) -> Option<Self> {
        let media_type = eryx::Display::media_type_of(path)?;
        Some(Self {
            media_type: media_type.to_owned(),
            source: Source::File(path.to_owned(), content.clone(), files.clone()),
        })
    }

    fn read(&self, py: Python<'_>) -> PyResult<Cow<'_, [u8]>> {
        match &self.source {
            Source::Value(data) => Ok(Cow::Borrowed(data)),
            Source::File(path, content, _) => Ok(Cow::Owned(read(py, path, content)?)),
        }
    }
}

type Parts = (String, Vec<u8>, Option<String>);

#[pymethods]
impl Display {
    /// The data, bytes: in UTF-8 for types of text.
    #[getter]
    fn data<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.read(py)?))
    }

    /// The data as a str. Bytes that are not UTF-8 are replaced by U+FFFD.
    #[getter]
    fn text(&self, py: Python<'_>) -> PyResult<String> {
        Ok(String::from_utf8_lossy(&self.read(py)?).into_owned())
    }

    /// The path of the file, a str, or ``None`` for a representation of a value.
    #[getter]
    fn path(&self) -> Option<&str> {
        match &self.source {
            Source::Value(_) => None,
            Source::File(path, ..) => Some(path),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        match &self.source {
            Source::Value(data) => {
                format!("<eryx.Display: {}, {} bytes>", self.media_type, data.len())
            }
            Source::File(path, content, _) => format!(
                "<eryx.Display: {}, {} bytes, {path:?}>",
                self.media_type,
                size(py, content)
            ),
        }
    }

    fn __eq__(&self, py: Python<'_>, other: &Self) -> PyResult<bool> {
        let is_alike = self.media_type == other.media_type && self.path() == other.path();
        Ok(is_alike && self.read(py)? == other.read(py)?)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.media_type, self.path()).hash(&mut hasher);
        hasher.finish()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, Parts>> {
        let this = slf.get();
        let data = this.read(slf.py())?.into_owned();
        let path = this.path().map(str::to_owned);
        reduce(slf, (this.media_type.clone(), data, path))
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(parts: Parts) -> Self {
        let (media_type, data, path) = parts;
        let source = match path {
            Some(path) => Source::File(path, data.into(), ChangedFiles::default()),
            None => Source::Value(data),
        };
        Self { media_type, source }
    }
}
