use eryx_net_host::{Family as HostFamily, UdpSocket};
use wasmtime::component::Resource;

use super::{Failure, convert};
use crate::bindings::eryx::net::udp::{
    Datagram, Duration, Endpoint, Family, Host as UdpHost, HostSocket,
};
use crate::store_state::Host;

impl UdpHost for Host {}

impl HostSocket for Host {
    fn open(&mut self, family: Family) -> Result<Resource<UdpSocket>, Failure> {
        let socket = self.network.udp_socket(match family {
            Family::Ipv4 => HostFamily::Ipv4,
            Family::Ipv6 => HostFamily::Ipv6,
        })?;
        Ok(self.table.push(socket)?)
    }

    fn bind(&mut self, socket: Resource<UdpSocket>) -> Result<Endpoint, Failure> {
        Ok(convert::endpoint(self.table.get_mut(&socket)?.bind()?))
    }

    fn connect(
        &mut self,
        socket: Resource<UdpSocket>,
        host: String,
        port: u16,
    ) -> Result<(), Failure> {
        Ok(self.table.get_mut(&socket)?.connect(&host, port)?)
    }

    async fn send(
        &mut self,
        socket: Resource<UdpSocket>,
        data: Vec<u8>,
        timeout: Option<Duration>,
    ) -> Result<(), Failure> {
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
    ) -> Result<(), Failure> {
        let socket = self.table.get_mut(&socket)?;
        let timeout = convert::timeout(timeout);
        Ok(socket.send_to(&data, &host, port, timeout).await?)
    }

    async fn receive(
        &mut self,
        socket: Resource<UdpSocket>,
        max: u32,
        timeout: Option<Duration>,
    ) -> Result<Datagram, Failure> {
        let socket = self.table.get_mut(&socket)?;
        let datagram = socket
            .receive(convert::length(max), convert::timeout(timeout))
            .await?;
        Ok(convert::datagram(datagram))
    }

    fn local_endpoint(&mut self, socket: Resource<UdpSocket>) -> Result<Endpoint, Failure> {
        Ok(convert::endpoint(
            self.table.get(&socket)?.local_endpoint()?,
        ))
    }

    fn peer_endpoint(&mut self, socket: Resource<UdpSocket>) -> Result<Endpoint, Failure> {
        Ok(convert::endpoint(self.table.get(&socket)?.peer_endpoint()?))
    }

    fn drop(&mut self, socket: Resource<UdpSocket>) -> wasmtime::Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
