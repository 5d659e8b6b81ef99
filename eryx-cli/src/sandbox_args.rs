//! The options of a sandbox: limits, environment, packages and network.

use std::env::{self, VarError};
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use eryx::net::NetConfig;
use eryx::net::policy::escape;
use eryx::{
    BuildStage, CancelHandle, Error, FactoryBuilder, ResourceLimits, Sandbox, SandboxBuilder,
    SandboxFactory,
};

use crate::files_args::FilesArgs;
use crate::limit_message;
use crate::net_log::NetLog;
use crate::network_args::NetworkArgs;
use crate::value_parsers;
use crate::{EXIT_FAILED, EXIT_USAGE};

/// The options of a sandbox, for every command that runs programs.
#[derive(Args)]
pub(crate) struct SandboxArgs {
    /// How long a program may run [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = value_parsers::duration)]
    timeout: Option<Duration>,
    /// How much memory a program may use, the interpreter included [default: 128M]
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::bytes)]
    max_memory: Option<u64>,
    /// How much a program may print [default: 8M]
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::bytes)]
    max_output: Option<u64>,
    /// How much memory Eryx itself may use for a program: output, buffers of connections
    /// [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::bytes)]
    max_host_memory: Option<u64>,
    /// How many bytes the files that a program writes may have together, in memory [default: 64M]
    #[arg(long, value_name = "SIZE", value_parser = value_parsers::bytes)]
    max_file_bytes: Option<u64>,
    /// How many files, directories and links a program may create [default: 10000]
    #[arg(long, value_name = "N")]
    max_files: Option<usize>,
    /// Set an environment variable of a program; NAME alone passes on the one of this process
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    #[command(flatten)]
    files: FilesArgs,
    /// Add a package: a wheel, a directory of a package, or a directory of several (repeatable)
    #[arg(long, value_name = "PATH", help_heading = "Packages")]
    package: Vec<PathBuf>,
    /// Add packages of the package index with their dependencies: a requirement as pip takes it
    /// (`requests>=2.31`), or the path of a requirements file (repeatable)
    #[arg(
        short,
        long,
        value_name = "REQUIREMENT|FILE",
        help_heading = "Packages"
    )]
    requirement: Vec<String>,
    /// Take the wheels of requirements, and builds for sandboxes of packages, from this directory
    /// too (repeatable)
    #[arg(long, value_name = "DIR", help_heading = "Packages")]
    find_links: Vec<PathBuf>,
    /// Take the wheels of requirements from the directories of --find-links alone
    #[arg(long, help_heading = "Packages", requires = "find_links")]
    no_index: bool,
    /// Add the dependencies of the packages too, from wheels in the same directories
    #[arg(long, help_heading = "Packages", requires = "package")]
    dependencies: bool,
    /// Import a module before programs start, so that their own import costs nothing (repeatable)
    #[arg(long, value_name = "MODULE", help_heading = "Packages")]
    import: Vec<String>,
    /// Add the packages and imports of a saved factory (`SandboxFactory.save`)
    #[arg(long, value_name = "FILE", help_heading = "Packages")]
    factory: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkArgs,
    /// Append every network event to this file as a line of JSON; `-` is standard error
    #[arg(long, value_name = "FILE", help_heading = "Network")]
    net_log: Option<PathBuf>,
}

/// A sandbox that is set up, apart from where its output goes.
pub(crate) struct PreparedSandbox {
    pub(crate) builder: SandboxBuilder,
    pub(crate) has_network: bool,
    pub(crate) net_log: Option<Arc<NetLog>>,
    /// The modules that the options import.
    pub(crate) imports: Vec<String>,
}

/// The error that ends a command before a program starts.
pub(crate) struct SetupError {
    pub(crate) status: u8,
    pub(crate) message: String,
}

/// An error in the options.
impl From<anyhow::Error> for SetupError {
    fn from(error: anyhow::Error) -> Self {
        Self {
            status: EXIT_USAGE,
            message: format!("{error:#}"),
        }
    }
}

/// The process cannot start a thread.
impl From<io::Error> for SetupError {
    fn from(error: io::Error) -> Self {
        Self {
            status: EXIT_FAILED,
            message: format!("cannot start: {error}"),
        }
    }
}

impl From<Error> for SetupError {
    fn from(error: Error) -> Self {
        let status = match error {
            Error::Config(_) | Error::Package(_) => EXIT_USAGE,
            _ => EXIT_FAILED,
        };
        Self {
            status,
            message: limit_message::message(&error),
        }
    }
}

impl SandboxArgs {
    /// Sets up the sandbox. `cancel` is cancelled if the network log cannot be written. `archive`
    /// is whether the command writes an HTTP Archive.
    pub(crate) async fn prepare(
        &self,
        cancel: &CancelHandle,
        archive: bool,
    ) -> Result<PreparedSandbox, SetupError> {
        let environment = self.environment()?;
        let files = self.files.files()?;
        let network = self.network.network()?;
        self.reject_unused(network.as_ref(), archive)?;
        let has_network = network.is_some();
        let net_log = self.net_log(has_network, cancel)?;
        let factory = self.factory().await?;
        let mut builder = match &factory {
            Some(factory) => factory.sandbox(),
            None => Sandbox::embedded(),
        };
        builder = builder
            .with_resource_limits(self.limits())
            .with_env(environment)
            .with_files(files);
        if let Some(network) = network {
            builder = builder.with_network(network);
        }
        if let Some(log) = &net_log {
            builder = builder.with_network_observer(Arc::clone(log) as _);
        }
        Ok(PreparedSandbox {
            builder,
            has_network,
            net_log,
            imports: factory.map_or_else(Vec::new, |factory| factory.imports().to_vec()),
        })
    }

    /// Rejects options that have no effect without others.
    fn reject_unused(&self, network: Option<&NetConfig>, archive: bool) -> Result<()> {
        if self.requirement.is_empty() {
            if !self.find_links.is_empty() && self.package.is_empty() {
                bail!("--find-links has no effect without -r REQUIREMENT or --package PATH");
            }
            if self.no_index {
                bail!("--no-index has no effect without -r REQUIREMENT");
            }
        }
        let Some(network) = network else {
            if archive {
                bail!(
                    "--har has no effect without a network: add --net, --allow-host PATTERN or --policy FILE"
                );
            }
            return Ok(());
        };
        let lists_requests = !network.http_rules().is_empty()
            || network.secrets().len() > 0
            || !network.inspect().is_empty();
        if archive && !lists_requests {
            bail!(
                "--har has no effect without requests to list: add --inspect PATTERN, --http-rule RULE or \
                 --secret NAME=PLACE@HOST"
            );
        }
        if self.network.inspects() && !archive && self.net_log.is_none() {
            bail!(
                "--inspect has no effect without --net-log FILE, or --har FILE of `eryx run`, which list \
                 the requests"
            );
        }
        Ok(())
    }

    fn limits(&self) -> ResourceLimits {
        let mut limits = ResourceLimits::default();
        if let Some(timeout) = self.timeout {
            limits = limits.with_execution_timeout(timeout);
        }
        if let Some(bytes) = self.max_memory {
            limits = limits.with_max_memory(bytes);
        }
        if let Some(bytes) = self.max_output {
            limits = limits.with_max_output(bytes);
        }
        if let Some(bytes) = self.max_host_memory {
            limits = limits.with_max_host_memory(bytes);
        }
        if let Some(bytes) = self.max_file_bytes {
            limits = limits.with_max_file_bytes(bytes);
        }
        if let Some(files) = self.max_files {
            limits = limits.with_max_files(files);
        }
        limits
    }

    /// Returns the limits of the imports of a factory: the larger ones of the defaults and the
    /// options. The options are for scripts: a short time for these does not break imports, which
    /// run once and are then in the cache. But imports that need more than the defaults get it.
    fn import_limits(&self) -> ResourceLimits {
        let (default, given) = (ResourceLimits::default(), self.limits());
        ResourceLimits::default()
            .with_execution_timeout(default.execution_timeout().max(given.execution_timeout()))
            .with_max_memory(default.max_memory().max(given.max_memory()))
            .with_max_output(default.max_output().max(given.max_output()))
            .with_max_host_memory(default.max_host_memory().max(given.max_host_memory()))
            .with_max_file_bytes(default.max_file_bytes().max(given.max_file_bytes()))
            .with_max_files(default.max_files().max(given.max_files()))
    }

    /// Returns the environment variables of the programs.
    fn environment(&self) -> Result<Vec<(String, String)>> {
        let variable = |text: &String| match text.split_once('=') {
            // Messages do not show the value, which may be a secret.
            Some(("", _)) => {
                bail!("--env: the name before the `=` is empty; write --env NAME=VALUE")
            }
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None if text.is_empty() => {
                bail!("--env: the name is empty; write --env NAME=VALUE or --env NAME")
            }
            None => {
                let value =
                    own_variable(text).with_context(|| format!("--env {}", escape(text)))?;
                Ok((text.clone(), value))
            }
        };
        self.env.iter().map(variable).collect()
    }

    /// Opens the network log, if there is one.
    fn net_log(&self, network: bool, cancel: &CancelHandle) -> Result<Option<Arc<NetLog>>> {
        match &self.net_log {
            Some(_) if !network => bail!(
                "--net-log has no effect without a network: add --net, --allow-host PATTERN or --policy FILE"
            ),
            Some(path) => Ok(Some(Arc::new(NetLog::open(path, cancel)?))),
            None => Ok(None),
        }
    }

    /// Builds the factory with the packages and imports, if there are any.
    async fn factory(&self) -> Result<Option<SandboxFactory>, SetupError> {
        let mut builder = match &self.factory {
            Some(path) => FactoryBuilder::from_file(path)?,
            None if self.package.is_empty()
                && self.requirement.is_empty()
                && self.import.is_empty() =>
            {
                return Ok(None);
            }
            None => SandboxFactory::builder(),
        };
        for path in &self.package {
            builder = builder.with_package(path);
        }
        for requirement in &self.requirement {
            builder = match is_file(requirement) {
                true => builder.with_requirements_file(requirement),
                false => builder.with_requirement(requirement),
            };
        }
        for directory in &self.find_links {
            builder = builder.with_find_links(directory);
        }
        if self.no_index {
            builder = builder.without_index();
        }
        if let Some(python) = PYTHON.get() {
            builder = builder.with_python(python);
        }
        if self.dependencies {
            builder = builder.with_dependencies();
        }
        for module in &self.import {
            builder = builder.with_import(module);
        }
        if io::stderr().is_terminal() {
            builder = builder.on_progress(|stage| match stage {
                BuildStage::Downloading => eprintln!("eryx: downloading the packages ..."),
                BuildStage::CompilingModules => {
                    eprintln!("eryx: compiling the modules of the packages, once ...");
                }
                BuildStage::Importing => eprintln!("eryx: importing the packages ..."),
                BuildStage::Compiling => eprintln!("eryx: compiling them, once ..."),
                _ => {}
            });
        }
        let builder = builder
            .with_resource_limits(self.import_limits())
            .on_warning(|warning| eprintln!("eryx: warning: {warning}"));
        builder.build().await.map(Some).map_err(|error| SetupError {
            message: limit_message::build_message(&error),
            ..SetupError::from(error)
        })
    }
}

/// The interpreter whose pip downloads requirements.
static PYTHON: OnceLock<PathBuf> = OnceLock::new();

/// Sets the interpreter whose pip downloads requirements. Without a call, it is `python3`. Only the
/// first call has an effect.
pub fn set_python(interpreter: PathBuf) {
    let _ = PYTHON.set(interpreter);
}

/// Returns whether the value of --requirement is the path of a file: no requirement has the ending
/// of one, or a separator.
fn is_file(requirement: &str) -> bool {
    let path = Path::new(requirement);
    path.extension().is_some_and(|extension| extension == "txt")
        || requirement.contains('/')
        || path.is_file()
}

/// Returns the value of an environment variable of this process.
fn own_variable(name: &str) -> Result<String> {
    env::var(name).map_err(|error| {
        let name = escape(name);
        match error {
            VarError::NotPresent => anyhow!(
                "this process has no variable `{name}`; set it, or write --env {name}=VALUE"
            ),
            VarError::NotUnicode(_) => anyhow!(
                "the value of the variable is not UTF-8; write another one as --env {name}=VALUE"
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        sandbox: SandboxArgs,
    }

    fn import_limits(options: &[&str]) -> ResourceLimits {
        let parsed = Command::try_parse_from([&["eryx"], options].concat());
        let command = parsed.unwrap_or_else(|error| panic!("{error}"));
        command.sandbox.import_limits()
    }

    #[test]
    fn options_raise_the_limits_of_imports_and_do_not_lower_them() {
        let default = ResourceLimits::default();
        assert_eq!(import_limits(&[]), default);
        let small = [
            "--timeout=1s",
            "--max-memory=64M",
            "--max-output=1K",
            "--max-host-memory=1M",
            "--max-file-bytes=1K",
            "--max-files=1",
        ];
        assert_eq!(import_limits(&small), default);
        let large = [
            "--timeout=2m",
            "--max-memory=1G",
            "--max-output=1G",
            "--max-host-memory=1G",
            "--max-file-bytes=1G",
            "--max-files=100000",
        ];
        let raised = default
            .with_execution_timeout(Duration::from_secs(120))
            .with_max_memory(1 << 30)
            .with_max_output(1 << 30)
            .with_max_host_memory(1 << 30)
            .with_max_file_bytes(1 << 30)
            .with_max_files(100_000);
        assert_eq!(import_limits(&large), raised);
    }
}
