use std::net::IpAddr;
use std::time::Instant;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, RecordType};

use super::*;
use crate::listener::LOOPBACK_V6;
use crate::policy_vectors::PolicyVector;

const QUERY_ID: u16 = 0x1234;

/// The timeout of an answer, ample for a machine that is busy with other tests.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The time after which a reply counts as missing.
const SILENCE: Duration = Duration::from_millis(150);

fn query(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.id = QUERY_ID;
    message.metadata.recursion_desired = true;
    let name = Name::from_ascii(name).unwrap();
    message.add_query(hickory_proto::op::Query::query(name, kind));
    message.to_vec().unwrap()
}

async fn ask_bytes(
    server: &NameServer,
    name: &str,
    kind: RecordType,
    timeout: Duration,
) -> Option<Vec<u8>> {
    let local = if server.address().is_ipv4() {
        LOOPBACK
    } else {
        LOOPBACK_V6
    };
    let socket = UdpSocket::bind(local).await.unwrap();
    socket
        .send_to(&query(name, kind), server.address())
        .await
        .unwrap();
    let mut buffer = [0; 1500];
    let received = tokio::time::timeout(timeout, socket.recv(&mut buffer)).await;
    Some(buffer[..received.ok()?.unwrap()].to_vec())
}

async fn ask(server: &NameServer, name: &str, kind: RecordType) -> Message {
    let bytes = ask_bytes(server, name, kind, TIMEOUT).await;
    Message::from_vec(&bytes.expect("an answer over UDP")).unwrap()
}

async fn ask_tcp(stream: &mut TcpStream, name: &str, kind: RecordType) -> Message {
    let query = query(name, kind);
    stream.write_u16(query.len() as u16).await.unwrap();
    stream.write_all(&query).await.unwrap();
    let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
    stream.read_exact(&mut answer).await.unwrap();
    Message::from_vec(&answer).unwrap()
}

fn addresses(message: &Message) -> Vec<String> {
    let addresses = message
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        });
    addresses.map(|address| address.to_string()).collect()
}

fn script_of(answer: Answer) -> Script {
    Script::new().answer("a.test", answer)
}

fn public() -> Answer {
    Answer::addresses(["1.1.1.1", "2606:4700::1", "8.8.8.8"]).unwrap()
}

#[tokio::test]
async fn a_query_gets_the_addresses_of_its_type_in_order() {
    let server = NameServer::start(script_of(public().with_ttl(7)))
        .await
        .unwrap();
    let message = ask(&server, "a.test.", RecordType::A).await;
    assert_eq!(addresses(&message), ["1.1.1.1", "8.8.8.8"]);
    assert_eq!(message.metadata.id, QUERY_ID);
    assert_eq!(message.metadata.response_code, ResponseCode::NoError);
    assert!(message.metadata.recursion_available && message.metadata.recursion_desired);
    assert!(message.answers.iter().all(|record| record.ttl == 7));
    assert_eq!(
        addresses(&ask(&server, "a.test.", RecordType::AAAA).await),
        ["2606:4700::1"]
    );
    assert!(
        ask(&server, "a.test.", RecordType::MX)
            .await
            .answers
            .is_empty()
    );
}

#[tokio::test]
async fn a_name_outside_the_script_does_not_exist() {
    let server = NameServer::start(Script::new()).await.unwrap();
    let message = ask(&server, "b.test.", RecordType::A).await;
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(message.queries[0].name().to_ascii(), "b.test.");
}

#[tokio::test]
async fn successive_lookups_get_successive_answers_and_the_last_repeats() {
    let script = script_of(Answer::addresses(["1.1.1.1", "::1"]).unwrap()).answer(
        "A.TEST.",
        Answer::addresses(["10.0.0.5", "fd00::5"]).unwrap(),
    );
    let server = NameServer::start(script).await.unwrap();
    for (v4, v6) in [
        ("1.1.1.1", "::1"),
        ("10.0.0.5", "fd00::5"),
        ("10.0.0.5", "fd00::5"),
    ] {
        // A lookup of one type does not advance the other.
        assert_eq!(
            addresses(&ask(&server, "a.test.", RecordType::A).await),
            [v4]
        );
        assert_eq!(
            addresses(&ask(&server, "A.Test.", RecordType::AAAA).await),
            [v6]
        );
    }
}

#[tokio::test]
async fn an_alias_is_followed_and_the_whole_chain_sent() {
    let script = script_of(Answer::alias("B.test"))
        .answer("b.test", Answer::alias("c.test"))
        .answer("c.test", public());
    let server = NameServer::start(script).await.unwrap();
    let message = ask(&server, "a.test.", RecordType::AAAA).await;
    let owners: Vec<_> = message
        .answers
        .iter()
        .map(|record| record.name.to_ascii())
        .collect();
    assert_eq!(owners, ["a.test.", "b.test.", "c.test."]);
    assert_eq!(addresses(&message), ["2606:4700::1"]);
}

#[tokio::test]
async fn an_alias_to_a_missing_name_is_sent_with_nxdomain() {
    let server = NameServer::start(script_of(Answer::alias("gone.test")))
        .await
        .unwrap();
    let message = ask(&server, "a.test.", RecordType::A).await;
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(message.answers.len(), 1);
}

#[tokio::test]
async fn a_cyclic_alias_chain_is_cut_off() {
    let server = NameServer::start(script_of(Answer::alias("a.test")))
        .await
        .unwrap();
    let message = ask(&server, "a.test.", RecordType::A).await;
    assert!(addresses(&message).is_empty() && !message.answers.is_empty());
}

#[tokio::test]
async fn error_answers_have_their_response_code() {
    for (answer, code) in [
        (Answer::ServerFailure, ResponseCode::ServFail),
        (Answer::Refused, ResponseCode::Refused),
        (Answer::NameError, ResponseCode::NXDomain),
        (Answer::alias(&"x".repeat(64)), ResponseCode::ServFail),
        (Answer::from_ips([]), ResponseCode::NoError),
    ] {
        let server = NameServer::start(script_of(answer.clone())).await.unwrap();
        let message = ask(&server, "a.test.", RecordType::A).await;
        assert_eq!(message.metadata.response_code, code, "{answer:?}");
        assert!(message.answers.is_empty());
    }
}

#[tokio::test]
async fn a_silence_answer_sends_nothing_and_garbage_does_not_parse() {
    let script = script_of(Answer::Silence).answer("g.test", Answer::Garbage);
    let server = NameServer::start(script).await.unwrap();
    assert_eq!(
        ask_bytes(&server, "a.test.", RecordType::A, SILENCE).await,
        None
    );
    let garbage = ask_bytes(&server, "g.test.", RecordType::A, TIMEOUT)
        .await
        .unwrap();
    assert!(Message::from_vec(&garbage).is_err());
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn otherwise_sets_the_answer_of_unscripted_names() {
    let server = NameServer::start(script_of(public()).otherwise(Answer::Silence))
        .await
        .unwrap();
    assert_eq!(
        ask_bytes(&server, "b.test.", RecordType::A, SILENCE).await,
        None
    );
    assert_eq!(
        ask(&server, "a.test.", RecordType::A).await.answers.len(),
        2
    );
}

#[tokio::test]
async fn a_forged_answer_has_a_wrong_transaction_id() {
    let server = NameServer::start(script_of(public().forged()))
        .await
        .unwrap();
    let message = ask(&server, "a.test.", RecordType::A).await;
    assert_ne!(message.metadata.id, QUERY_ID);
    assert_eq!(addresses(&message), ["1.1.1.1", "8.8.8.8"]);
}

#[tokio::test]
async fn a_truncated_answer_is_complete_over_tcp_and_counts_as_one_lookup() {
    let script = script_of(public().truncated()).answer("a.test", Answer::NameError);
    let server = NameServer::start(script).await.unwrap();
    let short = ask(&server, "a.test.", RecordType::A).await;
    assert!(short.metadata.truncation && short.answers.is_empty());
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let full = ask_tcp(&mut stream, "a.test.", RecordType::A).await;
    assert!(!full.metadata.truncation);
    assert_eq!(addresses(&full), ["1.1.1.1", "8.8.8.8"]);
    // The next lookup, over the same connection.
    let next = ask_tcp(&mut stream, "a.test.", RecordType::A).await;
    assert_eq!(next.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn a_delayed_answer_does_not_delay_others() {
    let delay = Duration::from_millis(100);
    let script = script_of(public().after(delay)).answer("b.test", public());
    let server = NameServer::start(script).await.unwrap();
    let start = Instant::now();
    let late = async {
        ask(&server, "a.test.", RecordType::A).await;
        start.elapsed()
    };
    let prompt = async {
        ask(&server, "b.test.", RecordType::A).await;
        start.elapsed()
    };
    let (late, prompt) = tokio::join!(late, prompt);
    assert!(late >= delay && prompt < late, "{late:?} {prompt:?}");
}

#[tokio::test]
async fn queries_are_recorded_with_name_type_and_transport() {
    let server = NameServer::start(script_of(public())).await.unwrap();
    ask(&server, "A.test.", RecordType::AAAA).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    ask_tcp(&mut stream, "b.test.", RecordType::A).await;
    let query = |name: &str, kind: &str, tcp| Query {
        name: name.into(),
        kind: kind.into(),
        tcp,
    };
    assert_eq!(
        server.queries(),
        [query("a.test", "AAAA", false), query("b.test", "A", true)]
    );
    assert_eq!(
        (
            server.queries_for("a.TEST."),
            server.queries_for("c.test"),
            server.count()
        ),
        (1, 0, 2)
    );
}

#[tokio::test]
async fn a_script_can_be_replaced_while_the_server_runs() {
    let server = NameServer::start(script_of(public())).await.unwrap();
    ask(&server, "a.test.", RecordType::A).await;
    server.replace(script_of(Answer::addresses(["10.0.0.1"]).unwrap()));
    assert_eq!(
        addresses(&ask(&server, "a.test.", RecordType::A).await),
        ["10.0.0.1"]
    );
}

#[tokio::test]
async fn a_name_server_listens_on_ipv6() {
    let server = NameServer::start_on(script_of(public()), LOOPBACK_V6)
        .await
        .unwrap();
    assert_eq!(
        ask(&server, "a.test.", RecordType::A).await.answers.len(),
        2
    );
}

#[tokio::test]
async fn a_dropped_name_server_frees_its_port() {
    let server = NameServer::start(script_of(public())).await.unwrap();
    let address = server.address();
    drop(server);
    // The runtime ends the tasks when it next schedules them.
    tokio::task::yield_now().await;
    tokio::time::timeout(Duration::from_secs(5), async {
        while NameServer::start_on(Script::new(), address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_policy_vector_is_served_as_it_is_written() {
    let vector =
        PolicyVector::parse(r"b\u00fccher.test~>cdn.test=>1.1.1.1|10.0.0.5,::1	deny	why").unwrap();
    let server = NameServer::start(vector.script()).await.unwrap();
    for (v4, v6) in [(vec!["1.1.1.1"], vec![]), (vec!["10.0.0.5"], vec!["::1"])] {
        let message = ask(&server, "xn--bcher-kva.test.", RecordType::A).await;
        assert_eq!(addresses(&message), v4);
        assert_eq!(message.answers[0].record_type(), RecordType::CNAME);
        assert_eq!(
            addresses(&ask(&server, "xn--bcher-kva.test.", RecordType::AAAA).await),
            v6
        );
    }
}

#[tokio::test]
async fn a_stub_resolver_understands_the_answers() {
    use hickory_resolver::TokioResolver;
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;

    let script = Script::new()
        .answer("www.test", Answer::alias("edge.test"))
        .answer("edge.test", public().truncated())
        .answer("edge.test", Answer::addresses(["10.0.0.5"]).unwrap())
        .answer("broken.test", Answer::ServerFailure);
    let server = NameServer::start(script).await.unwrap();
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.address().port();
        connection
    });
    let upstream = NameServerConfig::new(server.address().ip(), true, connections.to_vec());
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![upstream]);
    let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        .build()
        .unwrap();
    // TTL 0 prevents caching, so the second lookup gets the second answer.
    for expected in [vec!["1.1.1.1", "8.8.8.8"], vec!["10.0.0.5"]] {
        let lookup = resolver.lookup("www.test.", RecordType::A).await.unwrap();
        let mut found: Vec<_> = lookup
            .answers()
            .iter()
            .filter(|record| record.record_type() == RecordType::A)
            .map(|record| record.data.to_string())
            .collect();
        found.sort();
        assert_eq!(found, expected);
    }
    assert!(server.queries().iter().any(|query| query.tcp));
    let gone = resolver
        .lookup("gone.test.", RecordType::A)
        .await
        .unwrap_err();
    assert!(gone.is_nx_domain(), "{gone}");
    let broken = resolver
        .lookup("broken.test.", RecordType::A)
        .await
        .unwrap_err();
    assert!(!broken.is_no_records_found(), "{broken}");
}
