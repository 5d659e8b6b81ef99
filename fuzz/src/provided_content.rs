//! Loads provided content in place, where `eryx-core` has a thread for it.

use std::convert::Infallible;

use eryx_files::Error;

pub(crate) async fn load_here<L>(begin: impl FnOnce() -> L) -> Result<Result<(), Error>, Infallible>
where
    L: FnOnce() -> Result<(), Error> + Send + 'static,
{
    Ok(begin()())
}
