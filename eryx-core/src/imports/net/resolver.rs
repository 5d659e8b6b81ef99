//! `eryx:net/resolver`: name lookups.

use eryx_net_host::{Lookup, NetError};
use wasmtime::component::Resource;

use crate::bindings::eryx::net::resolver::{Duration, Family, Host, HostLookup};
use crate::imports::net::convert;
use crate::store_state::StoreState;
use crate::trappable_error::TrappableError;

impl Host for StoreState {
    async fn resolve(
        &mut self,
        name: String,
        port: Option<u16>,
        family: Family,
    ) -> Result<String, TrappableError<NetError>> {
        let mut lookup = self.network.lookup(&name, port, convert::family(family))?;
        let addresses = lookup.finish(None).await?;
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        Ok(addresses.join(" "))
    }
}

impl HostLookup for StoreState {
    fn start(
        &mut self,
        name: String,
        port: Option<u16>,
        family: Family,
    ) -> Result<Resource<Lookup>, TrappableError<NetError>> {
        let lookup = self.network.lookup(&name, port, convert::family(family))?;
        Ok(self.table.push(lookup)?)
    }

    async fn finish(
        &mut self,
        lookup: Resource<Lookup>,
        timeout: Option<Duration>,
    ) -> Result<Vec<String>, TrappableError<NetError>> {
        let lookup = self.table.get_mut(&lookup)?;
        let addresses = lookup.finish(convert::timeout(timeout)).await?;
        Ok(addresses.iter().map(ToString::to_string).collect())
    }

    fn drop(&mut self, lookup: Resource<Lookup>) -> wasmtime::Result<()> {
        self.table.delete(lookup)?;
        Ok(())
    }
}
