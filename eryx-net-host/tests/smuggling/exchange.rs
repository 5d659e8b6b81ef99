//! One connection of a program to an inspected origin, and what was checked on it.

use std::collections::HashSet;

use eryx_http::{Event, Limits, Origin, RequestParser, Scheme};
use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{Connection, HttpRequestReport, NetConfig, NetError, Network};

use crate::support::{connected, within_timeout};

/// The name of all origins. With a colon and a port of five digits it is as long as the `a.example`
/// of the vectors, so that lengths in them stay correct.
pub(crate) const NAME: &str = "a.t";

/// How the bytes of a program reach the inspector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pieces {
    Whole,
    Bytes,
    /// In two pieces, of which the first has this length.
    Two(usize),
}

/// What a program sends.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) name: String,
    /// The bytes that the program sends without waiting.
    pub(crate) first: Vec<u8>,
    /// The bytes that it sends after the responses to those.
    pub(crate) second: Vec<u8>,
    pub(crate) pieces: Pieces,
}

/// What was checked on a connection.
#[derive(Debug)]
pub(crate) struct CheckedConnection {
    pub(crate) sent: Sent,
    /// The ports of the server and the client.
    pub(crate) ports: (u16, u16),
    pub(crate) requests: Vec<HttpRequestReport>,
    /// The bodies of the requests that are complete, as the parser finds them.
    pub(crate) bodies: Vec<Vec<u8>>,
    /// Whether the program has received all that it can expect, so that the origin has seen all
    /// requests.
    pub(crate) is_settled: bool,
}

/// Where a program connects to.
pub(crate) struct Target {
    pub(crate) scheme: Scheme,
    pub(crate) port: u16,
    /// The ports of clients on the connections so far. They identify connections in the log of the
    /// origin, so that none may be used twice.
    client_ports: HashSet<u16>,
}

impl Target {
    pub(crate) fn new(scheme: Scheme, port: u16) -> Self {
        Self {
            scheme,
            port,
            client_ports: HashSet::new(),
        }
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin::new(self.scheme, NAME, self.port)
    }

    /// Connects, sends, reads all responses that can be expected, and closes the connection.
    pub(crate) async fn exchange(&mut self, config: &NetConfig, sent: Sent) -> CheckedConnection {
        let network = Network::new(config);
        let (mut connection, client_port) = loop {
            let connection = connected(&network, NAME, self.port).await;
            let port = connection.local_endpoint().expect("connected").port();
            if self.client_ports.insert(port) {
                break (connection, port);
            }
        };
        if self.scheme == Scheme::Https {
            let settings = ClientSettings::for_name(NAME);
            let handshake = connection.start_tls(&settings, None);
            within_timeout(handshake).await.expect("the handshake");
        }
        let mut is_settled = true;
        let mut input = Vec::new();
        for part in [&sent.first, &sent.second] {
            if part.is_empty() || !is_settled {
                continue;
            }
            input.extend_from_slice(part);
            let complete = bodies(self.origin(), &input).len();
            let outcome = write(&mut connection, part, sent.pieces).await;
            is_settled = outcome.is_ok() && read(&mut connection, &network, complete).await;
        }
        drop(connection);
        CheckedConnection {
            bodies: bodies(self.origin(), &input),
            ports: (self.port, client_port),
            requests: requests(&network),
            is_settled,
            sent,
        }
    }
}

async fn write(connection: &mut Connection, bytes: &[u8], pieces: Pieces) -> Result<(), NetError> {
    let pieces: Vec<&[u8]> = match pieces {
        Pieces::Whole => vec![bytes],
        Pieces::Bytes => bytes.chunks(1).collect(),
        Pieces::Two(at) => {
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            vec![first, second]
        }
    };
    for mut piece in pieces {
        while !piece.is_empty() {
            let taken = within_timeout(connection.write(piece, None)).await?;
            piece = &piece[taken..];
        }
    }
    Ok(())
}

/// Reads until `complete` requests have a response, or to the end of the stream, with which the
/// response to a denied request ends. Returns whether there was no error.
async fn read(connection: &mut Connection, network: &Network, complete: usize) -> bool {
    let is_answered = |request: &&HttpRequestReport| request.status.is_some();
    while network.report().requests.iter().filter(is_answered).count() < complete {
        match within_timeout(connection.read(1 << 16, None)).await {
            Ok(bytes) if bytes.is_empty() => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Returns the requests in the order in which they were sent. The log has them in the order in
/// which they ended.
fn requests(network: &Network) -> Vec<HttpRequestReport> {
    let mut requests = network.report().requests;
    requests.sort_by_key(|request| request.started);
    requests
}

/// Returns the bodies of all complete requests before the first that is refused.
pub(crate) fn bodies(origin: Origin, input: &[u8]) -> Vec<Vec<u8>> {
    let mut parser = RequestParser::new(origin, Limits::default());
    let mut complete = Vec::new();
    let mut body = Vec::new();
    let mut rest = input;
    while let Ok(step) = parser.advance(rest) {
        match &step.event {
            Some(Event::Body(range)) => body.extend_from_slice(&rest[range.clone()]),
            Some(Event::End) => complete.push(std::mem::take(&mut body)),
            Some(_) => {}
            None => break,
        }
        rest = &rest[step.consumed..];
    }
    complete
}
