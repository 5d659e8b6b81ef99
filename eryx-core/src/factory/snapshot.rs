//! The second snapshot: an interpreter that has imported, saved as a component.

use eryx_net_host::Network;
use wasmtime::component::{Instance as Guest, Lift, WasmList};
use wasmtime::{Engine, Store};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use super::packages::Installed;
use crate::bindings::Sandbox;
use crate::engine;
use crate::error::{Error, Raised};
use crate::host::{Host, PACKAGES};
use crate::image::{self, Image};
use crate::limits::{MemoryLimiter, ResourceLimits};
use crate::output::{Capture, Handlers};

/// What happens before the snapshot.
pub(super) struct Preload<'a> {
    pub(super) packages: &'a Installed,
    pub(super) imports: &'a [String],
    pub(super) setup: Option<&'a [u8]>,
}

/// Do it in an instance of the embedded image, and save that as a component.
pub(super) async fn take(preload: &Preload<'_>) -> Result<Vec<u8>, Error> {
    let (mut store, capture) = preload.store(engine::engine()?)?;
    // The whole memory of the guest comes out in one call.
    store.set_hostcall_fuel(usize::MAX);
    let instance = Image::embedded()?
        .pre()
        .instance_pre()
        .instantiate_async(&mut store)
        .await
        .map_err(|error| broken(&error))?;
    let guest = Sandbox::new(&mut store, &instance).map_err(|error| broken(&error))?;
    preload.run(&mut store, &guest, &capture).await?;
    // libc forgets the directories it has open: their handles mean nothing in another instance.
    instance
        .get_typed_func::<(), ()>(&mut store, "seal")
        .map_err(|error| broken(&error))?
        .call_async(&mut store, ())
        .await
        .map_err(|error| broken(&error))?;
    let (context, _) = image::readable(image::EMBEDDED_COMPONENT)?;
    Wizer::new()
        .snapshot_component(&context, &mut Running { store, instance })
        .await
        .map_err(|error| broken(&error))
}

impl Preload<'_> {
    fn store(&self, engine: &Engine) -> Result<(Store<Host>, Capture), Error> {
        let limits = ResourceLimits::default();
        let capture = Capture::default();
        capture.begin(limits.max_output());
        let memory = MemoryLimiter::new(ResourceLimits::MAX_MEMORY);
        let host = Host::new(
            Network::off(),
            memory,
            &capture,
            &Handlers::default(),
            Some(self.packages.dir()),
        )?;
        let mut store = Store::new(engine, host);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        Ok((store, capture))
    }

    async fn run(
        &self,
        store: &mut Store<Host>,
        guest: &Sandbox,
        capture: &Capture,
    ) -> Result<(), Error> {
        let paths = [PACKAGES.to_owned()];
        let outcome = guest
            .call_preload(&mut *store, &paths, self.imports, self.setup)
            .await;
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(raised)) => Err(Error::Raised(Box::new(Raised {
                exception_type: raised.exception_type,
                message: raised.message,
                traceback: raised.traceback,
                exit_status: None,
                output: capture.take(),
            }))),
            Err(error) => Err(Error::Aborted {
                reason: error.root_cause().to_string(),
                output: Box::new(capture.take()),
            }),
        }
    }
}

fn broken(error: &wasmtime::Error) -> Error {
    Error::Image(format!("no snapshot can be made of it: {error:#}"))
}

/// The instance whose memory is read out.
struct Running {
    store: Store<Host>,
    instance: Guest,
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
