//! HTTP with the unmodified clients of the standard library.

use std::time::Duration;

use eryx::ResourceLimits;
use eryx_testkit::{
    Behaviour, BlackHole, CertificateAuthority, ClosedPort, HttpServer, LOOPBACK_V6, Leaf, Peer,
    ServerTls, Transport, payload,
};
use serde_json::json;

use crate::support::{
    expect_stdout, loopback, program, run_program, sandbox, sandbox_with_limits, trusting,
};

const MIB: u64 = 1 << 20;

/// Starts an HTTPS server with the name `site.test`, and returns it with its CA.
async fn https() -> (CertificateAuthority, HttpServer) {
    let ca = CertificateAuthority::new().expect("created");
    let identity = ca.issue(&Leaf::server(["site.test"])).expect("issued");
    let server = HttpServer::https(&identity).await.expect("started");
    (ca, server)
}

/// Starts a TLS peer with the name `site.test`, and returns it with its CA.
async fn tls_peer(behaviour: Behaviour) -> (CertificateAuthority, Peer) {
    let ca = CertificateAuthority::new().expect("created");
    let identity = ca.issue(&Leaf::server(["site.test"])).expect("issued");
    let peer = Peer::tls(behaviour, &identity).await.expect("started");
    (ca, peer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_https_download_arrives_unchanged() {
    let (ca, server) = https().await;
    let length = 64 * MIB;
    let url = server.url("site.test", &format!("/bytes/{length}"));
    let text = "
import hashlib, urllib.request
with urllib.request.urlopen(URL, timeout=30) as response:
    length, digest = 0, hashlib.sha256()
    while part := response.read(1 << 20):
        length += len(part)
        digest.update(part)
print(response.status, length, digest.hexdigest())
";
    assert_eq!(
        run_program(trusting(&ca), &json!({"URL": url}), text).await,
        format!("200 {length} {}\n", payload::sha256(length))
    );
}

/// Regression: short reads of `makefile` made `urllib` raise IncompleteRead for bodies of 2 MB.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_read_in_one_call_is_complete() {
    let (ca, secure) = https().await;
    let plain = HttpServer::http().await.expect("started");
    let length = 5 * MIB + 3;
    let text = "
import hashlib, urllib.request
for url in (PLAIN, SECURE):
    with urllib.request.urlopen(url, timeout=20) as response:
        body = response.read()
    print(len(body), hashlib.sha256(body).hexdigest())
";
    let path = format!("/bytes/{length}");
    let urls =
        json!({"PLAIN": plain.url("127.0.0.1", &path), "SECURE": secure.url("site.test", &path)});
    let line = format!("{length} {}\n", payload::sha256(length));
    assert_eq!(
        run_program(trusting(&ca), &urls, text).await,
        line.repeat(2)
    );
}

/// Regression: each byte of a header took one host call. This test counts the calls instead of
/// timing them.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_need_one_connection_and_few_host_calls() {
    let (ca, secure) = https().await;
    let plain = HttpServer::http().await.expect("started");
    let text = "
import http.client, ssl
from eryx_net.sockets.connection import Connection
calls = 0
read = Connection.read
def counted(*arguments):
    global calls
    calls += 1
    return read(*arguments)
Connection.read = counted
for connection in (
    http.client.HTTPConnection('127.0.0.1', PLAIN, timeout=20),
    http.client.HTTPSConnection('site.test', SECURE, timeout=20, context=ssl.create_default_context()),
):
    calls = 0
    for _ in range(1000):
        connection.request('GET', '/bytes/1000')
        response = connection.getresponse()
        assert (response.status, len(response.read())) == (200, 1000)
    connection.close()
    print(calls <= 3000, calls)
";
    let ports = json!({"PLAIN": plain.port(), "SECURE": secure.port()});
    let printed = run_program(trusting(&ca), &ports, text).await;
    assert!(
        printed.lines().all(|line| line.starts_with("True")) && printed.lines().count() == 2,
        "{printed}"
    );
    for server in [&plain, &secure] {
        assert_eq!((server.connections(), server.requests()), (1, 1000));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_arrives_unchanged_with_and_without_tls() {
    let (ca, secure) = https().await;
    let plain = HttpServer::http().await.expect("started");
    let text = "
import hashlib, json, random, urllib.request
part = random.Random(7).randbytes(1 << 20)
def body(digest):
    for number in range(64):
        piece = number.to_bytes(1) + part
        digest.update(piece)
        yield piece
for url in (PLAIN, SECURE):
    digest = hashlib.sha256()
    request = urllib.request.Request(url, data=body(digest), method='POST')
    request.add_header('Content-Length', str(64 * (len(part) + 1)))
    with urllib.request.urlopen(request, timeout=20) as response:
        answer = json.load(response)
    print(answer['length'], answer['sha256'] == digest.hexdigest())
";
    let urls = json!({"PLAIN": plain.url("localhost", "/upload"), "SECURE": secure.url("site.test", "/upload")});
    let line = format!("{} True\n", 64 * (MIB + 1));
    let limits = ResourceLimits::default().with_max_memory(1 << 30);
    let result = sandbox_with_limits(Some(trusting(&ca)), limits)
        .execute(program(&urls, text))
        .await;
    assert_eq!(expect_stdout(result), line.repeat(2));
}

/// Regression: TLS writes were not flushed, so an upload whose last bytes met a full kernel buffer
/// stalled. This program makes no call after its last write that could flush it.
#[tokio::test(flavor = "multi_thread")]
async fn data_sent_over_tls_arrives_without_a_further_call() {
    let behaviour = Behaviour::ReadsSlowly {
        piece: 64 * 1024,
        every: Duration::from_millis(1),
    };
    let (ca, peer) = tls_peer(behaviour).await;
    let length = 3 * MIB + 1;
    let text = "
import socket, ssl
raw = socket.create_connection(('site.test', PORT), timeout=20)
secure = ssl.create_default_context().wrap_socket(raw, server_hostname='site.test')
secure.sendall(bytes(LENGTH))
";
    let mut session = sandbox(Some(trusting(&ca)))
        .session()
        .await
        .expect("started");
    let constants = json!({"PORT": peer.port(), "LENGTH": length});
    expect_stdout(session.execute(program(&constants, text)).await);
    let all = async {
        while peer.received() < length {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let arrived = tokio::time::timeout(Duration::from_secs(15), all).await;
    assert!(
        arrived.is_ok(),
        "{} of {length} bytes arrived",
        peer.received()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn chunked_compressed_and_slow_bodies_arrive_complete() {
    let server = HttpServer::http().await.expect("started");
    let text = "
import gzip, hashlib, http.client
connection = http.client.HTTPConnection('127.0.0.1', PORT, timeout=20)
for path in ('/chunked/3000000', '/gzip/300000', '/drip?n=2000&ms=0'):
    connection.request('GET', path)
    response = connection.getresponse()
    body = response.read()
    if response.headers['Content-Encoding'] == 'gzip':
        body = gzip.decompress(body)
    print(path, response.headers['Transfer-Encoding'], len(body), hashlib.sha256(body).hexdigest())
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": server.port()}), text).await,
        format!(
            "/chunked/3000000 chunked 3000000 {}\n/gzip/300000 None 300000 {}\n/drip?n=2000&ms=0 None 2000 {}\n",
            payload::sha256(3_000_000),
            payload::sha256(300_000),
            payload::sha256(2000)
        )
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_records_in_single_byte_segments_arrive_complete() {
    let ca = CertificateAuthority::new().expect("created");
    let identity = ca.issue(&Leaf::server(["site.test"])).expect("issued");
    let tls = ServerTls::new(&identity).build().expect("valid");
    let transport = Transport::tls(tls).in_pieces_of(1, Duration::ZERO);
    let server = HttpServer::start(transport, eryx_testkit::LOOPBACK)
        .await
        .expect("started");
    let text = "
import hashlib, urllib.request
body = urllib.request.urlopen(URL, timeout=20).read()
print(len(body), hashlib.sha256(body).hexdigest())
";
    let url = server.url("site.test", "/bytes/20000");
    assert_eq!(
        run_program(trusting(&ca), &json!({"URL": url}), text).await,
        format!("20000 {}\n", payload::sha256(20000))
    );
}

/// Regression: a stream that ended without close_notify after a complete body raised an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_complete_body_without_close_notify_is_accepted() {
    for announced in [true, false] {
        let (ca, peer) = tls_peer(Behaviour::OmitsCloseNotify {
            body: 300_000,
            announced,
        })
        .await;
        let text = "
import hashlib, urllib.request
body = urllib.request.urlopen(f'https://site.test:{PORT}/', timeout=20).read()
print(len(body), hashlib.sha256(body).hexdigest())
";
        assert_eq!(
            run_program(trusting(&ca), &json!({"PORT": peer.port()}), text).await,
            format!("300000 {}\n", payload::sha256(300_000)),
            "announced: {announced}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_body_raises_incomplete_read_with_the_received_part() {
    let text = "
import http.client, ssl
for secure in (False, True):
    if secure:
        connection = http.client.HTTPSConnection('site.test', SECURE, timeout=20)
    else:
        connection = http.client.HTTPConnection('127.0.0.1', PLAIN, timeout=20)
    connection.request('GET', '/')
    try:
        connection.getresponse().read()
    except http.client.IncompleteRead as error:
        print(len(error.partial), error.expected)
";
    let (announced, sent) = (100_000, 30_000);
    let ends = Behaviour::EndsEarly { announced, sent };
    let breaks_off = Behaviour::BreaksOff { announced, sent };
    let plain = Peer::plain(ends.clone()).await.expect("started");
    for behaviour in [ends, breaks_off] {
        let (ca, secure) = tls_peer(behaviour.clone()).await;
        let ports = json!({"PLAIN": plain.port(), "SECURE": secure.port()});
        assert_eq!(
            run_program(trusting(&ca), &ports, text).await,
            "30000 70000\n".repeat(2),
            "{behaviour:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_in_a_body_raises_connection_reset_error() {
    let behaviour = Behaviour::ResetsMidBody {
        announced: 100_000,
        sent: 1000,
    };
    let plain = Peer::plain(behaviour.clone()).await.expect("started");
    let (ca, secure) = tls_peer(behaviour).await;
    let text = "
import urllib.request
for url in (f'http://127.0.0.1:{PLAIN}/', f'https://site.test:{SECURE}/'):
    print(outcome(lambda: urllib.request.urlopen(url, timeout=20).read()))
";
    let ports = json!({"PLAIN": plain.port(), "SECURE": secure.port()});
    assert_eq!(
        run_program(trusting(&ca), &ports, text).await,
        "ConnectionResetError(ECONNRESET)\n".repeat(2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_closes_without_a_response_raises_remote_disconnected() {
    let peer = Peer::plain(Behaviour::Answers("".into()))
        .await
        .expect("started");
    let text = "
import http.client
connection = http.client.HTTPConnection('127.0.0.1', PORT, timeout=20)
connection.request('GET', '/')
print(outcome(connection.getresponse))
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": peer.port()}), text).await,
        "RemoteDisconnected\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_and_http_errors_contain_the_body() {
    let server = HttpServer::http().await.expect("started");
    let text = "
import urllib.error, urllib.request
base = f'http://127.0.0.1:{PORT}'
with urllib.request.urlopen(base + '/redirect/5', timeout=20) as response:
    print(response.url.removeprefix(base), b'Example Domain' in response.read())
try:
    urllib.request.urlopen(base + '/redirect/50', timeout=20)
except urllib.error.HTTPError as error:
    print(error.code, 'infinite loop' in error.reason)
try:
    urllib.request.urlopen(base + '/status/404', timeout=20)
except urllib.error.HTTPError as error:
    print(error.code, error.read())
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": server.port()}), text).await,
        "/redirect/0 True\n302 True\n404 b'as you wish'\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn json_and_headers_are_sent_and_received() {
    let server = HttpServer::http().await.expect("started");
    let text = "
import json, urllib.request
base = f'http://localhost:{PORT}'
document = {'text': 'b\\u00fccher \\U0001f600', 'numbers': list(range(1000))}
request = urllib.request.Request(
    base + '/echo', json.dumps(document).encode(), {'Content-Type': 'application/json'})
with urllib.request.urlopen(request, timeout=20) as response:
    print(response.headers.get_content_type(), json.load(response) == document)
request = urllib.request.Request(base + '/headers', headers={'X-Token': 'a b c'})
headers = json.load(urllib.request.urlopen(request, timeout=20))
print(headers['x-token'], headers['host'] == f'localhost:{PORT}')
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": server.port()}), text).await,
        "application/json True\na b c True\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_may_contain_an_ipv6_address() {
    let server = HttpServer::start(Transport::plain(), LOOPBACK_V6)
        .await
        .expect("started");
    let text = "
import urllib.request
print(urllib.request.urlopen(URL, timeout=20).read())
";
    let url = server.url("::1", "/wait/0");
    assert_eq!(
        run_program(loopback(), &json!({"URL": url}), text).await,
        "b'ok'\n"
    );
}

/// Regression: `settimeout` had no effect, and timeouts raised an exception class of their own.
#[tokio::test(flavor = "multi_thread")]
async fn every_timeout_raises_timeout_error() {
    let plain = HttpServer::http().await.expect("started");
    let (ca, secure) = https().await;
    let hole = BlackHole::new().await.expect("created");
    let closed = ClosedPort::new().expect("created");
    let text = "
import time, urllib.error, urllib.request
def fetch(url, timeout=0.3):
    return urllib.request.urlopen(url, timeout=timeout).read()
def reason(url):
    try:
        fetch(url)
    except urllib.error.URLError as error:
        return described(error.reason)
start = time.monotonic()
for base in (f'http://127.0.0.1:{PLAIN}', f'https://site.test:{SECURE}'):
    print(outcome(fetch, base + '/wait/60000'), outcome(fetch, base + '/drip?n=100000&ms=10000'))
print(reason(f'http://127.0.0.1:{HOLE}'), reason(f'https://site.test:{HOLE}'))
print(reason(f'http://127.0.0.1:{CLOSED}'))
print(time.monotonic() - start < 10)
";
    let ports = json!({
        "PLAIN": plain.port(), "SECURE": secure.port(),
        "HOLE": hole.address().port(), "CLOSED": closed.address().port(),
    });
    assert_eq!(
        run_program(trusting(&ca), &ports, text).await,
        "TimeoutError TimeoutError\nTimeoutError TimeoutError\nTimeoutError TimeoutError\n\
         ConnectionRefusedError(ECONNREFUSED)\nTrue\n"
    );
}

/// Regression: closing the socket, as `http.client` does, closed a stream of `makefile` that was
/// still open.
#[tokio::test(flavor = "multi_thread")]
async fn a_response_outlives_its_connection_object() {
    let server = HttpServer::http().await.expect("started");
    let text = "
import hashlib, http.client
connection = http.client.HTTPConnection('127.0.0.1', PORT, timeout=20)
connection.request('GET', '/bytes/2000000', headers={'Connection': 'close'})
response = connection.getresponse()
connection.close()
del connection
print(hashlib.sha256(response.read()).hexdigest())
";
    assert_eq!(
        run_program(loopback(), &json!({"PORT": server.port()}), text).await,
        format!("{}\n", payload::sha256(2_000_000))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_counts_the_bytes_of_a_program() {
    let server = HttpServer::http().await.expect("started");
    let text = "
import urllib.request
print(len(urllib.request.urlopen(URL, timeout=20).read()))
";
    let constants = json!({"URL": server.url("127.0.0.1", "/bytes/1000000")});
    let result = sandbox(Some(loopback()))
        .execute(program(&constants, text))
        .await
        .expect("succeeds");
    assert_eq!(result.stdout, "1000000\n");
    let report = &result.network;
    assert!(report.received > 1_000_000 && report.received < 1_001_000);
    assert!(report.sent > 50 && report.sent < 1000);
    assert_eq!(report.connections.len(), 1);
    assert_eq!(report.connections[0].address, Some(server.address()));
}

#[tokio::test(flavor = "multi_thread")]
async fn sent_data_is_not_retained_in_guest_memory() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("started");
    let mut session = sandbox(Some(loopback())).session().await.expect("started");
    let begin = "
import socket
connection = socket.create_connection(('127.0.0.1', PORT), timeout=20)
data = bytes(1 << 18)
";
    expect_stdout(
        session
            .execute(program(&json!({"PORT": peer.port()}), begin))
            .await,
    );
    let mut peaks = Vec::new();
    for _ in 0..2 {
        let result = session
            .execute("for _ in range(64): connection.sendall(data)")
            .await;
        peaks.push(result.expect("succeeds").peak_memory);
    }
    assert!(peaks[1] < peaks[0] + MIB, "{peaks:?}");
}
