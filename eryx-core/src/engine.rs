//! The wasmtime engines of the process.

pub(crate) mod compile_threads;
mod pool;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use wasmtime::{CacheStore, Config, Engine, OptLevel, WasmBacktraceDetails, WasmFeatures};

use crate::engine::compile_threads::Threads;
use crate::error::{Error, ImageError};
use crate::signals;

/// The native stack that a guest may use, in bytes. CPython's own recursion limits apply at about
/// half of it: CPython measures the stack in linear memory, and the image pads the frames there so
/// that this limit comes first (`eryx-guest-build`, pass `stack_depth`).
const WASM_STACK: usize = 12 << 20;

/// The stack of a fiber, in bytes: the guest's share, and 1 MiB for host functions on top of it.
const FIBER_STACK: usize = WASM_STACK + (1 << 20);

/// Returns the settings that determine the machine code. The build and the run time share them: an
/// image that was precompiled with other settings does not load.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .cranelift_opt_level(OptLevel::Speed)
        // Proposals that the image does not need are off, which keeps the attack surface small.
        .wasm_features(WasmFeatures::GC | WasmFeatures::FUNCTION_REFERENCES, false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        // Traps are reported by kind, and frames of the host must not leak.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false);
    config
}

/// Returns the engine with the on-demand allocator: each instance's memory is mapped for it alone.
pub(crate) fn on_demand() -> Result<&'static Engine, Error> {
    if let Some(engine) = ON_DEMAND.get() {
        return Ok(engine);
    }
    let engine =
        new(&config()).map_err(|error| Error::image("this machine cannot run guests", error))?;
    Ok(ON_DEMAND.get_or_init(|| engine))
}

/// Returns the engine with the pooling allocator, or `None` where this machine cannot reserve the
/// pool.
pub(crate) fn pooled() -> Option<&'static Engine> {
    if let Some(engine) = POOLED.get() {
        return engine.as_ref();
    }
    let mut config = config();
    pool::configure(&mut config);
    let engine = new(&config)
        .inspect_err(|error| {
            let reason = format!("{error:#}");
            tracing::debug!(target: "eryx::image", %reason, "sandboxes cannot be pooled");
        })
        .ok();
    POOLED.get_or_init(|| engine).as_ref()
}

/// Makes an engine, after the signal handlers are set up for the traps of its guests.
fn new(config: &Config) -> wasmtime::Result<Engine> {
    signals::set_up()?;
    Engine::new(config)
}

// Initialised with a finished engine, never by a closure that makes one: a fork during such a
// closure would leave the child waiting for ever.
static ON_DEMAND: OnceLock<Engine> = OnceLock::new();
static POOLED: OnceLock<Option<Engine>> = OnceLock::new();

/// Makes an engine that compiles for the baseline processor of this architecture, not for the
/// processor it runs on. It stores compiled functions in `functions`, and takes those that are
/// there.
pub(crate) fn portable_compiler(
    functions: Option<Arc<dyn CacheStore>>,
    threads: Threads,
) -> Result<Engine, Error> {
    let mut config = portable_config()?;
    config.parallel_compilation(threads == Threads::Pool);
    if let Some(functions) = functions {
        config
            .enable_incremental_compilation(functions)
            .map_err(|error| ImageError::caused_by("functions cannot be cached", error))?;
    }
    new(&config).map_err(|error| Error::image("the compiler cannot be set up", error))
}

/// Makes an engine that compiles for the processor it runs on.
pub(crate) fn native(threads: Threads) -> Result<Engine, Error> {
    let mut config = config();
    config.parallel_compilation(threads == Threads::Pool);
    new(&config).map_err(|error| Error::image("the compiler cannot be set up", error))
}

/// Returns the settings of an engine that compiles for the baseline processor.
pub(crate) fn portable_config() -> Result<Config, Error> {
    let mut config = config();
    config
        .target(&target())
        .map_err(|error| ImageError::caused_by("no compiler for this machine", error))?;
    Ok(config)
}

/// Returns a name for the compiler and its settings: machine code made under another name has to be
/// compiled again.
pub(crate) fn fingerprint() -> Result<String, Error> {
    let mut hasher = DefaultHasher::new();
    portable_compiler(None, Threads::One)?
        .precompile_compatibility_hash()
        .hash(&mut hasher);
    Ok(format!("{}-{:016x}", target(), hasher.finish()))
}

fn target() -> String {
    let arch = std::env::consts::ARCH;
    if cfg!(target_os = "macos") {
        format!("{arch}-apple-darwin")
    } else if cfg!(target_env = "musl") {
        format!("{arch}-unknown-linux-musl")
    } else {
        format!("{arch}-unknown-linux-gnu")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Features outside tier 1 are outside wasmtime's security policy. The `Debug` of `Config`
    /// lists every feature, so this notices when a later version turns one more on by default.
    /// `docs/security.md` has the same list.
    #[test]
    fn an_engine_has_only_tier_1_features_of_wasmtime() {
        let config = format!("{:#?}", super::config());
        let on: BTreeSet<&str> = config
            .lines()
            .filter_map(|line| line.trim().strip_prefix("wasm_")?.strip_suffix(": true,"))
            .collect();
        assert_eq!(on, BTreeSet::from(TIER_1));
    }

    const TIER_1: [&str; 13] = [
        "bulk_memory",
        "bulk_memory_opt",
        "call_indirect_overlong",
        "component_model",
        "extended_const",
        "floats",
        "multi_value",
        "mutable_global",
        "reference_types",
        "saturating_float_to_int",
        "sign_extension",
        "simd",
        "tail_call",
    ];
}
