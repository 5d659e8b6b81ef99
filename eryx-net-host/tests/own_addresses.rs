//! Tests that the machine's own addresses count as loopback. The test runs itself in a network
//! namespace with all kinds of own addresses, and prints that it is skipped where namespaces are
//! not permitted.

mod support;

use std::io::{ErrorKind, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::process::Command;
use std::sync::Arc;

use eryx_net_host::policy::Reason;
use eryx_net_host::{EventKind, Family, NetConfig, NetError, Network, Recorder};
use support::*;

/// The variable that marks the run inside the namespace.
const INSIDE: &str = "ERYX_TEST_OWN_ADDRESSES";

const TEST: &str = "own_addresses_are_reachable_only_where_they_or_loopback_are_allowed";

/// Sets up the namespace: two addresses in one network, one on another interface, one on loopback,
/// global IPv6, prefixes that are routed to loopback, and a default route.
const MACHINE: &str = "set -e
ip link set lo up
ip link add veth0 type veth peer name veth1
ip link set veth0 up
ip link set veth1 up
ip address add 93.184.215.20/24 dev veth0
ip address add 93.184.215.21/24 dev veth0
ip address add 93.184.216.5/24 dev veth1
ip address add 142.250.185.78/32 dev lo
ip route add local 104.18.7.0/24 dev lo
ip -6 address add 2606:4700::5/64 dev veth0 nodad
ip -6 address add 2606:4700::6/64 dev veth0 nodad
ip -6 route add local 2606:4701::/32 dev lo
ip route add default via 93.184.215.1
exec \"$@\"";

const OWN: [&str; 8] = [
    "93.184.215.20",
    "93.184.215.21",
    "93.184.216.5",
    "142.250.185.78",
    "104.18.7.192",
    "2606:4700::5",
    "2606:4700::6",
    "2606:4701::1",
];

/// An address of another machine, which does not answer.
const FOREIGN: &str = "93.184.215.99";

#[test]
fn own_addresses_are_reachable_only_where_they_or_loopback_are_allowed() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Runtime::new().expect("started");
        runtime.block_on(inside());
        return;
    }
    let machine = |arguments: &[&str]| {
        Command::new("unshare")
            .args(["-Urn", "--", "sh", "-c", MACHINE, "sh"])
            .args(arguments)
            .env(INSIDE, "1")
            .output()
    };
    match machine(&["true"]) {
        Ok(output) if output.status.success() => {}
        outcome => {
            // Written directly, because the test harness hides the output of a test that passes.
            let _ = writeln!(std::io::stderr(), "\nSKIPPED {TEST}: {outcome:?}");
            return;
        }
    }
    let program = std::env::current_exe().expect("known");
    let program = program.to_str().expect("text");
    let output = machine(&[program, "--exact", TEST, "--nocapture"]).expect("starts");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    assert!(printed.contains("1 passed"), "{printed}");
}

/// A port with services, and one without.
const OPEN: u16 = 8099;
const CLOSED: u16 = 8098;

/// Services on every address of the machine, in both families.
struct Services {
    tcp: [TcpListener; 2],
    udp: [UdpSocket; 2],
}

impl Services {
    fn start() -> Self {
        let any = [ip("0.0.0.0"), ip("::")];
        let tcp = any.map(|any| {
            let socket = bound(any, socket2::Type::STREAM);
            socket.listen(16).expect("listens");
            TcpListener::from(socket)
        });
        let udp = any.map(|any| UdpSocket::from(bound(any, socket2::Type::DGRAM)));
        Self { tcp, udp }
    }

    /// Returns whether no connection or datagram has arrived.
    fn untouched(&self) -> bool {
        let idle = |kind: Option<ErrorKind>| kind == Some(ErrorKind::WouldBlock);
        self.tcp
            .iter()
            .all(|tcp| idle(tcp.accept().err().map(|e| e.kind())))
            && self
                .udp
                .iter()
                .all(|udp| idle(udp.recv(&mut [0]).err().map(|e| e.kind())))
    }
}

fn bound(any: IpAddr, kind: socket2::Type) -> socket2::Socket {
    let address = SocketAddr::new(any, OPEN);
    let socket =
        socket2::Socket::new(socket2::Domain::for_address(address), kind, None).expect("made");
    if any.is_ipv6() {
        socket.set_only_v6(true).expect("set");
    }
    socket.bind(&address.into()).expect("bound");
    socket.set_nonblocking(true).expect("set");
    socket
}

async fn inside() {
    let services = Services::start();
    denied_by_default().await;
    denied_behind_a_name().await;
    denied_for_udp().await;
    assert!(
        services.untouched(),
        "something was sent before it was denied"
    );
    reached_where_allowed().await;
    only_reported().await;
    addresses_of_other_machines_are_not_own().await;
}

fn reasons(recorder: &Recorder) -> Vec<Reason> {
    let denied = |kind: &EventKind| match kind {
        EventKind::Denied { verdict } => Some(verdict.reason()),
        _ => None,
    };
    recorder
        .events()
        .iter()
        .filter_map(|event| denied(&event.kind))
        .collect()
}

fn is_denied<T>(result: &Result<T, NetError>) -> bool {
    matches!(result, Err(NetError::Denied(_)))
}

async fn denied_by_default() {
    let listed = OWN.iter().fold(NetConfig::default(), |config, own| {
        config.allow_host(own).expect("a pattern")
    });
    for config in [NetConfig::default(), listed] {
        let (network, recorder) = recorded(&config);
        for own in OWN {
            // Open and closed ports have the same result.
            for port in [OPEN, CLOSED] {
                assert!(is_denied(&network.connect(own, port)), "{own}");
            }
            assert!(is_denied(&network.lookup(own, None, Family::Any)), "{own}");
        }
        assert_eq!(reasons(&recorder), [Reason::OwnAddress; 3 * OWN.len()]);
        let entry = network.report().connections.remove(0);
        let verdict = entry.verdict.expect("checked").to_string();
        assert!(verdict.contains("an address of this machine"), "{verdict}");
    }
}

async fn denied_behind_a_name() {
    let name = |at: usize| format!("service{at}.test");
    let resolver = OWN
        .iter()
        .enumerate()
        .fold(ScriptedResolver::new(), |resolver, (at, own)| {
            resolver.answer(&name(at), &["1.1.1.1", own])
        });
    let config = NetConfig::default().with_resolver(Arc::new(resolver));
    let (network, recorder) = recorded(&config);
    for (at, own) in OWN.iter().enumerate() {
        let denied = outcome(&network, &name(at), OPEN).await;
        assert!(is_denied(&denied), "{denied:?}");
        let message = denied.expect_err("denied").to_string();
        assert!(!message.contains(own), "{message}");
        let mut lookup = network
            .lookup(&name(at), None, Family::Any)
            .expect("allowed");
        assert!(
            is_denied(&within_timeout(lookup.finish(None)).await),
            "{own}"
        );
    }
    assert_eq!(reasons(&recorder), [Reason::OwnAddress; 2 * OWN.len()]);
}

async fn denied_for_udp() {
    let config = NetConfig::default().allow_udp("*:8000-9000");
    let (network, recorder) = recorded(&config.expect("a pattern"));
    for own in OWN {
        let family = if own.contains(':') {
            Family::Ipv6
        } else {
            Family::Ipv4
        };
        let mut socket = network.udp_socket(family).expect("allowed");
        let sent = within_timeout(socket.send_to(b"x", own, OPEN, None)).await;
        assert!(is_denied(&sent), "{own}: {sent:?}");
        assert!(is_denied(&socket.connect(own, OPEN)), "{own}");
    }
    assert_eq!(reasons(&recorder), [Reason::OwnAddress; 2 * OWN.len()]);
}

async fn reached_where_allowed() {
    let exempt = OWN.iter().fold(NetConfig::default(), |config, own| {
        config.allow_network(own).expect("a network")
    });
    for config in [
        NetConfig::default().allow_localhost(),
        exempt,
        NetConfig::permissive(),
    ] {
        let network = Network::new(&config);
        for own in OWN {
            let connection = connected(&network, own, OPEN).await;
            // The program does not learn which of its addresses the machine uses.
            let local = connection.local_endpoint().expect("open");
            assert!(local.ip().is_unspecified() && local.port() > 0, "{local}");
            assert_eq!(local.is_ipv6(), own.contains(':'));
        }
    }
    let config = NetConfig::default()
        .allow_localhost()
        .allow_udp("*:8000-9000");
    let network = Network::new(&config.expect("a pattern"));
    let mut socket = network.udp_socket(Family::Ipv4).expect("allowed");
    socket.connect(OWN[0], OPEN).expect("allowed");
    let local = socket.local_endpoint().expect("bound");
    assert!(local.ip().is_unspecified() && local.port() > 0, "{local}");
}

async fn only_reported() {
    let (network, recorder) = recorded(&NetConfig::default().with_report_only(true));
    connected(&network, OWN[0], OPEN).await;
    assert!(
        matches!(&recorder.events()[0].kind, EventKind::WouldDeny { verdict } if verdict.reason() == Reason::OwnAddress)
    );
}

async fn addresses_of_other_machines_are_not_own() {
    let (network, recorder) = recorded(&NetConfig::default());
    let dialled = network.connect(FOREIGN, 80);
    assert!(dialled.is_ok(), "{dialled:?}");
    assert_eq!(reasons(&recorder), []);
}
