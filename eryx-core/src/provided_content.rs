//! Loading content that the embedder provides.

use std::panic::{self, AssertUnwindSafe};

use eryx_files::Error;

use crate::host_resource::HostResourceError;
use crate::nesting::Nesting;
use crate::thread;

/// Loads content on a thread of its own, for an execution at `nesting`. `begin` returns what loads
/// it. The function is the embedder's: it may take long, and a panic is a failure of the content.
///
/// # Errors
///
/// When no thread can be started.
pub(crate) async fn load<L>(
    nesting: &Nesting,
    begin: impl FnOnce() -> L,
) -> Result<Result<(), Error>, HostResourceError>
where
    L: FnOnce() -> Result<(), Error> + Send + 'static,
{
    let nesting = nesting.inner();
    let load = nesting.run(begin);
    let load = move || panic::catch_unwind(AssertUnwindSafe(|| nesting.run(load)));
    let loaded = thread::run(load).await?;
    Ok(loaded.unwrap_or(Err(Error::Io)))
}

/// Loads content as [`load`] does, for the execution that this code runs in, if any.
pub(crate) async fn load_here<L>(
    begin: impl FnOnce() -> L,
) -> Result<Result<(), Error>, HostResourceError>
where
    L: FnOnce() -> Result<(), Error> + Send + 'static,
{
    load(&Nesting::current(), begin).await
}
