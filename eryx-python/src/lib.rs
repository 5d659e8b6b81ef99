#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod arguments;
mod call_queue;
mod callbacks;
mod changed_files;
mod display;
mod error;
mod event;
mod execution;
mod execution_registry;
mod factory;
mod files;
mod function_report;
mod functions;
mod http_request;
mod http_rule;
mod json_size;
mod json_values;
mod keyword_hints;
mod limits;
mod net_config;
mod network_report;
mod pickle;
mod program;
mod program_value;
mod progress;
mod providers;
mod refusals;
mod result;
mod runtime;
mod sandbox;
mod sandbox_settings;
mod secret;
mod session;
mod session_files;
mod traced_functions;
mod verdict;

/// The compiled half of the package `eryx`. The package re-exports its public names.
#[pyo3::pymodule]
mod _eryx {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::changed_files::ChangedFiles;
    #[pymodule_export]
    use crate::display::Display;
    #[pymodule_export]
    use crate::event::NetworkEvent;
    #[pymodule_export]
    use crate::execution::Execution;
    #[pymodule_export]
    use crate::execution_registry::shutdown;
    #[pymodule_export]
    use crate::factory::SandboxFactory;
    #[pymodule_export]
    use crate::files::Files;
    #[pymodule_export]
    use crate::function_report::{FunctionCall, FunctionReport};
    #[pymodule_export]
    use crate::http_request::HttpRequestReport;
    #[pymodule_export]
    use crate::http_rule::HttpRule;
    #[pymodule_export]
    use crate::json_values::{_decode_json, _encode_json};
    #[pymodule_export]
    use crate::limits::ResourceLimits;
    #[pymodule_export]
    use crate::net_config::NetConfig;
    #[pymodule_export]
    use crate::network_report::{ConnectionReport, NetworkReport};
    #[pymodule_export]
    use crate::refusals::Refusals;
    #[pymodule_export]
    use crate::result::ExecuteResult;
    #[pymodule_export]
    use crate::sandbox::Sandbox;
    #[pymodule_export]
    use crate::secret::Secret;
    #[pymodule_export]
    use crate::session::Session;
    #[pymodule_export]
    use crate::session_files::SessionFiles;
    #[pymodule_export]
    use crate::verdict::Verdict;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::net_config::add_properties(module.py())
    }

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Runs the command `eryx` with these arguments, the name of the program first, and returns its
    /// exit status.
    #[pyfunction]
    #[pyo3(name = "_main")]
    fn main(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
        let executable = py.import("sys").and_then(|sys| sys.getattr("executable"));
        if let Ok(executable) = executable.and_then(|executable| executable.extract::<PathBuf>())
            && !executable.as_os_str().is_empty()
        {
            eryx_cli::set_python(executable);
        }
        py.detach(|| eryx_cli::main(arguments))
    }

    /// Sets where the machine code of the guest image is. The package calls it once, on import.
    #[allow(
        unsafe_code,
        reason = "names a file of machine code; see the comment at the block"
    )]
    #[pyfunction]
    #[pyo3(name = "_set_precompiled_path")]
    fn set_precompiled_path(path: PathBuf) {
        // SAFETY: the file was put beside this library when both were built, and is installed
        // with it. A user who can write to the file can write to this library.
        unsafe { eryx::image::set_precompiled_path(path) }
    }

    /// Sets the directory of the native wheels. The package calls it once, on import.
    #[pyfunction]
    #[pyo3(name = "_set_native_wheels")]
    fn set_native_wheels(directory: PathBuf) {
        eryx::set_native_wheels(directory);
    }
}
