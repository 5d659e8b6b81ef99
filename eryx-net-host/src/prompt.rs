//! The kernel, asked directly: the runtime learns what a socket is ready for only when it gets round to looking.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use rustix::event::PollFlags;
use rustix::net::{RecvFlags, SendFlags};
use tokio::net::TcpStream;

/// Receives into what `buffer` has room for, and tells how much came.
///
/// A buffer without room receives nothing, which looks like the end of the stream.
pub(crate) fn poll_receive(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    buffer: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    poll_now(
        || {
            let room = rustix::buffer::spare_capacity(buffer);
            Ok(rustix::net::recv(stream, room, RecvFlags::DONTWAIT)?.0)
        },
        |operation| stream.try_io(tokio::io::Interest::READABLE, operation),
        || stream.poll_read_ready(cx),
    )
}

/// As [`poll_receive`], into bytes that are there.
pub(crate) fn poll_receive_into(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    poll_now(
        || Ok(rustix::net::recv(stream, &mut *buffer, RecvFlags::DONTWAIT)?.0),
        |operation| stream.try_io(tokio::io::Interest::READABLE, operation),
        || stream.poll_read_ready(cx),
    )
}

/// Sends some of `data`, and tells how much.
pub(crate) fn poll_send(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    data: &[u8],
) -> Poll<io::Result<usize>> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    poll_now(
        || Ok(rustix::net::send(stream, data, flags)?),
        |operation| stream.try_io(tokio::io::Interest::WRITABLE, operation),
        || stream.poll_write_ready(cx),
    )
}

/// Try `operation` first, and again whenever the runtime thinks that it can be done, until it can or the runtime waits.
fn poll_now<T>(
    mut operation: impl FnMut() -> io::Result<T>,
    mut noticed: impl FnMut(&mut dyn FnMut() -> io::Result<T>) -> io::Result<T>,
    mut poll_ready: impl FnMut() -> Poll<io::Result<()>>,
) -> Poll<io::Result<T>> {
    let mut outcome = operation();
    loop {
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                outcome = operation();
                continue;
            }
            outcome => return Poll::Ready(outcome),
        }
        ready!(poll_ready())?;
        // Through the runtime, so that it takes note when there is nothing.
        outcome = noticed(&mut operation);
    }
}

/// How many operations wait in this process.
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// An operation that waits.
pub(crate) struct Waiting;

impl Waiting {
    pub(crate) fn begin() -> Self {
        WAITING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        WAITING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a thread may linger for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Something to read, or the end.
    Readable,
    /// A connection that is established, or failed.
    Writable,
}

/// Waits on this thread for an answer that is on its way, for as long as it takes to have the runtime wait instead and
/// be woken by it; and not at all while anything else waits in this process, which this thread could see to.
///
/// Returns whether the event came.
pub(crate) fn linger(stream: &TcpStream, event: Event) -> bool {
    if WAITING.load(Ordering::Relaxed) > 0 {
        return false;
    }
    let flags = match event {
        Event::Readable => PollFlags::IN,
        Event::Writable => PollFlags::OUT,
    };
    let mut sockets = [rustix::event::PollFd::new(stream, flags)];
    let limit = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: LINGER,
    };
    matches!(rustix::event::poll(&mut sockets, Some(&limit)), Ok(1..))
}

/// In nanoseconds; elsewhere than on Linux the kernel counts in milliseconds, which is too long.
const LINGER: i64 = if cfg!(target_os = "linux") { 50_000 } else { 0 };

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let there = std::net::TcpStream::connect(listener.local_addr().expect("bound"));
        let (here, _) = listener.accept().await.expect("accepted");
        (here, there.expect("connected"))
    }

    /// One thread, so that the runtime looks at nothing while the test runs.
    #[tokio::test]
    async fn what_is_there_is_received_before_the_runtime_knows_of_it() {
        let (here, mut there) = pair().await;
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut buffer = Vec::with_capacity(8);
        assert!(poll_receive(&here, &mut cx, &mut buffer).is_pending());
        there.write_all(b"hello").expect("written");
        assert!(linger(&here, Event::Readable));
        assert!(matches!(
            poll_receive(&here, &mut cx, &mut buffer),
            Poll::Ready(Ok(5))
        ));
        assert_eq!(buffer, b"hello");
        assert!(matches!(
            poll_send(&here, &mut cx, b"there"),
            Poll::Ready(Ok(5))
        ));
        drop(there);
        assert!(linger(&here, Event::Readable));
    }

    #[tokio::test]
    async fn nobody_lingers_while_another_operation_waits() {
        let (here, mut there) = pair().await;
        there.write_all(b"hello").expect("written");
        let other = Waiting::begin();
        assert!(!linger(&here, Event::Readable));
        drop(other);
    }
}
