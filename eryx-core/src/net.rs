//! `eryx:net` for one instance: translates, decides nothing.

mod convert;
mod poll;
mod resolver;
mod tcp;
mod tls;
mod udp;

use std::task::Poll;

use eryx_net_host::NetError;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::eryx::net;
use crate::store_state::Host;

/// How a host function fails: in a way the guest is told of, or in a way that ends the guest.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of `eryx:net`.
    Net(NetError),
    /// A handle the guest does not own, and the like.
    Trap(wasmtime::Error),
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<wasmtime::component::ResourceTableError> for Failure {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        use wasmtime::component::ResourceTableError as Error;
        match error {
            Error::Full => Self::Net(NetError::LimitReached(
                "the sandbox holds more network objects than it may; close some".to_owned(),
            )),
            other => Self::Trap(other.into()),
        }
    }
}

/// The guest polls; what is not ready would block.
fn ready<T, E>(poll: Poll<Result<T, E>>) -> Result<T, Failure>
where
    NetError: From<E>,
{
    match poll {
        Poll::Ready(result) => Ok(result.map_err(NetError::from)?),
        Poll::Pending => Err(NetError::WouldBlock.into()),
    }
}

impl net::types::Host for Host {
    fn convert_error(&mut self, failure: Failure) -> wasmtime::Result<net::types::Error> {
        match failure {
            Failure::Net(error) => Ok(convert::error(error)),
            Failure::Trap(error) => Err(error),
        }
    }
}

/// Link everything the guest image imports of `eryx:net`.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    net::types::add_to_linker::<_, HasSelf<Host>>(linker, |host| host.called("eryx:net/types"))?;
    net::tls::add_to_linker::<_, HasSelf<Host>>(linker, |host| host.called("eryx:net/tls"))?;
    net::tcp::add_to_linker::<_, HasSelf<Host>>(linker, |host| host.called("eryx:net/tcp"))?;
    net::udp::add_to_linker::<_, HasSelf<Host>>(linker, |host| host.called("eryx:net/udp"))?;
    net::resolver::add_to_linker::<_, HasSelf<Host>>(linker, |host| {
        host.called("eryx:net/resolver")
    })?;
    net::poll::add_to_linker::<_, HasSelf<Host>>(linker, |host| host.called("eryx:net/poll"))
}
