//! Starting an interpreter: in an instance that waits, in a new one in the pool, or one with memory
//! of its own when the pool is full.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eryx_files::{FileSystem, Layout, Timestamp};
use eryx_net_host::{HostMemory, Network};
use wasmtime::component::Instance;
use wasmtime::{PoolConcurrencyLimitError, Store};

use crate::bindings::Sandbox as Guest;
use crate::config_error::ConfigError;
use crate::environment::Environment;
use crate::error::Error;
use crate::functions::OfferedFunctions;
use crate::idle_pool;
use crate::image::Image;
use crate::image::prelinked::PrelinkedImage;
use crate::interpreter::Interpreter;
use crate::limit::Limit;
use crate::limits::ResourceLimits;
use crate::memory_access::MemoryAccess;
use crate::memory_limiter::MemoryLimiter;
use crate::session_clock::SessionClock;
use crate::signals;
use crate::stdio::{Capture, Sinks};
use crate::store_state::{MAX_CALL, MAX_COMPONENT_HANDLES, StoreState};
use crate::template::Template;

/// An instance in which nothing has run, or which equals one.
pub(super) struct StartedInstance {
    pub(super) store: Store<StoreState>,
    pub(super) guest: Guest,
    pub(super) instance: Instance,
    /// The access to its memory, if it was needed before.
    pub(super) access: Option<Box<MemoryAccess>>,
}

/// Which instances an interpreter can start in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceChoice {
    /// One that waits, or a new one.
    Any,
    /// A new one: no program has run in it.
    New,
}

/// The state that a new interpreter starts with, in addition to its memory.
pub(super) struct InitialState {
    pub(super) files: FileSystem,
    pub(super) clock: SessionClock,
    pub(super) network: Network,
    pub(super) offered: OfferedFunctions,
}

impl InitialState {
    /// Returns the state of an interpreter that starts from `template`.
    pub(super) fn new(
        template: &Template,
        limits: &ResourceLimits,
        network: Network,
        offered: &OfferedFunctions,
    ) -> Result<Self, Error> {
        Ok(Self {
            files: start_files(&template.files, limits)?,
            clock: SessionClock::starting_at(Duration::ZERO),
            network,
            offered: offered.clone(),
        })
    }

    fn state(self, limits: &ResourceLimits, sinks: &Sinks) -> Result<(Capture, StoreState), Error> {
        let capture = Capture::new(HostMemory::new(limits.max_host_memory()));
        let state = StoreState::new(
            self.network,
            limits,
            &capture,
            sinks,
            self.files,
            self.clock,
            &self.offered,
        )?;
        Ok((capture, state))
    }
}

impl Interpreter {
    /// Makes an interpreter from the snapshot of the template's image. Its programs find the
    /// variables of `environment`.
    pub(crate) async fn start(
        template: &Template,
        limits: &ResourceLimits,
        network: Network,
        sinks: &Sinks,
        offered: &OfferedFunctions,
        environment: Environment,
    ) -> Result<Self, Error> {
        let initial = InitialState::new(template, limits, network, offered)?;
        let (image, choice) = (&template.image, InstanceChoice::Any);
        let mut interpreter = Self::start_from(image, limits, sinks, initial, choice).await?;
        interpreter.environment = environment;
        Ok(interpreter)
    }

    /// Makes an interpreter without a network for a snapshot, which needs its instance.
    pub(crate) async fn start_for_snapshot(
        template: &Template,
        limits: &ResourceLimits,
    ) -> Result<(Self, Instance), Error> {
        let offered = OfferedFunctions::default();
        let initial = InitialState::new(template, limits, Network::off(), &offered)?;
        let sinks = Sinks::default();
        let (image, choice) = (&template.image, InstanceChoice::New);
        let interpreter = Self::start_from(image, limits, &sinks, initial, choice).await?;
        let instance = interpreter.instance;
        Ok((interpreter, instance))
    }

    /// Makes an interpreter that starts with the state of another one. Its memory is that of the
    /// image.
    pub(super) async fn start_from(
        image: &Image,
        limits: &ResourceLimits,
        sinks: &Sinks,
        initial: InitialState,
        choice: InstanceChoice,
    ) -> Result<Self, Error> {
        let (capture, state) = initial.state(limits, sinks)?;
        let started = acquire_instance(image, state, limits, choice).await?;
        Ok(Self::new(started, capture, limits))
    }

    fn new(started: StartedInstance, capture: Capture, limits: &ResourceLimits) -> Self {
        Self {
            network: started.store.data().network.clone(),
            store: Some(started.store),
            guest: started.guest,
            instance: started.instance,
            access: started.access,
            capture,
            limits: limits.clone(),
            environment: Environment::default(),
            had_stdin: false,
            close_reason: String::new(),
        }
    }
}

/// Returns an instance of `image`.
pub(super) async fn acquire_instance(
    image: &Image,
    mut state: StoreState,
    limits: &ResourceLimits,
    choice: InstanceChoice,
) -> Result<StartedInstance, Error> {
    signals::check()?;
    image.check_descriptor()?;
    if choice == InstanceChoice::Any && image.reuses_instances() {
        let idle = idle_pool::take(image.identity(), state.memory.max());
        if let Some(mut idle) = idle {
            state.memory.adopt(idle.memory);
            *idle.store.data_mut() = state;
            return Ok(StartedInstance {
                store: idle.store,
                guest: idle.guest,
                instance: idle.instance,
                access: Some(idle.access),
            });
        }
    }
    if let Some(prelinked) = image.pooled() {
        loop {
            let mut store = new_store(prelinked, state);
            match prelinked.instantiate(&mut store).await {
                Ok(made) => return Ok(StartedInstance::new(store, made)),
                Err(error) if error.is::<PoolConcurrencyLimitError>() => {
                    state = store.into_data();
                    state.memory = MemoryLimiter::new(limits.max_memory());
                }
                Err(error) => return Err(start_error(&store, limits, error)),
            }
            if !idle_pool::evict_lru() {
                break;
            }
        }
    }
    let prelinked = image.on_demand()?;
    let mut store = new_store(prelinked, state);
    match prelinked.instantiate(&mut store).await {
        Ok(made) => Ok(StartedInstance::new(store, made)),
        Err(error) => Err(start_error(&store, limits, error)),
    }
}

impl StartedInstance {
    fn new(store: Store<StoreState>, (guest, instance): (Guest, Instance)) -> Self {
        Self {
            store,
            guest,
            instance,
            access: None,
        }
    }
}

fn new_store(prelinked: &PrelinkedImage, state: StoreState) -> Store<StoreState> {
    let mut store = Store::new(prelinked.engine(), state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(MAX_CALL);
    store.set_max_component_handles(MAX_COMPONENT_HANDLES);
    store
}

/// Returns the error for an interpreter that did not start.
fn start_error(
    store: &Store<StoreState>,
    limits: &ResourceLimits,
    error: wasmtime::Error,
) -> Error {
    if store.data().memory.denied_growth() {
        Error::Limit {
            limit: Limit::Memory(limits.max_memory()),
            output: Box::default(),
        }
    } else {
        Error::image("it does not start", error)
    }
}

/// Returns the files of a guest that starts with those of `layout`.
///
/// # Errors
///
/// [`ConfigError::Limit`] when a limit of files is out of range.
pub(super) fn start_files(
    layout: &Layout,
    limits: &ResourceLimits,
) -> Result<FileSystem, ConfigError> {
    Ok(layout.start(limits.file_limits()?, present))
}

/// Returns the present time.
fn present() -> Timestamp {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.ok()
        .and_then(|time| Timestamp::new(time.as_secs(), time.subsec_nanos()))
        .unwrap_or_default()
}
