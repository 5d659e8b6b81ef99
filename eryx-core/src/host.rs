//! What the host keeps for one instance.

use std::path::Path;

use eryx_net_host::Network;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

use crate::error::Error;
use crate::limits::MemoryLimiter;
use crate::output::{Capture, Handlers, StreamKind};
use crate::pause::Turn;

/// Where a guest finds its packages.
pub(crate) const PACKAGES: &str = "/packages";

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
    wasi: WasiCtx,
}

impl Host {
    /// `packages`, if any, is the one directory the guest can read.
    pub(crate) fn new(
        network: Network,
        memory: MemoryLimiter,
        capture: &Capture,
        handlers: &Handlers,
        packages: Option<&Path>,
    ) -> Result<Self, Error> {
        // Everything not named here is denied: files, environment, arguments, standard input.
        let mut wasi = WasiCtx::builder();
        wasi.stdout(capture.stream(StreamKind::Stdout, handlers.stdout.clone()))
            .stderr(capture.stream(StreamKind::Stderr, handlers.stderr.clone()))
            .max_random_size(MAX_RANDOM)
            // Its files are copies of packages, all of them ordinary: another thread would take longer to wake than to read.
            .allow_blocking_current_thread(true)
            // The second wall: no socket of WASI's own, should a program get hold of CPython's `_socket`.
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        if let Some(dir) = packages {
            wasi.preopened_dir(dir, PACKAGES, FsPerms::ReadOnly)
                .map_err(|error| {
                    Error::Image(format!(
                        "the packages in {} cannot be opened: {error:#}",
                        dir.display()
                    ))
                })?;
        }
        let wasi = wasi.build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Ok(Self {
            network,
            memory,
            table,
            turn: Turn::begin(),
            wasi,
        })
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
