//! The functions that a guest imports: here those of the world `eryx:sandbox/sandbox` itself.

pub(crate) mod filesystem;
pub(crate) mod functions;
pub(crate) mod key_derivation;
pub(crate) mod net;

use std::future::poll_fn;

use crate::bindings::{SandboxCapacity, SandboxImports};
use crate::store_state::StoreState;

impl SandboxImports for StoreState {
    /// Yields to the runtime if the time slice is used up. The yield points that the image is built
    /// with call this, not the guest program.
    async fn yield_now(&mut self) -> wasmtime::Result<()> {
        self.time_slice.watchdog().check_call();
        if self.time_slice.is_over() {
            tokio::task::yield_now().await;
        }
        // A program that produces events faster than its observer takes them waits here.
        poll_fn(|cx| self.network.poll_observer(cx)).await;
        Ok(())
    }

    /// Returns what the sandbox has, by its limits. Takes constant time.
    fn capacity(&mut self) -> wasmtime::Result<SandboxCapacity> {
        let files = self.files.lock();
        let limits = *files.limits();
        let used_files = files.used_files();
        Ok(SandboxCapacity {
            memory_bytes: self.memory.max(),
            file_bytes: limits.max_file_bytes(),
            free_file_bytes: limits.max_file_bytes().saturating_sub(files.used_bytes()),
            files: limits.max_files() as u64,
            free_files: limits.max_files().saturating_sub(used_files) as u64,
        })
    }
}
