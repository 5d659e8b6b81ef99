//! Guests that run for long, and what else there is to do.

use std::time::Duration;

use tokio::time::Instant;

use crate::bindings::SandboxImports;
use crate::host::Host;

/// How long a guest runs before it gives way: the grain of timeouts and cancellation.
const TURN: Duration = Duration::from_millis(5);

/// Since when a guest has had the processor.
#[derive(Debug)]
pub(crate) struct Turn(Instant);

impl Turn {
    pub(crate) fn begin() -> Self {
        Self(Instant::now())
    }
}

impl SandboxImports for Host {
    /// The image calls this by itself: see `xtask/src/rewrite/pauses.rs`.
    async fn pause(&mut self) -> wasmtime::Result<()> {
        if self.turn.0.elapsed() >= TURN {
            tokio::task::yield_now().await;
            self.turn = Turn::begin();
        }
        Ok(())
    }
}
