//! Listening, and a thread for each connection.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::Result;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::exchange;

/// Serve in the clear. Returns the port.
pub(crate) fn plain() -> Result<u16> {
    listen(exchange::serve)
}

/// Serve over TLS. Returns the port.
pub(crate) fn tls(config: Arc<ServerConfig>) -> Result<u16> {
    listen(move |socket| {
        let session = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        exchange::serve(StreamOwned::new(session, socket))
    })
}

fn listen(serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(socket) = socket else { continue };
            let serve = serve.clone();
            // A client that leaves in the middle of something, or no thread for it: its own affair.
            let _ = thread::Builder::new()
                .stack_size(STACK)
                .spawn(move || socket.set_nodelay(true).and_then(|()| serve(socket)));
        }
    });
    Ok(port)
}

/// Small, for a thousand connections.
const STACK: usize = 256 * 1024;
