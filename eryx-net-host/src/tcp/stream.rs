//! A TCP stream: the kernel is asked first, and the runtime watches only what somebody waits for.
//!
//! What the runtime watches costs a wake-up of its own thread for every packet, beside that of whoever waits.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{RecvFlags, SendFlags};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::prompt;
use crate::readiness::PollItem;

/// The most bytes that are discarded with one request to the kernel.
pub(crate) const DISCARD: usize = 32 * 1024;

/// A TCP stream that never blocks.
///
/// Every `poll` function asks the kernel at once. Where the answer is to wait, [`prompt::nobody`] leaves it at that; any
/// other waker has the runtime watch the stream.
#[derive(Debug)]
pub(crate) struct Stream {
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// By nobody else.
    Alone(std::net::TcpStream),
    /// By the runtime, which wakes whoever waits.
    Watched(TcpStream),
    /// The runtime could not watch it.
    Lost,
}

/// What a stream is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Something to read, or the end.
    Readable,
    /// Room to write, or a connection that is established, or failed.
    Writable,
}

impl Event {
    fn flags(self) -> PollFlags {
        match self {
            Self::Readable => PollFlags::IN,
            Self::Writable => PollFlags::OUT,
        }
    }

    fn interest(self) -> Interest {
        match self {
            Self::Readable => Interest::READABLE,
            Self::Writable => Interest::WRITABLE,
        }
    }
}

impl Stream {
    /// Begins to connect; [`connected`](Self::connected) tells how it went.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error)
                if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            held: Held::Alone(socket.into()),
        })
    }

    /// What to ask the kernel to know whether the event is there.
    pub(crate) fn question(&self, event: Event) -> Option<PollItem<'_>> {
        let socket = self.descriptor().ok()?;
        Some(PollItem(PollFd::from_borrowed_fd(socket, event.flags())))
    }

    /// Its addresses and options.
    pub(crate) fn socket(&self) -> io::Result<SockRef<'_>> {
        Ok(match &self.held {
            Held::Alone(socket) => SockRef::from(socket),
            Held::Watched(socket) => SockRef::from(socket),
            Held::Lost => return Err(io::ErrorKind::NotConnected.into()),
        })
    }

    pub(crate) fn local_address(&self) -> io::Result<SocketAddr> {
        internet(&self.socket()?.local_addr()?)
    }

    pub(crate) fn peer_address(&self) -> io::Result<SocketAddr> {
        internet(&self.socket()?.peer_addr()?)
    }

    fn descriptor(&self) -> io::Result<BorrowedFd<'_>> {
        match &self.held {
            Held::Alone(socket) => Ok(socket.as_fd()),
            Held::Watched(socket) => Ok(socket.as_fd()),
            Held::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// How connecting went, once it is [writable](Self::poll_writable).
    pub(crate) fn connected(&self) -> io::Result<()> {
        match self.socket()?.take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Receives into what `buffer` has room for, and tells how much came.
    ///
    /// A buffer without room receives nothing, which looks like the end of the stream.
    pub(crate) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, Event::Readable, |socket| {
            let room = rustix::buffer::spare_capacity(buffer);
            Ok(rustix::net::recv(socket, room, RecvFlags::DONTWAIT)?.0)
        })
    }

    /// As [`poll_receive`](Self::poll_receive), into bytes that are there.
    pub(crate) fn poll_receive_into(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, Event::Readable, |socket| {
            Ok(rustix::net::recv(socket, &mut *buffer, RecvFlags::DONTWAIT)?.0)
        })
    }

    /// Receives up to [`DISCARD`] bytes and throws them away. Zero is the end of the stream.
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_with(cx, Event::Readable, |socket| {
            let mut unread = [MaybeUninit::<u8>::uninit(); DISCARD];
            Ok(rustix::net::recv(socket, &mut unread[..], RecvFlags::DONTWAIT)?.1)
        })
    }

    /// Sends some of `data`, and tells how much.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        self.poll_with(cx, Event::Writable, |socket| {
            Ok(rustix::net::send(socket, data, flags)?)
        })
    }

    /// Ready when there is something to receive, or the end, or an error, which is returned where the kernel tells it
    /// only once.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(cx, Event::Readable, |socket| {
            let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
            rustix::net::recv(socket, &mut [0; 1], flags)?;
            Ok(())
        })
    }

    /// Ready when there is room to send, or an error.
    pub(crate) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(cx, Event::Writable, |socket| {
            match wait(socket, Event::Writable, Duration::ZERO)? {
                true => Ok(()),
                false => Err(io::ErrorKind::WouldBlock.into()),
            }
        })
    }

    /// Waits on this thread: see [`prompt::linger`]. Returns whether the event came.
    pub(crate) fn linger(&mut self, event: Event) -> bool {
        let Some(limit) = prompt::linger() else {
            return false;
        };
        let came = self
            .descriptor()
            .and_then(|socket| wait(socket, event, limit));
        let came = came.unwrap_or(false);
        if came {
            self.neglect();
        }
        came
    }

    /// Has the runtime watch it no longer, until somebody waits again.
    fn neglect(&mut self) {
        self.held = match std::mem::replace(&mut self.held, Held::Lost) {
            Held::Watched(socket) => match socket.into_std() {
                Ok(socket) => Held::Alone(socket),
                Err(_) => Held::Lost,
            },
            held => held,
        };
    }

    /// Ends what is sent.
    pub(crate) fn shutdown(&self) -> io::Result<()> {
        self.socket()?.shutdown(std::net::Shutdown::Write)
    }

    /// As [`poll_with`](Self::poll_with), but a stream that is watched is not asked before the runtime thinks that
    /// there is an event: of the many that are waited for at once, few have one.
    fn poll_ready<T>(
        &mut self,
        cx: &mut Context<'_>,
        event: Event,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        if matches!(self.held, Held::Watched(_)) && !prompt::is_nobody(cx.waker()) {
            return self.poll_watched(cx, event, operation);
        }
        let outcome = self.poll_with(cx, event, operation);
        if outcome.is_ready() {
            // The kernel told first; it may do so next time.
            self.neglect();
        }
        outcome
    }

    fn poll_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        event: Event,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        match self
            .descriptor()
            .and_then(|socket| uninterrupted(|| operation(socket)))
        {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return Poll::Ready(outcome),
        }
        if prompt::is_nobody(cx.waker()) {
            return Poll::Pending;
        }
        self.poll_watched(cx, event, operation)
    }

    fn poll_watched<T>(
        &mut self,
        cx: &mut Context<'_>,
        event: Event,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let socket = self.watched()?;
        loop {
            match event {
                Event::Readable => ready!(socket.poll_read_ready(cx)),
                Event::Writable => ready!(socket.poll_write_ready(cx)),
            }?;
            // Through the runtime, so that it takes note when there is nothing.
            let outcome = socket.try_io(event.interest(), || {
                uninterrupted(|| operation(socket.as_fd()))
            });
            match outcome {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    /// Has the runtime watch it.
    fn watched(&mut self) -> io::Result<&TcpStream> {
        self.held = match std::mem::replace(&mut self.held, Held::Lost) {
            Held::Alone(socket) => Held::Watched(TcpStream::from_std(socket)?),
            held => held,
        };
        match &self.held {
            Held::Watched(socket) => Ok(socket),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

fn internet(address: &SockAddr) -> io::Result<SocketAddr> {
    let internet = address.as_socket();
    internet.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn uninterrupted<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Whether the event is there, or comes within `limit`.
fn wait(socket: BorrowedFd<'_>, event: Event, limit: Duration) -> io::Result<bool> {
    let mut sockets = [PollFd::from_borrowed_fd(socket, event.flags())];
    let limit = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    Ok(rustix::event::poll(&mut sockets, Some(&limit))? > 0)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    impl Stream {
        fn is_watched(&self) -> bool {
            matches!(self.held, Held::Watched(_))
        }
    }

    fn pair() -> (Stream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let here = Stream::connect(listener.local_addr().expect("bound")).expect("begun");
        let (there, _) = listener.accept().expect("accepted");
        (here, there)
    }

    /// One thread, so that the runtime looks at nothing while the test runs.
    #[tokio::test]
    async fn what_is_there_is_received_before_the_runtime_knows_of_it() {
        let (mut here, mut there) = pair();
        let mut cx = Context::from_waker(prompt::nobody());
        assert!(here.linger(Event::Writable));
        here.connected().expect("connected");
        let mut buffer = Vec::with_capacity(8);
        assert!(here.poll_receive(&mut cx, &mut buffer).is_pending());
        there.write_all(b"hello").expect("written");
        assert!(here.linger(Event::Readable));
        assert!(matches!(here.poll_readable(&mut cx), Poll::Ready(Ok(()))));
        let received = here.poll_receive(&mut cx, &mut buffer);
        assert!(matches!(received, Poll::Ready(Ok(5))));
        assert_eq!(buffer, b"hello");
        let sent = here.poll_send(&mut cx, b"there");
        assert!(matches!(sent, Poll::Ready(Ok(5))));
        drop(there);
        assert!(here.linger(Event::Readable));
    }

    #[tokio::test]
    async fn the_runtime_watches_what_is_waited_for_until_the_kernel_tells_first() {
        let (mut here, mut there) = pair();
        let mut buffer = Vec::with_capacity(8);
        let mut nobody = Context::from_waker(prompt::nobody());
        assert!(here.poll_receive(&mut nobody, &mut buffer).is_pending());
        assert!(!here.is_watched(), "nobody waits");

        let waiting = std::future::poll_fn(|cx| here.poll_receive(cx, &mut buffer));
        let (received, ()) = tokio::join!(waiting, async {
            there.write_all(b"first").expect("written");
        });
        assert_eq!(received.expect("received"), 5);
        assert!(here.is_watched());

        there.write_all(b"later").expect("written");
        assert!(here.linger(Event::Readable));
        assert!(!here.is_watched(), "the kernel told");
        let waiting = std::future::poll_fn(|cx| here.poll_readable(cx));
        waiting.await.expect("there is something");
        assert!(!here.is_watched(), "nobody had to wait");
    }

    #[tokio::test]
    async fn both_directions_are_waited_for_at_once() {
        let (mut here, there) = pair();
        let mut nobody = Context::from_waker(prompt::nobody());
        let full = vec![0; 1 << 16];
        while here.poll_send(&mut nobody, &full).is_ready() {}
        std::future::poll_fn(|cx| {
            assert!(here.poll_readable(cx).is_pending());
            assert!(here.poll_send(cx, &full).is_pending());
            Poll::Ready(())
        })
        .await;
        let reader = std::thread::spawn(move || io::copy(&mut &there, &mut io::sink()));
        let writable = std::future::poll_fn(|cx| here.poll_writable(cx)).await;
        writable.expect("room");
        here.shutdown().expect("ended");
        let mut buffer = Vec::with_capacity(8);
        let end = std::future::poll_fn(|cx| here.poll_receive(cx, &mut buffer)).await;
        assert_eq!(end.expect("the end"), 0);
        reader.join().expect("no panic").expect("read");
    }
}
