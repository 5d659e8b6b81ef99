//! TCP listeners that serve each connection in a thread of its own.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use anyhow::Result;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http;

/// Starts the plaintext server, and returns its port.
pub(crate) fn start_plain() -> Result<u16> {
    listen(http::serve)
}

/// Starts the TLS server, and returns its port.
pub(crate) fn start_tls(config: Arc<ServerConfig>) -> Result<u16> {
    listen(move |socket| {
        let session = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        http::serve(StreamOwned::new(session, socket))
    })
}

fn listen(serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(socket) = socket else { continue };
            let serve = serve.clone();
            // Errors of a connection are ignored: the client notices that the connection is closed.
            let _ = thread::Builder::new()
                .stack_size(STACK)
                .spawn(move || socket.set_nodelay(true).and_then(|()| serve(socket)));
        }
    });
    Ok(port)
}

/// The stack size of a connection's thread in bytes, small enough for a thousand connections.
const STACK: usize = 256 * 1024;
