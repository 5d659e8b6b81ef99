//! A connection that speaks TLS, and the handshake on the way there.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BufMut;
use eryx_tls::{Handshake, Info, Prepared, SettingsDigest, TlsStream};

use crate::MAX_READ;
use crate::NetError;
use crate::patience::Deadline;
use crate::plain::Plain;
use crate::rewound::Rewound;
use crate::stream::Stream;

/// The most plaintext one TLS record carries (RFC 8446, 5.1).
const RECORD: usize = 16 * 1024;

/// What a handshake was begun with. The settings themselves can be large, and many connections have the same.
#[derive(Clone)]
pub(crate) struct Begun {
    pub(crate) settings: SettingsDigest,
    /// As the program wrote it.
    pub(crate) server_name: Option<String>,
}

/// A handshake under way.
pub(crate) struct Upgrade {
    handshake: Handshake<Rewound>,
    begun: Begun,
    deadline: Deadline,
}

/// A stream whose handshake is complete.
pub(crate) struct Encrypted {
    stream: TlsStream<Rewound>,
    begun: Begun,
    /// The handshake ended well while the program waited for something else, and it was not told yet.
    untold: bool,
    /// How large a buffer the next read gets.
    expected: usize,
}

impl Upgrade {
    /// Begins, with `budget` for the whole handshake. Sends nothing before it is polled.
    pub(crate) fn new(prepared: Prepared, begun: Begun, plain: Plain, budget: Duration) -> Self {
        let (stream, early) = plain.into_parts();
        Self {
            handshake: prepared.upgrade(Rewound::new(stream, early)),
            begun,
            deadline: Deadline::after(budget),
        }
    }

    pub(crate) fn begun(&self) -> &Begun {
        &self.begun
    }

    pub(crate) fn stream(&self) -> Option<&Stream> {
        self.handshake.get_ref().map(Rewound::stream)
    }

    pub(crate) fn stream_mut(&mut self) -> Option<&mut Stream> {
        self.handshake.get_mut().map(Rewound::stream_mut)
    }

    pub(crate) fn gave_way(&self) -> bool {
        self.handshake.yielded()
    }

    /// What is left of the budget.
    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.remaining()
    }

    /// Goes on with the handshake.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Encrypted, NetError>> {
        match self.handshake.poll_handshake(cx) {
            Poll::Ready(Ok(stream)) => Poll::Ready(Ok(Encrypted {
                stream,
                begun: self.begun.clone(),
                untold: true,
                expected: RECORD,
            })),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => {
                ready!(self.deadline.poll(cx));
                Poll::Ready(Err(NetError::TimedOut))
            }
        }
    }
}

impl Encrypted {
    pub(crate) fn begun(&self) -> &Begun {
        &self.begun
    }

    pub(crate) fn handshake_untold(&self) -> bool {
        self.untold
    }

    pub(crate) fn tell_handshake(&mut self) {
        self.untold = false;
    }

    pub(crate) fn stream(&self) -> &Stream {
        self.stream.get_ref().stream()
    }

    pub(crate) fn stream_mut(&mut self) -> &mut Stream {
        self.stream.get_mut().stream_mut()
    }

    pub(crate) fn info(&self) -> &Info {
        self.stream.info()
    }

    pub(crate) fn pending(&self) -> usize {
        self.stream.pending()
    }

    pub(crate) fn gave_way(&self) -> bool {
        self.stream.yielded()
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.stream.is_readable()
    }

    pub(crate) fn wants_flush(&self) -> bool {
        self.stream.wants_flush()
    }

    /// Up to `max` bytes; none after the peer's close_notify.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Vec<u8>, NetError>> {
        ready!(self.stream.poll_readable(cx));
        let room = max.min(self.expected.max(self.stream.pending()));
        let mut buffer = Vec::with_capacity(room);
        ready!(
            self.stream
                .poll_read_buf(cx, &mut (&mut buffer).limit(room))
        )?;
        if buffer.len() == self.expected {
            self.expected = (self.expected * 2).min(MAX_READ);
        } else if room == self.expected && buffer.len() < room / 4 {
            self.expected = (self.expected / 2).max(RECORD);
        }
        Poll::Ready(Ok(buffer))
    }

    /// Ready when a read would find bytes, the end of the stream or an error.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.stream.poll_readable(cx).map(Ok)
    }

    /// Encrypts some of `data` and begins to send it.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<Result<usize, NetError>> {
        self.stream.poll_write(cx, data).map_err(NetError::from)
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.stream.poll_flush(cx).map_err(NetError::from)
    }

    /// Ready when a write would take bytes or fail.
    pub(crate) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.stream.poll_writable(cx).map(Ok)
    }

    /// Sends close_notify behind everything that was written.
    pub(crate) fn poll_close_notify(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.stream.poll_close_notify(cx).map_err(NetError::from)
    }

    /// Sends close_notify and waits for the peer's.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        self.stream.poll_close(cx).map_err(NetError::from)
    }

    /// The connection in the clear again, once [`poll_end`](Self::poll_end) has succeeded.
    pub(crate) fn into_plain(self) -> Plain {
        let (rewound, after) = self.stream.into_inner();
        let (stream, mut early) = rewound.into_parts();
        early.splice(..0, after);
        Plain::new(stream, early)
    }
}
