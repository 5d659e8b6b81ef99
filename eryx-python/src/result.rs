//! The Python class `ExecuteResult`.

use std::path::PathBuf;
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::changed_files::ChangedFiles;
use crate::display::Display;
use crate::function_report::FunctionReport;
use crate::network_report::NetworkReport;
use crate::pickle::{Reduced, nanoseconds, reduce};
use crate::program_value::{self, ProgramValue};

/// The result of an execution that ran to its end: output, network report and usage.
///
/// >>> import eryx
/// >>> result = eryx.Sandbox().execute("print('hello')")
/// >>> result.stdout, result.stderr
/// ('hello\n', '')
/// >>> result.duration_ms < 30_000 and result.peak_memory_bytes > 2**20
/// True
#[pyclass(module = "eryx", frozen, eq)]
#[derive(Clone, PartialEq)]
pub(crate) struct ExecuteResult {
    /// The number of this execution, an int that is unique in this process. Its network events have
    /// the same number.
    #[pyo3(get)]
    execution: u64,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    duration: Duration,
    /// The peak memory of the interpreter and the program together, in bytes.
    #[pyo3(get, name = "peak_memory_bytes")]
    peak_memory: u64,
    /// The peak of the memory that this process used on behalf of the program, in bytes, outside
    /// the memory of the interpreter.
    #[pyo3(get, name = "peak_host_memory_bytes")]
    peak_host_memory: u64,
    /// The network activity of the program, a :class:`NetworkReport`.
    #[pyo3(get)]
    network: NetworkReport,
    value: ProgramValue,
    /// The media types and the data.
    representations: Vec<(String, Vec<u8>)>,
    /// What the program changed of its files, a :class:`ChangedFiles`.
    #[pyo3(get)]
    files: ChangedFiles,
    /// The calls of the embedder's functions, a :class:`FunctionReport`.
    #[pyo3(get)]
    function_calls: FunctionReport,
}

impl From<eryx::ExecuteResult> for ExecuteResult {
    fn from(result: eryx::ExecuteResult) -> Self {
        Self {
            execution: result.execution,
            stdout: result.output.stdout,
            stderr: result.output.stderr,
            duration: result.duration,
            peak_memory: result.peak_memory,
            peak_host_memory: result.peak_host_memory,
            network: result.network.into(),
            value: ProgramValue::new(result.value),
            representations: result
                .display
                .into_iter()
                .map(|item| (item.media_type, item.data))
                .collect(),
            files: result.files.into(),
            function_calls: result.function_calls.into(),
        }
    }
}

type Parts = (
    (u64, Vec<u8>, Vec<u8>),
    (u64, u64, u64, NetworkReport, FunctionReport),
    (program_value::Parts, Vec<(String, Vec<u8>)>, ChangedFiles),
);

#[pymethods]
impl ExecuteResult {
    /// Standard output, a str. Bytes that are not UTF-8 are replaced by U+FFFD.
    #[getter]
    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error, a str. Bytes that are not UTF-8 are replaced by U+FFFD.
    #[getter]
    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Standard output, unchanged, as bytes.
    #[getter]
    fn stdout_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.stdout)
    }

    /// Standard error, unchanged, as bytes.
    #[getter]
    fn stderr_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.stderr)
    }

    /// The duration in milliseconds by the wall clock, the start of the interpreter included, a
    /// float.
    #[getter]
    fn duration_ms(&self) -> f64 {
        self.duration.as_secs_f64() * 1e3
    }

    /// The value of the program: that of its last statement, if that is an expression, and else
    /// ``None``. Also ``None`` without ``value=True``. A tuple arrives as a list.
    ///
    /// Raises:
    ///     TypeError: the value is not made of None, bool, int, float, str, bytes, list and dict,
    ///         or is too large, or has an int of more than 4,300 digits. The message says what it
    ///         is.
    ///
    /// >>> import eryx
    /// >>> eryx.Sandbox().execute("x = 20\nx + 1", value=True).value
    /// 21
    /// >>> eryx.Sandbox().execute("{'a': {1, 2}}", value=True).value
    /// Traceback (most recent call last):
    ///     ...
    /// TypeError: the program has no value as JSON: value['a']: builtins.set is not a JSON ...
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.value.get(py)
    }

    /// What the program shows, a list of :class:`Display`: with ``value=True``, the representations
    /// of the value, the richest first as a rule; then files such as pictures.
    ///
    /// An object has the representations that its methods return by the conventions of IPython
    /// (``_repr_html_``, ``_repr_mimebundle_`` and so on), and then ``text/plain`` too. A value
    /// that :attr:`value` cannot return has ``text/plain`` alone.
    #[getter]
    fn display(&self) -> Vec<Display> {
        let representations = self
            .representations
            .iter()
            .cloned()
            .map(Display::from_representation);
        representations.chain(self.files.displays()).collect()
    }

    /// Write the files that the program created or modified to an existing folder of the machine;
    /// see :meth:`ChangedFiles.save`.
    ///
    /// >>> import eryx, tempfile
    /// >>> result = eryx.Sandbox().execute("open('out.txt', 'w').write('hello')")
    /// >>> with tempfile.TemporaryDirectory() as folder:
    /// ...     print([path.name for path in result.save_files(folder)])
    /// ['out.txt']
    fn save_files<'py>(
        &self,
        py: Python<'py>,
        folder: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<PathBuf>> {
        self.files.save(py, folder)
    }

    fn __repr__(&self) -> String {
        format!(
            "<eryx.ExecuteResult: {} bytes on stdout, {} on stderr, {:.1} ms, {} bytes of memory, {} connections>",
            self.stdout.len(),
            self.stderr.len(),
            self.duration_ms(),
            self.peak_memory,
            self.network.len()
        )
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Reduced<'py, Parts>> {
        let this = slf.get().clone();
        let parts = (
            (this.execution, this.stdout, this.stderr),
            (
                nanoseconds(this.duration),
                this.peak_memory,
                this.peak_host_memory,
                this.network,
                this.function_calls,
            ),
            (this.value.to_parts(), this.representations, this.files),
        );
        reduce(slf, parts)
    }

    #[staticmethod]
    #[pyo3(name = "_restore")]
    fn restore(parts: Parts) -> Self {
        let ((execution, stdout, stderr), usage, (value, representations, files)) = parts;
        let (duration, peak_memory, peak_host_memory, network, function_calls) = usage;
        Self {
            execution,
            stdout,
            stderr,
            duration: Duration::from_nanos(duration),
            peak_memory,
            peak_host_memory,
            network,
            value: ProgramValue::from_parts(value),
            representations,
            files,
            function_calls,
        }
    }
}
