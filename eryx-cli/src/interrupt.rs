//! Ctrl-C.

/// Calls `on_interrupt` at every Ctrl-C; never returns. If no handler can be installed, Ctrl-C ends
/// the process, as it does by default.
pub(crate) async fn interrupted(mut on_interrupt: impl FnMut()) {
    while tokio::signal::ctrl_c().await.is_ok() {
        on_interrupt();
    }
    std::future::pending().await
}
