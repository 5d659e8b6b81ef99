//! Name servers that lie: what a program is told of each, what the embedder is, and who is dialled.
//!
//! Trap: resolving, checking, then resolving again to dial. 127.0.0.2 stands for a public address here, and
//! what must not be reached is 127.0.0.1, where somebody listens on the same port.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use eryx::Sandbox;
use eryx::net::policy::Reason;
use eryx::net::{Activity, CloseReason, Event, EventKind, NetConfig, NetError, Recorder};
use eryx_testkit::{Answer, Behaviour, NameServer, Peer, Script, Transport};
use serde_json::json;

use crate::support::{expect_stdout, program};

/// Stands for an address anybody may dial.
const PUBLIC: &str = "127.0.0.2";
/// Stands for an address nobody may.
const INTERNAL: &str = "127.0.0.1";

/// A name server, a peer at the public address, and one at the internal address that must stay alone.
struct Scene {
    names: NameServer,
    public: Peer,
    internal: Peer,
}

/// What a program printed, and what its embedder heard.
struct Told {
    printed: String,
    events: Vec<Event>,
}

impl Scene {
    async fn new(script: Script) -> Self {
        let names = NameServer::start(script).await.expect("started");
        // A port that is free on both addresses.
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

    /// Runs `text`, in which `connect` tells what becomes of a connection to `name.test`.
    async fn run(&self, text: &str) -> Told {
        let helpers = "
import socket
def connect(host='name.test'):
    try:
        # Not create_connection, which looks the name up first and then connects to an address.
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
            .expect("the settings are right");
        let constants = json!({"PORT": self.public.port()});
        let program = program(&constants, &format!("{helpers}{text}"));
        let printed = expect_stdout(sandbox.execute(program).await);
        assert_eq!(self.internal.connections(), 0, "{printed}");
        assert!(!printed.contains(INTERNAL), "{printed}");
        Told {
            printed,
            events: recorder.events(),
        }
    }

    /// How many lookups of `name.test` there were.
    fn lookups(&self) -> usize {
        self.names
            .queries()
            .iter()
            .filter(|query| query.name == "name.test" && query.kind == "A" && !query.tcp)
            .count()
    }
}

impl Told {
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
        self.events.iter().map(|event| event.kind.name()).collect()
    }

    /// The reasons of denials, with the address each is about.
    fn denials(&self) -> Vec<(Reason, Option<IpAddr>)> {
        self.events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Denied { verdict } => Some((verdict.reason(), verdict.denied_address())),
                _ => None,
            })
            .collect()
    }

    /// What was dialled.
    fn dialled(&self) -> Vec<IpAddr> {
        self.events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Connected { address, .. } => Some(address.ip()),
                _ => None,
            })
            .collect()
    }

    /// How the last connection or lookup ended.
    fn end(&self) -> CloseReason {
        match self.events.last().map(|event| &event.kind) {
            Some(EventKind::Closed { close_reason, .. }) => close_reason.clone(),
            other => panic!("{other:?} is no end"),
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
async fn a_name_that_flips_to_an_internal_address_is_refused_and_what_was_found_before_stays() {
    let script = Script::new()
        .answer("name.test", addresses([PUBLIC]))
        .answer("name.test", addresses([INTERNAL]));
    let scene = Scene::new(script).await;
    let told = scene.run("lookup()\nconnect()\nconnect('127.0.0.2')").await;
    assert_eq!(
        told.outcomes(),
        [
            "found 127.0.0.2",
            "PermissionError(EACCES)",
            "connected to 127.0.0.2"
        ]
    );
    assert_eq!(
        told.denials(),
        [(Reason::AddressBlocked, Some(ip(INTERNAL)))]
    );
    assert_eq!(told.dialled(), [ip(PUBLIC)]);
    assert_eq!(scene.lookups(), 2, "an address needs no lookup");
    // The peer may hear of the connection only after it was closed.
    scene.public.ended(1).await;
    assert_eq!(scene.public.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_time_to_live_of_zero_each_connection_asks_once_and_dials_what_was_judged() {
    let mut script = Script::new();
    for address in [PUBLIC, INTERNAL, PUBLIC, INTERNAL] {
        script = script.answer("name.test", addresses([address]));
    }
    let scene = Scene::new(script).await;
    let told = scene.run("for _ in range(4):\n    connect()").await;
    let (connected, refused) = ("connected to 127.0.0.2", "PermissionError(EACCES)");
    assert_eq!(told.outcomes(), [connected, refused, connected, refused]);
    assert_eq!(
        told.kinds(),
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
    assert_eq!(told.dialled(), [ip(PUBLIC), ip(PUBLIC)]);
    assert_eq!(scene.lookups(), 4, "one for each connection");

    // Another sandbox under an answer that may be kept: it is, however often the server changes its mind.
    scene.names.replace(
        Script::new()
            .answer("name.test", addresses([PUBLIC]).with_ttl(300))
            .answer("name.test", addresses([INTERNAL])),
    );
    let told = scene.run("for _ in range(3):\n    connect()").await;
    assert_eq!(told.outcomes(), [connected; 3]);
    assert_eq!(scene.lookups(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_address_beside_an_internal_one_of_the_other_family_is_refused() {
    for list in [
        [PUBLIC, "::1"],
        ["::1", PUBLIC],
        [PUBLIC, INTERNAL],
        [PUBLIC, "::ffff:127.0.0.1"],
    ] {
        let script = Script::new().answer("name.test", addresses(list));
        let scene = Scene::new(script).await;
        let told = scene.run("connect()\nlookup()").await;
        assert_eq!(told.outcomes(), ["PermissionError(EACCES)"; 2], "{list:?}");
        assert_eq!(told.kinds(), ["denied", "denied"], "{list:?}");
        let internal = list
            .iter()
            .map(|text| ip(text).to_canonical())
            .find(|address| *address != ip(PUBLIC));
        assert_eq!(
            told.denials(),
            [(Reason::AddressBlocked, internal); 2],
            "{list:?}"
        );
        assert!(!told.printed.contains("::1"), "{}", told.printed);
        assert_eq!(scene.public.connections(), 0, "{list:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_of_a_blocked_name_is_refused_though_its_address_is_public() {
    let script = Script::new()
        .answer("name.test", Answer::alias("middle.test"))
        .answer("middle.test", Answer::alias("blocked.test"))
        .answer("blocked.test", addresses([PUBLIC]));
    let scene = Scene::new(script).await;
    let told = scene.run("connect()\nlookup()").await;
    assert_eq!(told.outcomes(), ["PermissionError(EACCES)"; 2]);
    assert!(!told.printed.contains("blocked.test"), "{}", told.printed);
    assert_eq!(told.denials(), [(Reason::AliasBlocked, None); 2]);
    for event in &told.events {
        let EventKind::Denied { verdict } = &event.kind else {
            panic!("{event}");
        };
        let alias = verdict.denied_alias().expect("an alias").to_string();
        assert_eq!(alias, "blocked.test");
    }
    assert_eq!(scene.public.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_never_answers_costs_one_connect_timeout() {
    let scene = Scene::new(Script::new().otherwise(Answer::Silence)).await;
    let told = scene
        .run(
            "
import time
begun = time.monotonic()
connect()
print(1.9 < time.monotonic() - begun < 10)
",
        )
        .await;
    assert_eq!(told.outcomes(), ["TimeoutError timed out", "True"]);
    assert_eq!(told.kinds(), ["closed"]);
    assert_eq!(told.end(), CloseReason::Error(NetError::TimedOut));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_makes_no_sense_is_no_answer() {
    let garbage = Script::new().otherwise(Answer::Garbage);
    // Under another transaction's number, an answer may come from anybody.
    let forged = Script::new().otherwise(addresses([PUBLIC]).forged());
    for script in [garbage, forged] {
        let scene = Scene::new(script).await;
        let told = scene.run("connect()").await;
        let outcome = told.outcomes()[0];
        assert!(
            outcome.starts_with("TimeoutError") || outcome.starts_with("gaierror"),
            "{outcome}"
        );
        assert_eq!(told.kinds(), ["closed"]);
        assert!(matches!(
            told.end(),
            CloseReason::Error(NetError::TimedOut | NetError::NameTryAgain)
        ));
        assert_eq!(scene.public.connections(), 0);
    }
    // Answers that a name server may give for its own failures.
    for (answer, expected, error) in [
        (Answer::ServerFailure, "gaierror", NetError::NameTryAgain),
        (Answer::Refused, "gaierror", NetError::NameTryAgain),
        (Answer::NameError, "gaierror", NetError::NameNotFound),
        (addresses([]), "gaierror", NetError::NameNotFound),
    ] {
        let scene = Scene::new(Script::new().otherwise(answer.clone())).await;
        let told = scene.run("connect()").await;
        assert!(
            told.printed.starts_with(expected),
            "{answer:?}: {}",
            told.printed
        );
        assert_eq!(told.end(), CloseReason::Error(error), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_too_long_for_a_datagram_is_fetched_over_tcp_and_judged_whole() {
    let many: Vec<IpAddr> = (2..=40)
        .map(|last| Ipv4Addr::new(127, 0, 0, last).into())
        .collect();
    let script = Script::new().answer("name.test", Answer::from_ips(many.clone()).truncated());
    let scene = Scene::new(script).await;
    let told = scene.run("connect()").await;
    assert_eq!(told.outcomes(), ["connected to 127.0.0.2"]);
    assert_eq!(told.kinds(), ["resolved", "connected", "closed"]);
    assert!(scene.names.queries().iter().any(|query| query.tcp));

    // The one that is internal may be the last.
    let mut mixed = many;
    mixed.push(ip(INTERNAL));
    let script = Script::new().answer("name.test", Answer::from_ips(mixed).truncated());
    let scene = Scene::new(script).await;
    let told = scene.run("connect()").await;
    assert_eq!(told.outcomes(), ["PermissionError(EACCES)"]);
    assert_eq!(
        told.denials(),
        [(Reason::AddressBlocked, Some(ip(INTERNAL)))]
    );
    assert_eq!(scene.public.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_has_what_a_lying_name_server_said() {
    let script = Script::new().answer("name.test", addresses([PUBLIC, INTERNAL]));
    let scene = Scene::new(script).await;
    let sandbox = Sandbox::embedded()
        .with_network(scene.config())
        .build()
        .expect("the settings are right");
    let text = format!(
        "import socket
try:
    socket.socket().connect(('name.test', {}))
except PermissionError:
    print('refused')",
        scene.public.port()
    );
    let result = sandbox.execute(text).await.expect("runs");
    assert_eq!(result.stdout, "refused\n");
    let report = &result.network.connections[0];
    assert_eq!(report.activity, Activity::Connection);
    assert_eq!(report.close_reason, Some(CloseReason::Denied));
    assert_eq!(report.addresses, [ip(PUBLIC), ip(INTERNAL)]);
    let verdict = report.verdict.as_ref().expect("judged");
    assert_eq!(verdict.denied_address(), Some(ip(INTERNAL)));
}
