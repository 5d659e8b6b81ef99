use eryx_net_host::Lookup;
use wasmtime::component::Resource;

use super::{Failure, convert};
use crate::bindings::eryx::net::resolver::{Duration, Family, Host as ResolverHost, HostLookup};
use crate::store_state::Host;

impl ResolverHost for Host {}

impl HostLookup for Host {
    fn start(
        &mut self,
        name: String,
        port: Option<u16>,
        family: Family,
    ) -> Result<Resource<Lookup>, Failure> {
        let lookup = self.network.lookup(&name, port, convert::family(family))?;
        Ok(self.table.push(lookup)?)
    }

    async fn finish(
        &mut self,
        lookup: Resource<Lookup>,
        timeout: Option<Duration>,
    ) -> Result<Vec<String>, Failure> {
        let lookup = self.table.get_mut(&lookup)?;
        let addresses = lookup.finish(convert::timeout(timeout)).await?;
        Ok(addresses.iter().map(ToString::to_string).collect())
    }

    fn drop(&mut self, lookup: Resource<Lookup>) -> wasmtime::Result<()> {
        self.table.delete(lookup)?;
        Ok(())
    }
}
