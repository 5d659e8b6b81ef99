//! An origin server that records the bytes of every request, and answers with a script.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use eryx_sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::ca::Identity;
use crate::listener::{self, LOOPBACK, ServerHandle};
use crate::server_transport::{ServerTls, Transport};

/// Returns the response to a complete request: its head and its body.
type Respond = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// A server that records what arrives, byte for byte, and answers each request.
///
/// A request ends after its head and as many bytes as `Content-Length` says, or after the last
/// chunk. The recorder is not strict: it shows what a client sends, whether or not that is HTTP.
///
/// ```
/// use eryx_testkit::RequestRecorder;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let server = RequestRecorder::plain(|_| RequestRecorder::ok("hello")).await?;
/// assert!(server.received().is_empty());
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub struct RequestRecorder {
    handle: ServerHandle,
    /// The bytes of each connection, in the order of their acceptance.
    received: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl RequestRecorder {
    /// Starts a server in clear text on loopback.
    ///
    /// # Errors
    ///
    /// If no port can be listened on.
    pub async fn plain(
        respond: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start(Transport::plain(), respond).await
    }

    /// Starts a TLS server with `identity` on loopback.
    ///
    /// # Errors
    ///
    /// If no port can be listened on, or rustls rejects the identity.
    pub async fn tls(
        identity: &Identity,
        respond: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let tls = ServerTls::new(identity).alpn(["http/1.1", "h2"]).build()?;
        Self::start(Transport::tls(tls), respond).await
    }

    /// Starts a server over `transport`.
    ///
    /// # Errors
    ///
    /// If no port can be listened on.
    // Async, so that it cannot be called outside a runtime.
    #[allow(clippy::unused_async)]
    pub async fn start(
        transport: Transport,
        respond: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = listener::listen(LOOPBACK, None)?;
        let handle = ServerHandle::new(listener.local_addr()?);
        let received = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&received);
        let respond: Respond = Arc::new(respond);
        let accept = listener::accept(listener, move |socket, _| {
            serve(
                socket,
                transport.clone(),
                Arc::clone(&shared),
                Arc::clone(&respond),
            )
        });
        Ok(Self {
            handle: handle.with_task(accept),
            received,
        })
    }

    /// Returns the bytes that arrived so far, for each connection on which any did.
    #[must_use]
    pub fn received(&self) -> Vec<Vec<u8>> {
        let received = self.received.lock();
        received
            .iter()
            .filter(|bytes| !bytes.is_empty())
            .cloned()
            .collect()
    }

    /// Returns all bytes that arrived so far as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.received().concat()).into_owned()
    }

    /// Returns a 200 response with `body`.
    #[must_use]
    pub fn ok(body: &str) -> Vec<u8> {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

impl Deref for RequestRecorder {
    type Target = ServerHandle;

    fn deref(&self) -> &ServerHandle {
        &self.handle
    }
}

impl fmt::Debug for RequestRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestRecorder")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

async fn serve(
    socket: TcpStream,
    transport: Transport,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
    respond: Respond,
) {
    let Ok(mut stream) = transport.open(socket).await else {
        return;
    };
    let index = {
        let mut received = received.lock();
        received.push(Vec::new());
        received.len() - 1
    };
    let mut unanswered = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = stream.read(&mut buffer).await else {
            return;
        };
        received.lock()[index].extend_from_slice(&buffer[..count]);
        unanswered.extend_from_slice(&buffer[..count]);
        while let Some(length) = request_length(&unanswered) {
            let request: Vec<u8> = unanswered.drain(..length).collect();
            if stream.write_all(&respond(&request)).await.is_err() {
                return;
            }
        }
    }
}

/// Returns the length of the first request, once it is complete.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(bytes);
    let head = text.find("\r\n\r\n")? + 4;
    let fields = text[..head].to_ascii_lowercase();
    if fields.contains("transfer-encoding: chunked") {
        return text[head..].find("0\r\n\r\n").map(|end| head + end + 5);
    }
    let length = fields
        .split("content-length:")
        .nth(1)
        .and_then(|rest| rest.lines().next()?.trim().parse().ok())
        .unwrap_or(0);
    (bytes.len() >= head + length).then_some(head + length)
}
