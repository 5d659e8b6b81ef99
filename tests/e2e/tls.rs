//! TLS from a program's point of view: connection properties and failures.

use std::sync::Arc;
use std::time::Duration;

use eryx::net::NetConfig;
use eryx_testkit::{
    Behaviour, CertificateAuthority, HttpServer, Identity, LOOPBACK, Leaf, Peer, ServerTls,
    Transport, digest,
};
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use crate::support::{expect_stdout, loopback, program, run_program, sandbox, trusting};

/// Creates a CA and a certificate for `site.test`.
pub(crate) fn site() -> (CertificateAuthority, Identity) {
    let ca = CertificateAuthority::new().expect("created");
    let identity = ca.issue(&Leaf::server(["site.test"])).expect("issued");
    (ca, identity)
}

/// Starts a TLS echo peer with the name `site.test`, and returns it with its CA.
pub(crate) async fn echo() -> (CertificateAuthority, Peer) {
    let (ca, identity) = site();
    let peer = Peer::tls(Behaviour::Echo, &identity)
        .await
        .expect("started");
    (ca, peer)
}

pub(crate) async fn start_https(tls: ServerTls) -> HttpServer {
    HttpServer::start(Transport::tls(tls.build().expect("valid")), LOOPBACK)
        .await
        .expect("started")
}

/// Runs `text`, preceded by the helpers of `tls_helpers.py`, and returns its output.
pub(crate) async fn run_tls_program(config: NetConfig, constants: &Value, text: &str) -> String {
    run_program(config, constants, &tls_program(text)).await
}

pub(crate) fn tls_program(text: &str) -> String {
    format!("{}{text}", include_str!("programs/tls_helpers.py"))
}

/// Regression: `cipher()`, `version()`, ALPN and `getpeercert()` returned invented values. The
/// server reports the real ones.
#[tokio::test(flavor = "multi_thread")]
async fn tls_connection_properties_match_the_servers() {
    let (ca, identity) = site();
    for (version, name, theirs) in [
        (&TLS12, "TLSv1.2", "TLSv1_2"),
        (&TLS13, "TLSv1.3", "TLSv1_3"),
    ] {
        let tls = ServerTls::new(&identity)
            .versions(&[version])
            .alpn(["http/1.1"]);
        let server = start_https(tls).await;
        let text = "
import hashlib, json
context = ssl.create_default_context()
context.set_alpn_protocols(['spdy/9', 'http/1.1'])
with tls_connect(PORT, context) as connection:
    connection.sendall(b'GET /connection HTTP/1.0\\r\\n\\r\\n')
    answer = b''
    while part := connection.recv(4096):
        answer += part
    theirs = json.loads(answer.partition(b'\\r\\n\\r\\n')[2])['tls']
    name, generation, bits = connection.cipher()
    print(connection.version(), theirs['version'])
    print(connection.selected_alpn_protocol(), theirs['alpn'], theirs['sni'], generation, bits in (128, 256))
    # OpenSSL and rustls spell the cipher suites differently.
    plain = lambda suite: suite.replace('-', '_').replace('TLS13_', 'TLS_').replace('TLS_', '').replace('WITH_', '').replace('_', '').replace('POLY1305SHA256', 'POLY1305')
    print(plain(name) == plain(theirs['cipher']) or (name, theirs['cipher']))
    print(hashlib.sha256(connection.getpeercert(binary_form=True)).hexdigest())
    print(connection.server_hostname, connection.server_side, connection.compression())
";
        assert_eq!(
            run_tls_program(trusting(&ca), &json!({"PORT": server.port()}), text).await,
            format!(
                "{name} {theirs}\nhttp/1.1 http/1.1 site.test {name} True\nTrue\n{}\nsite.test False None\n",
                digest::sha256(&identity.chain()[0])
            )
        );
    }
}

/// Regression: every handshake failure, even a reset, raised a certificate error.
#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_fails_before_the_certificate_raises_its_own_error() {
    for (behaviour, expected) in [
        (
            Behaviour::http_instead_of_tls(),
            "SSLError WRONG_VERSION_NUMBER",
        ),
        (Behaviour::ResetsAtFirstByte, "ConnectionResetError None"),
        (
            Behaviour::Answers("".into()),
            "SSLEOFError UNEXPECTED_EOF_WHILE_READING",
        ),
    ] {
        let peer = Peer::plain(behaviour.clone()).await.expect("started");
        let text = "
try:
    tls_connect(PORT, name='localhost')
except OSError as error:
    print(type(error).__name__, getattr(error, 'reason', None))
";
        assert_eq!(
            run_tls_program(loopback(), &json!({"PORT": peer.port()}), text).await,
            format!("{expected}\n"),
            "{behaviour:?}"
        );
    }
    let peer = Peer::plain(Behaviour::noise()).await.expect("started");
    let text = "print(outcome(tls_connect, PORT, name='localhost'))";
    let printed = run_tls_program(loopback(), &json!({"PORT": peer.port()}), text).await;
    assert!(printed.starts_with("SSLError"), "{printed}");
}

/// Regression: timeouts within TLS raised other errors.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_handshake_and_a_silent_peer_time_out() {
    let (ca, identity) = site();
    let tls = ServerTls::new(&identity).build().expect("valid");
    let stalling = Transport::tls(Arc::clone(&tls)).stalling_after(100);
    let silent = Peer::plain(Behaviour::Silent).await.expect("started");
    let stalled = Peer::start(Behaviour::Echo, stalling, LOOPBACK)
        .await
        .expect("started");
    let mute = Peer::start(Behaviour::Silent, Transport::tls(tls), LOOPBACK)
        .await
        .expect("started");
    let text = "
import time
start = time.monotonic()
for port in (SILENT, STALLED):
    print(outcome(tls_connect, port, timeout=0.2))
connection = tls_connect(MUTE, timeout=10)
connection.settimeout(0.2)
print(outcome(connection.recv, 1))
print(0.6 <= time.monotonic() - start < 10)
";
    let ports = json!({"SILENT": silent.port(), "STALLED": stalled.port(), "MUTE": mute.port()});
    assert_eq!(
        run_tls_program(trusting(&ca), &ports, text).await,
        "TimeoutError\nTimeoutError\nTimeoutError\nTrue\n"
    );
}

/// Regression: sent data was buffered without bound.
#[tokio::test(flavor = "multi_thread")]
async fn sending_to_a_peer_that_never_reads_blocks() {
    let (ca, identity) = site();
    let plain = Peer::plain(Behaviour::NeverReads).await.expect("started");
    let secure = Peer::tls(Behaviour::NeverReads, &identity)
        .await
        .expect("started");
    let text = "
data = bytes(1 << 18)
for connection in (socket.create_connection(('site.test', PLAIN), 10), tls_connect(SECURE)):
    connection.settimeout(0.3)
    sent = 0
    try:
        while sent < 1 << 28:
            sent += connection.send(data)
    except TimeoutError:
        print(0 < sent < 1 << 24)
";
    let ports = json!({"PLAIN": plain.port(), "SECURE": secure.port()});
    assert_eq!(
        run_tls_program(trusting(&ca), &ports, text).await,
        "True\nTrue\n"
    );
}

/// Regression: `server_hostname` was not checked, so an allowed address gave access to every
/// virtual host behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_denied_server_name_fails_before_the_first_byte_is_sent() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("started");
    let (ca, _) = site();
    let config = trusting(&ca).allow_host("site.test").expect("a pattern");
    let text = "
import asyncio
context = ssl.create_default_context()
raw = socket.create_connection(('site.test', PORT), 10)
for name in ('other.test', 'OTHER.TEST.', '127.0.0.2', '10.0.0.1'):
    try:
        context.wrap_socket(raw.dup(), server_hostname=name)
    except PermissionError as error:
        print(errno.errorcode[error.errno], name.lower().rstrip('.') in str(error))
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
print(outcome(lambda: context.wrap_bio(incoming, outgoing, server_hostname='other.test').do_handshake()), outgoing.pending)
try:
    await asyncio.open_connection('site.test', PORT, ssl=context, server_hostname='other.test')
except PermissionError as error:
    print('other.test' in str(error))
";
    assert_eq!(
        run_tls_program(config, &json!({"PORT": peer.port()}), text).await,
        "EACCES True\n".repeat(4) + "PermissionError(EACCES) 0\nTrue\n"
    );
    for ended in peer.ended(2).await {
        assert_eq!(ended.received, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_works_on_non_blocking_sockets() {
    let (ca, identity) = site();
    let tls = ServerTls::new(&identity).build().expect("valid");
    let slow = Transport::tls(Arc::clone(&tls)).in_pieces_of(100, Duration::from_millis(1));
    let start = async |transport| Peer::start(Behaviour::Echo, transport, LOOPBACK).await;
    let slow = start(slow).await.expect("started");
    let peer = start(Transport::tls(tls)).await.expect("started");
    let text = include_str!("programs/tls_without_blocking.py");
    let ports = json!({"PORT": peer.port(), "SLOW": slow.port()});
    assert_eq!(
        run_tls_program(trusting(&ca), &ports, text).await,
        "TLSv1.3 waited\n1000000 True\nTrue\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_works_over_memory_bios() {
    let (ca, peer) = echo().await;
    let text = include_str!("programs/tls_over_memory.py");
    assert_eq!(
        run_tls_program(trusting(&ca), &json!({"PORT": peer.port()}), text).await,
        "TLSv1.3\n200000 True\nclosed\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncio_streams_speak_tls() {
    let (ca, peer) = echo().await;
    let text = "
import asyncio
reader, writer = await asyncio.open_connection('site.test', PORT, ssl=True)
data = bytes(range(256)) * 2000
writer.write(data)
await writer.drain()
print(await reader.readexactly(len(data)) == data)
shown = writer.get_extra_info('ssl_object')
print(shown.version(), writer.get_extra_info('peercert')['subject'])
writer.close()
await writer.wait_closed()
";
    assert_eq!(
        run_tls_program(trusting(&ca), &json!({"PORT": peer.port()}), text).await,
        "True\nTLSv1.3 ((('commonName', 'site.test'),),)\n"
    );
    assert_eq!(peer.ended(1).await[0].kind(), None, "close_notify came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_connection_is_upgraded_to_tls_and_unwrapped() {
    let (ca, identity) = site();
    let tls = ServerTls::new(&identity).build().expect("valid");
    let peer = Peer::plain(Behaviour::StartsTls(tls))
        .await
        .expect("started");
    let text = "
import asyncio
raw = socket.create_connection(('site.test', PORT), 10)
print(exchange(raw, b'clear\\n'))
raw.sendall(b'STARTTLS\\n')
print(raw.recv(100))
connection = ssl.create_default_context().wrap_socket(raw, server_hostname='site.test')
print(exchange(connection, b'secret'), raw.fileno())
raw = connection.unwrap()
print(exchange(raw, b'clear again\\n'))
raw.close()

reader, writer = await asyncio.open_connection('site.test', PORT)
writer.write(b'STARTTLS\\n')
print(await reader.readline())
await writer.start_tls(ssl.create_default_context(), server_hostname='site.test')
writer.write(b'secret')
print(await reader.readexactly(6), writer.get_extra_info('ssl_object').version())
writer.close()
";
    assert_eq!(
        run_tls_program(trusting(&ca), &json!({"PORT": peer.port()}), text).await,
        "b'clear\\n'\nb'go ahead\\n'\nb'secret' -1\nb'clear again\\n'\nb'go ahead\\n'\nb'secret' TLSv1.3\n"
    );
}

/// Regression: `set_alpn_protocols` was silently ignored.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_negotiation_raises_ssl_error() {
    let (ca, identity) = site();
    let old = start_https(ServerTls::new(&identity).versions(&[&TLS12])).await;
    let picky = start_https(ServerTls::new(&identity).alpn(["h2"])).await;
    let text = "
def reason(port, context):
    try:
        return tls_connect(port, context).version()
    except ssl.SSLError as error:
        return error.reason
modern = ssl.create_default_context()
modern.minimum_version = ssl.TLSVersion.TLSv1_3
print(reason(OLD, modern))
named = ssl.create_default_context()
named.set_alpn_protocols(['http/1.1'])
print(reason(PICKY, named))
older = ssl.create_default_context()
older.maximum_version = ssl.TLSVersion.TLSv1_2
print(reason(PICKY, older))
chosen = ssl.create_default_context()
chosen.set_ciphers('CHACHA20')
chosen.set_ecdh_curve('secp384r1')
print(tls_connect(OLD, chosen).cipher()[0].partition('-')[2].partition('-')[2])
chosen.set_ciphers('AES128' if 'CHACHA' in tls_connect(OLD).cipher()[0] else 'CHACHA20')
print(tls_connect(OLD, chosen).cipher() == tls_connect(OLD).cipher())
";
    let ports = json!({"OLD": old.port(), "PICKY": picky.port()});
    assert_eq!(
        run_tls_program(trusting(&ca), &ports, text).await,
        "TLSV1_ALERT_PROTOCOL_VERSION\nTLSV1_ALERT_NO_APPLICATION_PROTOCOL\nTLSv1.2\nCHACHA20-POLY1305\nFalse\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_connection_resumes_the_session_of_the_first() {
    let (ca, identity) = site();
    for version in [&TLS12, &TLS13] {
        let server = start_https(ServerTls::new(&identity).versions(&[version])).await;
        let text = "
for _ in range(2):
    with tls_connect(PORT) as connection:
        connection.sendall(b'GET /close HTTP/1.0\\r\\n\\r\\n')
        while connection.recv(4096):
            pass
        print(connection.session_reused)
";
        assert_eq!(
            run_tls_program(trusting(&ca), &json!({"PORT": server.port()}), text).await,
            "False\nTrue\n"
        );
        assert_eq!(server.resumed(), 1);
    }
}

/// Regression: the trust store was rebuilt for every execution. The TLS state belongs to the
/// configuration, so other executions and sessions reuse it.
#[tokio::test(flavor = "multi_thread")]
async fn executions_with_shared_caches_resume_each_others_sessions() {
    let (ca, identity) = site();
    let server = start_https(ServerTls::new(&identity)).await;
    let text = tls_program(
        "
with tls_connect(PORT) as connection:
    connection.sendall(b'GET /close HTTP/1.0\\r\\n\\r\\n')
    while connection.recv(4096):
        pass
    print(connection.session_reused)
",
    );
    let text = program(&json!({"PORT": server.port()}), &text);
    let config = trusting(&ca).with_shared_caches(true);
    let first = sandbox(Some(config.clone()));
    assert_eq!(expect_stdout(first.execute(&text).await), "False\n");
    assert_eq!(expect_stdout(first.execute(&text).await), "True\n");
    let mut session = first.session().await.expect("started");
    assert_eq!(expect_stdout(session.execute(&text).await), "True\n");
    let other = sandbox(Some(config));
    assert_eq!(expect_stdout(other.execute(&text).await), "True\n");
    // Another configuration does not share it.
    let unshared = sandbox(Some(trusting(&ca)));
    assert_eq!(expect_stdout(unshared.execute(&text).await), "False\n");
    // By default, TLS sessions are shared only within an execution, and within a sandbox session.
    assert_eq!(expect_stdout(unshared.execute(&text).await), "False\n");
    let mut session = unshared.session().await.expect("started");
    assert_eq!(expect_stdout(session.execute(&text).await), "False\n");
    assert_eq!(expect_stdout(session.execute(&text).await), "True\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_without_close_notify_is_distinguished_on_request() {
    let (ca, identity) = site();
    let peer = Peer::tls(
        Behaviour::OmitsCloseNotify {
            body: 10,
            announced: true,
        },
        &identity,
    )
    .await
    .expect("started");
    let text = "
for lenient in (True, False):
    raw = socket.create_connection(('site.test', PORT), 10)
    context = ssl.create_default_context()
    connection = context.wrap_socket(raw, server_hostname='site.test', suppress_ragged_eofs=lenient)
    connection.sendall(b'GET / HTTP/1.1\\r\\n\\r\\n')
    def drain():
        while connection.recv(4096):
            pass
        return 'ended'
    print(outcome(drain))
";
    assert_eq!(
        run_tls_program(trusting(&ca), &json!({"PORT": peer.port()}), text).await,
        "ended\nSSLEOFError\n"
    );
}

/// Regression: names that urllib3, httpx and other libraries read at import were missing.
#[tokio::test(flavor = "multi_thread")]
async fn the_ssl_names_that_libraries_read_exist() {
    let (ca, peer) = echo().await;
    let text = "
wanted = '''
ALERT_DESCRIPTION_HANDSHAKE_FAILURE CERT_NONE CERT_OPTIONAL CERT_REQUIRED DER_cert_to_PEM_cert HAS_ALPN
HAS_NEVER_CHECK_COMMON_NAME HAS_SNI HAS_TLSv1_2 HAS_TLSv1_3 MemoryBIO OP_ALL OP_NO_COMPRESSION OP_NO_RENEGOTIATION
OP_NO_SSLv2 OP_NO_SSLv3 OP_NO_TICKET OP_NO_TLSv1 OP_NO_TLSv1_1 OP_NO_TLSv1_2 OP_NO_TLSv1_3 OP_IGNORE_UNEXPECTED_EOF
OP_LEGACY_SERVER_CONNECT OPENSSL_VERSION OPENSSL_VERSION_INFO OPENSSL_VERSION_NUMBER PEM_cert_to_DER_cert PROTOCOL_SSLv23
PROTOCOL_TLS PROTOCOL_TLS_CLIENT PROTOCOL_TLS_SERVER Purpose SSLCertVerificationError SSLContext SSLEOFError SSLError
SSLErrorNumber SSLObject SSLSession SSLSocket SSLSyscallError SSLWantReadError SSLWantWriteError SSLZeroReturnError
SSL_ERROR_EOF SSL_ERROR_SSL SSL_ERROR_SYSCALL SSL_ERROR_WANT_READ SSL_ERROR_WANT_WRITE SSL_ERROR_ZERO_RETURN TLSVersion
VERIFY_DEFAULT VERIFY_X509_PARTIAL_CHAIN VERIFY_X509_STRICT VERIFY_X509_TRUSTED_FIRST VerifyFlags VerifyMode
CertificateError create_default_context get_default_verify_paths match_hostname RAND_bytes
'''.split()
print([name for name in wanted if not hasattr(ssl, name) and name != 'match_hostname'])
connection = tls_connect(PORT)
print(connection._sslobj is not None, connection.context.check_hostname, ssl.create_default_context().get_ciphers()[0]['name'] != '')
context = ssl.create_default_context()
context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
context.options |= ssl.OP_NO_COMPRESSION
context.set_ciphers('ECDHE+AESGCM')
context.post_handshake_auth = True
context.keylog_filename = None
print(exchange(tls_connect(PORT, context), b'hello'))
";
    assert_eq!(
        run_tls_program(trusting(&ca), &json!({"PORT": peer.port()}), text).await,
        "[]\nTrue True True\nb'hello'\n"
    );
}
