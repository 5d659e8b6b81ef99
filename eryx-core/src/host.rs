//! What the host keeps for one instance.

use std::sync::Arc;

use eryx_net_host::Network;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::files::{Files, Tree};
use crate::limits::MemoryLimiter;
use crate::output::{Capture, Handlers, StreamKind};
use crate::pause::Turn;

/// The most one call of random numbers may ask for, in bytes.
const MAX_RANDOM: u64 = 64 * 1024;

/// How many streams, connections, lookups and the like a guest may hold at once.
const MAX_RESOURCES: usize = 8192;

/// The state behind one instance's imports.
pub(crate) struct Host {
    pub(crate) network: Network,
    pub(crate) memory: MemoryLimiter,
    pub(crate) table: ResourceTable,
    pub(crate) turn: Turn,
    pub(crate) files: Files,
    wasi: WasiCtx,
}

impl Host {
    /// Returns what is kept for a guest that can read `packages`, if any, and no other files.
    pub(crate) fn new(
        network: Network,
        memory: MemoryLimiter,
        capture: &Capture,
        handlers: &Handlers,
        packages: Option<&Arc<Tree>>,
    ) -> Self {
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
        Self {
            network,
            memory,
            table,
            turn: Turn::begin(),
            files: Files::new(packages),
            wasi,
        }
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}
