//! Both ends of a loopback connection, for the programs whose instructions are counted.

use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use eryx_net_host::{Connection, Network};
use tokio::runtime::Runtime;

pub(crate) fn connect(network: &Network, runtime: &Runtime) -> Result<(Connection, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let connection = runtime.block_on(async {
        let mut connection = network.connect("127.0.0.1", port)?;
        connection.finish_connect(None).await?;
        anyhow::Ok(connection)
    })?;
    Ok((connection, listener.accept()?.0))
}
