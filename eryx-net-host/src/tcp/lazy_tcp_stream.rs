//! A TCP stream that tries the system call first and registers with tokio's reactor only while a
//! task waits.
//!
//! A registered socket costs a wake-up of the reactor thread for every packet, in addition to the
//! waiting task's.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use socket2::{Domain, Protocol, SockAddr, SockRef, Type};
use tokio::net::TcpStream;

use crate::poll::inline_wait::inline_wait_limit;
use crate::poll::noop_waker::is_noop;
use crate::poll::poll_set::PollItem;

/// The most bytes that one call of [`LazyTcpStream::poll_drain`] discards.
pub(super) const DRAIN_SIZE: usize = 32 * 1024;

/// A TCP stream that never blocks.
///
/// Every `poll` function makes the system call at once. If that would block, the function registers
/// the socket with the reactor, unless the waker is the [no-op
/// waker](crate::poll::noop_waker::noop_waker).
#[derive(Debug)]
pub(crate) struct LazyTcpStream {
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    /// Not registered with the reactor.
    Unregistered(std::net::TcpStream),
    /// Registered with the reactor, which wakes the waiting task.
    Registered(TcpStream),
    /// No socket: only while it is registered or deregistered, and after that has failed.
    Taken,
}

/// The readiness that an operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// Bytes to receive, or the end of the stream.
    Readable,
    /// Space to send, or the end of connecting, successful or not.
    Writable,
}

impl Interest {
    fn poll_flags(self) -> PollFlags {
        match self {
            Self::Readable => PollFlags::IN,
            Self::Writable => PollFlags::OUT,
        }
    }

    fn to_tokio(self) -> tokio::io::Interest {
        match self {
            Self::Readable => tokio::io::Interest::READABLE,
            Self::Writable => tokio::io::Interest::WRITABLE,
        }
    }
}

/// What poll(2) reports of a connection besides its readiness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStatus {
    /// The peer sends no more (POLLRDHUP).
    pub read_closed: bool,
    /// Both directions have ended (POLLHUP).
    pub hung_up: bool,
    /// An error is pending (POLLERR).
    pub has_error: bool,
}

impl LazyTcpStream {
    /// Begins to connect. The stream is [writable](Self::poll_writable) when that has ended, and
    /// [`take_connect_error`](Self::take_connect_error) returns the result.
    pub(super) fn connect(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            socket: Socket::Unregistered(socket.into()),
        })
    }

    /// Returns the socket and `interest` as an item for poll(2).
    pub(super) fn poll_item(&self, interest: Interest) -> Option<PollItem<'_>> {
        let socket = self.fd().ok()?;
        Some(PollItem(PollFd::from_borrowed_fd(
            socket,
            interest.poll_flags(),
        )))
    }

    /// Returns the socket, for its addresses and options.
    pub(super) fn socket(&self) -> io::Result<SockRef<'_>> {
        Ok(match &self.socket {
            Socket::Unregistered(socket) => SockRef::from(socket),
            Socket::Registered(socket) => SockRef::from(socket),
            Socket::Taken => return Err(io::ErrorKind::NotConnected.into()),
        })
    }

    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        as_ip_address(&self.socket()?.local_addr()?)
    }

    pub(super) fn peer_address(&self) -> io::Result<SocketAddr> {
        as_ip_address(&self.socket()?.peer_addr()?)
    }

    /// Returns the flags that poll(2) reports whatever it waits for, and POLLRDHUP.
    pub(super) fn status(&self) -> ConnectionStatus {
        let Ok(socket) = self.fd() else {
            return ConnectionStatus::default();
        };
        let mut sockets = [PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)];
        // A zero timeout is not interrupted by signals.
        if rustix::event::poll(&mut sockets, Some(&Timespec::default())).is_err() {
            return ConnectionStatus::default();
        }
        let events = sockets[0].revents();
        ConnectionStatus {
            read_closed: events.contains(PollFlags::RDHUP),
            hung_up: events.contains(PollFlags::HUP),
            has_error: events.contains(PollFlags::ERR),
        }
    }

    fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        match &self.socket {
            Socket::Unregistered(socket) => Ok(socket.as_fd()),
            Socket::Registered(socket) => Ok(socket.as_fd()),
            Socket::Taken => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Returns the result of connecting, once the stream is [writable](Self::poll_writable).
    pub(super) fn take_connect_error(&self) -> io::Result<()> {
        match self.socket()?.take_error()? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Receives into the spare capacity of `buffer` and returns the number of bytes.
    ///
    /// Zero is the end of the stream, or a buffer without spare capacity.
    pub(super) fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<u8>,
    ) -> Poll<io::Result<usize>> {
        self.poll_syscall(cx, Interest::Readable, |socket| {
            let spare = rustix::buffer::spare_capacity(buffer);
            Ok(rustix::net::recv(socket, spare, RecvFlags::DONTWAIT)?.0)
        })
    }

    /// Returns how many bytes have arrived and were not received. Zero without a socket.
    pub(super) fn available(&self) -> usize {
        let count = self
            .fd()
            .and_then(|socket| Ok(rustix::io::ioctl_fionread(socket)?));
        usize::try_from(count.unwrap_or(0)).unwrap_or(0)
    }

    /// Receives into `buffer` and returns the number of bytes. Zero is the end of the stream.
    pub(super) fn poll_receive_into(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_syscall(cx, Interest::Readable, |socket| {
            Ok(rustix::net::recv(socket, &mut *buffer, RecvFlags::DONTWAIT)?.0)
        })
    }

    /// Receives and discards up to [`DRAIN_SIZE`] bytes and returns their number. Zero is the end
    /// of the stream.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.poll_syscall(cx, Interest::Readable, |socket| {
            let mut discarded = [MaybeUninit::<u8>::uninit(); DRAIN_SIZE];
            Ok(rustix::net::recv(socket, &mut discarded[..], RecvFlags::DONTWAIT)?.1)
        })
    }

    /// Sends some of `data` and returns the number of bytes.
    pub(super) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        self.poll_syscall(cx, Interest::Writable, |socket| {
            Ok(rustix::net::send(socket, data, flags)?)
        })
    }

    /// Ready when there are bytes to receive, the end of the stream, or an error. Returns an error
    /// that the kernel reports only once.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(cx, Interest::Readable, |socket| {
            let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
            rustix::net::recv(socket, &mut [0; 1], flags)?;
            Ok(())
        })
    }

    /// Ready when there is space to send, or an error.
    pub(super) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_ready(cx, Interest::Writable, |socket| {
            match poll_fd(socket, Interest::Writable, Duration::ZERO)? {
                true => Ok(()),
                false => Err(io::ErrorKind::WouldBlock.into()),
            }
        })
    }

    /// Blocks this thread in poll(2) for up to [`inline_wait_limit`]. Returns whether the stream is
    /// ready.
    pub(super) fn wait_inline(&mut self, interest: Interest) -> bool {
        let Some(limit) = inline_wait_limit() else {
            return false;
        };
        let ready = self
            .fd()
            .and_then(|socket| poll_fd(socket, interest, limit))
            .unwrap_or(false);
        if ready {
            self.deregister();
        }
        ready
    }

    /// Deregisters from the reactor until a task waits again.
    fn deregister(&mut self) {
        self.socket = match std::mem::replace(&mut self.socket, Socket::Taken) {
            Socket::Registered(socket) => match socket.into_std() {
                Ok(socket) => Socket::Unregistered(socket),
                Err(_) => Socket::Taken,
            },
            socket => socket,
        };
    }

    /// Shuts down receiving, or sends the end of the stream.
    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket()?.shutdown(how)
    }

    /// Does the same as [`poll_syscall`](Self::poll_syscall), but makes no system call on a
    /// registered socket before the reactor reports it ready: of many connections that a task waits
    /// for, few are ready.
    fn poll_ready<T>(
        &mut self,
        cx: &mut Context<'_>,
        interest: Interest,
        operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        if matches!(self.socket, Socket::Registered(_)) && !is_noop(cx.waker()) {
            return self.poll_registered(cx, interest, operation);
        }
        let outcome = self.poll_syscall(cx, interest, operation);
        if outcome.is_ready() {
            // The system call succeeded without the reactor; try it first next time, too.
            self.deregister();
        }
        outcome
    }

    /// Calls `operation`, and waits for the reactor to report the socket ready if it would block.
    fn poll_syscall<T>(
        &mut self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        match self
            .fd()
            .and_then(|socket| retry_on_eintr(|| operation(socket)))
        {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            outcome => return Poll::Ready(outcome),
        }
        if is_noop(cx.waker()) {
            return Poll::Pending;
        }
        self.poll_registered(cx, interest, operation)
    }

    fn poll_registered<T>(
        &mut self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut operation: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let socket = self.register()?;
        loop {
            match interest {
                Interest::Readable => ready!(socket.poll_read_ready(cx)),
                Interest::Writable => ready!(socket.poll_write_ready(cx)),
            }?;
            // Through tokio, so that it clears its readiness if the operation would block.
            let outcome = socket.try_io(interest.to_tokio(), || {
                retry_on_eintr(|| operation(socket.as_fd()))
            });
            match outcome {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    /// Registers the socket with the reactor.
    fn register(&mut self) -> io::Result<&TcpStream> {
        self.socket = match std::mem::replace(&mut self.socket, Socket::Taken) {
            Socket::Unregistered(socket) => Socket::Registered(TcpStream::from_std(socket)?),
            socket => socket,
        };
        match &self.socket {
            Socket::Registered(socket) => Ok(socket),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

fn as_ip_address(address: &SockAddr) -> io::Result<SocketAddr> {
    let address = address.as_socket();
    address.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

fn retry_on_eintr<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Returns whether the socket is ready, or becomes ready within `limit`, which is less than a
/// second.
fn poll_fd(socket: BorrowedFd<'_>, interest: Interest, limit: Duration) -> io::Result<bool> {
    let mut sockets = [PollFd::from_borrowed_fd(socket, interest.poll_flags())];
    let limit = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    Ok(rustix::event::poll(&mut sockets, Some(&limit))? > 0)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;
    use std::net::TcpListener;

    use crate::poll::noop_waker::noop_waker;

    use super::*;

    impl LazyTcpStream {
        fn is_registered(&self) -> bool {
            matches!(self.socket, Socket::Registered(_))
        }
    }

    fn pair() -> (LazyTcpStream, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let local = LazyTcpStream::connect(listener.local_addr().expect("bound")).expect("begun");
        let (peer, _) = listener.accept().expect("accepted");
        (local, peer)
    }

    /// Uses one thread, so that the reactor does not run during the test.
    #[tokio::test]
    async fn bytes_are_received_before_the_reactor_runs() {
        let (mut local, mut peer) = pair();
        let mut cx = Context::from_waker(noop_waker());
        assert!(local.wait_inline(Interest::Writable));
        local.take_connect_error().expect("connected");
        let mut buffer = Vec::with_capacity(8);
        assert!(local.poll_receive(&mut cx, &mut buffer).is_pending());
        peer.write_all(b"hello").expect("written");
        assert!(local.wait_inline(Interest::Readable));
        assert!(matches!(local.poll_readable(&mut cx), Poll::Ready(Ok(()))));
        let received = local.poll_receive(&mut cx, &mut buffer);
        assert!(matches!(received, Poll::Ready(Ok(5))));
        assert_eq!(buffer, b"hello");
        let sent = local.poll_send(&mut cx, b"there");
        assert!(matches!(sent, Poll::Ready(Ok(5))));
        drop(peer);
        assert!(local.wait_inline(Interest::Readable));
    }

    #[tokio::test]
    async fn a_socket_is_registered_while_a_task_waits_until_a_system_call_succeeds_first() {
        let (mut local, mut peer) = pair();
        let mut buffer = Vec::with_capacity(8);
        let mut noop = Context::from_waker(noop_waker());
        assert!(local.poll_receive(&mut noop, &mut buffer).is_pending());
        assert!(!local.is_registered(), "no task waits");

        let waiting = poll_fn(|cx| local.poll_receive(cx, &mut buffer));
        let (received, ()) = tokio::join!(waiting, async {
            peer.write_all(b"first").expect("written");
        });
        assert_eq!(received.expect("received"), 5);
        assert!(local.is_registered());

        peer.write_all(b"later").expect("written");
        assert!(local.wait_inline(Interest::Readable));
        assert!(!local.is_registered(), "the inline wait succeeded");
        let waiting = poll_fn(|cx| local.poll_readable(cx));
        waiting.await.expect("readable");
        assert!(!local.is_registered(), "no task had to wait");
    }

    #[tokio::test]
    async fn one_task_can_wait_for_both_directions() {
        let (mut local, peer) = pair();
        let mut noop = Context::from_waker(noop_waker());
        let full = vec![0; 1 << 16];
        while local.poll_send(&mut noop, &full).is_ready() {}
        poll_fn(|cx| {
            assert!(local.poll_readable(cx).is_pending());
            assert!(local.poll_send(cx, &full).is_pending());
            Poll::Ready(())
        })
        .await;
        let reader = std::thread::spawn(move || io::copy(&mut &peer, &mut io::sink()));
        let writable = poll_fn(|cx| local.poll_writable(cx)).await;
        writable.expect("writable");
        local.shutdown(Shutdown::Write).expect("shut down");
        let mut buffer = Vec::with_capacity(8);
        let end = poll_fn(|cx| local.poll_receive(cx, &mut buffer)).await;
        assert_eq!(end.expect("the end of the stream"), 0);
        reader.join().expect("no panic").expect("read");
    }
}
