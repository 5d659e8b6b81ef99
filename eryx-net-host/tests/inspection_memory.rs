//! The memory of inspected connections while programs and servers keep as much in it as they can.
//!
//! In a process of its own, which it measures.

mod support;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use eryx_net_host::{Connection, HostMemory, Network, Secret};
use support::http::*;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CONNECTIONS: usize = 200;
const KIB: usize = 1024;

/// The memory that is charged for the inspection of a connection.
const CHARGED: usize = 128 * KIB;

/// Returns the resident memory of this process in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("readable");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    kib.expect("a number").parse::<usize>().expect("a number") * KIB
}

/// What a program and a server do on each connection.
struct Attack {
    name: &'static str,
    /// What the server sends once it has received a head.
    answer: Vec<u8>,
    /// What the program writes, as far as it is taken. `PLACEHOLDER` and `HOST` are replaced.
    writes: Vec<String>,
}

fn attacks() -> Vec<Attack> {
    let head = |method: &str, fields: &str| {
        format!(
            "{method} /{} HTTP/1.1\r\nHost: HOST\r\n{fields}",
            "p".repeat(1100)
        )
    };
    let field = format!("X-Long: {}\r\n", "x".repeat(1000));
    let long = field.repeat(28);
    let authorization = "Authorization: PLACEHOLDER\r\n";
    let pipelined = |last: String| {
        let get = head("GET", authorization) + "\r\n";
        vec![get.repeat(15) + &last]
    };
    let collected = format!(
        "{}{}Content-Type: application/json\r\nContent-Length: 30000\r\n\r\n{}",
        head("POST", authorization),
        field.repeat(14),
        "b".repeat(29_000),
    );
    let big_head = format!("HTTP/1.1 200 OK\r\n{}", field.repeat(15));
    let chunk = format!("1000\r\n{}\r\n", "c".repeat(4096));
    vec![
        Attack {
            name: "the start of a long head, and the start of a long response",
            answer: big_head.clone().into(),
            writes: pipelined(head("GET", &long)),
        },
        Attack {
            name: "a collected body that does not end, and a long response",
            answer: format!("{big_head}\r\n{}", "d".repeat(100_000)).into(),
            writes: pipelined(collected),
        },
        Attack {
            name: "a body that does not end, and chunks that the program does not read",
            answer: format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}",
                chunk.repeat(200)
            )
            .into(),
            writes: vec![
                head("GET", authorization) + "\r\n",
                format!("{}Content-Length: 100000000\r\n\r\n", head("POST", "")),
                "e".repeat(64 << 10),
            ],
        },
        Attack {
            name: "frames that the program does not read",
            answer: [
                &b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"[..],
                &[b"\x02\x7f\0\0\0\0\x10\0\0\0".to_vec(), vec![b'f'; 1 << 20]].concat(),
            ]
            .concat(),
            writes: vec![head("GET", "Upgrade: websocket\r\nConnection: upgrade\r\n") + "\r\n"],
        },
    ]
}

/// Starts a server that answers the start of a request with `answer`, and reads nothing more. It
/// needs hardly any memory for a connection.
async fn server(answer: &[u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let answer: Arc<[u8]> = answer.into();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let mut start = [0; 16];
                let _ = socket.read_exact(&mut start).await;
                let _ = socket.write_all(&answer).await;
                std::future::pending::<()>().await;
            });
        }
    });
    port
}

/// Returns the memory that a connection takes under an attack, and adds the connections to `kept`:
/// memory that they free would be used again by those of the next attack, and not be counted.
async fn attack(attack: &Attack, is_inspected: bool, kept: &mut Vec<Connection>) -> usize {
    let port = server(&attack.answer).await;
    let resolver = ScriptedResolver::new().answer("plain.test", &["127.0.0.1"]);
    let mut config = loopback_config(&Arc::new(resolver)).with_max_connections(1000);
    if is_inspected {
        let binding = PlainServer::binding().with_body(true);
        let secret = Secret::new(binding, SECRET).expect("a value");
        config = config.with_secret(secret).expect("a secret");
    }
    let network = Network::new(&config).with_host_memory(HostMemory::new(1 << 30));
    let token = match is_inspected {
        true => placeholder(&network),
        false => SECRET.to_owned(),
    };
    let host = format!("plain.test:{port}");
    let writes = attack.writes.iter();
    let writes: Vec<String> = writes
        .map(|text| text.replace("PLACEHOLDER", &token).replace("HOST", &host))
        .collect();
    kept.reserve(2 * CONNECTIONS);
    // Memory that a connection needs for a moment is used again by the others.
    for _ in 0..4 {
        kept.push(attacked(&network, port, &writes).await);
    }
    let before = resident();
    for _ in 0..CONNECTIONS {
        kept.push(attacked(&network, port, &writes).await);
    }
    resident().saturating_sub(before) / CONNECTIONS
}

async fn attacked(network: &Network, port: u16, writes: &[String]) -> Connection {
    let mut connection = connected(network, "plain.test", port).await;
    for text in writes {
        let mut data = text.as_bytes();
        while !data.is_empty() {
            match within_timeout(connection.write(data, Some(Duration::ZERO))).await {
                Ok(taken) => data = &data[taken..],
                Err(_) => break,
            }
        }
    }
    // One byte, so that the rest stays.
    if readable(&mut connection, Duration::from_millis(100)).await {
        let byte = within_timeout(connection.read(1, Some(Duration::ZERO))).await;
        assert_eq!(byte.map(|byte| byte.len()), Ok(1), "the attack goes on");
    }
    readable(&mut connection, Duration::ZERO).await;
    connection
}

#[tokio::test]
async fn an_inspected_connection_takes_at_most_the_memory_that_is_charged_for_it() {
    let (mut kept, mut most) = (Vec::new(), 0);
    for case in attacks() {
        let plain = attack(&case, false, &mut kept).await;
        let inspected = attack(&case, true, &mut kept).await;
        let extra = inspected.saturating_sub(plain);
        println!(
            "{}: {inspected} bytes, {plain} without inspection",
            case.name
        );
        most = most.max(extra);
        assert!(extra <= CHARGED, "{}: {extra} bytes", case.name);
    } // A head and a body are kept while a secret may have to be put into both.
    assert!(most > 48 * KIB, "{most} bytes: nothing was kept");
}
