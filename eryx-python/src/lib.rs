#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod arguments;
mod deliveries;
mod error;
mod event;
mod execution;
mod factory;
mod limits;
mod machine_code;
mod net_config;
mod pickle;
mod printer;
mod progress;
mod report;
mod result;
mod running;
mod runtime;
mod sandbox;
mod session;
mod verdict;

/// The compiled half of the package `eryx`, which re-exports what is public of it.
#[pyo3::pymodule]
mod _eryx {
    #[pymodule_export]
    use crate::event::NetworkEvent;
    #[pymodule_export]
    use crate::execution::Execution;
    #[pymodule_export]
    use crate::factory::SandboxFactory;
    #[pymodule_export]
    use crate::limits::ResourceLimits;
    #[pymodule_export]
    use crate::machine_code::set_precompiled_path;
    #[pymodule_export]
    use crate::net_config::NetConfig;
    #[pymodule_export]
    use crate::report::{ConnectionReport, NetworkReport, Refusals};
    #[pymodule_export]
    use crate::result::ExecuteResult;
    #[pymodule_export]
    use crate::running::end_all;
    #[pymodule_export]
    use crate::sandbox::Sandbox;
    #[pymodule_export]
    use crate::session::Session;
    #[pymodule_export]
    use crate::verdict::Verdict;

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
