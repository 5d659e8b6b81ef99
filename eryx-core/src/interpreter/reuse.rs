//! Reuse of an instance after its only program: its memory is reset, and it waits for the next one.
//!
//! A new instance in a slot of the pool faults in every page that its program touches. An instance
//! that was reset still has these pages mapped.
//!
//! An instance consists of its memory, its tables, its globals, and the handles that it holds. What
//! makes it equal to a new one:
//!
//! - *Memory*: has the size at the start, and the content of the image (`memory_reset.rs`).
//! - *Tables*: no code of an image can change one (`image/yield_verifier`).
//! - *Globals*: the C stack pointer is compared. The yield counters are reset by the yield of
//!   `memory-place-all`. This matters: functions that must not yield share an allowance, and a
//!   program that used it up would end the next program. The others have the same value
//!   in every instance that runs; no function of the program reads or writes them, and snapshots
//!   leave them out for the same reason.
//! - *Handles*: the guest has dropped all of them, and never held two at a time. So the next handle
//!   gets the number that the first one of a new instance gets.
//! - *The state of the host* is that of a new instance: it is replaced as a whole.
//!
//! What does not change is which pages are mapped. So a program that measures how long its accesses
//! to memory take may learn which pages the programs before it used, and not what they had there.
//!
//! Anything else, and any error on the way, ends the instance, whose slot wasmtime then returns to
//! the kernel.

use std::mem;
use std::time::Duration;

use eryx_net_host::{HostMemory, Network};
use tokio::time::Instant;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::DynOutputStream;

use crate::error::Error;
use crate::execution_timeout::within_time_limit;
use crate::files;
use crate::functions::OfferedFunctions;
use crate::idle_pool::IdleInstance;
use crate::image::Image;
use crate::interpreter::Interpreter;
use crate::interpreter::start::{InstanceChoice, StartedInstance, acquire_instance, start_files};
use crate::limits::ResourceLimits;
use crate::memory_access::{MemoryAccess, copy_error};
use crate::memory_limiter::MemoryLimiter;
use crate::memory_reset::{Reset, overwrite};
use crate::session_clock::SessionClock;
use crate::signals;
use crate::stdio::{Capture, Sinks};
use crate::store_state::StoreState;

/// The longest time that a reset may take, which the result of the program waits for. It takes less
/// than a millisecond, but code of the guest runs in memory that the program has left.
const MAX_TIME: Duration = Duration::from_millis(100);

impl Interpreter {
    /// Ends the interpreter, whose only program began at `started`. Its instance is reset and waits
    /// for the next program, if that is possible within [`MAX_TIME`] and the execution timeout.
    /// Returns whether it waits.
    pub(crate) async fn recycle(mut self, image: &Image, started: Instant) -> bool {
        if !image.reuses_instances() {
            return false;
        }
        let (Some(pooled), Some(store)) = (image.pooled(), self.store.take()) else {
            return false;
        };
        if !Engine::same(store.engine(), pooled.engine()) || store.data().memory.has_ever_grown() {
            return false;
        }
        let limit = self.limits.execution_timeout();
        let work = within_time_limit(limit, started, self.reset(store, image));
        match within_time_limit(MAX_TIME, Instant::now(), work).await {
            Ok(Some(idle)) => {
                idle.park();
                true
            }
            Ok(None) => false,
            Err(reason) => {
                tracing::debug!(target: "eryx::image", %reason, "an instance is not reset");
                false
            }
        }
    }

    async fn reset(
        self,
        mut store: Store<StoreState>,
        image: &Image,
    ) -> Result<Option<IdleInstance>, Error> {
        // Before the guest runs again: whatever the program has made of it has no effect any more.
        let (program, memory) = replace_state(&mut store)?;
        drop(program);
        let table = &mut store.data_mut().table;
        if !has_held_one_handle_at_most(table) || !holds_only_output_streams(table) {
            return Ok(None);
        }
        let access = match self.access {
            Some(access) => access,
            None => Box::new(MemoryAccess::find(&self.instance, &mut store)?),
        };
        let time_slice = store.data().time_slice.clone();
        let work = signals::watch(time_slice.run(async {
            // libc drops the handle of standard output.
            access.reset_preopens(&mut store).await?;
            if !store.data().table.is_empty() {
                return Ok(false);
            }
            let pages = image.pages();
            let Some(mut cached) = pages.cached() else {
                return Ok(false);
            };
            let mut plan = cached.plan(&mut store, &access).await?;
            if let Reset::Missing(missing) = &plan {
                let mut pristine = start_pristine(image).await?;
                let pristine_access = MemoryAccess::find(&pristine.instance, &mut pristine.store)?;
                cached = cached
                    .read(missing, &mut pristine.store, &pristine_access)
                    .await?;
                pages.cache_pages(&cached);
                plan = cached.plan(&mut store, &access).await?;
            }
            let Reset::Parts(parts) = plan else {
                return Ok(false);
            };
            overwrite(&mut store, &access, parts).await?;
            Ok(true)
        }));
        if !work.await.map_err(copy_error)? {
            return Ok(None);
        }
        Ok(Some(IdleInstance {
            image: image.identity(),
            memory,
            store,
            guest: self.guest,
            instance: self.instance,
            access,
        }))
    }
}

/// Replaces the state of the host by one without a network, files and output, except for the
/// handles. Returns the state of the program, and the bytes of the memory.
fn replace_state(store: &mut Store<StoreState>) -> Result<(StoreState, u64), Error> {
    let memory = store.data().memory.used();
    let mut state = idle_state()?;
    mem::swap(&mut state.table, &mut store.data_mut().table);
    Ok((mem::replace(store.data_mut(), state), memory))
}

/// Returns the state of an instance that waits.
fn idle_state() -> Result<StoreState, Error> {
    let limits = ResourceLimits::default();
    let capture = Capture::new(HostMemory::new(limits.max_host_memory()));
    let mut state = StoreState::new(
        Network::off(),
        &limits,
        &capture,
        &Sinks::default(),
        start_files(&files::without_packages(), &limits)?,
        SessionClock::starting_at(Duration::ZERO),
        &OfferedFunctions::default(),
    )?;
    // No growth.
    state.memory = MemoryLimiter::new(0);
    Ok(state)
}

/// Returns an instance of `image` in which nothing has run.
async fn start_pristine(image: &Image) -> Result<StartedInstance, Error> {
    let mut state = idle_state()?;
    state.memory = MemoryLimiter::new(u64::MAX);
    let limits = ResourceLimits::default();
    acquire_instance(image, state, &limits, InstanceChoice::New).await
}

/// Returns whether the guest holds one handle at most, and never held two at the same time.
///
/// Every handle of the guest is an entry of `table` while it exists. The table never shrinks, and
/// new entries take the places of removed ones first. So it has as many entries as it ever had at
/// the same time, once it is full with a capacity of one.
fn has_held_one_handle_at_most(table: &mut ResourceTable) -> bool {
    table.set_max_capacity(1);
    let mut added = Vec::new();
    while added.len() < 2
        && let Ok(resource) = table.push(())
    {
        added.push(resource);
    }
    let is_small = table.iter_mut().count() < 2;
    is_small
        && added
            .into_iter()
            .all(|resource| table.delete(resource).is_ok())
}

/// Returns whether the guest holds no handle other than of an output stream. So no connection and
/// no call is open while guest code runs during the reset: their activity would be missing from
/// every report.
fn holds_only_output_streams(table: &mut ResourceTable) -> bool {
    table
        .iter_mut()
        .all(|handle| handle.is::<DynOutputStream>())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(all(feature = "embedded-image", target_os = "linux"))]
    use crate::{
        environment::Environment, idle_pool, image::guest_image::GuestImage, program::Program,
        session_snapshot::PAGE, template::Template,
    };

    /// Programs, and whether their instances are reused.
    #[cfg(all(feature = "embedded-image", target_os = "linux"))]
    const PROGRAMS: [(&str, bool); 11] = [
        ("pass", true),
        ("print('SECRET' * 100)", true),
        ("import sys; print('SECRET', file=sys.stderr)", true),
        ("raise SystemExit(3)", true),
        ("def f(n): return n and 1 + f(n - 1)\nf(900)", true),
        (
            "import json; kept = json.loads(json.dumps(['SECRET'] * 1000))",
            true,
        ),
        // Two handles at the same time.
        ("import sys; print(1); print(2, file=sys.stderr)", false),
        ("open('/tmp/a', 'w').write('SECRET')", false),
        // Memory that has grown.
        ("kept = bytearray(64 << 20)", false),
        // More pages than are reset.
        (
            "kept = [bytes([n % 255 + 1]) * 4000 for n in range(400)]",
            false,
        ),
        ("import os; os._exit(0)", false),
    ];

    /// Returns a template of the embedded image, if its instances can be reused here.
    #[cfg(all(feature = "embedded-image", target_os = "linux"))]
    fn template() -> Option<Template> {
        let image = GuestImage::embedded()
            .and_then(|image| image.load())
            .expect("loaded");
        let is_usable =
            image.pooled().is_some() && crate::memory_changes::PageMap::open().is_some();
        is_usable.then(|| Template::new(image, files::without_packages()))
    }

    /// Runs a program, changes its instance with `change`, and returns whether it is reused.
    #[cfg(all(feature = "embedded-image", target_os = "linux"))]
    async fn is_reused(
        template: &Template,
        source: &str,
        change: impl AsyncFnOnce(&mut Store<StoreState>, &MemoryAccess),
    ) -> bool {
        let limits = ResourceLimits::default();
        let (sinks, offered) = (Sinks::default(), OfferedFunctions::default());
        let (network, environment) = (Network::off(), Environment::default());
        let started = Instant::now();
        let mut interpreter =
            Interpreter::start(template, &limits, network, &sinks, &offered, environment)
                .await
                .expect("started");
        let _ = interpreter
            .execute(Program::from(source), true, started, None)
            .await;
        if let Some(store) = &mut interpreter.store {
            let access = MemoryAccess::find(&interpreter.instance, store).expect("found");
            change(store, &access).await;
        }
        interpreter.recycle(&template.image, Instant::now()).await
    }

    /// Checks that an instance that waits, if one does, has the memory of a new one.
    #[cfg(all(feature = "embedded-image", target_os = "linux"))]
    async fn check_waiting(template: &Template, source: &str) {
        let image = &template.image;
        // Sandboxes of other tests may take the instance first.
        let Some(mut reused) = idle_pool::take(image.identity(), u64::MAX) else {
            return;
        };
        let mut new = start_pristine(image).await.expect("started");
        let reused_access = MemoryAccess::find(&reused.instance, &mut reused.store).expect("found");
        let new_access = MemoryAccess::find(&new.instance, &mut new.store).expect("found");
        let reused_memory = reused_access.view(&mut reused.store).await.expect("read");
        let new_memory = new_access.view(&mut new.store).await.expect("read");
        let reused_memory = reused_memory.as_le_slice(&reused.store);
        let new_memory = new_memory.as_le_slice(&new.store);
        assert!(reused_memory == new_memory, "{source}");
    }

    #[cfg(all(feature = "embedded-image", target_os = "linux"))]
    #[tokio::test]
    async fn an_instance_is_reused_only_with_the_memory_of_a_new_one() {
        let Some(template) = template() else {
            return;
        };
        for (source, expected) in PROGRAMS.into_iter().chain(PROGRAMS) {
            let is_reused = is_reused(&template, source, async |_, _| {}).await;
            assert_eq!(is_reused, expected, "{source}");
            check_waiting(&template, source).await;
        }
    }

    /// A program that breaks out of Python into WebAssembly can write to any address.
    #[cfg(all(feature = "embedded-image", target_os = "linux"))]
    #[tokio::test]
    async fn an_instance_full_of_garbage_is_reset_or_ends() {
        let Some(template) = template() else {
            return;
        };
        let mut random = 1_u64;
        let mut next = |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random).unwrap_or(usize::MAX) % below
        };
        let mut reused = 0;
        for round in 0..40 {
            let source = ["pass", "print('SECRET')"][round % 2];
            let pages = [3, 40, 150][round % 3];
            let is_reused = is_reused(&template, source, async |store, access| {
                let size = access.view(store).await.expect("read").len();
                for _ in 0..pages {
                    let address = next(size / PAGE) * PAGE + next(PAGE / 8) * 8;
                    let length = (1 + next(64)) * 8;
                    let content = match next(3) {
                        0 => vec![0; length],
                        1 => vec![0xff; length],
                        _ => (0..length).map(|_| next(256) as u8).collect(),
                    };
                    // The last bytes may be past the end.
                    let address = u32::try_from(address.min(size - length)).expect("32 bits");
                    access.place(store, address, content).await.expect("placed");
                }
            })
            .await;
            reused += usize::from(is_reused);
            check_waiting(&template, source).await;
        }
        assert!(reused >= 10, "{reused} were reused");
        // They wrote to more pages than are cached, and others are still reused.
        assert!(is_reused(&template, "pass", async |_, _| {}).await);
        check_waiting(&template, "pass").await;
    }

    #[cfg(all(feature = "embedded-image", target_os = "linux"))]
    #[tokio::test]
    async fn without_reuse_no_instance_waits_and_none_that_waits_is_used() {
        let Some(reusing) = template() else {
            return;
        };
        let mut new = reusing.clone();
        new.image = new.image.with_reuse(false);
        let starts_in_used = async |template: &Template| {
            let limits = ResourceLimits::default();
            let (sinks, offered) = (Sinks::default(), OfferedFunctions::default());
            let (network, environment) = (Network::off(), Environment::default());
            Interpreter::start(template, &limits, network, &sinks, &offered, environment)
                .await
                .expect("started")
                .access
                .is_some()
        };
        let mut used = 0;
        for _ in 0..8 {
            assert!(is_reused(&reusing, "pass", async |_, _| {}).await);
            assert!(!starts_in_used(&new).await);
            // Sandboxes of other tests may take the instance first.
            used += usize::from(starts_in_used(&reusing).await);
            assert!(!is_reused(&new, "pass", async |_, _| {}).await);
        }
        assert!(used > 0, "no instance waited");
    }

    #[test]
    fn a_table_that_held_two_handles_at_the_same_time_is_recognised() {
        type Change = fn(&mut ResourceTable);
        let cases: [(Change, bool); 6] = [
            (|_| {}, true),
            (|table| drop(table.push(1)), true),
            (
                |table| {
                    for number in 0..5 {
                        let resource = table.push(number).expect("space");
                        table.delete(resource).expect("deleted");
                    }
                },
                true,
            ),
            (
                |table| {
                    let _ = table.push(1);
                    let _ = table.push(2);
                },
                false,
            ),
            (
                |table| {
                    let first = table.push(1).expect("space");
                    let _ = table.push(2);
                    table.delete(first).expect("deleted");
                },
                false,
            ),
            (
                |table| {
                    let first = table.push(1).expect("space");
                    let second = table.push(2).expect("space");
                    table.delete(second).expect("deleted");
                    table.delete(first).expect("deleted");
                },
                false,
            ),
        ];
        for (index, (change, expected)) in cases.into_iter().enumerate() {
            let mut table = ResourceTable::new();
            change(&mut table);
            let found = has_held_one_handle_at_most(&mut table);
            assert_eq!(found, expected, "case {index}");
        }
    }
}
