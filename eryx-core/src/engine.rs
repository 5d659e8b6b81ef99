//! The engines of the process.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use wasmtime::{CacheStore, Config, Engine, OptLevel, WasmBacktraceDetails, WasmFeatures};

use crate::Error;
use crate::signals;

use compiling::Threads;

#[cfg_attr(
    not(feature = "embedded-image"),
    allow(dead_code, reason = "only the embedded image is pooled")
)]
mod pool;

pub(crate) mod compiling;

/// The native stack a guest may use. CPython's own recursion limits trip at about half of it: it measures the stack in
/// linear memory, and the image is made so that no recursion it checks takes much more here than there.
const WASM_STACK: usize = 12 << 20;

/// The stack of a fiber: the guest's share and what host functions need on top of it.
const FIBER_STACK: usize = WASM_STACK + (1 << 20);

/// The settings that decide what machine code looks like. The build and the run time share them, or a
/// precompiled image is refused at load.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .cranelift_opt_level(OptLevel::Speed)
        // Proposals that the image does not need: what no component can use cannot be attacked.
        .wasm_features(WasmFeatures::GC | WasmFeatures::FUNCTION_REFERENCES, false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        // A trap is reported by what it was; host frames are nobody's business.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false);
    config
}

/// The engine of sandboxes whose memory is mapped for each alone.
pub(crate) fn plain() -> Result<&'static Engine, Error> {
    if let Some(engine) = PLAIN.get() {
        return Ok(engine);
    }
    let engine =
        new(&config()).map_err(|error| Error::image("this machine cannot run guests", &error))?;
    Ok(PLAIN.get_or_init(|| engine))
}

/// The engine of sandboxes that take turns in a pool of places; none where this machine has no room for that.
#[cfg_attr(
    not(feature = "embedded-image"),
    allow(dead_code, reason = "only the embedded image is pooled")
)]
pub(crate) fn pooled() -> Option<&'static Engine> {
    if let Some(engine) = POOLED.get() {
        return engine.as_ref();
    }
    let mut config = config();
    pool::add_to(&mut config);
    let engine = new(&config)
        .inspect_err(|error| {
            let reason = format!("{error:#}");
            tracing::debug!(target: "eryx::image", %reason, "sandboxes cannot be pooled");
        })
        .ok();
    POOLED.get_or_init(|| engine).as_ref()
}

/// Makes an engine, once the signal handlers are such that its guests can trap.
fn new(config: &Config) -> wasmtime::Result<Engine> {
    signals::set_up()?;
    Engine::new(config)
}

// Set in a moment, never while an engine is made: a fork in between would leave the child waiting for ever.
static PLAIN: OnceLock<Engine> = OnceLock::new();
static POOLED: OnceLock<Option<Engine>> = OnceLock::new();

/// An engine that compiles for every processor of this architecture, not for the one it runs on. What it compiles it
/// puts into `functions`, and what is there already it does not compile.
pub(crate) fn baseline(
    functions: Option<Arc<dyn CacheStore>>,
    threads: Threads,
) -> Result<Engine, Error> {
    let mut config = baseline_config()?;
    config.parallel_compilation(threads == Threads::Pool);
    if let Some(functions) = functions {
        config
            .enable_incremental_compilation(functions)
            .map_err(|error| Error::Image(format!("functions cannot be kept: {error:#}")))?;
    }
    new(&config).map_err(|error| Error::image("the compiler cannot be set up", &error))
}

/// An engine that compiles for the processor at hand.
pub(crate) fn native(threads: Threads) -> Result<Engine, Error> {
    let mut config = config();
    config.parallel_compilation(threads == Threads::Pool);
    new(&config).map_err(|error| Error::image("the compiler cannot be set up", &error))
}

/// The settings of such an engine.
pub(crate) fn baseline_config() -> Result<Config, Error> {
    let mut config = config();
    config
        .target(&target())
        .map_err(|error| Error::Image(format!("no compiler for this machine: {error:#}")))?;
    Ok(config)
}

/// Names the compiler and its settings: machine code made under another name has to be made again.
pub(crate) fn fingerprint() -> Result<String, Error> {
    let mut hasher = DefaultHasher::new();
    baseline(None, Threads::One)?
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

    /// Features outside tier 1 are outside wasmtime's security policy. Its `Debug` lists every feature there is, so that
    /// a later version that turns one more on by default is noticed here. `docs/security.md` has the same list.
    #[test]
    fn an_engine_has_tier_1_features_of_wasmtime_and_no_others() {
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
