//! What is measured, and how.

use std::time::Instant;

use anyhow::{Context, Result};
use eryx::net::NetConfig;
use eryx::{ResourceLimits, Sandbox, Session};
use eryx_testkit::{Authority, Behaviour, HttpServer, Leaf, Peer};

use crate::measure::{Table, Unit};

/// How often everything is measured.
pub(crate) const ROUNDS: usize = 20;

/// Guest programs print the figure: seconds, or bytes per second.
struct Program {
    name: &'static str,
    unit: Unit,
    source: String,
}

/// The servers and the sandbox.
pub(crate) struct Scenes {
    sandbox: Sandbox,
    programs: Vec<Program>,
    _servers: (HttpServer, HttpServer, Peer, Peer),
}

impl Scenes {
    pub(crate) async fn set() -> Result<Self> {
        let authority = Authority::new()?;
        let identity = authority.issue(&Leaf::server(["localhost"]))?;
        let http = HttpServer::http().await?;
        let https = HttpServer::https(&identity).await?;
        let echo = Peer::plain(Behaviour::Echo).await?;
        let sink = Peer::plain(Behaviour::Silent).await?;
        let network = NetConfig::default()
            .allow_localhost()
            .with_max_connections(200)
            .with_root_cert(authority.pem().as_bytes())?;
        let sandbox = Sandbox::embedded()
            .with_network(network)
            .with_resource_limits(ResourceLimits::default())
            .build()?;
        let ports = Ports {
            http: http.port(),
            https: https.port(),
            echo: echo.port(),
            sink: sink.port(),
        };
        Ok(Self {
            sandbox,
            programs: programs(&ports),
            _servers: (http, https, echo, sink),
        })
    }

    /// Measure everything once.
    pub(crate) async fn round(&self, table: &mut Table) -> Result<()> {
        let begun = Instant::now();
        self.sandbox.execute("print(1)").await?;
        table.add(
            "new sandbox and first execute",
            Unit::Microseconds,
            micros(begun),
        );

        let mut session = self.sandbox.session().await?;
        session.execute("x = 0").await?;
        let begun = Instant::now();
        for _ in 0..100 {
            session.execute("x += 1").await?;
        }
        table.add(
            "execute in a session",
            Unit::Microseconds,
            micros(begun) / 100.0,
        );

        for program in &self.programs {
            let figure = run(&mut session, program).await?;
            table.add(program.name, program.unit, figure);
        }
        Ok(())
    }
}

async fn run(session: &mut Session, program: &Program) -> Result<f64> {
    let result = session
        .execute(&program.source)
        .await
        .with_context(|| program.name.to_owned())?;
    let figure: f64 = result
        .stdout
        .trim()
        .parse()
        .with_context(|| format!("{} printed {:?}", program.name, result.stdout))?;
    Ok(match program.unit {
        Unit::Microseconds => figure * 1e6,
        Unit::Milliseconds => figure * 1e3,
        Unit::MegabytesPerSecond => figure / 1e6,
    })
}

fn micros(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6
}

struct Ports {
    http: u16,
    https: u16,
    echo: u16,
    sink: u16,
}

fn programs(ports: &Ports) -> Vec<Program> {
    let program = |name, unit, source: &str| Program {
        name,
        unit,
        source: source
            .replace("@https", &ports.https.to_string())
            .replace("@http", &ports.http.to_string())
            .replace("@echo", &ports.echo.to_string())
            .replace("@sink", &ports.sink.to_string()),
    };
    vec![
        program(
            "request and response of 20 B, raw socket",
            Unit::Microseconds,
            "
import socket, time
with socket.create_connection(('127.0.0.1', @echo)) as s:
    begun = time.perf_counter()
    for _ in range(200):
        s.sendall(b'x' * 20); s.recv(64)
    print((time.perf_counter() - begun) / 200)
",
        ),
        program(
            "download, 64 KiB reads, plain",
            Unit::MegabytesPerSecond,
            &download("http"),
        ),
        program(
            "download, 64 KiB reads, TLS",
            Unit::MegabytesPerSecond,
            &download("https"),
        ),
        program(
            "upload, plain",
            Unit::MegabytesPerSecond,
            "
import socket, time
with socket.create_connection(('127.0.0.1', @sink)) as s:
    data = bytes(1 << 18)
    begun = time.perf_counter()
    for _ in range(64):
        s.sendall(data)
    print(64 * len(data) / (time.perf_counter() - begun))
",
        ),
        program(
            "connect and TLS handshake, fresh context",
            Unit::Microseconds,
            "
import socket, ssl, time
begun = time.perf_counter()
for _ in range(10):
    with socket.create_connection(('localhost', @https)) as s:
        ssl.create_default_context().wrap_socket(s, server_hostname='localhost').close()
print((time.perf_counter() - begun) / 10)
",
        ),
        program(
            "keep-alive GET, http.client",
            Unit::Microseconds,
            "
import http.client, time
c = http.client.HTTPConnection('127.0.0.1', @http)
c.request('GET', '/json'); c.getresponse().read()
begun = time.perf_counter()
for _ in range(100):
    c.request('GET', '/json'); c.getresponse().read()
print((time.perf_counter() - begun) / 100)
c.close()
",
        ),
        program(
            "50 overlapping round trips to a server that waits 200 ms",
            Unit::Milliseconds,
            "
import asyncio, time
async def one():
    r, w = await asyncio.open_connection('127.0.0.1', @http)
    w.write(b'GET /wait/200 HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')
    assert (await r.read()).startswith(b'HTTP/1.1 200')
    w.close()
    await w.wait_closed()
begun = time.perf_counter()
await asyncio.gather(*[one() for _ in range(50)])
print(time.perf_counter() - begun)
",
        ),
    ]
}

fn download(scheme: &str) -> String {
    format!(
        "
import time, urllib.request
response = urllib.request.urlopen('{scheme}://localhost:@{scheme}/bytes/33554432')
begun = time.perf_counter()
size = 0
while chunk := response.read(65536):
    size += len(chunk)
assert size == 33554432
print(size / (time.perf_counter() - begun))
"
    )
}
