//! The second snapshot: an interpreter that has imported, saved as a component.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wasmtime::Store;
use wasmtime::component::{Instance as Exports, Lift, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use crate::error::{ConfigError, Error};
use crate::files::{PACKAGES, Tree};
use crate::store_state::Host;
use crate::image::{self, Image};
use crate::instance::{Instance, Job};
use crate::limits::{Limit, ResourceLimits};
use crate::signals;

/// What happens before the snapshot.
pub(super) struct Preload<'a> {
    pub(super) packages: &'a Arc<Tree>,
    pub(super) imports: &'a [String],
    pub(super) setup: Option<&'a [u8]>,
    pub(super) limits: &'a ResourceLimits,
}

/// Do it in an instance of the embedded image, and save that as a component.
pub(super) async fn take(preload: &Preload<'_>) -> Result<Vec<u8>, Error> {
    let image = Image::embedded()?;
    let (mut instance, exports) =
        Instance::start_readable(&image, preload.limits, preload.packages).await?;
    let job = Job::Preload {
        paths: &[PACKAGES.to_owned()],
        imports: preload.imports,
        setup: preload.setup,
    };
    let started = Instant::now();
    instance.run(job, started, None).await?;
    let Some(mut store) = instance.into_store() else {
        // By `os._exit`, which is no failure of a program.
        return Err(ConfigError::new(
            "setup_code: it ended the interpreter, so that there is nothing to save",
        )
        .into());
    };
    let limit = preload.limits.execution_timeout();
    // Code of the guest, over memory that the setup code has left as it liked.
    within(limit, started, async move {
        // From here on only the host calls. The whole memory of the guest comes out in one call.
        store.set_hostcall_fuel(usize::MAX);
        signals::check()?;
        // libc forgets the directories it has open: their handles mean nothing in another instance.
        let reset_preopens = exports
            .get_typed_func::<(), ()>(&mut store, "reset-preopens")
            .map_err(|error| broken(&error))?;
        let turn = store.data().turn.clone();
        turn.divide(reset_preopens.call_async(&mut store, ()))
            .await
            .map_err(|error| broken(&error))?;
        let (context, _) = image::readable(image::EMBEDDED_COMPONENT)?;
        let mut running = Running {
            store,
            instance: exports,
        };
        Wizer::new()
            .snapshot_component(&context, &mut running)
            .await
            .map_err(|error| broken(&error))
    })
    .await
}

/// What `work` comes to, if it does before `limit` has passed since `started`.
async fn within<T>(
    limit: Duration,
    started: Instant,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    // A limit beyond the end of the clock is none.
    let Some(end) = started.checked_add(limit) else {
        return work.await;
    };
    tokio::time::timeout_at(end, work)
        .await
        .unwrap_or_else(|_| {
            Err(Error::Limit {
                limit: Limit::ExecutionTime(limit),
                output: Box::default(),
            })
        })
}

fn broken(error: &wasmtime::Error) -> Error {
    Error::image("no snapshot can be made of it", error)
}

/// The instance whose memory is read out.
struct Running {
    store: Store<Host>,
    instance: Exports,
}

impl Running {
    /// The result of one of the functions the instrumentation added, which cannot fail.
    async fn call<R: Lift + Send + Sync + 'static>(&mut self, instance: &str, function: &str) -> R {
        let found = self
            .instance
            .get_export(&mut self.store, None, instance)
            .and_then(|(_, instance)| {
                self.instance
                    .get_export(&mut self.store, Some(&instance), function)
            });
        let (_, index) = found.expect("the instrumentation exports what it asks for");
        let function = self
            .instance
            .get_typed_func::<(), (R,)>(&mut self.store, index)
            .expect("with the type it asks for");
        let (result,) = function
            .call_async(&mut self.store, ())
            .await
            .expect("it only reads");
        result
    }
}

impl ComponentInstanceState for Running {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        let list: WasmList<u8> = self.call(instance, func).await;
        contents(list.as_le_slice(&self.store));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func).await
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func).await
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.call::<f32>(instance, func).await.to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.call::<f64>(instance, func).await.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_snapshot_that_yields_for_ever_ends_when_the_time_of_its_setup_is_up() {
        let started = Instant::now();
        let limit = Duration::from_millis(20);
        let work = async {
            loop {
                tokio::task::yield_now().await;
            }
        };
        let ended = within::<()>(limit, started, work).await;
        assert!(matches!(
            ended,
            Err(Error::Limit { limit: Limit::ExecutionTime(of), .. }) if of == limit
        ));
        assert!(started.elapsed() >= limit);
        // What the setup has used up is gone.
        let ended = within::<()>(limit, started, std::future::pending()).await;
        assert!(matches!(ended, Err(Error::Limit { .. })));
    }

    #[tokio::test]
    async fn a_snapshot_in_time_is_returned() {
        for limit in [Duration::from_secs(60), Duration::MAX] {
            let made = within(limit, Instant::now(), async { Ok(7) }).await;
            assert_eq!(made.expect("in time"), 7);
        }
    }
}
