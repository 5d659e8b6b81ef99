//! The second snapshot: an interpreter that has done its imports, saved as a component.

use eryx_files::Layout;
use tokio::time::Instant;
use wasmtime::Store;
use wasmtime::component::{Instance, Lift, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use crate::config_error::ConfigError;
use crate::error::Error;
use crate::execution_timeout::within_time_limit;
use crate::files::PACKAGES;
use crate::image::compile;
use crate::image::guest_image::GuestImage;
use crate::image::linked::LinkedImage;
use crate::interpreter::Interpreter;
use crate::interpreter::guest_call::GuestCall;
use crate::limits::ResourceLimits;
use crate::nesting;
use crate::signals;
use crate::store_state::StoreState;
use crate::template::Template;

/// The inputs of a snapshot.
pub(super) struct SnapshotInputs<'a> {
    pub(super) image: &'a GuestImage,
    /// The files at the start. What is written is not part of the snapshot.
    pub(super) files: &'a Layout,
    pub(super) imports: &'a [String],
    pub(super) setup: Option<&'a [u8]>,
    pub(super) limits: &'a ResourceLimits,
    /// The image with native modules, if the packages have any.
    pub(super) linked: Option<&'a LinkedImage>,
}

/// Runs the imports and the setup code in an instance of the image, and returns the instance as a
/// component.
pub(super) async fn snapshot(inputs: &SnapshotInputs<'_>) -> Result<Vec<u8>, Error> {
    let wasm = match inputs.linked {
        Some(linked) => linked.wasm.as_slice(),
        None => inputs.image.wasm(),
    };
    let (interpreter, instance, started) = run(inputs, inputs.setup).await?;
    let Some(mut store) = interpreter.into_store() else {
        // `os._exit(0)` is not an error of a program, but leaves no interpreter.
        return Err(ConfigError::SetupCodeExited.into());
    };
    let limit = inputs.limits.execution_timeout();
    // This runs code of the guest, in memory that untrusted setup code wrote, so the limit applies.
    within_time_limit(limit, started, async move {
        // From here on only the host calls the guest, and one call returns its whole memory.
        store.set_hostcall_fuel(usize::MAX);
        signals::check()?;
        // libc forgets its open directories: their handles are not valid in another instance.
        let reset_preopens = instance
            .get_typed_func::<(), ()>(&mut store, "reset-preopens")
            .map_err(snapshot_error)?;
        let time_slice = store.data().time_slice.clone();
        time_slice
            .run(reset_preopens.call_async(&mut store, ()))
            .await
            .map_err(snapshot_error)?;
        let (context, _) = compile::instrument(wasm)?;
        let mut source = SnapshotSource { store, instance };
        Wizer::new()
            .snapshot_component(&context, &mut source)
            .await
            .map_err(snapshot_error)
    })
    .await
}

/// Runs the imports alone, and returns the exception that one of them raises. Ignores limits and
/// `MemoryError`: the snapshot imports with bytecode, which takes less time and memory.
pub(super) async fn import_error(inputs: &SnapshotInputs<'_>) -> Option<Error> {
    if inputs.imports.is_empty() {
        return None;
    }
    match run(inputs, None).await {
        Err(Error::Exception(raised)) if raised.exception_type != "MemoryError" => {
            Some(Error::Exception(raised))
        }
        _ => None,
    }
}

/// Runs the imports and `setup` in an interpreter of the image. Returns the interpreter with its
/// instance, and when they began.
async fn run(
    inputs: &SnapshotInputs<'_>,
    setup: Option<&[u8]>,
) -> Result<(Interpreter, Instance, Instant), Error> {
    nesting::check()?;
    let image = match inputs.linked {
        Some(linked) => linked.image.clone(),
        None => inputs.image.load()?,
    };
    let template = Template::new(image, inputs.files.clone());
    let (mut interpreter, instance) =
        Interpreter::start_for_snapshot(&template, inputs.limits).await?;
    let preload = GuestCall::Preload {
        paths: &[PACKAGES.to_owned()],
        imports: inputs.imports,
        setup,
    };
    let started = Instant::now();
    interpreter.run(preload, started, None).await?;
    Ok((interpreter, instance, started))
}

fn snapshot_error(error: wasmtime::Error) -> Error {
    Error::image("no snapshot can be made of it", error)
}

/// The instance whose memory wizer reads.
struct SnapshotSource {
    store: Store<StoreState>,
    instance: Instance,
}

impl SnapshotSource {
    /// Calls an export that the instrumentation added, which cannot fail.
    async fn call<R: Lift + Send + Sync + 'static>(&mut self, instance: &str, function: &str) -> R {
        let export = self
            .instance
            .get_export(&mut self.store, None, instance)
            .and_then(|(_, instance)| {
                self.instance
                    .get_export(&mut self.store, Some(&instance), function)
            });
        let (_, index) = export.expect("the instrumentation added the export");
        let function = self
            .instance
            .get_typed_func::<(), (R,)>(&mut self.store, index)
            .expect("the export has this type");
        let (result,) = function
            .call_async(&mut self.store, ())
            .await
            .expect("the export only reads");
        result
    }
}

impl ComponentInstanceState for SnapshotSource {
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
