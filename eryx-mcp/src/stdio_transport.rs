//! A transport that answers messages that are too long.

use std::future::poll_fn;
use std::io;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use eryx_sync::Mutex;
use rmcp::RoleServer;
use rmcp::model::{ErrorData, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;

use crate::message_id::MessageIdScanner;

/// A transport with a message in each line. `inner` drops a line that is too long without an
/// answer, for which the client would wait forever, so this one answers.
pub(crate) struct StdioTransport<R: AsyncRead + Unpin, W: AsyncWrite> {
    inner: AsyncRwTransport<RoleServer, LineReader<R>, W>,
    max_line: usize,
    /// The line that `inner` dropped last, until it is answered.
    dropped: Arc<Mutex<Option<DroppedLine>>>,
    /// The answer that is being sent. It is a task, because it holds the lock of the output: it
    /// goes on if the service stops to receive until another message is sent.
    answer: Option<JoinHandle<io::Result<()>>>,
}

/// A line that is too long.
#[derive(Debug)]
struct DroppedLine {
    id: Option<RequestId>,
}

impl<R, W> StdioTransport<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    /// Returns a transport whose lines have at most `max_line` bytes, with their ends.
    pub(crate) fn new(input: R, output: W, max_line: usize) -> Self {
        let dropped = Arc::default();
        let reader = LineReader {
            input,
            max_line,
            length: 0,
            id: MessageIdScanner::default(),
            dropped: Arc::clone(&dropped),
        };
        Self {
            inner: AsyncRwTransport::new(reader, output).with_max_line_length(max_line),
            max_line,
            dropped,
            answer: None,
        }
    }

    /// Returns the next message, or the line that was dropped before it.
    async fn next(&mut self) -> Result<Option<RxJsonRpcMessage<RoleServer>>, DroppedLine> {
        let mut message = pin!(self.inner.receive());
        poll_fn(|context| match message.as_mut().poll(context) {
            Poll::Ready(message) => Poll::Ready(Ok(message)),
            Poll::Pending => match self.dropped.lock().take() {
                Some(line) => Poll::Ready(Err(line)),
                None => Poll::Pending,
            },
        })
        .await
    }
}

impl<R, W> Transport<RoleServer> for StdioTransport<R, W>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        self.inner.send(message)
    }

    // The service drops this future whenever it has something else to do.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            // Nothing is read meanwhile, so there is one answer at a time.
            if let Some(answer) = &mut self.answer {
                let sent = answer.await;
                self.answer = None;
                sent.ok()?.ok()?;
            }
            match self.next().await {
                Ok(message) => return message,
                Err(DroppedLine { id }) => {
                    let message = format!(
                        "the message has more than {} bytes: send less in one call",
                        self.max_line
                    );
                    let error = ErrorData::invalid_request(message, None);
                    let answer = self
                        .inner
                        .send(TxJsonRpcMessage::<RoleServer>::error(error, id));
                    self.answer = Some(tokio::spawn(answer));
                }
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.inner.close().await
    }
}

/// Reads lines, and notes the `id` of one that is too long.
struct LineReader<R> {
    input: R,
    max_line: usize,
    /// The number of bytes of the line so far.
    length: usize,
    id: MessageIdScanner,
    dropped: Arc<Mutex<Option<DroppedLine>>>,
}

impl<R> LineReader<R> {
    /// Takes the next byte.
    fn push(&mut self, byte: u8) {
        self.length = self.length.saturating_add(1);
        if byte != b'\n' {
            return self.id.push(byte);
        }
        let id = mem::take(&mut self.id).finish();
        if mem::take(&mut self.length) > self.max_line {
            *self.dropped.lock() = Some(DroppedLine { id });
        }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for LineReader<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let reader = self.get_mut();
        if reader.dropped.lock().is_some() {
            // Nothing has to wake the task: the transport takes the line at once.
            return Poll::Pending;
        }
        // The buffer is shorter than a line that is too long, so at most one such line ends in it.
        let start = buffer.filled().len();
        ready!(Pin::new(&mut reader.input).poll_read(context, buffer))?;
        for &byte in &buffer.filled()[start..] {
            reader.push(byte);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, DuplexStream};

    use super::*;

    /// More than the buffer of the transport has.
    const MAX_LINE: usize = 20_000;

    /// Returns the ids of the messages that are received of `input`, and the answers.
    async fn received(input: &[u8]) -> (Vec<Value>, Vec<Value>) {
        let (output, mut answers): (DuplexStream, _) = tokio::io::duplex(1 << 20);
        let mut transport = StdioTransport::new(input, output, MAX_LINE);
        let mut ids = Vec::new();
        while let Some(message) = transport.receive().await {
            let message = serde_json::to_value(message).expect("it is JSON");
            ids.push(message["id"].clone());
        }
        transport.close().await.expect("closed");
        let mut text = String::new();
        answers.read_to_string(&mut text).await.expect("read");
        let answers = text.lines().map(serde_json::from_str::<Value>);
        (ids, answers.collect::<Result<_, _>>().expect("JSON"))
    }

    /// Returns the line of a `ping` with `length` bytes.
    fn ping(id: u32, length: usize) -> String {
        let start = r#"{"jsonrpc":"2.0","method":"ping","params":{"_meta":{"a":""#;
        let end = format!("\"}}}},\"id\":{id}}}\n");
        let filler = "x".repeat(length - start.len() - end.len());
        format!("{start}{filler}{end}")
    }

    #[tokio::test]
    async fn a_message_that_is_too_long_is_answered_and_the_next_one_is_received() {
        let error = |id: u32| {
            let message = "the message has more than 20000 bytes: send less in one call";
            json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32600, "message": message}})
        };
        let lines = [
            ping(1, 100),
            ping(2, MAX_LINE),
            ping(3, MAX_LINE + 1),
            ping(4, 5 * MAX_LINE),
            ping(5, 100),
            ping(6, 2 * MAX_LINE),
        ];
        let (ids, answers) = received(lines.concat().as_bytes()).await;
        assert_eq!(ids, [1, 2, 5]);
        assert_eq!(answers, [error(3), error(4), error(6)]);
    }

    #[tokio::test]
    async fn a_long_line_without_an_id_is_answered_without_one_and_a_part_of_one_is_not() {
        let line = format!("\"{}\"\n", "x".repeat(MAX_LINE));
        let (ids, answers) = received(line.repeat(2).as_bytes()).await;
        assert_eq!(ids, [] as [Value; 0]);
        assert_eq!(answers.len(), 2);
        for answer in answers {
            assert_eq!(
                (&answer["error"]["code"], answer.get("id")),
                (&json!(-32600), None)
            );
        }
        let (ids, answers) = received(line.trim_end().as_bytes()).await;
        assert_eq!((ids.len(), answers.len()), (0, 0));
    }

    #[tokio::test]
    async fn an_answer_is_sent_although_the_service_stops_to_receive() {
        let input = ping(1, 2 * MAX_LINE) + &ping(2, MAX_LINE);
        let (output, mut answers) = tokio::io::duplex(16);
        let mut transport = StdioTransport::new(input.as_bytes(), output, MAX_LINE);
        // The output is full, so the answer is not sent yet.
        assert!(poll_once(transport.receive()).await.is_none());
        assert!(poll_once(transport.receive()).await.is_none());
        let other = ErrorData::invalid_request("other", None);
        let sending = transport.send(TxJsonRpcMessage::<RoleServer>::error(other, None));
        let reading = async {
            let mut text = String::new();
            while text.matches('\n').count() < 2 {
                text.push(char::from(answers.read_u8().await.expect("a byte")));
            }
            text
        };
        let (sent, text) = tokio::join!(sending, reading);
        sent.expect("sent");
        let ids = text.lines().map(|line| {
            let answer: Value = serde_json::from_str(line).expect("a whole answer");
            answer["id"].clone()
        });
        assert_eq!(ids.collect::<Vec<_>>(), [json!(1), Value::Null]);
        let next = transport.receive().await.expect("the next message");
        assert_eq!(serde_json::to_value(next).expect("JSON")["id"], 2);
    }

    /// Polls a future until it waits, as the service does if another message is to be sent.
    async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = tokio::task::yield_now() => None,
        }
    }
}
