use std::sync::Arc;

use eryx_net_host::{NetConfig, Network, Observer};
use tokio::time::Instant;

use crate::cancel::CancelHandle;
use crate::error::Error;
use crate::factory::SandboxFactory;
use crate::image::Image;
use crate::instance::Instance;
use crate::limits::ResourceLimits;
use crate::output::{Handlers, OutputSink};
use crate::result::ExecuteResult;
use crate::session::Session;

/// Runs untrusted Python. Every execution starts from the same fresh interpreter, and no state of one
/// reaches another. What a `NetConfig` with `shared_caches` keeps is shared by all of its sandboxes.
///
/// Cheap to clone, and to share between threads and tasks; executions run side by side.
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
    image: Image,
    factory: Option<SandboxFactory>,
    settings: Arc<Settings>,
}

#[derive(Clone, Default)]
struct Settings {
    limits: ResourceLimits,
    network: Option<NetConfig>,
    observer: Option<Arc<dyn Observer>>,
    handlers: Handlers,
}

impl Sandbox {
    /// Begin a sandbox on the guest image inside this program.
    pub fn embedded() -> SandboxBuilder {
        SandboxBuilder::new(Source::Embedded)
    }

    /// Begin a sandbox on a guest image given as a component. It is compiled anew, which takes seconds.
    pub fn from_component(wasm: impl Into<Vec<u8>>) -> SandboxBuilder {
        SandboxBuilder::new(Source::Component(wasm.into()))
    }

    /// Run a program: Python source in UTF-8, or in the encoding its first lines declare (PEP 263).
    /// `await` is allowed at its top level.
    ///
    /// Dropping the future ends the program at its next step, and its connections at once.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with its timer and I/O drivers on.
    ///
    /// # Errors
    ///
    /// [`Error::Exception`] when it raises, exits with a status other than 0, or does not compile;
    /// [`Error::Limit`] when it exceeds one of its [`ResourceLimits`]; [`Error::Aborted`] when the
    /// interpreter gives up.
    pub async fn execute(&self, source: impl AsRef<[u8]>) -> Result<ExecuteResult, Error> {
        self.run(source.as_ref(), None).await
    }

    /// As [`execute`](Self::execute), and `cancel` can end it.
    ///
    /// # Errors
    ///
    /// Those of [`execute`](Self::execute), and [`Error::Cancelled`].
    pub async fn execute_cancellable(
        &self,
        source: impl AsRef<[u8]>,
        cancel: &CancelHandle,
    ) -> Result<ExecuteResult, Error> {
        self.run(source.as_ref(), Some(cancel)).await
    }

    /// An interpreter that keeps what one execution defines for the next, open connections included.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] when the interpreter does not start, [`Error::Limit`] when its memory limit is
    /// too low for it to.
    pub async fn session(&self) -> Result<Session, Error> {
        Ok(Session::new(self.instance().await?, self.factory.clone()))
    }

    async fn run(
        &self,
        source: &[u8],
        cancel: Option<&CancelHandle>,
    ) -> Result<ExecuteResult, Error> {
        let started = Instant::now();
        let mut instance = self.instance().await?;
        instance.execute(source, started, cancel).await
    }

    async fn instance(&self) -> Result<Instance, Error> {
        let network = match &self.settings.network {
            Some(config) => Network::new(config),
            None => Network::off(),
        };
        let network = match &self.settings.observer {
            Some(observer) => network.with_observer(Arc::clone(observer)),
            None => network,
        };
        Instance::start(
            &self.image,
            &self.settings.limits,
            network,
            &self.settings.handlers,
            self.factory.as_ref().map(SandboxFactory::packages),
        )
        .await
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("limits", &self.settings.limits)
            .field("network", &self.settings.network)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`Sandbox`] to be.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct SandboxBuilder {
    source: Source,
    settings: Settings,
}

/// Where the image comes from.
#[derive(Clone)]
pub(crate) enum Source {
    Embedded,
    Component(Vec<u8>),
    Factory(SandboxFactory),
}

impl SandboxBuilder {
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            settings: Settings::default(),
        }
    }

    /// Grant the network `config` describes. Without it there is none.
    pub fn with_network(mut self, config: NetConfig) -> Self {
        self.settings.network = Some(config);
        self
    }

    /// Let executions use at most this much.
    pub fn with_resource_limits(mut self, limits: ResourceLimits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Be told of every decision about the network and of how every connection ended.
    pub fn with_network_observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.settings.observer = Some(observer);
        self
    }

    /// Receive standard output as it is printed. The program waits for the handler, and so do its timeout and
    /// cancellation: it should hand the bytes on, not wait for anything itself. What may have to wait is a sink of
    /// [`with_stdout`](Self::with_stdout).
    pub fn on_stdout(self, handler: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        self.with_stdout(Arc::new(handler))
    }

    /// Receive standard error as it is printed; see [`on_stdout`](Self::on_stdout).
    pub fn on_stderr(self, handler: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        self.with_stderr(Arc::new(handler))
    }

    /// Sends standard output to `sink` as it is printed, in place of the handler of [`on_stdout`](Self::on_stdout).
    /// The program waits while the sink has no room; its timeout and its cancellation do not.
    pub fn with_stdout(mut self, sink: Arc<dyn OutputSink>) -> Self {
        self.settings.handlers.stdout = Some(sink);
        self
    }

    /// Sends standard error to `sink` as it is printed; see [`with_stdout`](Self::with_stdout).
    pub fn with_stderr(mut self, sink: Arc<dyn OutputSink>) -> Self {
        self.settings.handlers.stderr = Some(sink);
        self
    }

    /// Check the settings and load the image.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when a setting cannot be honoured, [`Error::Image`] when the image does not load.
    pub fn build(self) -> Result<Sandbox, Error> {
        self.settings.limits.validate()?;
        let (image, factory) = match self.source {
            Source::Embedded => (Image::embedded()?, None),
            Source::Component(wasm) => (Image::compile(&wasm)?, None),
            Source::Factory(factory) => (factory.image().clone(), Some(factory)),
        };
        Ok(Sandbox {
            image,
            factory,
            settings: Arc::new(self.settings),
        })
    }
}
