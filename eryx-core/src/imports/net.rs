//! The host side of `eryx:net`: translates between `wit/` and `eryx-net-host`, and decides nothing.

mod convert;
mod poll;
mod resolver;
mod tcp;
mod tls;
mod udp;

use eryx_net_host::NetError;
use wasmtime::component::{HasSelf, Linker};

use crate::bindings::eryx::net;
use crate::store_state::StoreState;
use crate::trappable_error::{TableFull, TrappableError};

impl TableFull for NetError {
    fn table_full() -> Self {
        Self::LimitReached(
            "the sandbox holds more network objects than it may; close some".to_owned(),
        )
    }
}

impl net::types::Host for StoreState {
    fn convert_error(
        &mut self,
        failure: TrappableError<NetError>,
    ) -> wasmtime::Result<net::types::Error> {
        failure.into_guest_error().map(convert::error)
    }
}

/// Links the functions of `eryx:net` that the guest image imports.
pub(crate) fn add_to_linker(linker: &mut Linker<StoreState>) -> wasmtime::Result<()> {
    net::types::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| {
        state.on_call("eryx:net/types")
    })?;
    net::tls::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| {
        state.on_call("eryx:net/tls")
    })?;
    net::tcp::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| {
        state.on_call("eryx:net/tcp")
    })?;
    net::udp::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| {
        state.on_call("eryx:net/udp")
    })?;
    net::resolver::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| {
        state.on_call("eryx:net/resolver")
    })?;
    net::poll::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| {
        state.on_call("eryx:net/poll")
    })
}
