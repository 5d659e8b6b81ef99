//! Response bodies, generated while they are sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::payload;

/// The body of a response.
pub(super) type AnyBody = UnsyncBoxBody<Bytes, io::Error>;

/// Bytes generated at a time, at most.
const PIECE: u64 = 64 * 1024;

/// Creates a body from `content`.
pub(super) fn full(content: impl Into<Bytes>) -> AnyBody {
    Full::new(content.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// A body of bytes of the payload.
pub(super) struct PayloadBody {
    offset: u64,
    length: u64,
    piece: u64,
    announced: bool,
    delay: Delay,
}

impl PayloadBody {
    /// Creates a body of the first `length` bytes. It is chunked unless its length is `announced`.
    pub(super) fn new(length: u64, announced: bool) -> Self {
        Self {
            offset: 0,
            length,
            piece: PIECE,
            announced,
            delay: Delay::None,
        }
    }

    /// Creates a body of single bytes, each sent after `delay`.
    pub(super) fn dripping(length: u64, delay: Duration) -> Self {
        let delay = if delay.is_zero() {
            Delay::Yield { yielded: false }
        } else {
            Delay::Sleep(delay, Box::pin(tokio::time::sleep(delay)))
        };
        Self {
            piece: 1,
            delay,
            ..Self::new(length, true)
        }
    }
}

impl Body for PayloadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let left = this.length - this.offset;
        if left == 0 {
            return Poll::Ready(None);
        }
        ready!(this.delay.poll(cx));
        // At most `PIECE`, which fits a `usize`.
        let mut piece = vec![0; left.min(this.piece) as usize];
        payload::fill(this.offset, &mut piece);
        this.offset += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.offset == self.length
    }

    fn size_hint(&self) -> SizeHint {
        if self.announced {
            SizeHint::with_exact(self.length - self.offset)
        } else {
            SizeHint::new()
        }
    }
}

/// The delay before each piece of a body.
enum Delay {
    None,
    /// Yields once to the runtime: the server then flushes, so that each byte is a write of its own
    /// even without a delay.
    Yield {
        yielded: bool,
    },
    Sleep(Duration, Pin<Box<Sleep>>),
}

impl Delay {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::None => Poll::Ready(()),
            Self::Yield { yielded } => {
                *yielded = !*yielded;
                if !*yielded {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Sleep(length, sleep) => {
                ready!(sleep.as_mut().poll(cx));
                *sleep = Box::pin(tokio::time::sleep(*length));
                Poll::Ready(())
            }
        }
    }
}
