//! Every network option, by its effect on a script.

use std::fs;

use eryx_testkit::{
    Answer, Behaviour, CertificateAuthority, HttpServer, LOOPBACK, Leaf, NameServer, Peer, Proxy,
    ProxyBuilder, Script, UdpPeer,
};

use crate::command::{effects, text, visit};

#[tokio::test(flavor = "multi_thread")]
async fn options_about_hosts_take_effect() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let here = format!("127.0.0.1:{}", peer.port());
    let resolve = [
        "--resolve",
        "site.test=127.0.0.1",
        "--resolve",
        "b.test=127.0.0.1",
    ];
    let with = |more: &[&'static str]| [&resolve[..], more].concat();
    effects(
        &visit(&["127.0.0.1", "site.test", "b.test"], peer.port()),
        &[
            (
                &with(&["--net"]),
                "127.0.0.1 EACCES\nsite.test EACCES\nb.test EACCES\n",
            ),
            (
                &with(&["--net", "--allow-localhost"]),
                "127.0.0.1 connected\nsite.test connected\nb.test connected\n",
            ),
            (
                &with(&["--net", "--allow-network", "127.0.0.0/8"]),
                "127.0.0.1 connected\nsite.test connected\nb.test connected\n",
            ),
            (
                &with(&["--net", "--allow-internal-host", "site.test"]),
                "127.0.0.1 EACCES\nsite.test connected\nb.test EACCES\n",
            ),
            (
                &with(&["--allow-host", "site.test", "--allow-localhost"]),
                "127.0.0.1 EACCES\nsite.test connected\nb.test EACCES\n",
            ),
            (
                &with(&["--net", "--allow-localhost", "--block-host", "site.test"]),
                "127.0.0.1 connected\nsite.test EACCES\nb.test connected\n",
            ),
            (
                &with(&["--net", "--report-only"]),
                "127.0.0.1 connected\nsite.test connected\nb.test connected\n",
            ),
            (
                &[&resolve[..], &["--allow-host", &here, "--allow-localhost"]].concat(),
                // Names whose every address is listed.
                "127.0.0.1 connected\nsite.test connected\nb.test connected\n",
            ),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn allowed_udp_reaches_its_peer_and_is_in_the_network_log() {
    let peer = UdpPeer::start(LOOPBACK).await.expect("peer");
    let here = peer.address().to_string();
    let script = format!(
        "
import errno, socket
try:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(b'hello', ('127.0.0.1', {}))
        print(sock.recv(100))
except OSError as error:
    print(errno.errorcode[error.errno])
",
        peer.port()
    );
    let folder = tempfile::tempdir().expect("created");
    let log = folder.path().join("net.jsonl");
    let policy = folder.path().join("policy.toml");
    fs::write(
        &policy,
        format!("allow_localhost = true\nallowed_udp = ['{here}']\n"),
    )
    .expect("written");
    let loopback = ["--net", "--allow-localhost"];
    effects(
        &script,
        &[
            (&loopback, "EPROTONOSUPPORT\n"),
            (
                &[&loopback[..], &["--allow-udp", "127.0.0.1:1"]].concat(),
                "EACCES\n",
            ),
            (
                &[
                    &loopback[..],
                    &["--allow-udp", &here, "--net-log", &text(&log)],
                ]
                .concat(),
                "b'hello'\n",
            ),
            (&["--policy", &text(&policy)], "b'hello'\n"),
        ],
    )
    .await;
    assert_eq!(peer.received().len(), 2);
    let log = fs::read_to_string(&log).expect("written");
    let events: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    for (line, event) in events.iter().zip(["connected", "closed"]) {
        assert_eq!(
            (&line["event"], &line["activity"], &line["port"]),
            (&event.into(), &"datagrams".into(), &peer.port().into())
        );
    }
    assert_eq!(
        (&events[1]["sent"], &events[1]["received"]),
        (&5.into(), &5.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_given_name_server_is_queried() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let script = Script::new()
        .answer(
            "site.test",
            Answer::addresses(["127.0.0.1"]).expect("addresses"),
        )
        .answer("silent.test", Answer::Silence);
    let server = NameServer::start(script).await.expect("started");
    let address = server.address().to_string();
    let base = ["--net", "--allow-localhost", "--dns-server", &address];
    effects(
        &visit(&["site.test"], peer.port()),
        &[
            (&base, "site.test connected\n"),
            // A name with a fixed address is not looked up.
            (
                &[&base[..], &["--resolve", "site.test=127.0.0.2"]].concat(),
                "site.test ECONNREFUSED\n",
            ),
        ],
    )
    .await;
    assert!(server.queries_for("site.test") >= 1);
    let slow = "
import socket, time
begun = time.monotonic()
try:
    socket.create_connection(('silent.test', 80))
except TimeoutError:
    print(0.2 < time.monotonic() - begun < 4)
";
    let args = [&base[..], &["--connect-timeout", "300ms"]].concat();
    effects(slow, &[(&args, "True\n")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_on_connections_take_effect() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let base = [
        "--net",
        "--allow-localhost",
        "--resolve",
        "b.test=127.0.0.1",
    ];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    effects(
        &visit(&["127.0.0.1", "127.0.0.1", "b.test"], peer.port()),
        &[
            (
                &with(&[]),
                "127.0.0.1 connected\n127.0.0.1 connected\nb.test connected\n",
            ),
            (
                &with(&["--max-connections", "1"]),
                "127.0.0.1 connected\n127.0.0.1 EMFILE\nb.test EMFILE\n",
            ),
            (
                &with(&["--max-connections-per-host", "1"]),
                "127.0.0.1 connected\n127.0.0.1 EMFILE\nb.test connected\n",
            ),
        ],
    )
    .await;
    let timed = format!(
        "
import socket, time
begun = time.monotonic()
for _ in range(3):
    socket.create_connection(('127.0.0.1', {}))
print(time.monotonic() - begun >= 0.45)
",
        peer.port()
    );
    effects(
        &timed,
        &[
            (&with(&[]), "False\n"),
            (&with(&["--connects-per-second", "2"]), "True\n"),
        ],
    )
    .await;
    let silent = format!(
        "
import socket
sock = socket.create_connection(('127.0.0.1', {}))
try:
    sock.recv(1)
except TimeoutError:
    print('timed out')
",
        peer.port()
    );
    effects(
        &silent,
        &[(&with(&["--io-timeout", "200ms"]), "timed out\n")],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_on_bytes_take_effect_and_name_their_setting() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let script = format!(
        "
import errno, socket
sock = socket.create_connection(('127.0.0.1', {}), timeout=5)
def attempt(step):
    try:
        print(step())
    except OSError as error:
        print(errno.errorcode[error.errno], error.strerror.split('(')[1].split(')')[0])
attempt(lambda: sock.send(b'abcdef'))
attempt(lambda: sock.send(b'g'))
attempt(lambda: sock.recv(3))
attempt(lambda: sock.recv(1))
",
        peer.port()
    );
    let base = ["--net", "--allow-localhost"];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    effects(
        &script,
        &[
            (&with(&[]), "6\n1\nb'abc'\nb'd'\n"),
            (
                &with(&["--max-sent", "5"]),
                "5\nEDQUOT max_sent_bytes\nb'abc'\nb'd'\n",
            ),
            (
                &with(&["--max-received", "3"]),
                "6\n1\nb'abc'\nEDQUOT max_received_bytes\n",
            ),
        ],
    )
    .await;

    let timed = format!(
        "
import socket, time
begun = time.monotonic()
sock = socket.create_connection(('127.0.0.1', {}), timeout=10)
sock.sendall(bytes(30_000))
sent = time.monotonic()
left = 30_000
while left:
    left -= len(sock.recv(left))
print(sent - begun >= 0.45, time.monotonic() - begun >= 0.45)
",
        peer.port()
    );
    effects(
        &timed,
        &[
            (&with(&[]), "False False\n"),
            (&with(&["--send-rate", "20000"]), "True True\n"),
            (&with(&["--receive-rate", "20000"]), "False True\n"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_may_turn_verification_off_only_with_the_option() {
    let identity = Leaf::server(["localhost"]).self_signed().expect("identity");
    let server = HttpServer::https(&identity).await.expect("started");
    let script = format!(
        "
import ssl, urllib.request
context = ssl._create_unverified_context()
try:
    print(urllib.request.urlopen('https://localhost:{}/', context=context, timeout=5).status)
except OSError as error:
    print('allow_unverified_tls' in str(error))
",
        server.port()
    );
    let base = ["--net", "--allow-localhost"];
    effects(
        &script,
        &[
            (&base, "True\n"),
            (&[&base[..], &["--allow-unverified-tls"]].concat(), "200\n"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn options_about_proxies_take_effect() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let authority = CertificateAuthority::new().expect("created");
    let identity = authority
        .issue(&Leaf::server(["localhost"]))
        .expect("issued");
    let folder = tempfile::tempdir().expect("created");
    let root = folder.path().join("proxy.pem");
    fs::write(&root, authority.pem()).expect("written");
    let port = peer.port();
    // The kernel makes no TCP connection to the broadcast address.
    let routes = |proxy: ProxyBuilder| {
        let by_address = proxy.route(&format!("255.255.255.255:{port}"), peer.address());
        by_address.route(&format!("name.test:{port}"), peer.address())
    };
    let http = routes(Proxy::http().credentials("user:p@ss"));
    let http = http.start().await.expect("proxy");
    let https = routes(Proxy::http()).tls(&identity).expect("TLS");
    let https = https.start().await.expect("proxy");
    let socks = routes(Proxy::socks5()).start().await.expect("proxy");
    let base = [
        "--net",
        "--allow-network",
        "255.255.255.255",
        "--resolve",
        "site.test=255.255.255.255",
        "--connect-timeout",
        "5s",
    ];
    let with = |more: &[&str]| [&base[..], more].concat().join("\n");
    let http_url = format!("http://user:p%40ss@{}", http.address());
    let https_url = format!("https://localhost:{}", https.port());
    let socks_url = format!("socks5://{}", socks.address());
    let root = text(&root);
    let options = [
        (with(&[]), "site.test ENETUNREACH\nname.test EAI\n"),
        (
            with(&["--proxy", &http_url]),
            "site.test connected\nname.test EAI\n",
        ),
        (
            with(&["--proxy", &https_url, "--proxy-root-cert", &root]),
            "site.test connected\nname.test EAI\n",
        ),
        (
            with(&["--proxy", &socks_url]),
            "site.test connected\nname.test EAI\n",
        ),
        (
            with(&["--proxy", &http_url, "--no-proxy", "*.test"]),
            "site.test ENETUNREACH\nname.test EAI\n",
        ),
        (
            with(&["--proxy", &http_url, "--proxy-resolves"]),
            "site.test connected\nname.test connected\n",
        ),
        (
            with(&["--proxy", &https_url]),
            "site.test EIO\nname.test EAI\n",
        ),
    ];
    let script = visit(&["site.test", "name.test"], port)
        .replace("import errno,", "import errno, socket as s,")
        .replace(
            "    except OSError",
            "    except s.gaierror:\n        print(host, 'EAI')\n    except OSError",
        );
    for (arguments, printed) in &options {
        let arguments: Vec<&str> = arguments.lines().collect();
        effects(&script, &[(&arguments, printed)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn options_add_to_a_policy_file() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let folder = tempfile::tempdir().expect("created");
    let file = |name: &str, lines: &str| {
        let path = folder.path().join(name);
        fs::write(&path, lines).expect("written");
        text(&path)
    };
    let hosts = "[hosts]\n'site.test' = ['127.0.0.1']\n'b.test' = ['127.0.0.1']\n";
    let listed = file(
        "listed.toml",
        &format!(
            "allowed_hosts = ['site.test']\nallow_localhost = true\nmax_connections = 1\n{hosts}"
        ),
    );
    let open = file(
        "open.toml",
        &format!("blocked_hosts = []\nalso_blocked_hosts = ['b.test']\n{hosts}"),
    );
    let closed = file("closed.toml", hosts);
    let script = visit(&["127.0.0.1", "site.test", "b.test"], peer.port());
    effects(
        &script,
        &[
            (
                &["--policy", &listed],
                "127.0.0.1 EACCES\nsite.test connected\nb.test EACCES\n",
            ),
            (
                &[
                    "--policy",
                    &listed,
                    "--allow-host",
                    "b.test",
                    "--max-connections",
                    "5",
                ],
                "127.0.0.1 EACCES\nsite.test connected\nb.test connected\n",
            ),
            (
                &["--policy", &listed, "--allow-host", "b.test"],
                "127.0.0.1 EACCES\nsite.test connected\nb.test EMFILE\n",
            ),
            (
                &["--policy", &listed, "--block-host", "site.test"],
                "127.0.0.1 EACCES\nsite.test EACCES\nb.test EACCES\n",
            ),
            (
                &["--policy", &open],
                "127.0.0.1 connected\nsite.test connected\nb.test EACCES\n",
            ),
            (
                &["--policy", &open, "--allow-host", "site.test"],
                "127.0.0.1 EACCES\nsite.test connected\nb.test EACCES\n",
            ),
            (
                &["--policy", &closed],
                "127.0.0.1 EACCES\nsite.test EACCES\nb.test EACCES\n",
            ),
            (
                &[
                    "--policy",
                    &closed,
                    "--allow-localhost",
                    "--resolve",
                    "b.test=127.0.0.2",
                ],
                "127.0.0.1 connected\nsite.test connected\nb.test ECONNREFUSED\n",
            ),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_file_is_found_beside_its_policy_file() {
    let authority = CertificateAuthority::new().expect("created");
    let identity = authority
        .issue(&Leaf::server(["localhost"]))
        .expect("issued");
    let server = HttpServer::https(&identity).await.expect("started");
    let folder = tempfile::tempdir().expect("created");
    fs::write(folder.path().join("ca.pem"), authority.pem()).expect("written");
    let policy = folder.path().join("policy.toml");
    fs::write(
        &policy,
        "allow_localhost = true\nallowed_hosts = ['localhost']\nroot_cert_files = ['ca.pem']\n",
    )
    .expect("written");
    let script = format!(
        "import urllib.request\nprint(urllib.request.urlopen('https://localhost:{}/').status)",
        server.port()
    );
    effects(&script, &[(&["--policy", &text(&policy)], "200\n")]).await;
}
