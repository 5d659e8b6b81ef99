//! Every option that says what the network is: its effect on a script, on `eryx policy`, and on mistakes.

mod command;

use std::fs;
use std::path::Path;

use command::{check, eryx, run};
use eryx_testkit::{Answer, Authority, Behaviour, HttpServer, Leaf, NameServer, Peer, Script};

/// A script that prints what becomes of a connection to each of `hosts`, and what comes back.
fn visit(hosts: &[&str], port: u16) -> String {
    format!(
        "
import errno, socket, time
held = []
for host in {hosts:?}:
    try:
        sock = socket.create_connection((host, {port}), timeout=5)
        held.append(sock)
        print(host, 'connected')
    except OSError as error:
        print(host, errno.errorcode.get(error.errno, type(error).__name__))
"
    )
}

/// Runs `script` with each list of options and compares what it prints.
async fn effects(script: &str, table: &[(&[&str], &str)]) {
    for (args, printed) in table {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let script = script.to_owned();
        let output = tokio::task::spawn_blocking({
            let args = args.clone();
            move || {
                run(
                    &args.iter().map(String::as_str).collect::<Vec<_>>(),
                    &script,
                )
            }
        });
        eprintln!("{args:?}");
        check(&output.await.expect("no panic"), 0, printed, "");
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("a temporary name is ASCII").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn options_about_hosts_have_their_effect() {
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
async fn a_name_server_of_ones_own_is_asked() {
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
            // What is fixed is asked of nobody.
            (
                &[&base[..], &["--resolve", "site.test=127.0.0.2"]].concat(),
                "site.test ECONNREFUSED\n",
            ),
        ],
    )
    .await;
    assert!(server.asked("site.test") >= 1);
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
async fn limits_on_connections_have_their_effect() {
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
async fn limits_on_bytes_have_their_effect_and_name_their_setting() {
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
async fn verification_is_the_scripts_business_only_when_that_is_granted() {
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
async fn a_policy_file_grants_what_it_says_and_options_add_to_it() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let folder = tempfile::tempdir().expect("made");
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
async fn a_policy_file_finds_its_certificates_beside_itself() {
    let authority = Authority::new().expect("made");
    let identity = authority
        .issue(&Leaf::server(["localhost"]))
        .expect("issued");
    let server = HttpServer::https(&identity).await.expect("started");
    let folder = tempfile::tempdir().expect("made");
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

#[tokio::test(flavor = "multi_thread")]
async fn the_network_log_has_a_line_for_every_event() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let folder = tempfile::tempdir().expect("made");
    let log = folder.path().join("net.jsonl");
    let script = visit(&["127.0.0.1", "10.0.0.5"], peer.port());
    let printed = "127.0.0.1 connected\n10.0.0.5 EACCES\n";
    let args = ["--net", "--allow-localhost", "--net-log", &text(&log)];
    // The second run appends.
    effects(&script, &[(&args, printed), (&args, printed)]).await;
    let lines: Vec<serde_json::Value> = fs::read_to_string(&log)
        .expect("written")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            assert!(
                line["time"].as_f64().is_some_and(|time| time > 1.7e9),
                "{line}"
            );
            (
                line["event"].as_str().expect("a word"),
                line["host"].as_str().expect("a host"),
            )
        })
        .collect();
    let once = [
        ("connected", "127.0.0.1"),
        ("denied", "10.0.0.5"),
        ("closed", "127.0.0.1"),
    ];
    assert_eq!(told, [once, once].concat());
    assert_eq!(lines[1]["verdict"]["rule"]["pattern"], "10.0.0.0/8");

    let output = tokio::task::spawn_blocking(move || {
        run(&["--net", "--report-only", "--net-log", "-"], &script)
    })
    .await
    .expect("no panic");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        err.contains(r#""event":"would-deny","host":"127.0.0.1""#),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_ends_when_its_network_log_cannot_be_written() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("peer");
    let script = visit(&["127.0.0.1"], peer.port()) + "time.sleep(30)";
    let output = tokio::task::spawn_blocking(move || {
        run(
            &["--net", "--allow-localhost", "--net-log", "/dev/full"],
            &script,
        )
    })
    .await
    .expect("no panic");
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(125), "{err}");
    assert!(err.contains("/dev/full"), "{err}");
}

#[test]
fn check_prints_the_verdict_and_its_exit_status_sums_up() {
    let output = eryx(&["policy", "check", "8.8.8.8:53", "Example.COM.:443"]);
    check(
        &output,
        0,
        "\
8.8.8.8:53: allowed
  host:   8.8.8.8
  reason: not-blocked
  rule:   none
  `8.8.8.8:53` is allowed: nothing in blocked_hosts matches it, and allowed_hosts is empty
Example.COM.:443: allowed unless an address is blocked
  host:   example.com
  reason: not-blocked
  rule:   none
  `example.com:443` is allowed if its addresses are: nothing in blocked_hosts matches it, and \
allowed_hosts is empty
",
        "",
    );
    let output = eryx(&["policy", "check", "8.8.8.8:53", "[::ffff:10.0.0.5]:80"]);
    check(
        &output,
        1,
        "\
8.8.8.8:53: allowed
  host:   8.8.8.8
  reason: not-blocked
  rule:   none
  `8.8.8.8:53` is allowed: nothing in blocked_hosts matches it, and allowed_hosts is empty
[::ffff:10.0.0.5]:80: denied
  host:   10.0.0.5
  reason: address-blocked
  rule:   `10.0.0.0/8` in blocked_hosts
  `10.0.0.5:80` is denied: `10.0.0.0/8` in blocked_hosts covers it; allow_network(\"10.0.0.5\") lifts that
",
        "",
    );
    let output = eryx(&["policy", "check", "127.1:80"]);
    assert_eq!(output.status.code(), Some(1));
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        out.contains("none, it is no host") && out.contains("malformed-host"),
        "{out}"
    );
}

/// Options, and hosts with the first line `check` prints for them.
type Rows<'a> = &'a [(&'a [&'a str], &'a [(&'a str, &'a str)])];

#[test]
fn options_change_what_check_says() {
    let folder = tempfile::tempdir().expect("made");
    let policy = folder.path().join("policy.toml");
    fs::write(&policy, "allowed_hosts = ['a.example:443']\n").expect("written");
    let policy = text(&policy);
    let unless = "allowed unless an address is blocked";
    let table: Rows<'_> = &[
        (
            &["--net"],
            &[("a.example:443", unless), ("127.0.0.1:80", "denied")],
        ),
        (
            &["--allow-host", "a.example:443"],
            &[
                ("a.example:443", unless),
                ("a.example:80", "denied"),
                ("b.example:443", "denied"),
            ],
        ),
        (
            &["--allow-host", "203.0.114.0/24"],
            &[
                ("203.0.114.9:1", "allowed"),
                ("203.0.115.9:1", "denied"),
                ("a.example:1", "allowed if all of its addresses are listed"),
            ],
        ),
        (
            &["--block-host", "*.example"],
            &[("a.example:443", "denied"), ("8.8.8.8:1", "allowed")],
        ),
        (
            &["--allow-localhost"],
            &[("127.0.0.1:80", "allowed"), ("10.0.0.1:80", "denied")],
        ),
        (
            &["--allow-network", "10.0.0.0/8"],
            &[("10.0.0.1:80", "allowed"), ("172.16.0.1:1", "denied")],
        ),
        (&["--report-only"], &[("127.0.0.1:80", "denied")]),
        (
            &["--policy", &policy],
            &[("a.example:443", unless), ("b.example:443", "denied")],
        ),
        (
            &["--policy", &policy, "--allow-host", "b.example"],
            &[
                ("a.example:443", unless),
                ("b.example:443", unless),
                ("c.example:443", "denied"),
            ],
        ),
    ];
    for (options, hosts) in table {
        let targets: Vec<&str> = hosts.iter().map(|(host, _)| *host).collect();
        let output = eryx(&[&["policy", "check"], &targets[..], options].concat());
        let denied = hosts.iter().any(|(_, outcome)| *outcome == "denied");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            output.status.code(),
            Some(i32::from(denied)),
            "{options:?} {out}"
        );
        let first: Vec<&str> = out
            .lines()
            .filter(|line| !line.starts_with(' ') && !line.starts_with("report_only"))
            .collect();
        let expected: Vec<String> = hosts
            .iter()
            .map(|(host, outcome)| format!("{host}: {outcome}"))
            .collect();
        assert_eq!(first, expected, "{options:?}");
    }
}

#[test]
fn what_show_prints_is_the_policy_it_shows() {
    let folder = tempfile::tempdir().expect("made");
    let path = folder.path().join("policy.toml");
    let options = [
        &[
            "--allow-host",
            "*.example.com:443",
            "--block-host",
            "ads.example.com",
        ][..],
        &["--allow-localhost", "--allow-network", "10.1.0.0/16"],
        &[
            "--allow-internal-host",
            "db.corp",
            "--resolve",
            "db.corp=10.0.0.5",
        ],
        &["--max-connections", "7", "--max-connections-per-host", "3"],
        &[
            "--connects-per-second",
            "2",
            "--connect-timeout",
            "5s",
            "--io-timeout",
            "1m",
        ],
        &[
            "--max-sent",
            "1M",
            "--max-received",
            "1G",
            "--send-rate",
            "10K",
        ],
        &[
            "--receive-rate",
            "20K",
            "--report-only",
            "--allow-unverified-tls",
        ],
        &["--dns-server", "192.0.2.53"],
    ]
    .concat();
    let output = eryx(&[&["policy", "show"], &options[..]].concat());
    let shown = String::from_utf8(output.stdout).expect("text");
    for line in [
        "allowed_hosts = [\"*.example.com:443\"]",
        "    \"ads.example.com\",",
        "    \"169.254.0.0/16\",",
        "allow_localhost = true",
        "allowed_networks = [\"10.1.0.0/16\"]",
        "internal_hosts = [\"db.corp\"]",
        "\"db.corp\" = [\"10.0.0.5\"]",
        "max_connections = 7",
        "max_connections_per_host = 3",
        "connects_per_second = 2",
        "connect_timeout_ms = 5000",
        "io_timeout_ms = 60000",
        "max_sent_bytes = 1048576",
        "max_received_bytes = 1073741824",
        "sent_bytes_per_second = 10240",
        "received_bytes_per_second = 20480",
        "report_only = true",
        "allow_unverified_tls = true",
        "dns_server = \"192.0.2.53:53\"",
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "no {line} in\n{shown}"
        );
    }
    assert!(!shown.contains("\"127.*\""), "{shown}");
    fs::write(&path, &shown).expect("written");
    let again = eryx(&["policy", "show", "--policy", &text(&path)]);
    check(&again, 0, &shown, "");

    let defaults = eryx(&["policy", "show"]);
    let shown = String::from_utf8(defaults.stdout).expect("text");
    assert!(
        shown.contains("Not limited: max_connections_per_host, "),
        "{shown}"
    );
    assert!(shown.contains("every host that is not blocked"), "{shown}");
    assert!(shown.contains("    \"127.*\",\n"), "{shown}");
}

#[test]
fn mistakes_are_status_2_and_say_what_to_write() {
    let folder = tempfile::tempdir().expect("made");
    let file = |name: &str, lines: &str| {
        let path = folder.path().join(name);
        fs::write(&path, lines).expect("written");
        text(&path)
    };
    let typo = file("typo.toml", "\nmax_conections = 3\n");
    let pattern = file("pattern.toml", "allowed_hosts = [\n  'api.*.com',\n]\n");
    let blocked = file("blocked.toml", "also_blocked_hosts = ['ads.example']\n");
    let certs = file("certs.toml", "root_cert_files = ['typo.toml']\n");
    let fine = file("fine.toml", "");
    let table: &[(&[&str], &[&str])] = &[
        // Patterns, networks, addresses, numbers.
        (
            &["--allow-host", "api.*.com"],
            &["--allow-host", "`api.*.com`", "*.example.com"],
        ),
        (&["--allow-host", ""], &["--allow-host", "empty"]),
        (
            &["--allow-host", "https://a.example"],
            &["URL", "the host alone"],
        ),
        (
            &["--allow-host", "a.example:99999"],
            &["`99999` is not a port", "1 to 65535"],
        ),
        (&["--allow-host", "a.example:0"], &["`0` is not a port"]),
        (&["--allow-host", "a.example:2-1"], &["1-2"]),
        (
            &["--allow-host", "127.1"],
            &["`127.1`", "four decimal numbers"],
        ),
        (
            &["--allow-host", "a.example,b.example"],
            &["an entry of its own"],
        ),
        (
            &["--net", "--block-host", "a b"],
            &["--block-host", "`a b`"],
        ),
        (
            &["--net", "--block-host", "10.0.0.1/8"],
            &["`10.0.0.1/8`", "10.0.0.0/8"],
        ),
        (&["--net", "--block-host", "[::1"], &["`[::1`"]),
        (
            &["--net", "--allow-network", "corp"],
            &["--allow-network", "`corp`"],
        ),
        (&["--net", "--allow-network", "10.0.0.0/33"], &["33", "32"]),
        (&["--net", "--allow-network", "10.0.0.1/8"], &["10.0.0.0/8"]),
        (
            &["--net", "--allow-internal-host", "*corp"],
            &["--allow-internal-host", "`*corp`"],
        ),
        (
            &["--net", "--dns-server", "dns.example"],
            &["`dns.example` is not a name server", "192.0.2.53"],
        ),
        (
            &["--net", "--resolve", "a.example"],
            &[
                "`a.example` is not a name and its address",
                "db.corp=10.0.0.5",
            ],
        ),
        (
            &["--net", "--resolve", "a.example=b.example"],
            &["`a.example=b.example`"],
        ),
        (
            &["--net", "--resolve", "a b=10.0.0.1"],
            &["--resolve", "`a b`"],
        ),
        (&["--net", "--max-connections=-1"], &["--max-connections"]),
        (&["--net", "--max-connections=many"], &["many"]),
        (
            &["--net", "--connects-per-second", "0"],
            &["connects_per_second is 0", "at least 1"],
        ),
        (
            &["--net", "--send-rate", "0"],
            &["--send-rate", "at least 1"],
        ),
        (
            &["--net", "--receive-rate", "0"],
            &["--receive-rate", "at least 1"],
        ),
        (
            &["--net", "--max-sent", "lots"],
            &["`lots` is not a size", "128M"],
        ),
        (
            &["--net", "--max-received", "1T"],
            &["`1T` is not a size", "1G"],
        ),
        (
            &["--net", "--connect-timeout", "0"],
            &["`0` is not a duration", "30s"],
        ),
        (
            &["--net", "--io-timeout", "25h"],
            &["io_timeout", "24 hours"],
        ),
        // Files.
        (
            &["--net", "--root-cert", "/no/such/file"],
            &["/no/such/file"],
        ),
        (
            &["--net", "--root-cert", &typo],
            &["typo.toml", "not an X.509 certificate"],
        ),
        (
            &["--policy", "/no/such/file"],
            &["--policy", "/no/such/file", "cannot be read"],
        ),
        (
            &["--policy", &typo],
            &[
                "typo.toml, line 2, column 1",
                "`max_conections`",
                "`max_connections`",
            ],
        ),
        (
            &["--policy", &pattern],
            &[
                "pattern.toml, line 2, column 3",
                "`api.*.com`",
                "*.example.com",
            ],
        ),
        (
            &["--policy", &certs],
            &["certs.toml", "root_cert_files", "not an X.509 certificate"],
        ),
        // Contradictions.
        (
            &["--policy", &fine, "--net"],
            &["--net has no effect", "leave one of them out"],
        ),
        (&["--policy", &fine, "--policy", &typo], &["--policy"]),
        (
            &["--policy", &blocked, "--allow-host", "ads.example"],
            &["`ads.example`", "a block beats an allow", "policy file"],
        ),
        (
            &["--allow-host", "b.example", "--block-host", "B.example."],
            &["--allow-host b.example has no effect", "--block-host"],
        ),
        (
            &["--allow-host", "localhost"],
            &[
                "--allow-host localhost has no effect",
                "add --allow-localhost",
            ],
        ),
        (
            &["--allow-host", "[::1]:80"],
            &["--allow-host [::1]:80 has no effect", "--allow-localhost"],
        ),
        (
            &["--allow-host", "10.1.2.3"],
            &["10.1.2.3 has no effect", "add --allow-network 10.1.2.3"],
        ),
    ];
    assert!(table.len() >= 30);
    for (args, named) in table {
        for output in [
            run(args, "print(1)"),
            eryx(&[&["policy", "show"], *args].concat()),
            eryx(&[&["policy", "check", "a.example:443"], *args].concat()),
        ] {
            eprintln!("{args:?}");
            for part in *named {
                check(&output, 2, "", part);
            }
        }
    }
    for (args, named) in [
        (&["--net-log", "net.jsonl"][..], "--net"),
        (
            &["--net", "--net-log", "/no/such/folder/x"],
            "/no/such/folder/x",
        ),
    ] {
        check(&run(args, "print(1)"), 2, "", named);
    }
    for (args, named) in [
        (&["policy", "check"][..], "<HOST:PORT>"),
        (&["policy", "check", "a.example"], "write `a.example:443`"),
        (
            &["policy", "check", "8.8.8.8:53", "2001:db8::7"],
            "write `[2001:db8::7]:443`",
        ),
        (
            &["policy", "check", "https://a.example/"],
            "such as `a.example:443`",
        ),
        (
            &["policy", "check", "a.example:https"],
            "a number from 1 to 65535",
        ),
        (&["policy"], "check"),
        (&["policy", "frobnicate"], "frobnicate"),
    ] {
        check(&eryx(args), 2, "", named);
    }
}

/// Trap: an option that is taken, and changes nothing.
#[test]
fn an_option_without_a_network_is_refused_whichever_it_is() {
    for option in [
        &["--block-host", "a.example"][..],
        &["--allow-localhost"],
        &["--allow-network", "10.0.0.0/8"],
        &["--allow-internal-host", "db.corp"],
        &["--report-only"],
        &["--root-cert", "ca.pem"],
        &["--allow-unverified-tls"],
        &["--dns-server", "192.0.2.53"],
        &["--resolve", "a.example=192.0.2.1"],
        &["--max-connections", "1"],
        &["--max-connections-per-host", "1"],
        &["--connects-per-second", "1"],
        &["--connect-timeout", "1s"],
        &["--io-timeout", "1s"],
        &["--max-sent", "1"],
        &["--max-received", "1"],
        &["--send-rate", "1"],
        &["--receive-rate", "1"],
        &["--net-log", "net.jsonl"],
    ] {
        let told = format!("{} has no effect without a network", option[0]);
        check(&run(option, "print(1)"), 2, "", &told);
    }
}
