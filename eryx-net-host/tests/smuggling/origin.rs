//! Origins that are programs of their own, and the requests that they have seen.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use eryx_testkit::{Identity, RequestRecorder};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::within_timeout;

/// A request as an origin understood it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The ports of the server and the client.
    pub(crate) ports: (u16, u16),
    /// The request line.
    pub(crate) line: String,
    pub(crate) host: String,
    /// The path to which the origin mapped the request: decoded, and without dot segments.
    pub(crate) path: String,
    pub(crate) body: Body,
    /// The bytes of the whole request, if the origin counts them.
    pub(crate) length: Option<u64>,
}

/// The body of a request as an origin understood it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Complete(Vec<u8>),
    /// The origin discarded a body.
    Discarded,
    /// The request was refused with this status, or its body did not end.
    None(u64),
}

/// A program that ends with its standard input.
struct Program(Child);

impl Program {
    fn start(command: &mut Command) -> std::io::Result<Self> {
        command.stdin(Stdio::piped()).spawn().map(Self)
    }

    /// Ends the program, and waits until it has closed its log.
    async fn stop(mut self) {
        drop(self.0.stdin.take());
        // The backend has to answer meanwhile.
        let wait = tokio::task::spawn_blocking(move || self.0.wait());
        let status = within_timeout(wait).await.expect("no panic");
        let status = status.expect("ends");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // A test that failed waits, too: the folder of the program is removed next.
        let _ = self.0.wait();
    }
}

/// nginx with a backend.
pub(crate) struct Nginx {
    program: Program,
    folder: TempDir,
    backend: RequestRecorder,
    /// The ports where requests are passed to the backend.
    pub(crate) proxies: [u16; 3],
    /// The port where bodies are discarded.
    pub(crate) discard: u16,
    /// The port where requests over TLS are passed to the backend.
    pub(crate) tls: u16,
}

/// Starts nginx, and makes it end gracefully at the end of the standard input.
const UNTIL_END_OF_INPUT: &str = r#""$@" & read -r _; kill -QUIT $!; wait $!"#;

impl Nginx {
    /// Starts nginx. Returns why it cannot be started where it is not installed.
    pub(crate) async fn start(identity: &Identity) -> Result<Self, String> {
        if let Err(error) = Command::new("nginx").arg("-v").output() {
            return Err(format!(
                "nginx is missing ({error}): apt-get install nginx-light"
            ));
        }
        let backend = RequestRecorder::plain(|_| RequestRecorder::ok("backend"));
        let backend = backend.await.expect("a backend");
        let folder = tempfile::tempdir().expect("a folder");
        let [discard, tls, proxies @ ..] = free_ports::<5>();
        let mut config = include_str!("nginx.conf").to_owned();
        for (word, value) in [
            ("@FOLDER@", folder.path().display().to_string()),
            ("@BACKEND@", backend.port().to_string()),
            ("@PROXY0@", proxies[0].to_string()),
            ("@PROXY1@", proxies[1].to_string()),
            ("@PROXY2@", proxies[2].to_string()),
            ("@DISCARD@", discard.to_string()),
            ("@TLS@", tls.to_string()),
        ] {
            config = config.replace(word, &value);
        }
        let write = |name, text: &str| fs::write(folder.path().join(name), text).expect("written");
        write("nginx.conf", &config);
        write("chain.pem", identity.chain_pem());
        write("key.pem", identity.key_pem());
        let mut command = Command::new("sh");
        command.args(["-c", UNTIL_END_OF_INPUT, "sh", "nginx", "-e"]);
        command.arg(folder.path().join("error.log")).arg("-c");
        command.arg(folder.path().join("nginx.conf"));
        command.args(["-g", "daemon off;"]);
        let program = Program::start(&mut command).expect("sh starts");
        // nginx writes it once it listens.
        let pid = folder.path().join("pid");
        let is_running = within_timeout(async {
            while fs::read(&pid).is_ok_and(|text| text.is_empty()) || !pid.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        is_running.await;
        Ok(Self {
            program,
            folder,
            backend,
            proxies,
            discard,
            tls,
        })
    }

    /// Ends nginx, and returns all requests in the order in which they ended.
    pub(crate) async fn stop(self) -> Vec<Seen> {
        self.program.stop().await;
        let mut bodies: HashMap<String, Vec<u8>> = HashMap::new();
        for request in self.backend.received() {
            let end = find(&request, b"\r\n\r\n").expect("a head") + 4;
            let head = str::from_utf8(&request[..end]).expect("text");
            let id = head.split("X-Request-Id: ").nth(1).expect("an identifier");
            let id = id.lines().next().expect("a line").to_owned();
            let other = bodies.insert(id, request[end..].to_vec());
            assert_eq!(other, None, "one connection for each request");
        }
        let entries = entries(&self.folder.path().join("access.log"));
        let seen = entries.iter().map(|entry| {
            let server_port = port(entry, "server_port");
            let status = number(entry, "status");
            let body = match bodies.remove(&text(entry, "id")) {
                Some(body) if status == 200 => Body::Complete(body),
                None if status != 200 => Body::None(status),
                None if server_port == self.discard => Body::Discarded,
                other => panic!("the backend disagrees with nginx: {entry} {other:?}"),
            };
            Seen {
                ports: (server_port, port(entry, "port")),
                line: text(entry, "line"),
                host: text(entry, "host"),
                path: text(entry, "uri"),
                length: Some(number(entry, "length")),
                body,
            }
        });
        let seen = seen.collect();
        assert!(
            bodies.is_empty(),
            "nginx logs what it passes on: {bodies:?}"
        );
        seen
    }
}

/// `http.server` of Python's standard library.
pub(crate) struct HttpServer {
    program: Program,
    folder: TempDir,
    pub(crate) port: u16,
}

impl HttpServer {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smuggling/http_server.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(folder.path().join("log"));
        command.current_dir(folder.path()).stdout(Stdio::piped());
        let mut program = Program::start(&mut command).expect("python3 starts");
        let output = program.0.stdout.take().expect("piped");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("a line");
        Self {
            program,
            folder,
            port: line.trim().parse().expect("a port"),
        }
    }

    /// Ends the server, and returns all requests in the order in which they were read.
    pub(crate) async fn stop(self) -> Vec<Seen> {
        self.program.stop().await;
        let log = entries(&self.folder.path().join("log"));
        let seen = log.iter().map(|entry| Seen {
            ports: (self.port, port(entry, "port")),
            line: text(entry, "line"),
            host: text(entry, "host"),
            path: text(entry, "uri"),
            length: None,
            body: match entry["body"].as_str() {
                // The server writes one character for each byte.
                Some(body) => Body::Complete(body.chars().map(|c| c as u8).collect()),
                None => Body::None(entry["status"].as_u64().unwrap_or(0)),
            },
        });
        seen.collect()
    }
}

/// Returns ports that are free, and have five digits as all ephemeral ones.
fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let listener = || TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let listeners: [TcpListener; COUNT] = std::array::from_fn(|_| listener());
    listeners.map(|listener| listener.local_addr().expect("bound").port())
}

pub(crate) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn entries(path: &Path) -> Vec<Value> {
    let log = fs::read(path).expect("a log");
    let lines = log.split(|&byte| byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(&String::from_utf8_lossy(line)).expect("JSON"))
        .collect()
}

fn text(entry: &Value, name: &str) -> String {
    entry[name].as_str().unwrap_or_default().to_owned()
}

fn number(entry: &Value, name: &str) -> u64 {
    entry[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name} of {entry}"))
}

fn port(entry: &Value, name: &str) -> u16 {
    number(entry, name).try_into().expect("a port")
}
