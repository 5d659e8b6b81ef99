//! Certificate verification: trusted CAs, the embedder's switches, and the program's view.

use std::time::Duration;

use eryx_testkit::{Behaviour, CertificateAuthority, HttpServer, Leaf, Peer, ServerTls, digest};
use serde_json::json;

use crate::support::{expect_exception, expect_stdout, loopback, program, sandbox, trusting};
use crate::tls::{echo, run_tls_program, site, start_https, tls_program};

#[tokio::test(flavor = "multi_thread")]
async fn getpeercert_matches_cpython() {
    let ca = CertificateAuthority::named("The Root").expect("created");
    let identity = ca
        .issue(&Leaf::server(["site.test", "*.site.test", "127.0.0.1"]))
        .expect("issued");
    let peer = Peer::tls(Behaviour::Echo, &identity)
        .await
        .expect("started");
    let text = "
with tls_connect(PORT) as connection:
    shown = connection.getpeercert()
    print(shown['subject'], shown['issuer'])
    print(shown['subjectAltName'])
    print(shown['notBefore'], '|', shown['notAfter'], '|', shown['version'])
    print(int(shown['serialNumber'], 16) > 0, ssl.cert_time_to_seconds(shown['notAfter']) > 2e9)
    print(ssl.DER_cert_to_PEM_cert(connection.getpeercert(True)) == PEM)
";
    let pem = identity.chain_pem().replace('\r', "");
    assert_eq!(
        run_tls_program(
            trusting(&ca),
            &json!({"PORT": peer.port(), "PEM": pem}),
            text
        )
        .await,
        "((('commonName', 'site.test'),),) ((('commonName', 'The Root'),),)\n\
         (('DNS', 'site.test'), ('DNS', '*.site.test'), ('IP Address', '127.0.0.1'))\n\
         Jan  1 00:00:00 2020 GMT | Jan  1 00:00:00 2048 GMT | 3\nTrue True\nTrue\n"
    );
}

/// The error has OpenSSL's code and message, which programs and people search for, and the peer
/// receives an alert.
#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_certificate_raises_the_openssl_error() {
    let ca = CertificateAuthority::named("Root A").expect("created");
    let stranger = CertificateAuthority::named("Root B").expect("created");
    let leaf = || Leaf::server(["site.test"]);
    let issued = |leaf: Leaf| ca.issue(&leaf).expect("issued");
    let cases = [
        (
            issued(Leaf::server(["example.com"])),
            62,
            "Hostname mismatch, certificate is not valid for 'site.test'.",
        ),
        (issued(leaf().expired()), 10, "certificate has expired"),
        (
            issued(leaf().not_yet_valid()),
            9,
            "certificate is not yet valid",
        ),
        (
            stranger.issue(&leaf()).expect("issued"),
            20,
            "unable to get local issuer certificate",
        ),
        (
            leaf().self_signed().expect("created"),
            18,
            "self-signed certificate",
        ),
    ];
    for (identity, code, message) in cases {
        let server = HttpServer::https(&identity).await.expect("started");
        let text = "
try:
    tls_connect(PORT)
except ssl.SSLCertVerificationError as error:
    print(error.verify_code, error.verify_message)
    print(error.reason, error.library, isinstance(error, ValueError), 'certificate verify failed' in str(error))
";
        let printed = run_tls_program(trusting(&ca), &json!({"PORT": server.port()}), text).await;
        assert_eq!(
            printed,
            format!("{code} {message}\nCERTIFICATE_VERIFY_FAILED SSL True True\n")
        );
        let closed = async {
            while server.handshake_failures().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(
            tokio::time::timeout(Duration::from_secs(10), closed)
                .await
                .is_ok(),
            "{message}: the peer did not notice"
        );
        let failures = server.handshake_failures();
        assert!(failures[0].contains("alert"), "{message}: {failures:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_wildcards_and_address_certificates_are_accepted() {
    let ca = CertificateAuthority::new().expect("created");
    let below = ca.intermediate().expect("created");
    for (names, name) in [
        (vec!["site.test"], "site.test"),
        (vec!["*.site.test"], "www.site.test"),
        (vec!["127.0.0.1"], "127.0.0.1"),
    ] {
        let identity = below.issue(&Leaf::server(names)).expect("issued");
        let peer = Peer::tls(Behaviour::Echo, &identity)
            .await
            .expect("started");
        let text = "print(exchange(tls_connect(PORT, name=NAME), b'hello'))";
        assert_eq!(
            run_tls_program(
                trusting(&ca),
                &json!({"PORT": peer.port(), "NAME": name}),
                text
            )
            .await,
            "b'hello'\n"
        );
    }
}

/// After a lookup of its name, an address may be connected to as that name. The certificate must
/// still match the name that the program requested.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_verified_as_an_address_even_after_a_lookup_of_its_name() {
    let (ca, peer) = echo().await;
    let text = "
print(exchange(tls_connect(PORT), b'hello'))
try:
    tls_connect(PORT, name='127.0.0.1')
except ssl.SSLCertVerificationError as error:
    print(error.verify_code, '127.0.0.1' in error.verify_message)
";
    assert_eq!(
        run_tls_program(trusting(&ca), &json!({"PORT": peer.port()}), text).await,
        "b'hello'\n64 True\n"
    );
}

/// Regression: `verify_mode` was silently ignored.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_embedder_can_allow_turning_off_verification() {
    let identity = Leaf::server(["elsewhere.test"])
        .self_signed()
        .expect("created");
    let peer = Peer::tls(Behaviour::Echo, &identity)
        .await
        .expect("started");
    let off = "context.check_hostname = False\ncontext.verify_mode = ssl.CERT_NONE\n";
    let text = format!(
        "context = ssl.create_default_context()\n{off}
connection = tls_connect(PORT, context)
print(exchange(connection, b'hello'), connection.getpeercert(), len(connection.getpeercert(True)) > 100)"
    );
    let (ca, _) = site();
    let ports = json!({"PORT": peer.port()});
    let denied = expect_exception(
        sandbox(Some(trusting(&ca)))
            .execute(program(&ports, &tls_program(&text)))
            .await,
    );
    assert_eq!(denied.exception_type, "ssl.SSLError", "{denied}");
    assert!(denied.message.contains("allow_unverified_tls"), "{denied}");
    let config = trusting(&ca).allow_unverified_tls(true);
    assert_eq!(
        run_tls_program(config, &ports, &text).await,
        "b'hello' {} True\n"
    );
    // The switch only permits turning verification off: a program that verifies still does.
    let config = trusting(&ca).allow_unverified_tls(true);
    assert_eq!(
        run_tls_program(config, &ports, "print(outcome(tls_connect, PORT))").await,
        "SSLCertVerificationError\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ignoring_the_host_name_also_needs_the_embedders_permission() {
    let (ca, identity) = site();
    let peer = Peer::tls(Behaviour::Echo, &identity)
        .await
        .expect("started");
    let text = "
context = ssl.create_default_context()
context.check_hostname = False
try:
    print(exchange(tls_connect(PORT, context, name='other.test'), b'hello'))
except ssl.SSLCertVerificationError as error:
    print(error.verify_code, error.verify_message)
";
    let ports = json!({"PORT": peer.port()});
    let config = trusting(&ca);
    assert_eq!(
        run_tls_program(config.clone(), &ports, text).await,
        "62 Hostname mismatch, certificate is not valid for 'other.test'.\n"
    );
    let config = config.allow_unverified_tls(true);
    assert_eq!(run_tls_program(config, &ports, text).await, "b'hello'\n");
}

/// Regression: `load_verify_locations` was silently ignored. It can narrow trust, and widen it only
/// if the embedder allows it.
#[tokio::test(flavor = "multi_thread")]
async fn cas_loaded_by_a_program_do_not_widen_trust() {
    let (ca, peer) = echo().await;
    let config = loopback()
        .with_hosts([("site.test", vec![std::net::Ipv4Addr::LOCALHOST.into()])])
        .expect("a name");
    let text = "
context = ssl.create_default_context(cadata=PEM)
print(outcome(lambda: exchange(tls_connect(PORT, context), b'hello')))
";
    let constants = json!({"PORT": peer.port(), "PEM": ca.pem()});
    assert_eq!(
        run_tls_program(config.clone(), &constants, text).await,
        "SSLCertVerificationError\n"
    );
    assert_eq!(
        run_tls_program(config.allow_unverified_tls(true), &constants, text).await,
        "b'hello'\n"
    );
    let garbage = "
context = ssl.create_default_context()
print(outcome(context.load_verify_locations, cadata='garbage'))
print(outcome(context.load_verify_locations, cafile='/nowhere'))
";
    let printed = run_tls_program(loopback(), &json!({}), garbage).await;
    assert!(printed.starts_with("SSLError"), "{printed}");
    assert!(
        printed.ends_with("FileNotFoundError(ENOENT)\n"),
        "{printed}"
    );
}

/// Regression: only DER was supported, and PEM was silently accepted as no root at all.
#[tokio::test(flavor = "multi_thread")]
async fn roots_are_accepted_as_pem_bundle_and_der() {
    let (ca, peer) = echo().await;
    let (other, _) = site();
    let bundle = format!("A comment\n{}\n{}", other.pem(), ca.pem());
    for root in [
        ca.pem().into_bytes(),
        bundle.into_bytes(),
        ca.der().to_vec(),
    ] {
        let config = loopback()
            .with_hosts([("site.test", vec![std::net::Ipv4Addr::LOCALHOST.into()])])
            .and_then(|config| config.with_root_cert(&root))
            .expect("a name and certificates");
        let text = "print(exchange(tls_connect(PORT), b'hello'))";
        assert_eq!(
            run_tls_program(config, &json!({"PORT": peer.port()}), text).await,
            "b'hello'\n"
        );
    }
    assert!(loopback().with_root_cert(b"garbage").is_err());
    assert!(loopback().with_root_cert(b"").is_err());
}

/// Regression: `load_cert_chain` was silently ignored.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_reaches_the_server() {
    let (ca, identity) = site();
    let client = ca.issue(&Leaf::client("client")).expect("issued");
    let server = start_https(ServerTls::new(&identity).require_client(&ca)).await;
    // The guest has no files, so `open` is replaced.
    let text = "
import builtins, io, json, urllib.request
files = {'client.pem': CHAIN, 'client.key': KEY}
builtins.open = lambda path, mode='r': io.BytesIO(files[path].encode())
def fetch(context):
    return urllib.request.urlopen(f'https://site.test:{PORT}/connection', timeout=10, context=context).read()
context = ssl.create_default_context()
context.load_cert_chain('client.pem', 'client.key')
print(json.loads(fetch(context))['tls']['client'])
try:
    fetch(ssl.create_default_context())
except ssl.SSLError as error:
    print(error.reason)
";
    let constants =
        json!({"PORT": server.port(), "CHAIN": client.chain_pem(), "KEY": client.key_pem()});
    assert_eq!(
        run_tls_program(trusting(&ca), &constants, text).await,
        format!(
            "{}\nTLSV13_ALERT_CERTIFICATE_REQUIRED\n",
            digest::sha256(&client.chain()[0])
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_key_is_decrypted_within_a_bounded_number_of_rounds() {
    let (_, identity) = site();
    // The keys do not belong to the certificate. The error that reports this proves that they were
    // decrypted.
    let text = "
import builtins, io
files = {'cert.pem': CHAIN, 'key.pem': KEY, 'rounds.pem': ROUNDS}
builtins.open = lambda path, mode='r': io.BytesIO(files[path].encode())
context = ssl.create_default_context()
for key, password in (('key.pem', 'secret'), ('key.pem', 'wrong'), ('rounds.pem', 'secret')):
    try:
        context.load_cert_chain('cert.pem', key, password)
    except ssl.SSLError as error:
        print(error)
";
    let constants = json!({
        "CHAIN": identity.chain_pem(),
        "KEY": include_str!("../../eryx-tls/tests/keys/aes-256-sha256.pem"),
        "ROUNDS": include_str!("../../eryx-tls/tests/keys/1000001-rounds.pem"),
    });
    let printed = run_tls_program(loopback(), &constants, text).await;
    let said: Vec<&str> = printed.lines().collect();
    assert_eq!(said.len(), 3, "{printed}");
    for (line, words) in said
        .iter()
        .zip(["KEY_VALUES_MISMATCH", "PEM lib", "1000001 rounds"])
    {
        assert!(line.contains(words), "{printed}");
    }
}

/// The CAs that a program loads are passed to the host in every handshake, and must not accumulate
/// in guest memory.
#[tokio::test(flavor = "multi_thread")]
async fn handshakes_with_many_cas_do_not_grow_guest_memory() {
    let (ca, peer) = echo().await;
    let bundle: String = (0..60)
        .map(|_| CertificateAuthority::new().expect("created").pem())
        .collect();
    let mut session = sandbox(Some(trusting(&ca)))
        .session()
        .await
        .expect("started");
    let begin = "
import socket, ssl
context = ssl.create_default_context(cadata=BUNDLE)
def shake():
    with socket.create_connection(('site.test', PORT), timeout=20) as raw:
        context.wrap_socket(raw, server_hostname='site.test').close()
";
    let constants = json!({"BUNDLE": bundle, "PORT": peer.port()});
    expect_stdout(session.execute(program(&constants, begin)).await);
    let mut peaks = Vec::new();
    for _ in 0..2 {
        let result = session.execute("for _ in range(50): shake()").await;
        peaks.push(result.expect("succeeds").peak_memory);
    }
    // If they accumulated, those of the second fifty handshakes would take more than 1 MB.
    assert!(peaks[1] < peaks[0] + (1 << 19), "{peaks:?}");
}
