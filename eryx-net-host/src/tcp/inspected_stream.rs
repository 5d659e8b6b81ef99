//! The stream of a connection whose bytes are inspected.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use eryx_tls::{Info, OUTGOING_LIMIT, POLL_LIMIT};

use crate::audit::entry::AuditEntry;
use crate::error::{NetError, TlsFailure};
use crate::http::TlsRecordFilter;
use crate::http::context::HttpContext;
use crate::http::inspector::{Inspector, STEP};
use crate::http::target::InspectionTarget;
use crate::tcp::prefixed_stream::PrefixedStream;
use crate::tcp::tls_connection::TlsConnection;
use crate::tcp::transport::Transport;

/// The most bytes that one read takes from the peer, all of which the program receives together.
const MAX_INSPECTED_READ: usize = 256 * 1024;

/// The fewest bytes that a read tries to take.
const MIN_READ: usize = 16 * 1024;

/// The most bytes that a check of readiness reads in advance. They stay buffered until the program
/// reads.
const MAX_READ_AHEAD: usize = 8 * 1024;

/// The most bytes that one poll reads while they lead to none for the program: a server of a
/// WebSocket can send frames without data, and a head can have many small parts.
const MAX_FRUITLESS_BYTES: usize = POLL_LIMIT;

/// The most reads of such a poll. Each can process [`POLL_LIMIT`] bytes of TLS for a single byte.
const MAX_FRUITLESS_READS: usize = 5;

// As for TLS alone, such a poll takes no longer than 256 KiB do.
const _: () = assert!(MAX_FRUITLESS_READS * POLL_LIMIT <= 256 * 1024);

/// A stream between the guest program and an inspected host.
pub(super) struct InspectedStream {
    layer: Layer,
    mode: Mode,
    /// Bytes of a [`TlsRecordFilter`] or a raw stream for the peer.
    outgoing: Vec<u8>,
    yielded: bool,
}

/// The layer below the inspection, over the transport of the connection.
enum Layer {
    Plain(PrefixedStream),
    Tls(Box<TlsConnection>),
}

/// The protocol of the program's bytes.
enum Mode {
    /// The first byte decides, of the program or of the server.
    Undecided(Box<Undecided>),
    /// HTTP.
    Http(Box<Inspector>),
    /// TLS of the program's own session.
    Tls(Box<TlsRecordFilter>),
    /// Anything, on a connection whose requests are only recorded.
    Raw,
}

struct Undecided {
    context: Arc<HttpContext>,
    entry: Arc<AuditEntry>,
    target: InspectionTarget,
}

/// The content type of a TLS handshake record, with which a client begins (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

impl InspectedStream {
    /// Returns the stream of a connection in clear text.
    pub(super) fn plaintext(
        stream: PrefixedStream,
        context: Arc<HttpContext>,
        entry: Arc<AuditEntry>,
        target: InspectionTarget,
    ) -> Self {
        Self {
            layer: Layer::Plain(stream),
            mode: Mode::Undecided(Box::new(Undecided {
                context,
                entry,
                target,
            })),
            outgoing: Vec::new(),
            yielded: false,
        }
    }

    /// Returns the stream of a connection with TLS.
    pub(super) fn tls(stream: Box<TlsConnection>, inspector: Inspector) -> Self {
        Self {
            layer: Layer::Tls(stream),
            mode: Mode::Http(Box::new(inspector)),
            outgoing: Vec::new(),
            yielded: false,
        }
    }

    /// Returns whether TLS can begin: the stream is in clear text, and the program has sent no
    /// bytes, or bytes that are only recorded and have all left.
    pub(super) fn can_begin_tls(&self) -> bool {
        let is_free = match &self.mode {
            Mode::Undecided(_) => true,
            Mode::Http(inspector) => inspector.is_observer() && inspector.to_peer().is_empty(),
            Mode::Raw => self.outgoing.is_empty(),
            Mode::Tls(_) => false,
        };
        is_free && matches!(self.layer, Layer::Plain(_))
    }

    /// Returns the plaintext stream, for TLS, or itself unless TLS [can
    /// begin](Self::can_begin_tls). What the program has not read precedes the stream, as it is in
    /// the kernel without inspection.
    pub(super) fn into_plaintext(self) -> Result<PrefixedStream, Self> {
        if !self.can_begin_tls() {
            return Err(self);
        }
        match (self.mode, self.layer) {
            (Mode::Http(mut inspector), Layer::Plain(stream)) => {
                let unread = inspector.take_unread();
                let (transport, prefix) = stream.into_parts();
                Ok(PrefixedStream::new(transport, [unread, prefix].concat()))
            }
            (_, Layer::Plain(stream)) => Ok(stream),
            (mode, layer) => Err(Self {
                layer,
                mode,
                outgoing: self.outgoing,
                yielded: self.yielded,
            }),
        }
    }

    pub(super) fn tls_connection(&self) -> Option<&TlsConnection> {
        match &self.layer {
            Layer::Tls(tls) => Some(tls),
            Layer::Plain(_) => None,
        }
    }

    pub(super) fn tls_connection_mut(&mut self) -> Option<&mut TlsConnection> {
        match &mut self.layer {
            Layer::Tls(tls) => Some(tls),
            Layer::Plain(_) => None,
        }
    }

    /// Returns the TLS connection without its inspection.
    pub(super) fn into_tls(self) -> Option<Box<TlsConnection>> {
        match self.layer {
            Layer::Tls(tls) => Some(tls),
            Layer::Plain(_) => None,
        }
    }

    /// Returns whether `start_tls` has yet to return `Ok` for the handshake.
    pub(super) fn handshake_unreported(&self) -> bool {
        self.tls_connection()
            .is_some_and(TlsConnection::handshake_unreported)
    }

    pub(super) fn is_tls(&self) -> bool {
        self.tls_connection().is_some()
    }

    pub(super) fn info(&self) -> Option<&Info> {
        self.tls_connection().map(TlsConnection::info)
    }

    pub(super) fn transport(&self) -> &Transport {
        match &self.layer {
            Layer::Plain(plain) => plain.transport(),
            Layer::Tls(tls) => tls.transport(),
        }
    }

    pub(super) fn transport_mut(&mut self) -> &mut Transport {
        match &mut self.layer {
            Layer::Plain(plain) => plain.transport_mut(),
            Layer::Tls(tls) => tls.transport_mut(),
        }
    }

    /// Returns whether the last poll stopped at its work limit, so that more may be available at
    /// once.
    pub(super) fn yielded(&self) -> bool {
        let has_layer_yielded = match &self.layer {
            Layer::Plain(plain) => plain.transport().yielded(),
            Layer::Tls(tls) => tls.yielded(),
        };
        self.yielded || has_layer_yielded
    }

    /// Returns whether bytes can be read, or processed, that the kernel no longer has.
    pub(super) fn has_buffered_input(&self) -> bool {
        let is_readable = match &self.mode {
            Mode::Http(inspector) => inspector.is_readable(),
            Mode::Tls(filter) => filter.has_ended(),
            Mode::Undecided(_) | Mode::Raw => false,
        };
        let is_buffered = match &self.layer {
            Layer::Plain(plain) => plain.has_buffered_input(),
            Layer::Tls(tls) => tls.has_buffered_input(),
        };
        is_readable || is_buffered
    }

    /// Returns how many bytes the program can read without waiting.
    pub(super) fn pending(&self) -> usize {
        let inspected = match &self.mode {
            Mode::Http(inspector) => inspector.pending(),
            _ => 0,
        };
        inspected + self.tls_connection().map_or(0, TlsConnection::pending)
    }

    /// Returns whether the program can read bytes of responses that came before a denial.
    pub(super) fn has_responses(&self) -> bool {
        matches!(&self.mode, Mode::Http(inspector) if inspector.pending() > 0)
    }

    /// Reads up to `max` bytes; an empty vector is the end of the stream.
    pub(super) fn poll_read_vec(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Vec<u8>, NetError>> {
        if !matches!(self.mode, Mode::Http(_)) {
            return self.poll_read_uninspected(cx, max);
        }
        ready!(self.poll_inspected(cx, max.clamp(MIN_READ, MAX_INSPECTED_READ)))?;
        match &mut self.mode {
            Mode::Http(inspector) => match inspector.take_for_program(max) {
                Some(outcome) => Poll::Ready(outcome),
                None => Poll::Pending,
            },
            _ => Poll::Pending,
        }
    }

    fn poll_read_uninspected(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Vec<u8>, NetError>> {
        if let Mode::Tls(filter) = &self.mode
            && filter.has_ended()
        {
            return Poll::Ready(Ok(Vec::new()));
        }
        let data = ready!(self.poll_read_layer(cx, max))?;
        match &self.mode {
            Mode::Tls(filter) => filter.receive(&data),
            // Neither a server of HTTP nor one of TLS sends first.
            Mode::Undecided(undecided) if undecided.target.is_enforced() && !data.is_empty() => {
                let mut inspector = undecided.inspector();
                // The read returns the error.
                let _ = inspector.response(data);
                self.mode = Mode::Http(inspector);
                return self.poll_read_vec(cx, max);
            }
            _ => {}
        }
        Poll::Ready(Ok(data))
    }

    /// Ready when a read would return bytes, the end of the stream or an error.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.yielded = false;
        if !matches!(self.mode, Mode::Http(_)) {
            if let Mode::Tls(filter) = &self.mode
                && filter.has_ended()
            {
                return Poll::Ready(Ok(()));
            }
            return self.poll_layer_readable(cx);
        }
        if let Mode::Http(inspector) = &mut self.mode
            && !inspector.is_readable()
            && inspector.passes_next_bytes()
        {
            return self.poll_layer_readable(cx);
        }
        self.poll_inspected(cx, MAX_READ_AHEAD)
    }

    fn poll_layer_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        match &mut self.layer {
            Layer::Plain(plain) => plain.poll_readable(cx).map_err(NetError::from),
            Layer::Tls(tls) => tls.poll_readable(cx).map(Ok),
        }
    }

    /// Reads from the peer, up to `max` bytes at a time, until the inspector has something for the
    /// program.
    fn poll_inspected(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<(), NetError>> {
        self.yielded = false;
        let (mut reads, mut bytes) = (MAX_FRUITLESS_READS, MAX_FRUITLESS_BYTES);
        loop {
            let Mode::Http(inspector) = &self.mode else {
                return Poll::Ready(Ok(()));
            };
            if inspector.is_readable() {
                return Poll::Ready(Ok(()));
            }
            if reads == 0 || bytes == 0 {
                self.yielded = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let max = match inspector.may_take_all() {
                true => max.min(bytes),
                false => max,
            };
            let data = match ready!(self.poll_read_layer(cx, max)) {
                Ok(data) => data,
                Err(error) => {
                    if let (NetError::Tls(TlsFailure::UnexpectedEof), Mode::Http(inspector)) =
                        (&error, &mut self.mode)
                        && inspector.on_unexpected_eof()
                    {
                        return Poll::Ready(Ok(()));
                    }
                    return Poll::Ready(Err(error));
                }
            };
            reads -= 1;
            bytes = bytes.saturating_sub(data.len());
            let Mode::Http(inspector) = &mut self.mode else {
                return Poll::Ready(Ok(()));
            };
            if data.is_empty() {
                inspector.on_server_eof();
            } else {
                // The read that follows returns the error.
                let _ = inspector.response(data);
            }
        }
    }

    fn poll_read_layer(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Vec<u8>, NetError>> {
        match &mut self.layer {
            Layer::Plain(plain) => plain.poll_read_vec(cx, max).map_err(NetError::from),
            Layer::Tls(tls) => tls.poll_read_vec(cx, max),
        }
    }

    /// Takes some of `data`, and begins to send what it leads to. Call it after
    /// [`poll_flush`](Self::poll_flush).
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize, NetError>> {
        if let (Mode::Undecided(undecided), [first, ..]) = (&self.mode, data) {
            self.mode = undecided.decide(*first);
        }
        if let Mode::Http(inspector) = &mut self.mode {
            // What the layer does not take would be searched for placeholders again.
            let most = data.len().min(self.layer.max_taken());
            let count = inspector.forwardable(&data[..most]);
            if count > 0 {
                let sent = ready!(self.layer.poll_send(cx, &data[..count]))?;
                inspector.forwarded(&data[..sent])?;
                return Poll::Ready(Ok(sent));
            }
        }
        let taken = match &mut self.mode {
            Mode::Http(inspector) => ready!(inspector.poll_request(cx, data))?,
            Mode::Tls(filter) => filter.push(data, &mut self.outgoing)?,
            Mode::Undecided(_) | Mode::Raw => {
                let taken = data.len().min(STEP);
                self.outgoing.extend_from_slice(&data[..taken]);
                taken
            }
        };
        match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(taken)),
        }
    }

    /// Sends the bytes that were taken, once the secrets in them have values.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        if let Mode::Http(inspector) = &mut self.mode {
            ready!(inspector.poll_waiting(cx))?;
        }
        loop {
            match &mut self.layer {
                Layer::Plain(plain) => ready!(plain.transport_mut().poll_flush(cx))?,
                Layer::Tls(tls) => ready!(tls.poll_flush(cx))?,
            }
            let outgoing = match &self.mode {
                Mode::Http(inspector) => inspector.to_peer(),
                _ => &self.outgoing,
            };
            if outgoing.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let sent = ready!(self.layer.poll_send(cx, outgoing))?;
            match &mut self.mode {
                Mode::Http(inspector) => inspector.sent(sent),
                _ => drop(self.outgoing.drain(..sent)),
            }
        }
    }

    /// Returns whether bytes wait to be sent.
    pub(super) fn wants_flush(&self) -> bool {
        let has_outgoing = match &self.mode {
            Mode::Http(inspector) => inspector.is_waiting() || !inspector.to_peer().is_empty(),
            _ => !self.outgoing.is_empty(),
        };
        let has_buffered = match &self.layer {
            Layer::Plain(plain) => plain.transport().wants_flush(),
            Layer::Tls(tls) => tls.wants_flush(),
        };
        has_outgoing || has_buffered
    }

    /// Ready when a write would take bytes or fail.
    pub(super) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        ready!(self.poll_flush(cx))?;
        match &mut self.layer {
            Layer::Plain(plain) => plain
                .transport_mut()
                .poll_writable(cx)
                .map_err(NetError::from),
            Layer::Tls(tls) => tls.poll_writable(cx).map(Ok),
        }
    }

    /// Sends the bytes that were taken, and close_notify if the stream has TLS.
    pub(super) fn poll_close_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        ready!(self.poll_flush(cx))?;
        match &mut self.layer {
            Layer::Plain(_) => Poll::Ready(Ok(())),
            Layer::Tls(tls) => tls.poll_close_notify(cx),
        }
    }

    /// Sends the bytes that were taken, close_notify if the stream has TLS, and the end of the
    /// stream.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        ready!(self.poll_close_notify(cx))?;
        Poll::Ready(ready!(self.transport_mut().poll_shutdown(cx)).map_err(NetError::from))
    }

    /// Sends close_notify and waits for the peer's.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        ready!(self.poll_flush(cx))?;
        match &mut self.layer {
            Layer::Plain(_) => Poll::Ready(Err(NetError::InvalidArgument(
                "the connection is not encrypted".into(),
            ))),
            Layer::Tls(tls) => tls.poll_close(cx),
        }
    }
}

impl Layer {
    /// Returns how many bytes one step takes at most.
    fn max_taken(&self) -> usize {
        match self {
            Self::Plain(_) => usize::MAX,
            Self::Tls(_) => OUTGOING_LIMIT,
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, NetError>> {
        match self {
            Self::Plain(plain) => plain
                .transport_mut()
                .poll_send(cx, data)
                .map_err(NetError::from),
            Self::Tls(tls) => tls.poll_write(cx, data),
        }
    }
}

impl Undecided {
    /// Returns what the program's bytes are, by the first of them.
    fn decide(&self, first: u8) -> Mode {
        if first != HANDSHAKE {
            return Mode::Http(self.inspector());
        }
        if self.target.is_enforced() {
            let (context, entry) = (Arc::clone(&self.context), Arc::clone(&self.entry));
            let filter = TlsRecordFilter::new(context, entry, self.target.clone());
            return Mode::Tls(Box::new(filter));
        }
        Mode::Raw
    }

    fn inspector(&self) -> Box<Inspector> {
        let peer = self.target.plaintext_peer(&self.context);
        let (context, entry) = (Arc::clone(&self.context), Arc::clone(&self.entry));
        Box::new(Inspector::new(context, entry, peer))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::task::Waker;

    use eryx_net_policy::SecretBinding;

    use crate::audit::activity::Activity;
    use crate::audit::log::AuditLog;
    use crate::config::NetConfig;
    use crate::config::http::Secret;
    use crate::tcp::lazy_tcp_stream::{Interest, LazyTcpStream};

    use super::*;
    use crate::host_memory::HostMemory;

    const SWITCHING: &[u8] =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

    /// Returns a stream whose program has sent a secret and asked for a WebSocket, and whose server
    /// has answered with `frames`.
    fn web_socket(frames: &[u8]) -> InspectedStream {
        let host = || "plain.test".parse().expect("a pattern");
        let binding = SecretBinding::new("TOKEN", [host()]).expect("a binding");
        let binding = binding.with_plaintext_hosts([host()]).expect("a host");
        let secret = Secret::new(binding, "ghp_0123456789abcdefghijklmnopqrstuvwxyz");
        let config = NetConfig::permissive().with_secret(secret.expect("a value"));
        let memory = HostMemory::new(1 << 20);
        let context = HttpContext::new(&config.expect("a secret"), memory).expect("inspected");
        let request = format!(
            "GET / HTTP/1.1\r\nHost: plain.test\r\nAuthorization: {}\r\n\
             Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            context.secrets.placeholder(0)
        );
        let hosts = vec!["plain.test".parse().expect("a host")];
        let address = Some(Ipv4Addr::LOCALHOST.into());
        let target = InspectionTarget::new(&context, hosts, address, 80).expect("inspected");
        let entry = AuditLog::new(None).begin(Activity::Connection, "plain.test", Some(80));
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let mut tcp = LazyTcpStream::connect(listener.local_addr().expect("bound")).expect("begun");
        assert!(tcp.wait_inline(Interest::Writable));
        tcp.take_connect_error().expect("connected");
        let stream = PrefixedStream::new(Transport::Tcp(tcp), [SWITCHING, frames].concat());
        let mut stream = InspectedStream::plaintext(stream, Arc::new(context), entry, target);
        let mut cx = Context::from_waker(Waker::noop());
        match stream.poll_write(&mut cx, request.as_bytes()) {
            Poll::Ready(Ok(taken)) => assert_eq!(taken, request.len()),
            other => panic!("{other:?}"),
        }
        stream
    }

    /// The frames of a message with bytes that a secret may consist of, between many without data.
    #[tokio::test]
    async fn a_poll_yields_after_48_kib_that_lead_to_no_bytes_for_the_program() {
        let empty = [0, 127, 0, 0, 0, 0, 0, 0, 0, 0].repeat(1000);
        let held = [&[0, 1, b'g'][..], &empty].concat().repeat(20);
        let frames = [&[1, 1, b'g'][..], &held, &[0x80, 1, b'!']].concat();
        // The first read has the head, too.
        let least = frames.len() / MAX_FRUITLESS_BYTES - 1;
        for reads_ahead in [false, true] {
            let mut stream = web_socket(&frames);
            let mut cx = Context::from_waker(Waker::noop());
            let (mut yields, mut received) = (0, Vec::new());
            while !received.ends_with(b"!") {
                if reads_ahead && stream.poll_readable(&mut cx).is_pending() {
                    assert!(stream.yielded());
                    yields += 1;
                    continue;
                }
                match stream.poll_read_vec(&mut cx, 1 << 20) {
                    Poll::Ready(data) => received.extend(data.expect("allowed")),
                    Poll::Pending => {
                        assert!(stream.yielded());
                        yields += 1;
                    }
                }
            }
            assert!(yields >= least, "{yields} of {least}");
            let message = [&[0x81, 22][..], &[b'g'; 21], b"!"].concat();
            assert_eq!(received, [SWITCHING, &message].concat());
        }
    }
}
