//! DNS rebinding and other hostile name servers: the result for the program, the events for the
//! embedder, and the addresses dialled.
//!
//! Regression: a name was resolved and checked, and resolved again to connect. In these tests
//! 127.0.0.2 stands for a public address, and 127.0.0.1 for an internal one that must not be
//! connected to; a peer listens on the same port of both.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use eryx::Sandbox;
use eryx::net::policy::Reason;
use eryx::net::{Activity, CloseReason, Event, EventKind, NetConfig, NetError, Recorder};
use eryx_testkit::{Answer, Behaviour, NameServer, Peer, Script, Transport};
use serde_json::json;

use crate::support::{expect_stdout, program};

/// Stands for an allowed address.
const PUBLIC: &str = "127.0.0.2";
/// Stands for a denied address.
const INTERNAL: &str = "127.0.0.1";

/// A name server, a peer at the public address, and a peer at the internal address that must not be
/// connected to.
struct Rebinding {
    names: NameServer,
    public: Peer,
    internal: Peer,
}

/// The output of a program, and the events of its network.
struct Outcome {
    printed: String,
    events: Vec<Event>,
}

impl Rebinding {
    async fn new(script: Script) -> Self {
        let names = NameServer::start(script).await.expect("started");
        // Find a port that is free on both addresses.
        for _ in 0..20 {
            let public = peer(PUBLIC, 0).await.expect("started");
            if let Ok(internal) = peer(INTERNAL, public.port()).await {
                return Self {
                    names,
                    public,
                    internal,
                };
            }
        }
        panic!("no port is free on both addresses");
    }

    fn config(&self) -> NetConfig {
        NetConfig::default()
            .with_blocked_hosts([INTERNAL, "::1", "blocked.test"])
            .and_then(|config| config.with_connect_timeout(Duration::from_secs(2)))
            .expect("valid")
            .with_dns_server(self.names.address())
    }

    /// Runs `text`, in which `connect` connects to `name.test` and prints the result.
    async fn run(&self, text: &str) -> Outcome {
        let helpers = "
import socket
def connect(host='name.test'):
    try:
        # create_connection would look up the name first, and then connect to an address.
        with socket.socket() as sock:
            sock.connect((host, PORT))
            print('connected to', sock.getpeername()[0])
    except OSError as error:
        print(described(error), error)
def lookup():
    try:
        print('found', *sorted({found[4][0] for found in socket.getaddrinfo('name.test', PORT)}))
    except OSError as error:
        print(described(error), error)
";
        let recorder = Arc::new(Recorder::new(1000));
        let sandbox = Sandbox::embedded()
            .with_network(self.config())
            .with_network_observer(Arc::clone(&recorder) as _)
            .build()
            .expect("valid settings");
        let constants = json!({"PORT": self.public.port()});
        let program = program(&constants, &format!("{helpers}{text}"));
        let printed = expect_stdout(sandbox.execute(program).await);
        assert_eq!(self.internal.connections(), 0, "{printed}");
        assert!(!printed.contains(INTERNAL), "{printed}");
        Outcome {
            printed,
            events: recorder.events(),
        }
    }

    /// Returns the number of lookups of `name.test`.
    fn lookups(&self) -> usize {
        self.names
            .queries()
            .iter()
            .filter(|query| query.name == "name.test" && query.kind == "A" && !query.tcp)
            .count()
    }
}

impl Outcome {
    fn outcomes(&self) -> Vec<&str> {
        self.printed
            .lines()
            .map(|line| {
                line.split_once(") ")
                    .map_or(line, |(outcome, _)| &line[..=outcome.len()])
            })
            .collect()
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.events
            .iter()
            .map(|event| event.kind.as_str())
            .collect()
    }

    /// Returns the reason of each denial, with the address it is about.
    fn denials(&self) -> Vec<(Reason, Option<IpAddr>)> {
        self.events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Denied { verdict } => Some((verdict.reason(), verdict.denied_address())),
                _ => None,
            })
            .collect()
    }

    /// Returns the addresses of the established connections.
    fn dialled(&self) -> Vec<IpAddr> {
        self.events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Connected { address, .. } => Some(address.ip()),
                _ => None,
            })
            .collect()
    }

    /// Returns the end of the last connection or lookup.
    fn end(&self) -> CloseReason {
        match self.events.last().map(|event| &event.kind) {
            Some(EventKind::Closed { close_reason, .. }) => close_reason.clone(),
            other => panic!("{other:?} is not an end"),
        }
    }
}

async fn peer(address: &str, port: u16) -> std::io::Result<Peer> {
    let address = SocketAddr::new(ip(address), port);
    Peer::start(Behaviour::Silent, Transport::plain(), address).await
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn addresses<const N: usize>(list: [&str; N]) -> Answer {
    Answer::addresses(list).expect("addresses")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_rebound_to_an_internal_address_is_denied_and_earlier_results_stay_valid() {
    let script = Script::new()
        .answer("name.test", addresses([PUBLIC]))
        .answer("name.test", addresses([INTERNAL]));
    let rebinding = Rebinding::new(script).await;
    let outcome = rebinding
        .run("lookup()\nconnect()\nconnect('127.0.0.2')")
        .await;
    assert_eq!(
        outcome.outcomes(),
        [
            "found 127.0.0.2",
            "PermissionError(EACCES)",
            "connected to 127.0.0.2"
        ]
    );
    assert_eq!(
        outcome.denials(),
        [(Reason::AddressBlocked, Some(ip(INTERNAL)))]
    );
    assert_eq!(outcome.dialled(), [ip(PUBLIC)]);
    assert_eq!(rebinding.lookups(), 2, "an address needs no lookup");
    // The peer may accept the connection only after the program has closed it.
    rebinding.public.ended(1).await;
    assert_eq!(rebinding.public.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_ttl_zero_each_connection_looks_up_once_and_dials_the_checked_address() {
    let mut script = Script::new();
    for address in [PUBLIC, INTERNAL, PUBLIC, INTERNAL] {
        script = script.answer("name.test", addresses([address]));
    }
    let rebinding = Rebinding::new(script).await;
    let outcome = rebinding.run("for _ in range(4):\n    connect()").await;
    let (connected, refused) = ("connected to 127.0.0.2", "PermissionError(EACCES)");
    assert_eq!(outcome.outcomes(), [connected, refused, connected, refused]);
    assert_eq!(
        outcome.kinds(),
        [
            "resolved",
            "connected",
            "closed",
            "denied", //
            "resolved",
            "connected",
            "closed",
            "denied",
        ]
    );
    assert_eq!(outcome.dialled(), [ip(PUBLIC), ip(PUBLIC)]);
    assert_eq!(rebinding.lookups(), 4, "one for each connection");

    // In another sandbox, an answer with a TTL is cached, although the server's answer changes.
    rebinding.names.replace(
        Script::new()
            .answer("name.test", addresses([PUBLIC]).with_ttl(300))
            .answer("name.test", addresses([INTERNAL])),
    );
    let outcome = rebinding.run("for _ in range(3):\n    connect()").await;
    assert_eq!(outcome.outcomes(), [connected; 3]);
    assert_eq!(rebinding.lookups(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_address_with_an_internal_one_of_the_other_family_is_denied() {
    for list in [
        [PUBLIC, "::1"],
        ["::1", PUBLIC],
        [PUBLIC, INTERNAL],
        [PUBLIC, "::ffff:127.0.0.1"],
    ] {
        let script = Script::new().answer("name.test", addresses(list));
        let rebinding = Rebinding::new(script).await;
        let outcome = rebinding.run("connect()\nlookup()").await;
        assert_eq!(
            outcome.outcomes(),
            ["PermissionError(EACCES)"; 2],
            "{list:?}"
        );
        assert_eq!(outcome.kinds(), ["denied", "denied"], "{list:?}");
        let internal = list
            .iter()
            .map(|text| ip(text).to_canonical())
            .find(|address| *address != ip(PUBLIC));
        assert_eq!(
            outcome.denials(),
            [(Reason::AddressBlocked, internal); 2],
            "{list:?}"
        );
        assert!(!outcome.printed.contains("::1"), "{}", outcome.printed);
        assert_eq!(rebinding.public.connections(), 0, "{list:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_of_a_blocked_name_is_denied_although_its_address_is_public() {
    let script = Script::new()
        .answer("name.test", Answer::alias("middle.test"))
        .answer("middle.test", Answer::alias("blocked.test"))
        .answer("blocked.test", addresses([PUBLIC]));
    let rebinding = Rebinding::new(script).await;
    let outcome = rebinding.run("connect()\nlookup()").await;
    assert_eq!(outcome.outcomes(), ["PermissionError(EACCES)"; 2]);
    assert!(
        !outcome.printed.contains("blocked.test"),
        "{}",
        outcome.printed
    );
    assert_eq!(outcome.denials(), [(Reason::AliasBlocked, None); 2]);
    for event in &outcome.events {
        let EventKind::Denied { verdict } = &event.kind else {
            panic!("{event}");
        };
        let alias = verdict.denied_alias().expect("an alias").to_string();
        assert_eq!(alias, "blocked.test");
    }
    assert_eq!(rebinding.public.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_name_server_costs_one_connect_timeout() {
    let rebinding = Rebinding::new(Script::new().otherwise(Answer::Silence)).await;
    let outcome = rebinding
        .run(
            "
import time
start = time.monotonic()
connect()
print(1.9 < time.monotonic() - start < 10)
",
        )
        .await;
    assert_eq!(outcome.outcomes(), ["TimeoutError timed out", "True"]);
    assert_eq!(outcome.kinds(), ["closed"]);
    assert_eq!(outcome.end(), CloseReason::Error(NetError::TimedOut));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_or_forged_answer_is_ignored() {
    let garbage = Script::new().otherwise(Answer::Garbage);
    // An answer with a wrong transaction ID may come from an off-path attacker.
    let forged = Script::new().otherwise(addresses([PUBLIC]).forged());
    for script in [garbage, forged] {
        let rebinding = Rebinding::new(script).await;
        let outcome = rebinding.run("connect()").await;
        let printed = outcome.outcomes()[0];
        assert!(
            printed.starts_with("TimeoutError") || printed.starts_with("gaierror"),
            "{printed}"
        );
        assert_eq!(outcome.kinds(), ["closed"]);
        assert!(matches!(
            outcome.end(),
            CloseReason::Error(NetError::TimedOut | NetError::NameTryAgain)
        ));
        assert_eq!(rebinding.public.connections(), 0);
    }
    // Error responses of a name server.
    for (answer, expected, error) in [
        (Answer::ServerFailure, "gaierror", NetError::NameTryAgain),
        (Answer::Refused, "gaierror", NetError::NameTryAgain),
        (Answer::NameError, "gaierror", NetError::NameNotFound),
        (addresses([]), "gaierror", NetError::NameWithoutAddress),
    ] {
        let rebinding = Rebinding::new(Script::new().otherwise(answer.clone())).await;
        let outcome = rebinding.run("connect()").await;
        assert!(
            outcome.printed.starts_with(expected),
            "{answer:?}: {}",
            outcome.printed
        );
        assert_eq!(outcome.end(), CloseReason::Error(error), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_answer_is_fetched_over_tcp_and_checked_completely() {
    let many: Vec<IpAddr> = (2..=40)
        .map(|last| Ipv4Addr::new(127, 0, 0, last).into())
        .collect();
    let script = Script::new().answer("name.test", Answer::from_ips(many.clone()).truncated());
    let rebinding = Rebinding::new(script).await;
    let outcome = rebinding.run("connect()").await;
    assert_eq!(outcome.outcomes(), ["connected to 127.0.0.2"]);
    assert_eq!(outcome.kinds(), ["resolved", "connected", "closed"]);
    assert!(rebinding.names.queries().iter().any(|query| query.tcp));

    // The internal address may be the last one.
    let mut mixed = many;
    mixed.push(ip(INTERNAL));
    let script = Script::new().answer("name.test", Answer::from_ips(mixed).truncated());
    let rebinding = Rebinding::new(script).await;
    let outcome = rebinding.run("connect()").await;
    assert_eq!(outcome.outcomes(), ["PermissionError(EACCES)"]);
    assert_eq!(
        outcome.denials(),
        [(Reason::AddressBlocked, Some(ip(INTERNAL)))]
    );
    assert_eq!(rebinding.public.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_contains_the_answers_of_a_hostile_name_server() {
    let script = Script::new().answer("name.test", addresses([PUBLIC, INTERNAL]));
    let rebinding = Rebinding::new(script).await;
    let sandbox = Sandbox::embedded()
        .with_network(rebinding.config())
        .build()
        .expect("valid settings");
    let text = format!(
        "import socket
try:
    socket.socket().connect(('name.test', {}))
except PermissionError:
    print('refused')",
        rebinding.public.port()
    );
    let result = sandbox.execute(text).await.expect("succeeds");
    assert_eq!(result.stdout, "refused\n");
    let report = &result.network.connections[0];
    assert_eq!(report.activity, Activity::Connection);
    assert_eq!(report.close_reason, Some(CloseReason::Denied));
    assert_eq!(report.addresses, [ip(PUBLIC), ip(INTERNAL)]);
    let verdict = report.verdict.as_ref().expect("checked");
    assert_eq!(verdict.denied_address(), Some(ip(INTERNAL)));
}
