//! A sandbox: runs each guest program in a fresh interpreter, with the network the embedder grants.

use std::fmt;
use std::sync::Arc;

use eryx_files::Layout;
use eryx_net_host::{NetConfig, Network, Observer};
use tokio::time::Instant;

use crate::cancel::CancelHandle;
use crate::config_error::ConfigError;
use crate::environment::Environment;
use crate::error::Error;
use crate::files::{self, Files};
use crate::functions::{Function, FunctionCall, Functions, OfferedFunctions};
use crate::image::Image;
use crate::image::guest_image::GuestImage;
use crate::interpreter::Interpreter;
use crate::limits::ResourceLimits;
use crate::nesting;
use crate::output::OutputSink;
use crate::program::Program;
use crate::result::ExecuteResult;
use crate::stdio::Sinks;
use crate::template::Template;

/// Runs untrusted Python. Every execution starts from the same fresh interpreter, and no state of
/// one reaches another. The caches of a `NetConfig` with `shared_caches` are shared by all of its
/// sandboxes.
///
/// A sandbox is cheap to clone, and to share between threads and tasks; executions run
/// concurrently.
///
/// ```no_run
/// # #[tokio::main]
/// # async fn main() -> Result<(), eryx_core::Error> {
/// let sandbox = eryx_core::Sandbox::embedded().build()?;
/// let result = sandbox.execute("print(6 * 7)").await?;
/// assert_eq!(result.stdout, "42\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sandbox {
    template: Template,
    /// The files of the template without those of the settings.
    base_files: Layout,
    settings: Arc<Settings>,
}

#[derive(Clone, Default)]
struct Settings {
    limits: ResourceLimits,
    network: Option<NetConfig>,
    observer: Option<Arc<dyn Observer>>,
    sinks: Sinks,
    offered: OfferedFunctions,
    environment: Environment,
    files: Files,
    /// Whether each program gets an instance in which no other has run.
    new_instances_only: bool,
}

impl Sandbox {
    /// Returns a builder of sandboxes that run the guest image embedded in this program.
    pub fn embedded() -> SandboxBuilder {
        SandboxBuilder::new(Source::Embedded)
    }

    /// Returns a builder of sandboxes that run `image`.
    pub fn from_image(image: &GuestImage) -> SandboxBuilder {
        SandboxBuilder::new(Source::Image(image.clone()))
    }

    /// Returns a builder of sandboxes that run the guest image `wasm`, a component. Each build
    /// compiles it again, which takes seconds, and its sandboxes are not pooled: use
    /// [`from_image`](Self::from_image) for more than one sandbox.
    pub fn from_component(wasm: impl Into<Vec<u8>>) -> SandboxBuilder {
        SandboxBuilder::new(Source::Component(wasm.into()))
    }

    /// Runs a program: its source, or a [`Program`] with inputs. `await` is allowed at the top
    /// level.
    ///
    /// Dropping the future ends the program at its next yield point, and its connections at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its timer and I/O drivers on.
    ///
    /// # Errors
    ///
    /// [`Error::Exception`] when the program raises, exits with a status other than 0, or does not
    /// compile; [`Error::Limit`] when it exceeds one of its [`ResourceLimits`]; [`Error::Config`]
    /// when an input, an argument or a file of the program is invalid;
    /// [`Error::InterpreterCrashed`] when the interpreter crashes.
    pub async fn execute(&self, program: impl Into<Program>) -> Result<ExecuteResult, Error> {
        self.run(program.into(), None).await
    }

    /// Runs a program as [`execute`](Self::execute) does, until `cancel` ends it.
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute), and [`Error::Cancelled`].
    pub async fn execute_cancellable(
        &self,
        program: impl Into<Program>,
        cancel: &CancelHandle,
    ) -> Result<ExecuteResult, Error> {
        self.run(program.into(), Some(cancel)).await
    }

    /// Returns the text of a Python stub for the functions of this sandbox, for a prompt of a
    /// model: see [`Functions::describe`].
    pub fn describe_functions(&self) -> String {
        self.settings.offered.functions.describe()
    }

    async fn run(
        &self,
        program: Program,
        cancel: Option<&CancelHandle>,
    ) -> Result<ExecuteResult, Error> {
        let started = Instant::now();
        program.validate()?;
        let mut interpreter = if program.files.is_empty() {
            self.start(&self.template).await?
        } else {
            let files = self.settings.files.and(&program.files);
            let files = files.extend(&self.base_files).map_err(ConfigError::from)?;
            self.start(&self.template.with_files(files)).await?
        };
        let result = interpreter.execute(program, true, started, cancel).await;
        // On the heap: it is rarely as large as the rest, and every move of this future copies it.
        Box::pin(interpreter.recycle(&self.template.image, started)).await;
        result
    }

    /// Returns the network of a new interpreter.
    fn network(&self) -> Network {
        let network = match &self.settings.network {
            Some(config) => Network::new(config),
            None => Network::off(),
        };
        match &self.settings.observer {
            Some(observer) => network.with_observer(Arc::clone(observer)),
            None => network,
        }
    }

    async fn start(&self, template: &Template) -> Result<Interpreter, Error> {
        // Before the start, so that what is nested too deep takes no instance.
        // `Interpreter::execute` checks again, for the programs of sessions.
        nesting::check()?;
        let network = self.network();
        let environment = self.environment(&network);
        Interpreter::start(
            template,
            &self.settings.limits,
            network,
            &self.settings.sinks,
            &self.settings.offered,
            environment,
        )
        .await
    }

    /// Starts an interpreter for a session.
    pub(crate) async fn start_session(&self) -> Result<Interpreter, Error> {
        self.start(&self.template).await
    }

    /// Starts an interpreter that continues the session in `bytes`.
    pub(crate) async fn restore_session(&self, bytes: &[u8]) -> Result<Interpreter, Error> {
        let network = self.network();
        let environment = self.environment(&network);
        let mut interpreter = Interpreter::restore(
            &self.template,
            &self.settings.limits,
            &self.settings.sinks,
            network,
            &self.settings.offered,
            bytes,
        )
        .await?;
        interpreter.set_environment(environment);
        Ok(interpreter)
    }

    /// Returns the state of an interpreter of this sandbox.
    pub(crate) async fn snapshot(&self, interpreter: &mut Interpreter) -> Result<Vec<u8>, Error> {
        interpreter.snapshot(&self.template).await
    }

    /// Returns a copy of an interpreter of another sandbox with the same image. Its output and its
    /// events go where this sandbox sends them.
    pub(crate) async fn fork(&self, interpreter: &mut Interpreter) -> Result<Interpreter, Error> {
        let observer = self.settings.observer.clone();
        interpreter
            .fork(
                &self.template.image,
                &self.settings.sinks,
                observer,
                &self.settings.offered,
            )
            .await
    }

    /// Returns the variables that an interpreter of this sandbox starts with: those of the
    /// embedder, and the placeholders of the network's secrets, which take precedence.
    fn environment(&self, network: &Network) -> Environment {
        let mut environment = self.settings.environment.clone();
        let placeholders = network.environment();
        if !placeholders.is_empty() {
            environment.extend(placeholders);
        }
        environment
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("limits", &self.settings.limits)
            .field("network", &self.settings.network)
            .field("env", &self.settings.environment)
            .field("files", &self.settings.files)
            .field("functions", &self.settings.offered.functions)
            .finish_non_exhaustive()
    }
}

/// Builds a [`Sandbox`].
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct SandboxBuilder {
    source: Source,
    settings: Settings,
}

/// The source of the guest image.
#[derive(Clone)]
enum Source {
    Embedded,
    Image(GuestImage),
    Component(Vec<u8>),
    Template(Template),
}

impl SandboxBuilder {
    /// The most bytes that the variables of [`with_env`](Self::with_env) may have together: their
    /// names, their values, and 10 for each variable.
    pub const MAX_ENV: usize = Environment::MAX_BYTES;

    /// Returns a builder of sandboxes that start from `template`.
    pub(crate) fn from_template(template: Template) -> Self {
        Self::new(Source::Template(template))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            settings: Settings::default(),
        }
    }

    /// Grants the network that `config` describes. Without this, a sandbox has no network.
    pub fn with_network(mut self, config: NetConfig) -> Self {
        self.settings.network = Some(config);
        self
    }

    /// Sets the limits of each execution.
    pub fn with_resource_limits(mut self, limits: ResourceLimits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Sets environment variables, pairs of a name and a value, in addition to those of earlier
    /// calls. Without this, programs have `HOME` alone, which is `/home/user`. The last of several
    /// values for a name applies.
    ///
    /// Every execution starts with the variables in `os.environ`, and so does a session: what its
    /// programs change there stays for the programs after them. Modules that the image or a factory
    /// imported beforehand do not see the variables if they only look for them at their import.
    ///
    /// The variables are checked by [`build`](Self::build): a name is not empty and contains
    /// neither `=` nor a NUL character, a value contains no NUL character, and all together have at
    /// most [`MAX_ENV`](Self::MAX_ENV) bytes. No value appears in an error or in the `Debug` output
    /// of a sandbox.
    ///
    /// ```no_run
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), eryx_core::Error> {
    /// let sandbox = eryx_core::Sandbox::embedded()
    ///     .with_env([("GREETING", "hello"), ("LANG", "C.UTF-8")])
    ///     .build()?;
    /// let result = sandbox.execute("import os; print(os.environ['GREETING'])").await?;
    /// assert_eq!(result.stdout, "hello\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_env<N: Into<String>, V: Into<String>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.settings.environment.extend(
            variables
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        self
    }

    /// Sets the files that programs find when they start, in place of those of an earlier call.
    /// Without this, they find the empty directories `/tmp` and `/home/user`.
    ///
    /// They are checked by [`build`](Self::build), which also opens the files and directories of
    /// the machine among them.
    ///
    /// ```no_run
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), eryx_core::Error> {
    /// use eryx_core::{Files, Sandbox};
    ///
    /// let files = Files::new().with_file("/data/in.txt", "hello");
    /// let sandbox = Sandbox::embedded().with_files(files).build()?;
    /// let result = sandbox.execute("print(open('/data/in.txt').read())").await?;
    /// assert_eq!(result.stdout, "hello\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_files(mut self, files: Files) -> Self {
        self.settings.files = files;
        self
    }

    /// Sets whether a program may run in an instance that ran another program before, of this or of
    /// any other sandbox, and was reset since. The default is true. It makes no difference to
    /// programs, and saves a start about 250 µs.
    ///
    /// With false, each program, session and fork gets a new instance, which ends with it. This is
    /// for embedders who do not want to rely on the reset.
    pub fn with_instance_reuse(mut self, reuse: bool) -> Self {
        self.settings.new_instances_only = !reuse;
        self
    }

    /// Gives programs a function, in addition to those of earlier calls: `import tools`, then
    /// `tools.name(...)`, or `await tools.name(...)` for an asynchronous one. Without functions,
    /// programs have no module `tools`.
    ///
    /// A function gives untrusted programs a way out of the sandbox: they choose its arguments. It
    /// is checked by [`build`](Self::build): see [`Functions::with_function`].
    ///
    /// ```no_run
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), eryx_core::Error> {
    /// use eryx_core::{Function, FunctionError, Sandbox};
    ///
    /// let double = Function::immediate(|arguments| {
    ///     let [number]: [i32; 1] = arguments.to()?;
    ///     Ok::<_, FunctionError>(i64::from(number) * 2)
    /// });
    /// let sandbox = Sandbox::embedded().with_function("double", double).build()?;
    /// let result = sandbox.execute("import tools; print(tools.double(21))").await?;
    /// assert_eq!(result.stdout, "42\n");
    /// assert_eq!(result.function_calls.calls[0].name, "double");
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_function(mut self, name: &str, function: Function) -> Self {
        let offered = &mut self.settings.offered;
        offered.functions = std::mem::take(&mut offered.functions).with_function(name, function);
        self
    }

    /// Gives programs `functions`, in place of those of earlier calls; see
    /// [`with_function`](Self::with_function).
    pub fn with_functions(mut self, functions: Functions) -> Self {
        self.settings.offered.functions = functions;
        self
    }

    /// Sets the name of the module that programs import functions from, in place of `tools`: see
    /// [`Functions::with_module_name`].
    pub fn with_functions_module(mut self, name: &str) -> Self {
        let offered = &mut self.settings.offered;
        offered.functions = std::mem::take(&mut offered.functions).with_module_name(name);
        self
    }

    /// Calls `handler` with each call of a function when it has ended. Calls that Eryx refuses
    /// are only counted, in the report. The handler runs on any thread of the runtime, and returns
    /// at once: the program may wait for it.
    pub fn on_function_call(
        mut self,
        handler: impl Fn(&FunctionCall) + Send + Sync + 'static,
    ) -> Self {
        self.settings.offered.observer = Some(Arc::new(handler));
        self
    }

    /// Sends every decision about the network, and how every connection ended, to `observer`.
    pub fn with_network_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.settings.observer = Some(observer);
        self
    }

    /// Calls `handler` with standard output while it is printed.
    ///
    /// The program waits for the handler, and so do its timeout and its cancellation: the handler
    /// should pass the bytes on, and not wait for anything itself. Output that may have to wait
    /// belongs in a sink of [`with_stdout`](Self::with_stdout).
    pub fn on_stdout(self, handler: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        self.with_stdout(Arc::new(handler))
    }

    /// Calls `handler` with standard error while it is printed; see [`on_stdout`](Self::on_stdout).
    pub fn on_stderr(self, handler: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        self.with_stderr(Arc::new(handler))
    }

    /// Sends standard output to `sink` while it is printed, in place of the handler of
    /// [`on_stdout`](Self::on_stdout). The program waits while the sink is full; its timeout and
    /// its cancellation do not.
    pub fn with_stdout(mut self, sink: Arc<dyn OutputSink>) -> Self {
        self.settings.sinks.stdout = Some(sink);
        self
    }

    /// Sends standard error to `sink` while it is printed; see [`with_stdout`](Self::with_stdout).
    pub fn with_stderr(mut self, sink: Arc<dyn OutputSink>) -> Self {
        self.settings.sinks.stderr = Some(sink);
        self
    }

    /// Checks the settings and loads the image.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when a setting cannot be honoured, [`Error::Image`] when the image does
    /// not load.
    pub fn build(self) -> Result<Sandbox, Error> {
        self.settings.limits.validate()?;
        self.settings.offered.functions.validate()?;
        let environment = &self.settings.environment;
        environment.validate().map_err(ConfigError::from)?;
        if let Some(network) = &self.settings.network {
            network.validate().map_err(ConfigError::from)?;
        }
        let mut template = match self.source {
            Source::Embedded => {
                Template::new(GuestImage::embedded()?.load()?, files::without_packages())
            }
            Source::Image(image) => Template::new(image.load()?, files::without_packages()),
            Source::Component(wasm) => {
                Template::new(Image::compile(&wasm)?, files::without_packages())
            }
            Source::Template(template) => template,
        };
        let base_files = template.files.clone();
        let files = self.settings.files.extend(&base_files);
        template.files = files.map_err(ConfigError::from)?;
        template.image = template.image.with_reuse(!self.settings.new_instances_only);
        Ok(Sandbox {
            template,
            base_files,
            settings: Arc::new(self.settings),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_session_can_be_awaited_on_any_thread() {
        fn is_send<T: Send>(_: impl FnOnce(&'static Sandbox, &'static [u8]) -> T) {}
        is_send(Sandbox::restore);
    }
}
