//! Hearing that nobody is at the other end.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::future::BoxFuture;
use tokio::io::{Interest, Ready};
use tokio::net::UdpSocket;

/// Waits for the error a connected socket gets when its peer's system answers that nobody is there (ICMP,
/// RFC 1122, 4.1.3.3). That does not make the socket readable, so who waits to receive has to ask.
#[derive(Default)]
pub(super) struct Refusal(Option<BoxFuture<'static, io::Result<Ready>>>);

impl Refusal {
    /// Ready with the error, which is told once.
    pub(super) fn poll(
        &mut self,
        socket: &Arc<UdpSocket>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Error> {
        loop {
            let told = self.0.get_or_insert_with(|| {
                let socket = Arc::clone(socket);
                Box::pin(async move { socket.ready(Interest::ERROR).await })
            });
            let told = ready!(told.as_mut().poll(cx));
            self.0 = None;
            let error = told.and_then(|_| {
                socket.try_io(Interest::ERROR, || {
                    socket.take_error()?.ok_or(io::ErrorKind::WouldBlock.into())
                })
            });
            match error {
                // Somebody else has met it meanwhile.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(error) | Err(error) => return Poll::Ready(error),
            }
        }
    }
}
