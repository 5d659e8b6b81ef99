//! The transport over standard input and output.

use rmcp::ServiceExt as _;
use rmcp::service::ServerInitializeError;
use rmcp::transport::stdio;

use crate::server::Server;
use crate::session_files::MAX_WRITE;
use crate::stdio_transport::StdioTransport;

/// The longest message of the client, in bytes. The content of a file may have every byte of it
/// escaped, as `\u0000`: the checks of the tools, whose errors help more, come first. There is one
/// client, and the transport keeps one message.
const MAX_MESSAGE: usize = 6 * MAX_WRITE + (64 << 10);

impl Server {
    /// Serves one client on standard input and output until the client closes them or the server
    /// is stopped. Programs that still run are ended after five seconds at most.
    ///
    /// # Errors
    ///
    /// If the client does not speak the protocol: the reason.
    pub async fn serve_stdio(&self) -> Result<(), String> {
        let (input, output) = stdio();
        let transport = StdioTransport::new(input, output, MAX_MESSAGE);
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
