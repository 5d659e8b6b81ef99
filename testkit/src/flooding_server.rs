//! A TLS server that floods its clients: after the handshake it sends what a function returns.

use std::fmt;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustls::{ServerConfig, ServerConnection};

use crate::listener::LOOPBACK;
use crate::sealer::Sealer;

/// A server for one connection at a time. Dropping it ends it after the current connection.
///
/// It has a thread of its own, so that the client's runtime can have all others for itself.
///
/// ```
/// use eryx_testkit::{CertificateAuthority, FloodingServer, Leaf, ServerTls};
/// use eryx_testkit::sealer::ticket;
///
/// let identity = CertificateAuthority::new()?.issue(&Leaf::server(["localhost"]))?;
/// let tls = ServerTls::new(&identity).build()?;
/// let server = FloodingServer::start(&tls, |sealer| sealer.handshake(&ticket(1), 1000))?;
/// assert_eq!(server.sent(), 0);
/// # std::io::Result::Ok(())
/// ```
pub struct FloodingServer {
    address: SocketAddr,
    sent: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl FloodingServer {
    /// Serves TLS 1.3 on loopback. `flood` returns the next bytes after the handshake; once it
    /// returns none, the server reads until the client closes the connection.
    ///
    /// # Errors
    ///
    /// If no port can be listened on.
    pub fn start(
        tls: &ServerConfig,
        mut flood: impl FnMut(&mut Sealer) -> Vec<u8> + Send + 'static,
    ) -> io::Result<Self> {
        let mut tls = tls.clone();
        tls.enable_secret_extraction = true;
        tls.send_tls13_tickets = 0;
        let tls = Arc::new(tls);
        let listener = TcpListener::bind(LOOPBACK)?;
        let server = Self {
            address: listener.local_addr()?,
            sent: Arc::default(),
            is_over: Arc::default(),
        };
        let (sent, is_over) = (Arc::clone(&server.sent), Arc::clone(&server.is_over));
        thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                // A client may end the connection at any time.
                let _ = serve(socket, &tls, &mut flood, &sent);
            }
        });
        Ok(server)
    }

    /// Returns the port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns how many bytes were sent after handshakes.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for FloodingServer {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread.
        let _ = TcpStream::connect(self.address);
    }
}

impl fmt::Debug for FloodingServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FloodingServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

fn serve(
    mut socket: TcpStream,
    tls: &Arc<ServerConfig>,
    flood: &mut impl FnMut(&mut Sealer) -> Vec<u8>,
    sent: &AtomicUsize,
) -> io::Result<()> {
    let mut server = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
    while server.is_handshaking() {
        server.complete_io(&mut socket)?;
    }
    let mut sealer = Sealer::new(server)?;
    loop {
        let records = flood(&mut sealer);
        if records.is_empty() {
            io::copy(&mut socket, &mut io::sink())?;
            return Ok(());
        }
        socket.write_all(&records)?;
        sent.fetch_add(records.len(), Ordering::Relaxed);
    }
}
