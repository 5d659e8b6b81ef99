//! The functions of the world `eryx:sandbox/sandbox` that a guest imports directly.

use std::future::poll_fn;

use crate::bindings::SandboxImports;
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
}
