//! What the host keeps for one instance.

use std::sync::Arc;

use eryx_net_host::{Charge, HostMemory, Network};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::error::{ConfigError, Error};
use crate::files::{Files, Tree};
use crate::limits::{MemoryLimiter, ResourceLimits};
use crate::output::{Capture, Handlers, StreamKind};
use crate::time_slice::Turn;

/// The most one call of random numbers may ask for, in bytes.
const MAX_RANDOM: u64 = 64 * 1024;

/// How many streams, connections, lookups and the like a guest may hold at once.
const MAX_RESOURCES: usize = 8192;

/// The state behind one instance's imports.
pub(crate) struct Host {
    pub(crate) network: Network,
    pub(crate) memory: MemoryLimiter,
    pub(crate) host_memory: HostMemory,
    /// What it takes whatever the guest does.
    _base: Charge,
    pub(crate) table: ResourceTable,
    pub(crate) turn: Turn,
    pub(crate) files: Files,
    wasi: WasiCtx,
}

impl Host {
    /// Returns what is kept for a guest that can read `packages`, if any, and no other files.
    pub(crate) fn new(
        network: Network,
        limits: &ResourceLimits,
        capture: &Capture,
        handlers: &Handlers,
        packages: Option<&Arc<Tree>>,
    ) -> Result<Self, Error> {
        let host_memory = capture.host_memory().clone();
        let base = host_memory
            .charge(ResourceLimits::HOST_MEMORY_BASE)
            .map_err(|full| ConfigError::new(full.to_string()))?;
        let network = network.with_host_memory(host_memory.clone());
        // Everything not named here is denied: files, environment, arguments, standard input.
        let mut wasi = WasiCtx::builder();
        wasi.stdout(capture.stream(StreamKind::Stdout, handlers.stdout.clone()))
            .stderr(capture.stream(StreamKind::Stderr, handlers.stderr.clone()))
            .max_random_size(MAX_RANDOM)
            // The second wall: no socket of WASI's own, should a program get hold of CPython's `_socket`.
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        let wasi = wasi.build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Ok(Self {
            network,
            memory: MemoryLimiter::new(limits.max_memory()),
            host_memory,
            _base: base,
            table,
            turn: Turn::new(),
            files: Files::new(packages),
            wasi,
        })
    }
}

impl Host {
    /// The host, for a call of a function of `interface`.
    pub(crate) fn called(&mut self, interface: &'static str) -> &mut Self {
        self.turn.calls(interface);
        self
    }
}

#[cfg(feature = "watchdog")]
impl Drop for Host {
    /// Closes what the guest left open, and watches that: a peer may have left a lot to read.
    fn drop(&mut self) {
        let table = std::mem::replace(&mut self.table, ResourceTable::new());
        self.turn.watch(|| drop(table));
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.turn.calls("wasi");
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
