//! The transport over standard input and output.

use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::stdio;

use crate::server::Server;

/// The longest message of a client, in bytes. The source of a program may be a third of it, and
/// every character of it escaped.
pub(crate) const MAX_MESSAGE: usize = 8 << 20;

impl Server {
    /// Serves one client on standard input and output until the client closes them or the server
    /// is stopped. Programs that still run are ended after five seconds at most.
    ///
    /// # Errors
    ///
    /// If the client does not speak the protocol: the reason.
    pub async fn serve_stdio(&self) -> Result<(), String> {
        let (input, output) = stdio();
        let transport = AsyncRwTransport::new(input, output).with_max_line_length(MAX_MESSAGE);
        let running = tokio::select! {
            running = self.clone().serve(transport) => running,
            () = self.stopped() => return Ok(()),
        };
        let running = match running {
            Ok(running) => running,
            // A client may go before it says anything.
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let stop = running.cancellation_token();
        let mut ended = std::pin::pin!(running.waiting());
        let ended = tokio::select! {
            ended = &mut ended => ended,
            () = self.stopped() => {
                stop.cancel();
                ended.await
            }
        };
        ended.map(drop).map_err(|error| error.to_string())
    }
}
