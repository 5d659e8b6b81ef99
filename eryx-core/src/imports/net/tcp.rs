//! `eryx:net/tcp`: TCP connections.

use eryx_net_host::{Connection, NetError};
use wasmtime::component::Resource;

use crate::bindings::eryx::net::tcp::{
    ClientConfig, ConnectionStatus, Duration, Endpoint, Host, HostConnection, Info,
    KeepaliveOption, ShutdownType,
};
use crate::imports::net::convert;
use crate::store_state::StoreState;
use crate::trappable_error::TrappableError;

impl Host for StoreState {}

impl HostConnection for StoreState {
    fn connect(
        &mut self,
        host: String,
        port: u16,
    ) -> Result<Resource<Connection>, TrappableError<NetError>> {
        let connection = self.network.connect(&host, port)?;
        Ok(self.table.push(connection)?)
    }

    async fn finish_connect(
        &mut self,
        connection: Resource<Connection>,
        timeout: Option<Duration>,
    ) -> Result<(), TrappableError<NetError>> {
        let connection = self.table.get_mut(&connection)?;
        Ok(connection.finish_connect(convert::timeout(timeout)).await?)
    }

    async fn read(
        &mut self,
        connection: Resource<Connection>,
        max: u32,
        timeout: Option<Duration>,
    ) -> Result<Vec<u8>, TrappableError<NetError>> {
        let connection = self.table.get_mut(&connection)?;
        Ok(connection
            .read(convert::to_usize(max), convert::timeout(timeout))
            .await?)
    }

    async fn write(
        &mut self,
        connection: Resource<Connection>,
        data: Vec<u8>,
        timeout: Option<Duration>,
    ) -> Result<u32, TrappableError<NetError>> {
        let connection = self.table.get_mut(&connection)?;
        let written = connection.write(&data, convert::timeout(timeout)).await?;
        Ok(convert::to_u32(written))
    }

    fn shutdown(
        &mut self,
        connection: Resource<Connection>,
        how: ShutdownType,
    ) -> Result<(), TrappableError<NetError>> {
        Ok(self
            .table
            .get_mut(&connection)?
            .shutdown(convert::shutdown(how))?)
    }

    fn local_endpoint(
        &mut self,
        connection: Resource<Connection>,
    ) -> Result<Endpoint, TrappableError<NetError>> {
        Ok(convert::endpoint(
            self.table.get(&connection)?.local_endpoint()?,
        ))
    }

    fn peer_endpoint(
        &mut self,
        connection: Resource<Connection>,
    ) -> Result<Endpoint, TrappableError<NetError>> {
        Ok(convert::endpoint(
            self.table.get(&connection)?.peer_endpoint()?,
        ))
    }

    fn set_no_delay(
        &mut self,
        connection: Resource<Connection>,
        enabled: bool,
    ) -> Result<(), TrappableError<NetError>> {
        Ok(self.table.get_mut(&connection)?.set_no_delay(enabled)?)
    }

    fn set_keep_alive(
        &mut self,
        connection: Resource<Connection>,
        enabled: bool,
    ) -> Result<(), TrappableError<NetError>> {
        Ok(self.table.get_mut(&connection)?.set_keep_alive(enabled)?)
    }

    fn set_keepalive_option(
        &mut self,
        connection: Resource<Connection>,
        option: KeepaliveOption,
        value: u32,
    ) -> Result<(), TrappableError<NetError>> {
        let option = convert::keepalive_option(option, value);
        Ok(self
            .table
            .get_mut(&connection)?
            .set_keepalive_option(option)?)
    }

    fn set_user_timeout(
        &mut self,
        connection: Resource<Connection>,
        milliseconds: u32,
    ) -> Result<(), TrappableError<NetError>> {
        let connection = self.table.get(&connection)?;
        Ok(connection.set_user_timeout(milliseconds)?)
    }

    fn set_reset_on_close(
        &mut self,
        connection: Resource<Connection>,
        enabled: bool,
    ) -> Result<(), TrappableError<NetError>> {
        let connection = self.table.get_mut(&connection)?;
        Ok(connection.set_reset_on_close(enabled)?)
    }

    fn status(&mut self, connection: Resource<Connection>) -> wasmtime::Result<ConnectionStatus> {
        Ok(convert::status(self.table.get(&connection)?.status()))
    }

    fn take_error(
        &mut self,
        connection: Resource<Connection>,
    ) -> Result<(), TrappableError<NetError>> {
        Ok(self.table.get_mut(&connection)?.take_error()?)
    }

    async fn start_tls(
        &mut self,
        connection: Resource<Connection>,
        config: ClientConfig,
        timeout: Option<Duration>,
    ) -> Result<(), TrappableError<NetError>> {
        let settings = convert::client_settings(config)?;
        let connection = self.table.get_mut(&connection)?;
        Ok(connection
            .start_tls(&settings, convert::timeout(timeout))
            .await?)
    }

    async fn end_tls(
        &mut self,
        connection: Resource<Connection>,
        timeout: Option<Duration>,
    ) -> Result<(), TrappableError<NetError>> {
        let connection = self.table.get_mut(&connection)?;
        Ok(connection.end_tls(convert::timeout(timeout)).await?)
    }

    fn tls_info(&mut self, connection: Resource<Connection>) -> wasmtime::Result<Option<Info>> {
        Ok(self
            .table
            .get(&connection)?
            .tls_info()
            .map(convert::tls_info))
    }

    fn pending(&mut self, connection: Resource<Connection>) -> wasmtime::Result<u32> {
        Ok(convert::to_u32(self.table.get(&connection)?.pending()))
    }

    fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}
