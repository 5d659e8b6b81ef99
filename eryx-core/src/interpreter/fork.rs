//! Forks of an interpreter: copies of its memory in other instances of the same image.

use std::sync::Arc;

use eryx_net_host::{Connection, Lookup, Observer, TlsSession, UdpSocket};
use tokio::time::Instant;
use wasmtime::Store;

use crate::bindings::Outcome;
use crate::error::Error;
use crate::execution_timeout::{deadline, within_time_limit};
use crate::functions::{Call, OfferedFunctions};
use crate::image::Image;
use crate::interpreter::guest_call::{CallEnd, race};
use crate::interpreter::start::{InitialState, InstanceChoice};
use crate::interpreter::{CallResult, Interpreter};
use crate::limit::Limit;
use crate::memory_access::{MAX_PARTS, MemoryAccess, copy_error, part};
use crate::memory_changes::{Changes, PageMap};
use crate::session_clock::SessionClock;
use crate::session_snapshot::{Handles, PAGE};
use crate::signals;
use crate::snapshot_error::SnapshotError;
use crate::stdio::Sinks;
use crate::store_state::StoreState;

/// The memory that is examined in one step, in bytes. Copying all of it takes about a millisecond.
pub(crate) const STEP: usize = 1 << 20;

// The changed pages of a step are copied in one call: every second page at most begins a part.
const _: () = assert!(STEP / PAGE / 2 <= MAX_PARTS);

/// A call of the guest around a fork.
#[derive(Clone, Copy)]
enum ForkCall {
    /// Run the callbacks before it, with this many open files.
    Before(u32),
    /// Run the callbacks after it.
    After,
}

/// An interpreter that is paused for a copy of its memory.
pub(super) struct Paused {
    pub(super) store: Store<StoreState>,
    /// Whether it has callbacks to run after the copy.
    calls_after: bool,
}

impl Interpreter {
    /// Returns a copy of the interpreter in another instance. Calls the callbacks of
    /// `os.register_at_fork`. Ends this interpreter if they exceed a limit.
    pub(crate) async fn fork(
        &mut self,
        image: &Image,
        sinks: &Sinks,
        observer: Option<Arc<dyn Observer>>,
        offered: &OfferedFunctions,
    ) -> Result<Self, Error> {
        let started = Instant::now();
        let mut paused = self.pause(started).await?;
        let store = &mut paused.store;
        let initial = InitialState {
            files: store.data().files.lock().fork(),
            clock: SessionClock::starting_at(store.data().clock.reading()),
            network: self.network.fork(observer),
            offered: offered.clone(),
        };
        let child = self.copy(store, image, sinks, initial, started).await;
        self.resume(paused, started).await?;
        child
    }

    /// Prepares the interpreter for a copy of its memory.
    pub(super) async fn pause(&mut self, started: Instant) -> Result<Paused, Error> {
        let Some(store) = self.store.take() else {
            return Err(Error::SessionClosed {
                reason: self.close_reason.clone(),
            });
        };
        "a fork or a snapshot was dropped before it ended".clone_into(&mut self.close_reason);
        let open = store.data().files.lock().open_count();
        let open = u32::try_from(open).unwrap_or(u32::MAX);
        self.call_for_fork(store, ForkCall::Before(open), started)
            .await
    }

    /// Continues the interpreter after a copy.
    pub(super) async fn resume(&mut self, paused: Paused, started: Instant) -> Result<(), Error> {
        let mut store = paused.store;
        if paused.calls_after {
            let called = self.call_for_fork(store, ForkCall::After, started).await?;
            store = called.store;
        }
        self.store = Some(store);
        Ok(())
    }

    /// Calls the guest around a fork. What the callbacks print is in no result.
    async fn call_for_fork(
        &mut self,
        mut store: Store<StoreState>,
        call: ForkCall,
        started: Instant,
    ) -> Result<Paused, Error> {
        self.begin(&mut store);
        let end = {
            let time_slice = store.data().time_slice.clone();
            let guest = &self.guest;
            let store = &mut store;
            let work = signals::watch(time_slice.run(async move {
                match call {
                    ForkCall::Before(open) => guest.call_before_fork(store, open).await,
                    ForkCall::After => guest.call_after_fork(store).await.map(|()| false),
                }
            }));
            race(
                work,
                deadline(started, self.limits.execution_timeout()),
                None,
            )
            .await
        };
        let output = self.partial_result(&store, started);
        if let CallEnd::Returned(Ok(calls_after)) = end {
            return Ok(Paused { store, calls_after });
        }
        let end = end.map(|_| Outcome::Finished);
        let denied_growth = store.data().memory.denied_growth();
        let CallResult {
            close_reason,
            result,
        } = self.classify(end, denied_growth, output);
        self.network.abort();
        let reason = close_reason.unwrap_or_else(|| "a fork failed".to_owned());
        self.close_reason.clone_from(&reason);
        Err(match result {
            Err(error) => error,
            Ok(_) => Error::SessionClosed { reason },
        })
    }

    async fn copy(
        &mut self,
        parent: &mut Store<StoreState>,
        image: &Image,
        sinks: &Sinks,
        initial: InitialState,
        started: Instant,
    ) -> Result<Self, Error> {
        let access = MemoryAccess::find(&self.instance, parent)?;
        let choice = InstanceChoice::Any;
        let mut child = Self::start_from(image, &self.limits, sinks, initial, choice).await?;
        child.environment.clone_from(&self.environment);
        child.had_stdin = self.had_stdin;
        let handles = handles(parent);
        child
            .fill_and_resume(started, handles, async |child_store, child_access| {
                copy_memory((parent, &access), (child_store, child_access)).await
            })
            .await?;
        Ok(child)
    }

    /// Fills the memory of a new interpreter with `fill`, and makes the program in it continue,
    /// within the execution timeout.
    pub(super) async fn fill_and_resume(
        &mut self,
        started: Instant,
        handles: Handles,
        fill: impl AsyncFnOnce(&mut Store<StoreState>, &MemoryAccess) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(mut store) = self.store.take() else {
            return Err(SnapshotError::Unsupported.into());
        };
        let access = MemoryAccess::find(&self.instance, &mut store)?;
        self.begin(&mut store);
        let time_slice = store.data().time_slice.clone();
        let guest = &self.guest;
        let work = signals::watch(time_slice.run(async {
            if let Err(error) = fill(&mut store, &access).await {
                return Ok(Err(error));
            }
            let woken = access.wake(&mut store, guest, handles).await;
            Ok(woken.map_err(|error| wake_error(&error)))
        }));
        let work = async { work.await.map_err(copy_error)? };
        let done = within_time_limit(self.limits.execution_timeout(), started, work).await;
        if done.is_err() && store.data().memory.denied_growth() {
            return Err(Error::Limit {
                limit: Limit::Memory(self.limits.max_memory()),
                output: Box::default(),
            });
        }
        done?;
        self.capture.take();
        self.store = Some(store);
        Ok(())
    }
}

/// Returns the error for a program that does not continue in its copy.
fn wake_error(error: &wasmtime::Error) -> Error {
    SnapshotError::Wake {
        reason: error.root_cause().to_string(),
    }
    .into()
}

/// Returns the kinds of handles that the guest has.
pub(super) fn handles(store: &mut Store<StoreState>) -> Handles {
    let mut handles = Handles::default();
    for resource in store.data_mut().table.iter_mut() {
        handles.network |= resource.is::<Connection>()
            || resource.is::<UdpSocket>()
            || resource.is::<Lookup>()
            || resource.is::<TlsSession>()
            || resource.is::<Call>();
        handles.listings |= resource.is::<eryx_files::Listing>();
    }
    handles
}

/// Returns the kernel's record of written pages, if it knows that the page was written to which
/// `memory-view` has just written.
pub(super) fn page_map(memory: &[u8]) -> Option<PageMap> {
    let map = PageMap::open()?;
    let written = Changes::Written(&map).find(memory, 0..PAGE).ok()?;
    (!written.is_empty()).then_some(map)
}

/// Copies the changed pages of one memory to another, which has the content of the image.
async fn copy_memory(
    (parent, parent_access): (&mut Store<StoreState>, &MemoryAccess),
    (child, child_access): (&mut Store<StoreState>, &MemoryAccess),
) -> Result<(), Error> {
    let start = parent_access.start(parent).await.map_err(copy_error)?;
    let view = parent_access.view(parent).await.map_err(copy_error)?;
    let size = view.len();
    let map = page_map(view.as_le_slice(&*parent));
    if !child_access
        .grow_to(child, size)
        .await
        .map_err(copy_error)?
    {
        return Err(SnapshotError::Memory {
            needed: size as u64,
        }
        .into());
    }
    let time_slice = child.data().time_slice.clone();
    let mut position = start / PAGE * PAGE;
    while position < size {
        let end = size.min(position + STEP);
        // Taken again in each step: another task may have run.
        let view = parent_access.view(parent).await.map_err(copy_error)?;
        let pristine = match map {
            Some(_) => None,
            None => Some(child_access.view(child).await.map_err(copy_error)?),
        };
        let parts: Vec<_> = {
            let memory = view.as_le_slice(&*parent);
            let changes = match (&map, &pristine) {
                (Some(map), _) => Changes::Written(map),
                (None, Some(pristine)) => Changes::Different(pristine.as_le_slice(&*child), None),
                (None, None) => Changes::Different(&[], None),
            };
            let ranges = changes
                .find(memory, position..end)
                .map_err(SnapshotError::pages)?;
            ranges
                .into_iter()
                .map(|range| part(memory, range))
                .collect()
        };
        // All in one call, in place of two for each range. It overwrites the first page, which is
        // the unused end of the C stack.
        if !parts.is_empty() {
            child_access
                .place_all(child, parts)
                .await
                .map_err(copy_error)?;
        }
        position = end;
        if time_slice.is_over() {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
