//! ICMP port-unreachable errors of connected UDP sockets.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use tokio::io::{Interest, Ready};
use tokio::net::UdpSocket;

/// A wait for the error that a connected socket gets when its peer's system answers that no socket
/// has the port (ICMP, RFC 1122, 4.1.3.3). The error does not make the socket readable, so that a
/// caller waiting to receive has to poll for it.
#[derive(Default)]
pub(super) struct IcmpError(Option<BoxFuture<'static, io::Result<Ready>>>);

impl IcmpError {
    /// Ready with the error. Each error is returned once.
    pub(super) fn poll(
        &mut self,
        socket: &Arc<UdpSocket>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Error> {
        loop {
            let ready = self.0.get_or_insert_with(|| {
                let socket = Arc::clone(socket);
                Box::pin(async move { socket.ready(Interest::ERROR).await })
            });
            let ready = ready!(ready.as_mut().poll(cx));
            self.0 = None;
            let error = ready.and_then(|_| {
                socket.try_io(Interest::ERROR, || {
                    socket.take_error()?.ok_or(io::ErrorKind::WouldBlock.into())
                })
            });
            match error {
                // Another operation has returned the error meanwhile.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(error) | Err(error) => return Poll::Ready(error),
            }
        }
    }
}
