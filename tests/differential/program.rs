//! Generated programs: sequences of operations of `executor.py`, from a seed.

use serde_json::{Value, json};

/// A program: operations of one family, each a name with arguments.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// `sockets` or `asyncio`.
    pub(crate) family: &'static str,
    /// The operations, each an array that begins with the name.
    pub(crate) operations: Vec<Value>,
}

impl Program {
    /// Returns the program as JSON, which is also Python, except for its constants.
    pub(crate) fn to_json(&self) -> Value {
        json!({"family": self.family, "operations": self.operations})
    }
}

/// Returns the programs that saw a difference before it was removed: `regressions.txt`.
pub(crate) fn regressions() -> Vec<Program> {
    let lines = include_str!("regressions.txt").lines();
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (family, operations) = line.split_once(' ').expect("a family and operations");
            Program {
                family,
                operations: serde_json::from_str(operations).expect("an array in JSON"),
            }
        })
        .collect()
}

/// The most operations of a program. Most differences need two or three.
const MAX_OPERATIONS: u64 = 9;

/// A generator of pseudo-random numbers (SplitMix64), the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        // Fewer items than a u64 counts, and an index below their number.
        let index = usize::try_from(self.below(items.len() as u64)).unwrap_or(0);
        &items[index]
    }
}

/// What a slot holds.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Tcp,
    Tls,
    Pair,
    Listener,
    Inside,
    Udp,
}

/// The plain TCP peers.
const PEERS: [&str; 7] = [
    "echo", "silent", "finishes", "closes", "resets", "answers", "refused",
];
/// The TLS peers.
const TLS_PEERS: [&str; 5] = [
    "tls echo",
    "tls finishes",
    "tls closes",
    "tls answers",
    "tls breaks off",
];
const SIZES: [u64; 5] = [0, 1, 10, 1000, 40_000];

/// Returns the program of a seed.
pub(crate) fn generate(seed: u64) -> Program {
    let mut random = Random(seed);
    if random.below(4) == 0 {
        Program {
            family: "asyncio",
            operations: streams(&mut random),
        }
    } else {
        Program {
            family: "sockets",
            operations: sockets(&mut random),
        }
    }
}

fn sockets(random: &mut Random) -> Vec<Value> {
    let mut slots: Vec<Kind> = Vec::new();
    let mut operations = Vec::new();
    let length = 2 + random.below(MAX_OPERATIONS - 1);
    while (operations.len() as u64) < length {
        if slots.is_empty() || random.below(6) == 0 {
            create(random, &mut slots, &mut operations);
        } else if random.below(12) == 0 {
            operations.push(without_socket(random));
        } else {
            let slot = usize::try_from(random.below(slots.len() as u64)).unwrap_or(0);
            let operation = use_slot(random, &mut slots, slot);
            operations.push(operation);
        }
    }
    operations
}

fn timeout(random: &mut Random) -> Value {
    random.pick(&[json!(0.15), json!(0.15), json!(0)]).clone()
}

fn create(random: &mut Random, slots: &mut Vec<Kind>, operations: &mut Vec<Value>) {
    let slot = slots.len();
    match random.below(6) {
        0 | 1 => {
            let (peer, timeout) = (random.pick(&PEERS), timeout(random));
            operations.push(json!(["tcp", slot, peer, timeout]));
            slots.push(Kind::Tcp);
        }
        2 => {
            let (peer, timeout) = (random.pick(&TLS_PEERS), timeout(random));
            operations.push(json!(["tls", slot, peer, timeout]));
            slots.push(Kind::Tls);
        }
        3 => {
            operations.push(json!(["pair", slot, slot + 1]));
            slots.extend([Kind::Pair, Kind::Pair]);
        }
        4 => {
            operations.push(json!(["listen", slot, random.below(4)]));
            let timeout = timeout(random);
            operations.push(json!(["dial", slot + 1, slot, timeout]));
            operations.push(json!(["accept", slot + 2, slot]));
            slots.extend([Kind::Listener, Kind::Inside, Kind::Inside]);
        }
        _ => {
            let timeout = timeout(random);
            operations.push(json!(["udp", slot, random.below(2) == 1, timeout]));
            slots.push(Kind::Udp);
        }
    }
}

fn without_socket(random: &mut Random) -> Value {
    match random.below(6) {
        0 => {
            let names = [
                "a b",
                "127.1",
                "0",
                "0x7f000001",
                "1.2",
                "[::1]",
                "",
                "-",
                "127.0.0.1 ",
                "a..b",
                "::1",
                "1.2.3.4.5",
                "256.1.1.1",
            ];
            let families = ["AF_UNSPEC", "AF_INET", "AF_INET6"];
            json!(["resolve", random.pick(&names), random.pick(&families)])
        }
        1 => json!(["cmsg", random.below(40)]),
        2 => {
            let names = [
                "EPIPE",
                "ESHUTDOWN",
                "EAGAIN",
                "EWOULDBLOCK",
                "ENOTSUP",
                "ETIMEDOUT",
                "EHOSTDOWN",
                "ENODATA",
                "ECONNRESET",
                "EDEADLK",
                "ENOENT",
            ];
            json!(["errno_name", random.pick(&names)])
        }
        3 => json!([
            "raise_signal",
            random.pick(&["SIGTERM", "SIGUSR1", "SIGINT"])
        ]),
        4 => json!(["blocked_signal", random.pick(&["SIGTERM", "SIGUSR2"])]),
        _ => json!(["alarm", 0.02]),
    }
}

fn option(random: &mut Random) -> (&'static str, &'static str) {
    *random.pick(&[
        ("IPPROTO_TCP", "TCP_DEFER_ACCEPT"),
        ("IPPROTO_TCP", "TCP_LINGER2"),
        ("IPPROTO_TCP", "TCP_NODELAY"),
        ("IPPROTO_TCP", "TCP_SYNCNT"),
        ("IPPROTO_TCP", "TCP_USER_TIMEOUT"),
        ("IPPROTO_TCP", "TCP_KEEPIDLE"),
        ("IPPROTO_TCP", "TCP_KEEPCNT"),
        ("IPPROTO_TCP", "TCP_NOTSENT_LOWAT"),
        ("IPPROTO_IP", "IP_TOS"),
        ("IPPROTO_IP", "IP_TTL"),
        ("IPPROTO_IP", "IP_RECVTOS"),
        ("IPPROTO_IPV6", "IPV6_V6ONLY"),
        ("SOL_SOCKET", "SO_REUSEPORT"),
        ("SOL_SOCKET", "SO_REUSEADDR"),
        ("SOL_SOCKET", "SO_KEEPALIVE"),
        ("SOL_SOCKET", "SO_BROADCAST"),
        ("SOL_SOCKET", "SO_OOBINLINE"),
        ("SOL_SOCKET", "SO_PRIORITY"),
        ("SOL_SOCKET", "SO_ACCEPTCONN"),
        ("SOL_SOCKET", "SO_TYPE"),
    ])
}

fn use_slot(random: &mut Random, slots: &mut Vec<Kind>, slot: usize) -> Value {
    let kind = slots[slot];
    let size = *random.pick(&SIZES);
    match random.below(26) {
        0 | 1 => json!(["send", slot, size]),
        2 => json!(["sendall", slot, size]),
        3..=5 => {
            let flags = random.pick(&["", "", "", "peek", "dontwait", "waitall"]);
            json!([
                "recv",
                slot,
                size,
                if kind == Kind::Tls { "" } else { flags }
            ])
        }
        6 => json!(["recv_into", slot, size.max(1)]),
        // Natively, what is received afterwards is the ciphertext.
        7 if kind != Kind::Tls => {
            json!(["shutdown", slot, random.pick(&["read", "write", "both"])])
        }
        8 => json!(["close", slot]),
        9 => json!(["getpeername", slot]),
        10 => json!(["getsockname", slot]),
        11 | 12 => {
            // A session ticket makes the socket below TLS readable, but not the stream.
            let masks = [
                json!([]),
                if kind == Kind::Tls {
                    json!(["OUT"])
                } else {
                    json!(["IN"])
                },
                json!(["OUT"]),
                json!(["RDHUP"]),
                json!(["IN", "OUT"]),
                json!(["IN", "RDHUP"]),
                json!(["IN", "OUT", "RDHUP"]),
            ];
            let usable = if kind == Kind::Tls { 4 } else { masks.len() };
            json!(["poll", slot, random.pick(&masks[..usable]), 30])
        }
        13 if kind != Kind::Tls => json!(["select", slot]),
        14 => json!(["error", slot]),
        15 | 16 => {
            let (level, name) = option(random);
            let value = *random.pick(&[0, 1, 2, 5, 60, 300, -1]);
            json!(["setsockopt", slot, level, name, value])
        }
        17 => {
            let (level, name) = option(random);
            json!(["getsockopt", slot, level, name])
        }
        18 => match random.below(6) {
            0 => json!(["linger", slot, random.below(2), 0]),
            // `ssl` reads again and again on a blocking socket, whatever the system answers.
            1 if kind != Kind::Tls => json!(["receive_timeout", slot, 40, size.max(1)]),
            2 => json!(["os_status", slot]),
            3 => json!(["set_blocking", slot, false]),
            4 => json!(["os_seek", slot]),
            _ => json!(["settimeout", slot, timeout(random)]),
        },
        // On the descriptor of a TLS socket they would corrupt TLS natively.
        19 if kind != Kind::Tls => json!(["os_read", slot, size]),
        20 if kind != Kind::Tls => json!(["os_write", slot, size]),
        // The object of a TLS socket would go on with the number, which another socket may get.
        21 if kind != Kind::Tls => json!(["os_close", slot]),
        22 if kind != Kind::Tls => {
            let calls = [
                "connect",
                "connect port",
                "connect name",
                "bind",
                "send",
                "recv",
                "recv type",
                "recv_into",
                "shutdown",
                "shutdown how",
                "listen",
                "setsockopt type",
                "getsockopt",
                "settimeout",
                "sendto",
            ];
            json!(["wrong", slot, random.pick(&calls)])
        }
        _ => special(random, slots, slot, kind, size),
    }
}

/// Returns an operation of one kind of socket.
fn special(
    random: &mut Random,
    slots: &mut Vec<Kind>,
    slot: usize,
    kind: Kind,
    size: u64,
) -> Value {
    match kind {
        Kind::Tls => match random.below(4) {
            0 => json!(["unwrap", slot]),
            1 => json!(["pending", slot]),
            _ => json!(["read_all", slot]),
        },
        Kind::Udp => {
            let others: Vec<_> = (0..slots.len())
                .filter(|other| slots[*other] == Kind::Udp)
                .collect();
            match random.below(5) {
                0 => json!([
                    "udp_connect",
                    slot,
                    random.pick(&["udp echo", "udp refused"])
                ]),
                1 => json!(["recvfrom", slot, size.max(1)]),
                2 => json!(["recvmsg", slot, size.max(1)]),
                3 => json!(["sendto_slot", slot, random.pick(&others), size]),
                _ => json!(["sendto", slot, "udp echo", size]),
            }
        }
        Kind::Listener => {
            slots.push(Kind::Inside);
            json!(["accept", slots.len() - 1, slot])
        }
        Kind::Tcp | Kind::Pair | Kind::Inside => match random.below(6) {
            0 => {
                slots.push(kind);
                json!(["duplicate", slots.len() - 1, slot])
            }
            1 => {
                slots.push(kind);
                json!(["adopt", slots.len() - 1, slot])
            }
            2 => json!(["readline", slot, size]),
            3 => json!(["recvmsg", slot, size.max(1)]),
            4 => json!(["open_descriptor", slot, size]),
            _ => json!(["read_all", slot]),
        },
    }
}

fn streams(random: &mut Random) -> Vec<Value> {
    let mut operations = Vec::new();
    let mut slots = 0_u64;
    let mut servers = 0_u64;
    let length = 2 + random.below(MAX_OPERATIONS - 1);
    while (operations.len() as u64) < length {
        if slots == 0 || random.below(5) == 0 {
            match random.below(5) {
                0 | 1 => {
                    let peer = *random.pick(&PEERS);
                    operations.push(json!(["open", slots, peer, false]));
                    slots += u64::from(peer != "refused");
                }
                2 => {
                    let peer = random.pick(&TLS_PEERS);
                    operations.push(json!(["open", slots, peer, true]));
                    slots += 1;
                }
                3 => {
                    operations.push(json!(["serve", servers, 1 + random.below(5)]));
                    operations.push(json!(["dial", slots, servers]));
                    servers += 1;
                    slots += 1;
                }
                _ => operations.push(json!(["open_cancelled", random.pick(&PEERS)])),
            }
            continue;
        }
        let slot = random.below(slots);
        let size = *random.pick(&SIZES);
        operations.push(match random.below(18) {
            0..=2 => json!(["write", slot, size]),
            3..=5 => json!(["read", slot, size]),
            6 => json!(["read_exactly", slot, size]),
            7 => json!(["read_all", slot]),
            8 => json!(["read_cancelled", slot, size]),
            9 => json!(["at_eof", slot]),
            10 => json!(["write_eof", slot]),
            11 => json!(["close", slot]),
            12 => json!(["abort", slot]),
            13 => {
                let names = ["peername", "sockname", "socket", "cipher", "compression"];
                json!(["extra", slot, random.pick(&names)])
            }
            14 => json!(["gather", [slot, random.below(slots)], size]),
            15 => {
                // The others act on their own, sooner or later than the program.
                let peers = ["echo", "silent", "answers", "refused"];
                json!(["sock_connect", random.pick(&peers)])
            }
            16 => {
                // Whether an empty datagram is sent depends on the version of CPython.
                let peer = random.pick(&["udp echo", "udp refused"]);
                json!(["datagrams", peer, size.max(1)])
            }
            _ => match random.below(3) {
                0 => json!([
                    "signal_handler",
                    random.pick(&["SIGTERM", "SIGINT", "SIGHUP"])
                ]),
                1 => json!(["timer_signal", 0.02]),
                _ => json!(["is_closing", slot]),
            },
        });
    }
    operations
}
