//! Forged snapshots of sessions: each is refused, or its session runs a program and ends with an
//! error of a program or without one. A binary of its own, since a forgery could break the process.

#[path = "../random.rs"]
mod random;
#[path = "../support.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::ops::Range;
use std::time::{Duration, Instant};

use eryx::net::NetConfig;
use eryx::{Error, ResourceLimits, Sandbox, Session};
use eryx_testkit::Behaviour;
use random::Random;
use serde_json::json;
use support::{expect_stdout, loopback, program, sandbox, sandbox_with_limits, start_peer};

/// The number of forgeries.
const CASES: u64 = 100;

/// The variable with a time in seconds that the test runs for, instead of `CASES` forgeries.
const SECONDS: &str = "ERYX_FORGED_SECONDS";

/// The variable with the number of the first forgery.
const FIRST: &str = "ERYX_FORGED_FIRST";

/// How often a sandbox that has nothing to do with a forgery is checked.
const CHECK_INTERVAL: u64 = 25;

const PAGE: usize = 4096;

/// The bytes before the compressed part: magic, format, and two digests.
const HEADER: usize = 8 + 4 + 2 * 32;

/// The bytes before the files: the size of memory, the clock and flags.
const FACTS: usize = 8 + 8 + 1;

/// The sessions whose snapshots are forged.
const SESSIONS: [&str; 3] = [
    include_str!("forged_snapshots/objects.py"),
    include_str!("forged_snapshots/resources.py"),
    include_str!("forged_snapshots/waiting.py"),
];

/// A program that uses what a session may have.
const USE: &str = include_str!("forged_snapshots/use.py");

/// The content of a snapshot, and where its parts are.
struct Content {
    header: Vec<u8>,
    bytes: Vec<u8>,
    files: Range<usize>,
    /// The start of each run of pages, with its numbers.
    runs: Vec<usize>,
    /// The start of each page.
    pages: Vec<usize>,
}

impl Content {
    fn decompress(snapshot: &[u8]) -> Self {
        let mut bytes = Vec::new();
        flate2::read::ZlibDecoder::new(&snapshot[HEADER..])
            .read_to_end(&mut bytes)
            .expect("zlib");
        let mut at = FACTS;
        while bytes[at] != 0 {
            let path = number(&bytes, at + 1, 2);
            let rest = at + 3 + path;
            at = match bytes[at] {
                // A directory: its time.
                1 => rest + 12,
                // A file: its time, its size, and its content.
                2 => rest + 20 + number(&bytes, rest + 12, 8),
                // A link: its target. A further name: the first one.
                3 | 5 => rest + 2 + number(&bytes, rest, 2),
                // What was removed.
                4 => rest,
                tag => panic!("a file of type {tag}"),
            };
        }
        at += 1;
        let files = FACTS..at;
        let (mut runs, mut pages) = (Vec::new(), Vec::new());
        loop {
            let count = number(&bytes, at + 4, 4);
            runs.push(at);
            at += 8;
            if count == 0 {
                break;
            }
            pages.extend((0..count).map(|page| at + page * PAGE));
            at += count * PAGE;
        }
        assert_eq!(at, bytes.len(), "the format has changed");
        Self {
            header: snapshot[..HEADER].to_vec(),
            bytes,
            files,
            runs,
            pages,
        }
    }

    fn compress(&self, bytes: &[u8]) -> Vec<u8> {
        let fast = flate2::Compression::fast();
        let mut encoder = flate2::write::ZlibEncoder::new(self.header.clone(), fast);
        encoder.write_all(bytes).expect("written");
        encoder.finish().expect("written")
    }

    /// Returns a snapshot with a few random changes. `other` is of another session.
    fn forge(&self, random: &mut Random, other: &Self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for _ in 0..=random.below(4) {
            self.change(&mut bytes, random, other);
        }
        let mut snapshot = self.compress(&bytes);
        if random.below(20) == 0 {
            // What is compressed is malformed.
            let at = HEADER + index(random, snapshot.len() - HEADER);
            snapshot[at] ^= 1 << random.below(8);
        }
        snapshot
    }

    fn change(&self, bytes: &mut [u8], random: &mut Random, other: &Self) {
        let page = self.pages[index(random, self.pages.len())];
        let pages = 1 + index(random, 8);
        match random.below(9) {
            0 => {
                for _ in 0..=random.below(200) {
                    let page = self.pages[index(random, self.pages.len())];
                    bytes[page + index(random, PAGE)] ^= 1 << random.below(8);
                }
            }
            // Numbers that are addresses, lengths, counts of references.
            1 | 2 => {
                for _ in 0..=random.below(30) {
                    let page = self.pages[index(random, self.pages.len())];
                    let at = page + index(random, PAGE / 4) * 4;
                    let memory = number(&self.bytes, 0, 8) as u64;
                    let value = match random.below(6) {
                        0 => 0,
                        1 => u32::MAX,
                        2 => 1 << random.below(32),
                        3 => random.below(memory) as u32 & !7,
                        4 => (memory as u32).wrapping_sub(4),
                        _ => random.bits() as u32,
                    };
                    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
                }
            }
            // Pages as they are in the image.
            3 => {
                for _ in 0..pages {
                    let page = self.pages[index(random, self.pages.len())];
                    bytes[page..page + PAGE].fill(0);
                }
            }
            // Pages in the place of others, and of another session.
            4 => bytes.copy_within(
                page..page + PAGE,
                self.pages[index(random, self.pages.len())],
            ),
            5 | 6 => {
                for _ in 0..pages {
                    let from = other.pages[index(random, other.pages.len())];
                    let to = self.pages[index(random, self.pages.len())];
                    bytes[to..to + PAGE].copy_from_slice(&other.bytes[from..from + PAGE]);
                }
            }
            // Pages at other addresses.
            7 => {
                let run = self.runs[index(random, self.runs.len())];
                bytes[run + index(random, 8)] ^= 1 << random.below(8);
            }
            // Sizes, clock, flags and files.
            _ => {
                for _ in 0..=random.below(4) {
                    let at = index(random, self.files.end);
                    bytes[at] ^= 1 << random.below(8);
                }
            }
        }
    }
}

/// Returns an index of a slice of this length, which is not 0.
fn index(random: &mut Random, length: usize) -> usize {
    random.below(length as u64) as usize
}

/// Returns a number in little-endian order.
fn number(bytes: &[u8], at: usize, size: usize) -> usize {
    bytes[at..at + size]
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// Restores a forgery, and uses its session. Returns how that ended.
async fn outcome(sandbox: &Sandbox, snapshot: &[u8], port: u16) -> &'static str {
    let mut session = match sandbox.restore(snapshot).await {
        Ok(session) => session,
        Err(error) => return name(&error),
    };
    let work = program(&json!({"CANARY": port}), USE);
    let ended = match session.execute(work).await {
        Ok(_) => "succeeded",
        Err(error) => name(&error),
    };
    // The host reads memory that the program may have prepared for it.
    copy(&mut session).await;
    ended
}

async fn copy(session: &mut Session) {
    match session.fork().await {
        Ok(mut fork) => {
            if let Err(error) = fork.execute("print(1)").await {
                name(&error);
            }
        }
        Err(error) => {
            name(&error);
        }
    }
    if let Err(error) = session.snapshot().await {
        name(&error);
    }
}

/// Returns the name of an error that a forgery may have.
///
/// # Panics
///
/// If it is an error of the machine, the image or the settings.
fn name(error: &Error) -> &'static str {
    match error {
        Error::Exception(_) => "raised an exception",
        Error::Limit { .. } => "exceeded a limit",
        Error::InterpreterCrashed { .. } => "crashed",
        Error::SessionClosed { .. } => "closed the session",
        Error::Snapshot(_) => "was refused",
        other => panic!("an error that is not the program's: {other}"),
    }
}

async fn saved(number: usize, port: u16) -> Content {
    let network = loopback()
        .allow_udp("127.0.0.1:1-65535")
        .expect("a pattern");
    let mut session = sandbox(Some(network)).session().await.expect("started");
    let start = program(&json!({"PORT": port}), SESSIONS[number]);
    assert_eq!(expect_stdout(session.execute(start).await), "ready\n");
    Content::decompress(&session.snapshot().await.expect("taken"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_snapshot_is_refused_or_ends_as_a_program_does() {
    let peer = start_peer(Behaviour::Echo).await;
    let canary = TcpListener::bind("127.0.0.1:0").expect("bound");
    canary.set_nonblocking(true).expect("set");
    let address = canary.local_addr().expect("bound");
    let port = address.port();
    let udp_canary = UdpSocket::bind(address).expect("bound");
    udp_canary.set_nonblocking(true).expect("set");
    let mut contents = Vec::new();
    for number in 0..SESSIONS.len() {
        contents.push(saved(number, peer.port()).await);
    }
    // Nothing that a snapshot says makes these sandboxes connect to this machine.
    let network = NetConfig::default()
        .allow_udp("*:1-65535")
        .expect("a pattern");
    let patient = sandbox(Some(network.clone()));
    for content in &contents {
        let whole = content.compress(&content.bytes);
        assert_eq!(outcome(&patient, &whole, port).await, "succeeded");
    }
    let limits = ResourceLimits::default()
        .with_execution_timeout(Duration::from_secs(1))
        .with_max_file_bytes(8 << 20)
        .with_max_memory(128 << 20);
    let restoring = sandbox_with_limits(Some(network), limits);
    let variable = |name| std::env::var(name).ok().map(|value| value.parse::<u64>());
    let seconds = variable(SECONDS).map(|seconds| seconds.expect("a number"));
    let first = variable(FIRST).map_or(0, |first| first.expect("a number"));
    let start = Instant::now();
    let mut ends = BTreeMap::<_, u64>::new();
    let mut case = first;
    while match seconds {
        Some(seconds) => start.elapsed().as_secs() < seconds,
        None => case < first + CASES,
    } {
        let mut random = Random(case);
        let content = &contents[index(&mut random, contents.len())];
        let other = &contents[index(&mut random, contents.len())];
        println!("forgery {case}");
        let snapshot = content.forge(&mut random, other);
        *ends
            .entry(outcome(&restoring, &snapshot, port).await)
            .or_default() += 1;
        assert!(
            canary.accept().is_err() && udp_canary.recv(&mut [0]).is_err(),
            "forgery {case} reached this machine"
        );
        case += 1;
        if case % CHECK_INTERVAL == 0 {
            let innocent = "import hashlib; print(hashlib.sha256(bytes(9)).hexdigest()[:8])";
            let printed = expect_stdout(patient.execute(innocent).await);
            assert_eq!(printed, "3e7077fd\n", "after forgery {case}");
        }
    }
    // Written directly: the test harness captures the output of a passing test.
    let _ = writeln!(
        std::io::stderr(),
        "\n{} forged snapshots in {:.1?}: {ends:?}",
        case - first,
        start.elapsed()
    );
    for end in ["succeeded", "was refused"] {
        assert!(ends.contains_key(end), "no forgery {end}: {ends:?}");
    }
    assert!(ends.len() > 2, "no forgery had an effect: {ends:?}");
}
