//! Tests of the bounds on lookups: memory, caching, sockets and rates.

mod support;

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use eryx_net_host::{Family, Lookup, NetConfig, NetError, Network};
use eryx_sync::Mutex;
use eryx_testkit::{Answer, NameServer, Script};
use futures_util::future::join_all;
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record};
use support::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

fn start_lookup(network: &Network, name: &str) -> Lookup {
    network
        .lookup(name, Some(80), Family::Any)
        .expect("allowed")
}

async fn look_up(network: &Network, name: &str) -> Result<Vec<std::net::IpAddr>, NetError> {
    within_timeout(start_lookup(network, name).finish(None)).await
}

/// A name server that answers with `reply`. An answer that is too long for UDP is sent truncated.
struct RawNameServer {
    address: SocketAddr,
    clients: Arc<Mutex<HashSet<SocketAddr>>>,
    _tasks: JoinSet<()>,
}

type Reply = fn(&Message) -> Option<Vec<u8>>;

impl RawNameServer {
    async fn start(reply: Reply) -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
            let address = udp.local_addr().expect("address");
            if let Ok(tcp) = TcpListener::bind(address).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().expect("address");
        let clients = Arc::new(Mutex::new(HashSet::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(over_udp(udp, reply, Arc::clone(&clients)));
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = tcp.accept().await {
                connections.spawn(over_tcp(stream, reply));
            }
        });
        Self {
            address,
            clients,
            _tasks: tasks,
        }
    }

    fn config(&self) -> NetConfig {
        NetConfig::default().with_dns_server(self.address)
    }

    /// Returns the number of sockets that sent queries over UDP.
    fn clients(&self) -> usize {
        self.clients.lock().len()
    }
}

async fn over_udp(socket: UdpSocket, reply: Reply, clients: Arc<Mutex<HashSet<SocketAddr>>>) {
    let mut buffer = [0; 2048];
    while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
        clients.lock().insert(client);
        let Ok(query) = Message::from_vec(&buffer[..length]) else {
            continue;
        };
        let Some(mut whole) = reply(&query) else {
            continue;
        };
        if whole.len() > 1232 {
            let mut short = answer_to(&query);
            short.metadata.truncation = true;
            whole = short.to_vec().expect("encodes");
        }
        let _ = socket.send_to(&whole, client).await;
    }
}

async fn over_tcp(mut stream: TcpStream, reply: Reply) {
    while let Ok(length) = stream.read_u16().await {
        let mut query = vec![0; length.into()];
        let Ok(_) = stream.read_exact(&mut query).await else {
            return;
        };
        let query = Message::from_vec(&query).expect("a query");
        let Some(whole) = reply(&query) else { return };
        let length = u16::try_from(whole.len()).expect("a message");
        let framed = [&length.to_be_bytes(), &whole[..]].concat();
        let _ = stream.write_all(&framed).await;
    }
}

fn answer_to(query: &Message) -> Message {
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata.message_type = MessageType::Response;
    answer.add_query(query.queries[0].clone());
    answer
}

const DAY: u32 = 86_400;

fn record(owner: &Name, data: RData) -> Record {
    Record::from_rdata(owner.clone(), DAY, data)
}

/// Encodes a message with as many records from `fill` as fit.
fn filled(query: &Message, mut fill: impl FnMut(&mut Message, u32)) -> Option<Vec<u8>> {
    let mut whole = answer_to(query);
    let mut bytes = Vec::new();
    // Adds records in steps, because encoding is slow in a debug build.
    for step in 0..200 {
        for n in 0..250 {
            fill(&mut whole, step * 250 + n);
        }
        match whole.to_vec() {
            Ok(longer) if longer.len() <= 65_535 && !longer.is_empty() => bytes = longer,
            _ => break,
        }
        if bytes.len() > 60_000 {
            break;
        }
    }
    Some(bytes)
}

fn endless_addresses(query: &Message) -> Option<Vec<u8>> {
    let name = query.queries[0].name().clone();
    filled(query, |answer, n| {
        answer.add_answer(record(&name, RData::A(A(Ipv4Addr::from(0x0101_0000 + n)))));
    })
}

fn endless_aliases(query: &Message) -> Option<Vec<u8>> {
    let mut owner = query.queries[0].name().clone();
    filled(query, |answer, n| {
        let text = format!("a{n}.{}.example.", "b".repeat(60));
        let target = Name::from_ascii(text).expect("a name");
        answer.add_answer(record(&owner, RData::CNAME(CNAME(target.clone()))));
        owner = target;
    })
}

fn junk_beside_an_address(query: &Message) -> Option<Vec<u8>> {
    let name = query.queries[0].name().clone();
    filled(query, |answer, n| {
        if n == 0 {
            answer.add_answer(record(&name, RData::A(A(Ipv4Addr::new(1, 1, 1, 1)))));
        }
        let text = TXT::new(vec!["junk".repeat(60)]);
        answer.add_answer(record(&name, RData::TXT(text)));
    })
}

fn not_found_with_many_authorities(query: &Message) -> Option<Vec<u8>> {
    let name = query.queries[0].name().clone();
    filled(query, |answer, n| {
        answer.metadata.response_code = ResponseCode::NXDomain;
        let server = Name::from_ascii(format!("ns{n}.example.")).expect("a name");
        let start = SOA::new(server, name.clone(), n, 1, 1, 1, DAY);
        answer.add_authority(record(&name, RData::SOA(start)));
    })
}

/// Returns the resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("readable");
    let pages = statm.split_whitespace().nth(1).expect("the second number");
    pages.parse::<usize>().expect("a number") * 4096
}

#[tokio::test]
async fn large_answers_of_every_kind_are_rejected_without_a_memory_leak() {
    let kinds: [(&str, Reply); 4] = [
        ("addresses", endless_addresses),
        ("aliases", endless_aliases),
        ("junk", junk_beside_an_address),
        ("not-found", not_found_with_many_authorities),
    ];
    for (kind, reply) in kinds {
        let server = RawNameServer::start(reply).await;
        let network = Network::new(&server.config());
        // The first lookups let the server and the allocator reach their final size.
        for n in 0..10 {
            let outcome = look_up(&network, &format!("w{n}.{kind}.example")).await;
            assert_eq!(outcome, Err(NetError::NameTryAgain), "{kind}");
        }
        let before = resident();
        for n in 0..125 {
            let outcome = look_up(&network, &format!("n{n}.{kind}.example")).await;
            assert_eq!(outcome, Err(NetError::NameTryAgain), "{kind}");
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < 2 << 20, "{kind}: {grown} bytes");
    }
}

fn addresses(list: &[&str]) -> Answer {
    Answer::addresses(list.iter().copied()).expect("addresses")
}

async fn name_server(script: Script) -> (NameServer, NetConfig) {
    let server = NameServer::start(script).await.expect("name server");
    let config = NetConfig::default().with_dns_server(server.address());
    (server, config)
}

#[tokio::test]
async fn an_answer_is_cached_in_its_network_for_its_ttl() {
    let script = Script::new()
        .answer("cached.test", addresses(&["1.1.1.1"]).with_ttl(60))
        .answer("zero.test", addresses(&["1.1.1.1"]));
    let (server, config) = name_server(script).await;
    let network = Network::new(&config);
    for _ in 0..100 {
        assert!(look_up(&network, "cached.test").await.is_ok());
    }
    assert_eq!(
        server.queries_for("cached.test"),
        2,
        "one question for each family"
    );
    for _ in 0..3 {
        assert!(look_up(&network, "zero.test").await.is_ok());
    }
    assert_eq!(server.queries_for("zero.test"), 6);
}

#[tokio::test]
async fn another_network_uses_a_cached_answer_only_with_shared_caches() {
    let script = Script::new().otherwise(addresses(&["1.1.1.1"]).with_ttl(60));
    let (server, config) = name_server(script).await;
    for config in [config.clone(), config.with_max_connections(3)] {
        assert!(look_up(&Network::new(&config), "own.test").await.is_ok());
    }
    assert_eq!(server.queries_for("own.test"), 4);

    let sharing = config.with_shared_caches(true);
    for config in [sharing.clone(), sharing.with_max_connections(3)] {
        assert!(look_up(&Network::new(&config), "shared.test").await.is_ok());
    }
    assert_eq!(server.queries_for("shared.test"), 2);
    let apart = sharing.with_shared_caches(false);
    assert!(look_up(&Network::new(&apart), "shared.test").await.is_ok());
    assert_eq!(server.queries_for("shared.test"), 4);
}

#[tokio::test]
async fn concurrent_lookups_of_one_name_share_one_query() {
    let late = addresses(&["1.1.1.1"]).after(Duration::from_millis(200));
    let (server, config) = name_server(Script::new().answer("late.test", late)).await;
    let network = Network::new(&config);
    let mut lookups: Vec<_> = (0..50)
        .map(|_| start_lookup(&network, "late.test"))
        .collect();
    let all = join_all(lookups.iter_mut().map(|lookup| lookup.finish(None)));
    for outcome in within_timeout(all).await {
        assert_eq!(outcome, Ok(vec![ip("1.1.1.1")]));
    }
    assert_eq!(server.queries_for("late.test"), 2);
}

#[tokio::test]
async fn queries_for_many_names_are_rate_limited() {
    let (server, config) = name_server(Script::new().otherwise(addresses(&["1.1.1.1"]))).await;
    let network = Network::new(&config.with_max_connections(200));
    let started = Instant::now();
    for n in 0..300 {
        assert!(look_up(&network, &format!("n{n}.test")).await.is_ok());
    }
    // A burst of 256 queries, and then 100 per second.
    assert!(started.elapsed() >= Duration::from_millis(430));
    assert_eq!(server.count(), 600);
    // Cached names are not rate limited.
    server.replace(Script::new().otherwise(addresses(&["1.1.1.1"]).with_ttl(60)));
    for _ in 0..1000 {
        assert!(look_up(&network, "cached.test").await.is_ok());
    }
    assert_eq!(server.count(), 602);
}

fn answers_only_ok(query: &Message) -> Option<Vec<u8>> {
    let name = query.queries[0].name().to_ascii();
    name.starts_with("ok").then(|| {
        let mut answer = answer_to(query);
        let owner = query.queries[0].name().clone();
        answer.add_answer(record(&owner, RData::A(A(Ipv4Addr::new(1, 1, 1, 1)))));
        answer.to_vec().expect("encodes")
    })
}

#[tokio::test]
async fn dropped_lookups_release_their_sockets_at_once() {
    let server = RawNameServer::start(answers_only_ok).await;
    let network = Network::new(&server.config());
    let mut lookups: Vec<_> = (0..40)
        .map(|n| start_lookup(&network, &format!("n{n}.test")))
        .collect();
    let all = join_all(lookups.iter_mut().map(|lookup| lookup.finish(None)));
    let waited = tokio::time::timeout(Duration::from_millis(500), all).await;
    assert!(waited.is_err(), "the server does not answer");
    assert_eq!(server.clients(), 6, "three names, two families");
    drop(lookups);
    assert_eq!(look_up(&network, "ok.test").await, Ok(vec![ip("1.1.1.1")]));
}

#[tokio::test]
async fn an_abandoned_lookup_does_not_block_another() {
    let server = RawNameServer::start(answers_only_ok).await;
    let network = Network::new(&server.config());
    let mut abandoned: Vec<_> = (0..6)
        .map(|n| start_lookup(&network, &format!("n{n}.test")))
        .collect();
    for lookup in &mut abandoned {
        let outcome = lookup.finish(Some(Duration::ZERO)).await;
        assert_eq!(outcome, Err(NetError::WouldBlock));
    }
    // The program waits only for this lookup, and at most as long as the others hold the sockets.
    assert_eq!(look_up(&network, "ok.test").await, Ok(vec![ip("1.1.1.1")]));
}

#[tokio::test]
async fn lost_queries_are_sent_again() {
    fn every_third(query: &Message) -> Option<Vec<u8>> {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        // Two queries are lost, of one family or of both.
        if COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 2 {
            return None;
        }
        let mut answer = answer_to(query);
        let owner = query.queries[0].name().clone();
        answer.add_answer(record(&owner, RData::A(A(Ipv4Addr::new(1, 1, 1, 1)))));
        answer.to_vec().ok()
    }
    let server = RawNameServer::start(every_third).await;
    let network = Network::new(&server.config());
    assert_eq!(look_up(&network, "a.test").await, Ok(vec![ip("1.1.1.1")]));
}
