//! Bodies that are made as they are sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::pattern;

/// Any body a route answers with.
pub(super) type AnyBody = UnsyncBoxBody<Bytes, io::Error>;

/// The most that is made at a time.
const PIECE: u64 = 64 * 1024;

/// A body that is ready.
pub(super) fn whole(content: impl Into<Bytes>) -> AnyBody {
    Full::new(content.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Bytes of the pattern.
pub(super) struct PatternBody {
    offset: u64,
    length: u64,
    piece: u64,
    announced: bool,
    before_each: Pause,
}

impl PatternBody {
    /// The first `length` bytes; chunked unless the length is `announced`.
    pub(super) fn new(length: u64, announced: bool) -> Self {
        Self {
            offset: 0,
            length,
            piece: PIECE,
            announced,
            before_each: Pause::None,
        }
    }

    /// One byte at a time, each after `pause`.
    pub(super) fn dripping(length: u64, pause: Duration) -> Self {
        let before_each = if pause.is_zero() {
            Pause::Turn { taken: false }
        } else {
            Pause::Sleep(pause, Box::pin(tokio::time::sleep(pause)))
        };
        Self {
            piece: 1,
            before_each,
            ..Self::new(length, true)
        }
    }
}

impl Body for PatternBody {
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
        ready!(this.before_each.poll(cx));
        // At most `PIECE`, which fits.
        let mut piece = vec![0; left.min(this.piece) as usize];
        pattern::fill(this.offset, &mut piece);
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

enum Pause {
    None,
    /// Yielding makes the server flush what it has, so that even without a delay every byte is
    /// a write of its own.
    Turn {
        taken: bool,
    },
    Sleep(Duration, Pin<Box<Sleep>>),
}

impl Pause {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::None => Poll::Ready(()),
            Self::Turn { taken } => {
                *taken = !*taken;
                if !*taken {
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
