//! `eryx:net/udp`: UDP sockets.

use eryx_net_host::{NetError, UdpSocket};
use wasmtime::component::Resource;

use crate::bindings::eryx::net::udp::{Datagram, Duration, Endpoint, Family, Host, HostSocket};
use crate::imports::net::convert;
use crate::store_state::StoreState;
use crate::trappable_error::TrappableError;

impl Host for StoreState {}

impl HostSocket for StoreState {
    fn open(&mut self, family: Family) -> Result<Resource<UdpSocket>, TrappableError<NetError>> {
        let socket = self.network.udp_socket(convert::udp_family(family))?;
        Ok(self.table.push(socket)?)
    }

    fn bind(&mut self, socket: Resource<UdpSocket>) -> Result<Endpoint, TrappableError<NetError>> {
        Ok(convert::endpoint(self.table.get_mut(&socket)?.bind()?))
    }

    fn connect(
        &mut self,
        socket: Resource<UdpSocket>,
        host: String,
        port: u16,
    ) -> Result<(), TrappableError<NetError>> {
        Ok(self.table.get_mut(&socket)?.connect(&host, port)?)
    }

    async fn send(
        &mut self,
        socket: Resource<UdpSocket>,
        data: Vec<u8>,
        timeout: Option<Duration>,
    ) -> Result<(), TrappableError<NetError>> {
        let socket = self.table.get_mut(&socket)?;
        Ok(socket.send(&data, convert::timeout(timeout)).await?)
    }

    async fn send_to(
        &mut self,
        socket: Resource<UdpSocket>,
        data: Vec<u8>,
        host: String,
        port: u16,
        timeout: Option<Duration>,
    ) -> Result<(), TrappableError<NetError>> {
        let socket = self.table.get_mut(&socket)?;
        let timeout = convert::timeout(timeout);
        Ok(socket.send_to(&data, &host, port, timeout).await?)
    }

    async fn receive(
        &mut self,
        socket: Resource<UdpSocket>,
        max: u32,
        timeout: Option<Duration>,
    ) -> Result<Datagram, TrappableError<NetError>> {
        let socket = self.table.get_mut(&socket)?;
        let datagram = socket
            .receive(convert::to_usize(max), convert::timeout(timeout))
            .await?;
        Ok(convert::datagram(datagram))
    }

    fn local_endpoint(
        &mut self,
        socket: Resource<UdpSocket>,
    ) -> Result<Endpoint, TrappableError<NetError>> {
        Ok(convert::endpoint(
            self.table.get(&socket)?.local_endpoint()?,
        ))
    }

    fn peer_endpoint(
        &mut self,
        socket: Resource<UdpSocket>,
    ) -> Result<Endpoint, TrappableError<NetError>> {
        Ok(convert::endpoint(self.table.get(&socket)?.peer_endpoint()?))
    }

    fn take_error(&mut self, socket: Resource<UdpSocket>) -> Result<(), TrappableError<NetError>> {
        Ok(self.table.get_mut(&socket)?.take_error()?)
    }

    fn drop(&mut self, socket: Resource<UdpSocket>) -> wasmtime::Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
