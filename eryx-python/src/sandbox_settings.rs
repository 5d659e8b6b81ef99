//! The keyword arguments of `Sandbox`, `Session` and the methods of factories that make them.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arguments::{flag, for_each_keyword, text, variables, wrong_type};
use crate::callbacks::Callbacks;
use crate::error::{ConfigError, exception};
use crate::files::{ProvidedFiles, files};
use crate::functions::EmbedderFunctions;
use crate::limits::ResourceLimits;
use crate::net_config::NetConfig;
use crate::providers::Providers;
use crate::traced_functions::TracedFunctions;

/// The names of the keyword arguments.
pub(crate) const NAMES: [&str; 11] = [
    "network",
    "resource_limits",
    "env",
    "files",
    "functions",
    "functions_module",
    "instance_reuse",
    "on_stdout",
    "on_stderr",
    "on_network_event",
    "on_function_call",
];

/// What the arguments with a class of their own have to be.
const NETWORK: &str =
    "an eryx.NetConfig, such as eryx.NetConfig(allowed_hosts=[\"api.example.com\"])";
const LIMITS: &str =
    "an eryx.ResourceLimits, such as eryx.ResourceLimits(execution_timeout_ms=5000)";

/// A sandbox, and the settings that it was built with.
pub(crate) struct SandboxSettings {
    pub(crate) builder: eryx::SandboxBuilder,
    /// The sandbox without callbacks, built once and reused.
    pub(crate) without_callbacks: eryx::Sandbox,
    pub(crate) callbacks: Callbacks,
    pub(crate) functions: EmbedderFunctions,
    pub(crate) providers: Providers,
    pub(crate) functions_module: Option<String>,
    pub(crate) network: Option<Py<NetConfig>>,
    pub(crate) limits: Py<ResourceLimits>,
    /// The names of the environment variables. Their values may be secrets.
    pub(crate) env_names: Vec<String>,
}

impl SandboxSettings {
    /// Builds the sandbox of `builder` with the keyword arguments `settings` of `function`.
    pub(crate) fn new(
        py: Python<'_>,
        function: &str,
        builder: eryx::SandboxBuilder,
        settings: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let mut network = None;
        let mut limits = None;
        let mut env = Vec::new();
        let mut provided = ProvidedFiles::default();
        let mut callbacks = Callbacks::default();
        let mut functions = None;
        let mut functions_module = None;
        let mut instance_reuse = true;
        for_each_keyword(function, &NAMES, settings, |name, value| {
            match name {
                "network" if value.is_none() => {}
                "network" => match value.cast::<NetConfig>() {
                    Ok(config) => network = Some(config.clone().unbind()),
                    Err(_) => return Err(wrong_type(name, NETWORK, value)),
                },
                "resource_limits" if value.is_none() => {}
                "resource_limits" => match value.cast::<ResourceLimits>() {
                    Ok(value) => limits = Some(value.clone().unbind()),
                    Err(_) => return Err(wrong_type(name, LIMITS, value)),
                },
                "env" if value.is_none() => {}
                "env" => env = variables(name, value)?,
                "files" if value.is_none() => {}
                "files" => provided = files(name, value)?,
                "functions" if value.is_none() => {}
                "functions" => functions = Some(EmbedderFunctions::new(name, value)?),
                "functions_module" => functions_module = Some(text(name, value)?),
                "instance_reuse" => instance_reuse = flag(name, value)?,
                _ => callbacks.set(name, value)?,
            }
            Ok(())
        })?;
        if functions.is_none()
            && functions_module
                .as_deref()
                .is_some_and(|name| name != eryx::Functions::DEFAULT_MODULE)
        {
            return Err(ConfigError::new_err(
                "functions_module has no effect without functions: add some, or leave it out",
            ));
        }
        let functions = functions.unwrap_or_default();
        let limits = match limits {
            Some(limits) => limits,
            None => Py::new(py, ResourceLimits::default())?,
        };
        let env_names = env.iter().map(|(name, _)| name.clone()).collect();
        let mut builder = builder
            .with_resource_limits(limits.get().0.clone())
            .with_env(env)
            .with_files(provided.files)
            .with_functions(functions.functions())
            .with_instance_reuse(instance_reuse);
        if let Some(name) = &functions_module {
            builder = builder.with_functions_module(name);
        }
        let mut secrets = TracedFunctions::default();
        if let Some(config) = &network {
            let NetConfig(config, functions) = config.get();
            builder = builder.with_network(config.clone());
            secrets = functions.clone_ref(py);
        }
        // Stay attached to the interpreter, so that no fork happens while the image is loaded: the
        // child would wait forever for the loading thread, which it does not have.
        let without_callbacks = builder.clone().build().map_err(exception)?;
        Ok(Self {
            builder,
            without_callbacks,
            callbacks,
            functions,
            providers: Providers {
                content: provided.providers,
                secrets,
            },
            functions_module,
            network,
            limits,
            env_names,
        })
    }
}
