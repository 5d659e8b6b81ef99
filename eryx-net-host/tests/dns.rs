//! Tests of the DNS client with correct and faulty name servers.

mod support;

use std::time::Duration;

use eryx_net_host::{EventKind, Family, NetConfig, NetError, Network};
use eryx_testkit::{Answer, Behaviour, NameServer, Peer, Script};
use support::*;

fn addresses(list: &[&str]) -> Answer {
    Answer::addresses(list.iter().copied()).expect("addresses")
}

async fn name_server(script: Script) -> (NameServer, NetConfig) {
    let server = NameServer::start(script).await.expect("name server");
    let config = NetConfig::default()
        .allow_localhost()
        .with_dns_server(server.address());
    assert_eq!(config.dns_server(), Some(server.address()));
    (server, config)
}

async fn look_up(network: &Network, name: &str) -> Result<Vec<std::net::IpAddr>, NetError> {
    let mut lookup = network.lookup(name, Some(80), Family::Any)?;
    within_timeout(lookup.finish(None)).await
}

#[tokio::test]
async fn a_lookup_queries_both_families_once_for_the_absolute_name() {
    let (server, config) =
        name_server(Script::new().answer("dual.test", addresses(&["1.1.1.1", "2606:4700::1111"])))
            .await;
    let network = Network::new(&config);
    assert_eq!(
        look_up(&network, "Dual.TEST.").await,
        Ok(vec![ip("2606:4700::1111"), ip("1.1.1.1")])
    );
    let mut kinds: Vec<_> = server
        .queries()
        .into_iter()
        .map(|query| (query.name, query.kind))
        .collect();
    kinds.sort();
    assert_eq!(
        kinds,
        [
            ("dual.test".into(), "A".into()),
            ("dual.test".into(), "AAAA".into())
        ]
    );
}

#[tokio::test]
async fn connect_resolves_a_name() {
    let peer = Peer::plain(Behaviour::Echo).await.expect("peer");
    let (_server, config) =
        name_server(Script::new().answer("peer.test", addresses(&["127.0.0.1"]))).await;
    outcome(&Network::new(&config), "peer.test", peer.port())
        .await
        .expect("connects");
}

#[tokio::test]
async fn aliases_are_followed_checked_and_reported() {
    let script = Script::new()
        .answer("www.test", Answer::alias("edge.test"))
        .answer("edge.test", Answer::alias("far.test"))
        .answer("far.test", addresses(&["1.1.1.1"]))
        .answer("bad.test", Answer::alias("metadata.google.internal"))
        .answer("metadata.google.internal", addresses(&["1.1.1.1"]));
    let (_server, config) = name_server(script).await;
    let (network, recorder) = recorded(&config);
    assert_eq!(look_up(&network, "www.test").await, Ok(vec![ip("1.1.1.1")]));
    let aliases = recorder
        .events()
        .into_iter()
        .find_map(|event| match event.kind {
            EventKind::Resolved { aliases, .. } => Some(aliases),
            _ => None,
        });
    assert_eq!(aliases.expect("resolved"), ["edge.test", "far.test"]);
    assert!(matches!(
        look_up(&network, "bad.test").await,
        Err(NetError::Denied(_))
    ));
    let blocking = config.block_host("far.test").expect("valid");
    assert!(matches!(
        look_up(&Network::new(&blocking), "www.test").await,
        Err(NetError::Denied(_))
    ));
}

#[tokio::test]
async fn every_answer_is_checked_when_answers_change() {
    let script = Script::new()
        .answer("flip.test", addresses(&["1.1.1.1"]))
        .answer("flip.test", addresses(&["127.0.0.1"]))
        .answer("mixed.test", addresses(&["1.1.1.1", "::1"]));
    let (_server, config) = name_server(script).await;
    let strict = NetConfig::default().with_dns_server(config.dns_server().expect("set"));
    let network = Network::new(&strict);
    assert!(look_up(&network, "flip.test").await.is_ok());
    assert!(matches!(
        look_up(&network, "flip.test").await,
        Err(NetError::Denied(_))
    ));
    assert!(matches!(
        look_up(&network, "mixed.test").await,
        Err(NetError::Denied(_))
    ));
}

#[tokio::test]
async fn dns_failures_have_distinct_errors() {
    let script = Script::new()
        .answer("empty.test", addresses(&[]))
        .answer("failing.test", Answer::ServerFailure)
        .answer("refused.test", Answer::Refused)
        .answer("loop.test", Answer::alias("loop.test"));
    let (_server, config) = name_server(script).await;
    let network = Network::new(&config);
    let table = [
        ("missing.test", NetError::NameNotFound),
        ("empty.test", NetError::NameWithoutAddress),
        ("failing.test", NetError::NameTryAgain),
        ("refused.test", NetError::NameTryAgain),
    ];
    for (name, expected) in table {
        assert_eq!(look_up(&network, name).await, Err(expected), "{name}");
    }
    assert!(look_up(&network, "loop.test").await.is_err());
}

#[tokio::test]
async fn a_truncated_answer_is_queried_again_over_tcp() {
    let many: Vec<String> = (1..=40).map(|n| format!("1.1.1.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (server, config) =
        name_server(Script::new().answer("long.test", addresses(&many).truncated())).await;
    let found = look_up(&Network::new(&config), "long.test").await;
    assert_eq!(found.expect("complete").len(), 40);
    assert!(server.queries().iter().any(|query| query.tcp));
}

#[tokio::test]
async fn silent_and_malformed_name_servers_end_with_the_connect_timeout() {
    let script = Script::new()
        .answer("silent.test", Answer::Silence)
        .answer("garbage.test", Answer::Garbage)
        .answer("forged.test", addresses(&["1.1.1.1"]).forged());
    let (_server, config) = name_server(script).await;
    let config = config
        .with_connect_timeout(Duration::from_millis(300))
        .expect("valid");
    let network = Network::new(&config);
    for name in ["silent.test", "garbage.test", "forged.test"] {
        let error = look_up(&network, name).await.expect_err(name);
        assert!(
            matches!(error, NetError::TimedOut | NetError::NameTryAgain),
            "{name}: {error:?}"
        );
        assert!(outcome(&network, name, 80).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn an_unreachable_name_server_is_an_error_before_the_timeout() {
    let closed = eryx_testkit::ClosedPort::new().expect("port");
    let config = NetConfig::default()
        .with_dns_server(closed.address())
        .with_connect_timeout(Duration::from_secs(2))
        .expect("valid");
    let error = look_up(&Network::new(&config), "a.test")
        .await
        .expect_err("no server");
    assert!(
        matches!(error, NetError::NameTryAgain | NetError::TimedOut),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_denied_name_is_never_sent_to_a_name_server() {
    let (server, config) = name_server(Script::new().otherwise(addresses(&["127.0.0.1"]))).await;
    let config = config.allow_host("api.test").expect("valid");
    let network = Network::new(&config);
    assert!(network.connect("secret-payload.evil.test", 80).is_err());
    assert!(
        network
            .lookup("secret-payload.evil.test", None, Family::Any)
            .is_err()
    );
    look_up(&network, "api.test").await.expect("allowed");
    assert_eq!(server.queries_for("secret-payload.evil.test"), 0);
    assert!(server.queries_for("api.test") > 0);
}

#[tokio::test]
async fn an_unanswered_family_delays_the_other_by_a_bounded_time() {
    use hickory_proto::op::Message;
    use hickory_proto::rr::{RData, Record, RecordType};

    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("bind");
    let address = socket.local_addr().expect("address");
    let server = tokio::spawn(async move {
        let mut buffer = [0; 512];
        loop {
            let (length, client) = socket.recv_from(&mut buffer).await.expect("receives");
            let query = Message::from_vec(&buffer[..length]).expect("a query");
            let question = query.queries[0].clone();
            if question.query_type() != RecordType::A {
                continue;
            }
            let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
            reply.add_query(question.clone());
            let data = RData::A(std::net::Ipv4Addr::new(1, 1, 1, 1).into());
            reply.add_answer(Record::from_rdata(question.name().clone(), 0, data));
            let bytes = reply.to_vec().expect("encodes");
            socket.send_to(&bytes, client).await.expect("sends");
        }
    });
    let config = NetConfig::default().with_dns_server(address);
    let started = std::time::Instant::now();
    let found = look_up(&Network::new(&config), "four.test").await;
    assert_eq!(found, Ok(vec![ip("1.1.1.1")]));
    // The delay is one second. The timeout of the silent query would take more than five.
    assert!(started.elapsed() < Duration::from_secs(4));
    server.abort();
}

#[tokio::test]
async fn many_concurrent_lookups_all_succeed() {
    let (_server, config) = name_server(Script::new().otherwise(addresses(&["1.1.1.1"]))).await;
    let network = Network::new(&config.with_max_connections(200));
    let mut lookups: Vec<_> = (0..200)
        .map(|n| {
            network
                .lookup(&format!("n{n}.test"), Some(80), Family::Any)
                .expect("allowed")
        })
        .collect();
    for lookup in &mut lookups {
        assert_eq!(
            within_timeout(lookup.finish(None)).await,
            Ok(vec![ip("1.1.1.1")])
        );
    }
}

#[test]
fn one_configuration_works_in_several_runtimes() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("runtime")
    };
    // The name server has its own runtime, on its own thread.
    let (sender, receiver) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = std::thread::spawn(move || {
        runtime().block_on(async {
            let script = Script::new().otherwise(addresses(&["1.1.1.1"]));
            let server = NameServer::start(script).await.expect("name server");
            sender.send(server.address()).expect("the test waits");
            let _ = stopped.await;
        });
    });
    let config = NetConfig::default().with_dns_server(receiver.recv().expect("started"));
    for round in 0..6 {
        let found = runtime().block_on(look_up(&Network::new(&config), &format!("r{round}.test")));
        assert_eq!(found, Ok(vec![ip("1.1.1.1")]), "round {round}");
    }
    drop(stop);
    server.join().expect("ends");
}
