//! The store data of one instance: the state behind its imports.

use std::sync::Arc;

use eryx_files::FileSystem;
use eryx_net_host::{Charge, HostMemory, Network};
use eryx_sync::Mutex;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::config_error::ConfigError;
use crate::files::SharedFiles;
use crate::functions::{Calls, OfferedFunctions};
use crate::limits::ResourceLimits;
use crate::memory_limiter::MemoryLimiter;
use crate::nesting::Nesting;
use crate::session_clock::SessionClock;
use crate::stdin::GuestStdin;
use crate::stdio::{Capture, GuestStream, Sinks};
use crate::stream_kind::StreamKind;
use crate::time_slice::TimeSlice;

/// The most bytes that a guest may pass to the host in one call.
pub(crate) const MAX_CALL: usize = 4 << 20;

/// The most bytes that one call for random numbers may ask for.
const MAX_RANDOM: u64 = 64 * 1024;

/// The most resources (streams, connections, lookups and so on) that the host has for a guest at a
/// time.
const MAX_HOST_RESOURCES: usize = 8192;

/// The most handles of such resources that a guest has at a time.
pub(crate) const MAX_COMPONENT_HANDLES: usize = MAX_HOST_RESOURCES;

/// The state behind one instance's imports.
pub(crate) struct StoreState {
    pub(crate) network: Network,
    pub(crate) memory: MemoryLimiter,
    pub(crate) host_memory: HostMemory,
    /// The host memory that every execution uses.
    _base: Charge,
    pub(crate) table: ResourceTable,
    pub(crate) time_slice: TimeSlice,
    pub(crate) files: SharedFiles,
    pub(crate) stdin: GuestStdin,
    stdout: GuestStream,
    stderr: GuestStream,
    pub(crate) calls: Calls,
    /// The nesting of the execution.
    pub(crate) nesting: Nesting,
    pub(crate) clock: SessionClock,
    wasi: WasiCtx,
}

impl StoreState {
    /// Returns the state for a guest that starts with `files`, and whose monotonic clock is
    /// `clock`.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Limit`] when the host memory is less than every execution uses.
    pub(crate) fn new(
        network: Network,
        limits: &ResourceLimits,
        capture: &Capture,
        sinks: &Sinks,
        files: FileSystem,
        clock: SessionClock,
        offered: &OfferedFunctions,
    ) -> Result<Self, ConfigError> {
        let host_memory = capture.host_memory().clone();
        let base = host_memory
            .charge(ResourceLimits::HOST_MEMORY_BASE)
            .map_err(|full| ConfigError::limit("max_host_memory", format!("is too low: {full}")))?;
        let network = network.with_host_memory(host_memory.clone());
        // WASI denies everything that is not set here: environment and arguments. Its files are
        // replaced by `crate::files`.
        let stdin = GuestStdin::new(host_memory.clone());
        let stdout = capture.stream(StreamKind::Stdout, sinks.stdout.clone());
        let stderr = capture.stream(StreamKind::Stderr, sinks.stderr.clone());
        let mut wasi = WasiCtx::builder();
        wasi.stdin(stdin.clone())
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .monotonic_clock(clock)
            .secure_random(random_generator())
            .insecure_random(random_generator())
            .insecure_random_seed(u128::from_ne_bytes(random_bytes()))
            .max_random_size(MAX_RANDOM)
            // Defence in depth: WASI sockets are disabled too, in case a guest reaches CPython's
            // original `_socket`.
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        let wasi = wasi.build();
        let calls = Calls::new(offered, limits, &host_memory);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HOST_RESOURCES);
        Ok(Self {
            network,
            memory: MemoryLimiter::new(limits.max_memory()),
            host_memory,
            _base: base,
            table,
            time_slice: TimeSlice::new(),
            stdin,
            stdout,
            stderr,
            calls,
            nesting: Nesting::default(),
            files: Arc::new(Mutex::new(files)),
            clock,
            wasi,
        })
    }

    /// Returns standard output or standard error.
    pub(crate) fn output(&self, kind: StreamKind) -> &GuestStream {
        match kind {
            StreamKind::Stdout => &self.stdout,
            StreamKind::Stderr => &self.stderr,
        }
    }

    /// Records for the watchdog that the guest calls a function of `interface`, and returns the
    /// state.
    pub(crate) fn on_call(&mut self, interface: &'static str) -> &mut Self {
        self.time_slice.watchdog().on_call(interface);
        self
    }
}

#[cfg(feature = "watchdog")]
impl Drop for StoreState {
    /// Closes the handles of the guest under the watchdog: a peer may have sent much data that is
    /// left to read.
    fn drop(&mut self) {
        let table = std::mem::replace(&mut self.table, ResourceTable::new());
        self.time_slice.watchdog().watch(|| drop(table));
    }
}

impl WasiView for StoreState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.time_slice.watchdog().on_call("wasi");
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Returns a generator of random numbers for one instance, with a seed from the kernel.
///
/// The default of WASI takes the seed from a generator of this thread. A fork of the process copies
/// that, and programs in both processes would get the same numbers, keys and tokens.
fn random_generator() -> StdRng {
    StdRng::from_seed(random_bytes())
}

fn random_bytes<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).expect("the kernel has random bytes");
    bytes
}
