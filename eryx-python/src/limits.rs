//! The Python class `ResourceLimits`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use eryx::ResourceLimits as Limits;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::arguments::{for_each_keyword, keywords_only, non_negative_int, optional_int};
use crate::error::ConfigError;

/// The limits of one execution. Every limit is on by default.
///
/// Args:
///     execution_timeout_ms: the time limit of one execution, in milliseconds by the wall clock,
///         waiting included. An execution that exceeds it raises :class:`TimeoutError`.
///     max_memory_bytes: the memory limit of the interpreter and the program together, in bytes.
///         The interpreter alone needs about 40 MiB. At the limit the program gets
///         ``MemoryError``; if it does not catch it, the execution raises
///         :class:`ResourceLimitError`. At least 48 MiB.
///     max_output_bytes: the maximum number of bytes that one execution may print to standard
///         output and standard error together. An execution that prints more raises
///         :class:`ResourceLimitError`.
///     max_host_memory_bytes: the maximum number of bytes that this process may use on behalf of
///         one execution or session, outside the memory of the interpreter: captured output,
///         buffers of connections, TLS settings, name lookups. A network call that would exceed it
///         fails with ``OSError`` in the program; output that would exceed it raises
///         :class:`ResourceLimitError`. At least ``max_output_bytes`` + 16 MiB.
///     max_file_bytes: the maximum number of bytes of all files of one execution or session, which
///         are in the memory of this process. A write that would exceed it fails with ``OSError``
///         in the program. At most 4 GiB.
///     max_files: the maximum number of files, directories and links that one execution or session
///         may create. At least 1 and at most 65536.
///     max_value_bytes: the maximum number of bytes of the JSON of a program's value and its
///         representations together. A larger value is missing from the result, with the reason in
///         its place. At most 3 MiB.
///     max_function_calls: the maximum number of calls of the embedder's functions in one
///         execution. More raise ``tools.LimitError`` in the program. At least 1.
///     max_function_calls_in_flight: the maximum number of these calls at a time. More wait for
///         their turn. At least 1 and at most 1024.
///     max_function_value_bytes: the maximum number of bytes of the arguments of one of these
///         calls, and of its result, as JSON. Larger ones raise ``tools.LimitError`` in the
///         program. At most 3 MiB.
///     function_timeout_ms: the time limit of one of these calls, in milliseconds, without the time
///         that it waits for its turn. A longer one raises the built-in ``TimeoutError`` in the
///         program. ``None``: only the time limit of the execution.
///
/// Raises:
///     ConfigError: no program could run under a limit.
///
/// >>> import eryx
/// >>> limits = eryx.ResourceLimits(execution_timeout_ms=100)
/// >>> eryx.Sandbox(resource_limits=limits).execute("while True: pass")
/// Traceback (most recent call last):
///     ...
/// eryx.TimeoutError: the execution took longer than its limit of 100 ms ...
#[pyclass(module = "eryx", frozen, eq)]
#[derive(Clone, Default, PartialEq)]
pub(crate) struct ResourceLimits(pub(crate) Limits);

/// The names of the keyword arguments.
pub(crate) const NAMES: [&str; 11] = [
    "execution_timeout_ms",
    "max_memory_bytes",
    "max_output_bytes",
    "max_host_memory_bytes",
    "max_file_bytes",
    "max_files",
    "max_value_bytes",
    "max_function_calls",
    "max_function_calls_in_flight",
    "max_function_value_bytes",
    "function_timeout_ms",
];

#[pymethods]
impl ResourceLimits {
    #[new]
    #[pyo3(
        signature = (*positional, **settings),
        text_signature = "(*, execution_timeout_ms=30000, max_memory_bytes=134217728, max_output_bytes=8388608, \
                          max_host_memory_bytes=67108864, max_file_bytes=67108864, max_files=10000, \
                          max_value_bytes=1048576, max_function_calls=1000, max_function_calls_in_flight=32, \
                          max_function_value_bytes=1048576, function_timeout_ms=None)"
    )]
    fn new(
        positional: &Bound<'_, PyTuple>,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        keywords_only("ResourceLimits", &NAMES, positional)?;
        let mut limits = Limits::default();
        for_each_keyword("ResourceLimits", &NAMES, settings, |name, value| {
            let changed = limits.clone();
            limits = match name {
                "execution_timeout_ms" => changed.with_execution_timeout(positive_ms(
                    non_negative_int(name, value, "milliseconds")?,
                )?),
                "max_memory_bytes" => {
                    changed.with_max_memory(memory(non_negative_int(name, value, "bytes")?)?)
                }
                "max_output_bytes" => {
                    changed.with_max_output(non_negative_int(name, value, "bytes")?)
                }
                "max_file_bytes" => changed
                    .with_max_file_bytes(file_bytes(non_negative_int(name, value, "bytes")?)?),
                "max_files" => {
                    changed.with_max_files(files(non_negative_int(name, value, "files")?)?)
                }
                "max_value_bytes" => {
                    changed.with_max_value(value_bytes(non_negative_int(name, value, "bytes")?)?)
                }
                "max_function_calls" => changed.with_max_function_calls(positive(
                    name,
                    non_negative_int(name, value, "calls")?,
                )?),
                "max_function_calls_in_flight" => changed.with_max_function_calls_in_flight(
                    in_flight(non_negative_int(name, value, "calls")?)?,
                ),
                "max_function_value_bytes" => changed.with_max_function_value(function_value(
                    non_negative_int(name, value, "bytes")?,
                )?),
                "function_timeout_ms" => {
                    let ms = optional_int(name, value, "milliseconds")?;
                    let ms = ms.map(|ms| positive(name, ms)).transpose()?;
                    changed.with_function_timeout(ms.map(Duration::from_millis))
                }
                _ => changed.with_max_host_memory(non_negative_int(name, value, "bytes")?),
            };
            Ok(())
        })?;
        host_memory(&limits)?;
        Ok(Self(limits))
    }

    /// The time limit of one execution, in milliseconds.
    #[getter]
    fn execution_timeout_ms(&self) -> u128 {
        self.0.execution_timeout().as_millis()
    }

    /// The memory limit of the interpreter, in bytes.
    #[getter]
    fn max_memory_bytes(&self) -> u64 {
        self.0.max_memory()
    }

    /// The limit on the output of one execution, in bytes.
    #[getter]
    fn max_output_bytes(&self) -> u64 {
        self.0.max_output()
    }

    /// The limit on the memory that this process uses on behalf of one execution or session, in
    /// bytes.
    #[getter]
    fn max_host_memory_bytes(&self) -> u64 {
        self.0.max_host_memory()
    }

    /// The limit on the bytes of all files of one execution or session.
    #[getter]
    fn max_file_bytes(&self) -> u64 {
        self.0.max_file_bytes()
    }

    /// The limit on the number of files, directories and links that one execution or session may
    /// create.
    #[getter]
    fn max_files(&self) -> usize {
        self.0.max_files()
    }

    /// The limit on the JSON of a program's value and its representations together, in bytes.
    #[getter]
    fn max_value_bytes(&self) -> u64 {
        self.0.max_value()
    }

    /// The limit on the calls of functions in one execution.
    #[getter]
    fn max_function_calls(&self) -> u64 {
        self.0.max_function_calls()
    }

    /// The limit on the calls of functions at a time.
    #[getter]
    fn max_function_calls_in_flight(&self) -> usize {
        self.0.max_function_calls_in_flight()
    }

    /// The limit on the arguments of a call of a function, and on its result, in bytes.
    #[getter]
    fn max_function_value_bytes(&self) -> u64 {
        self.0.max_function_value()
    }

    /// The time limit of a call of a function, in milliseconds, or ``None``.
    #[getter]
    fn function_timeout_ms(&self) -> Option<u128> {
        self.0.function_timeout().map(|limit| limit.as_millis())
    }

    fn __repr__(&self) -> String {
        let function_timeout = match self.function_timeout_ms() {
            Some(ms) => ms.to_string(),
            None => "None".to_owned(),
        };
        format!(
            "eryx.ResourceLimits(execution_timeout_ms={}, max_memory_bytes={}, max_output_bytes={}, \
             max_host_memory_bytes={}, max_file_bytes={}, max_files={}, max_value_bytes={}, \
             max_function_calls={}, max_function_calls_in_flight={}, max_function_value_bytes={}, \
             function_timeout_ms={})",
            self.execution_timeout_ms(),
            self.max_memory_bytes(),
            self.max_output_bytes(),
            self.max_host_memory_bytes(),
            self.max_file_bytes(),
            self.max_files(),
            self.max_value_bytes(),
            self.max_function_calls(),
            self.max_function_calls_in_flight(),
            self.max_function_value_bytes(),
            function_timeout
        )
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (
            self.0.execution_timeout(),
            self.0.max_memory(),
            self.0.max_output(),
            self.0.max_host_memory(),
            self.0.max_file_bytes(),
            self.0.max_files(),
            self.0.max_value(),
            self.0.max_function_calls(),
            self.0.max_function_calls_in_flight(),
            self.0.max_function_value(),
            self.0.function_timeout(),
        )
            .hash(&mut hasher);
        hasher.finish()
    }

    fn __getnewargs_ex__<'py>(&self, py: Python<'py>) -> PyResult<((), Bound<'py, PyDict>)> {
        let settings = PyDict::new(py);
        settings.set_item(NAMES[0], self.execution_timeout_ms())?;
        settings.set_item(NAMES[1], self.max_memory_bytes())?;
        settings.set_item(NAMES[2], self.max_output_bytes())?;
        settings.set_item(NAMES[3], self.max_host_memory_bytes())?;
        settings.set_item(NAMES[4], self.max_file_bytes())?;
        settings.set_item(NAMES[5], self.max_files())?;
        settings.set_item(NAMES[6], self.max_value_bytes())?;
        settings.set_item(NAMES[7], self.max_function_calls())?;
        settings.set_item(NAMES[8], self.max_function_calls_in_flight())?;
        settings.set_item(NAMES[9], self.max_function_value_bytes())?;
        settings.set_item(NAMES[10], self.function_timeout_ms())?;
        Ok(((), settings))
    }

    fn __copy__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, _memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        slf
    }
}

fn positive_ms(ms: u64) -> PyResult<Duration> {
    if ms == 0 {
        return Err(ConfigError::new_err(
            "execution_timeout_ms=0: nothing could run; give at least 1",
        ));
    }
    Ok(Duration::from_millis(ms))
}

fn positive(name: &str, number: u64) -> PyResult<u64> {
    match number {
        0 => Err(ConfigError::new_err(format!(
            "{name}=0: no call could succeed; give at least 1, or leave out functions"
        ))),
        number => Ok(number),
    }
}

fn in_flight(number: u64) -> PyResult<usize> {
    let most = Limits::MAX_FUNCTION_CALLS_IN_FLIGHT;
    let calls = usize::try_from(number).ok();
    calls
        .filter(|calls| (1..=most).contains(calls))
        .ok_or_else(|| {
            ConfigError::new_err(format!(
                "max_function_calls_in_flight={number}: give a number from 1 to {most}"
            ))
        })
}

fn function_value(bytes: u64) -> PyResult<u64> {
    if !(1..=Limits::MAX_FUNCTION_VALUE).contains(&bytes) {
        return Err(ConfigError::new_err(format!(
            "max_function_value_bytes={bytes}: give a number from 1 to {}",
            Limits::MAX_FUNCTION_VALUE
        )));
    }
    Ok(bytes)
}

fn memory(bytes: u64) -> PyResult<u64> {
    if bytes < Limits::MIN_MEMORY {
        return Err(ConfigError::new_err(format!(
            "max_memory_bytes={bytes}: the interpreter alone needs {} ({} MiB); give at least that",
            Limits::MIN_MEMORY,
            Limits::MIN_MEMORY >> 20
        )));
    }
    if bytes > Limits::MAX_MEMORY {
        return Err(ConfigError::new_err(format!(
            "max_memory_bytes={bytes}: a guest can address {} at most",
            Limits::MAX_MEMORY
        )));
    }
    Ok(bytes)
}

fn file_bytes(bytes: u64) -> PyResult<u64> {
    if bytes > Limits::MAX_FILE_BYTES {
        return Err(ConfigError::new_err(format!(
            "max_file_bytes={bytes}: give at most {}",
            Limits::MAX_FILE_BYTES
        )));
    }
    Ok(bytes)
}

fn value_bytes(bytes: u64) -> PyResult<u64> {
    if bytes > Limits::MAX_VALUE {
        return Err(ConfigError::new_err(format!(
            "max_value_bytes={bytes}: give at most {}",
            Limits::MAX_VALUE
        )));
    }
    Ok(bytes)
}

fn files(number: u64) -> PyResult<usize> {
    let files = usize::try_from(number).ok();
    let files = files.filter(|files| (1..=Limits::MAX_FILES).contains(files));
    files.ok_or_else(|| {
        ConfigError::new_err(format!(
            "max_files={number}: give a number from 1 to {}",
            Limits::MAX_FILES
        ))
    })
}

fn host_memory(limits: &Limits) -> PyResult<()> {
    let least = Limits::HOST_MEMORY_BASE.saturating_add(limits.max_output());
    if limits.max_host_memory() >= least {
        return Ok(());
    }
    Err(ConfigError::new_err(format!(
        "max_host_memory_bytes={}: every execution takes {} of it, and what a program prints up to {} \
         (max_output_bytes); give at least {least}, or lower max_output_bytes",
        limits.max_host_memory(),
        Limits::HOST_MEMORY_BASE,
        limits.max_output()
    )))
}
