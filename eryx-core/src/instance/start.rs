//! Making an instance: one that waits, a new one in the pool, or one with memory of its own when
//! the pool is full.

use wasmtime::component::Instance as Exports;
use wasmtime::{PoolConcurrencyLimitError, Store};

use crate::bindings::Sandbox as Guest;
use crate::error::Error;
use crate::image::Image;
use crate::image::prelinked::PrelinkedImage;
use crate::instance::MAX_HANDLES;
use crate::instance::idle::{self, IdleInstance};
use crate::limit::Limit;
use crate::limits::ResourceLimits;
use crate::memory_access::MemoryAccess;
use crate::memory_limiter::MemoryLimiter;
use crate::signals;
use crate::store_state::{MAX_CALL, StoreState};

/// An instance in which nothing has run, or which equals one.
pub(super) struct StartedInstance {
    pub(super) store: Store<StoreState>,
    pub(super) guest: Guest,
    pub(super) exports: Exports,
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

/// Returns an instance of `image`.
pub(super) async fn instantiate(
    image: &Image,
    mut state: StoreState,
    limits: &ResourceLimits,
    choice: InstanceChoice,
) -> Result<StartedInstance, Error> {
    signals::check()?;
    image.check()?;
    if choice == InstanceChoice::Any {
        match IdleInstance::take(image, state) {
            Ok(instance) => return Ok(instance),
            Err(unused) => state = unused,
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
            if !idle::end_one() {
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
    fn new(store: Store<StoreState>, (guest, exports): (Guest, Exports)) -> Self {
        Self {
            store,
            guest,
            exports,
            access: None,
        }
    }
}

fn new_store(prelinked: &PrelinkedImage, state: StoreState) -> Store<StoreState> {
    let mut store = Store::new(prelinked.engine(), state);
    store.limiter(|state| &mut state.memory);
    store.set_hostcall_fuel(MAX_CALL);
    store.set_max_component_handles(MAX_HANDLES);
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
