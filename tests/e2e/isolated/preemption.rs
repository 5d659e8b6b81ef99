//! Timeouts of programs that never end. A binary of its own, so that nothing competes for the CPU
//! while it measures.

#[path = "../support.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod support;

use std::time::{Duration, Instant};

use eryx::net::NetConfig;
use eryx::{Error, Limit, ResourceLimits};
use eryx_testkit::{Answer, Behaviour, BlackHole, NameServer, Peer, Script};
use tokio::sync::Mutex;

use support::{error_details, expect_stdout, loopback, sandbox_with_limits, timeout_of};

/// Held by the running test: each measures times.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Runs `program` with an execution timeout of 1 s, beside another sandbox that must not be
/// disturbed. The program has to end after 1 s to 1.2 s.
async fn expect_timeout(config: Option<NetConfig>, program: &str) {
    let _alone = ALONE.lock().await;
    let other = tokio::spawn(async {
        let program = "import time\nfor _ in range(8): time.sleep(0.2)\nprint('undisturbed')";
        let limits = ResourceLimits::default().with_execution_timeout(Duration::from_secs(20));
        expect_stdout(sandbox_with_limits(None, limits).execute(program).await)
    });
    let sandbox = sandbox_with_limits(config, timeout_of(1));
    let start = Instant::now();
    let result = sandbox
        .execute(format!("print('started')\n{program}"))
        .await;
    let took = start.elapsed();
    match result {
        Err(Error::Limit {
            limit: Limit::ExecutionTime(limit),
            output,
            ..
        }) => {
            assert_eq!(limit, Duration::from_secs(1));
            assert_eq!(output.stdout, b"started\n", "the output is kept");
        }
        Err(error) => panic!("{}", error_details(&error)),
        Ok(result) => panic!("the program ended by itself: {result:?}"),
    }
    assert!(took >= Duration::from_secs(1), "ended after {took:?}");
    assert!(
        took < Duration::from_millis(1200),
        "ended only after {took:?}"
    );
    assert_eq!(other.await.expect("no panic"), "undisturbed\n");
}

/// Regression: the execution timeout was not enforced while the guest waited in a socket call.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_waiting_for_a_silent_peer_times_out() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("started");
    let program = format!(
        "import socket\nsocket.create_connection(('127.0.0.1', {})).recv(1)",
        peer.port()
    );
    expect_timeout(Some(loopback()), &program).await;
    assert_eq!(
        peer.ended(1).await.len(),
        1,
        "the connection ended with the program"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_waiting_for_a_silent_name_server_times_out() {
    let names = NameServer::start(Script::new().otherwise(Answer::Silence))
        .await
        .expect("started");
    let config = NetConfig::default().with_dns_server(names.address());
    expect_timeout(
        Some(config),
        "import socket\nsocket.getaddrinfo('silent.test', 80)",
    )
    .await;
    assert!(names.queries_for("silent.test") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_connecting_to_a_black_hole_times_out() {
    let hole = BlackHole::new().await.expect("created");
    let program = format!(
        "import socket\nsocket.create_connection(('127.0.0.1', {}))",
        hole.address().port()
    );
    expect_timeout(Some(loopback()), &program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_loop_times_out() {
    expect_timeout(None, "while True: pass").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeping_program_times_out() {
    expect_timeout(None, "import time\ntime.sleep(60)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_select_without_a_timeout_times_out() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("started");
    let program = format!(
        "import select, socket\ns = socket.create_connection(('127.0.0.1', {}))\nselect.select([s], [], [])",
        peer.port()
    );
    expect_timeout(Some(loopback()), &program).await;
}

/// The loop is in a C function of the interpreter, which runs no bytecode.
#[tokio::test(flavor = "multi_thread")]
async fn a_runaway_regular_expression_times_out() {
    expect_timeout(None, "import re\nre.match('(a+)+$', 'a' * 64 + 'b')").await;
}

/// Endless work in every place where the interpreter's C code loops or recurses.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_endless_work_is_preempted() {
    let peer = Peer::plain(Behaviour::Silent).await.expect("started");
    let knocking = format!(
        "import socket\ns = socket.create_connection(('127.0.0.1', {}))\ns.setblocking(False)\n\
         while True:\n    try: s.recv(1)\n    except BlockingIOError: pass",
        peer.port()
    );
    let programs = [
        "sum(iter(int, 1))",
        "import collections, itertools\ncollections.deque(itertools.repeat(0), maxlen=0)",
        "any(map(None.__class__.__bool__, iter(type(None), 0)))",
        "a = b = ()\nfor _ in range(64): a, b = (a, a), (b, b)\na == b",
        "import functools\nwhile True: functools.reduce(max, range(10 ** 6))",
        "pow(3, 10 ** 9)",
        "while True: bytearray(1 << 26)",
        "x = bytes(1 << 24)\nwhile True: x.find(b'no')",
        "import hashlib\nx = bytes(1 << 24)\nwhile True: hashlib.sha256(x)",
        "import time\nwhile True: time.monotonic()",
        "import os\nwhile True: os.urandom(1 << 16)",
        // A backward jump without an eval-breaker check, which no compiler emits.
        "import dis\ndef f():\n    while True: pass\ncode = bytearray(f.__code__.co_code)\n\
         back, unseen = dis.opmap['JUMP_BACKWARD'], dis.opmap['JUMP_BACKWARD_NO_INTERRUPT']\n\
         at = [n for n in range(0, len(code), 2) if code[n] == back][-1]\n\
         code[at:at + 4] = bytes([unseen, code[at + 1] - 1, dis.opmap['NOP'], 0])\n\
         f.__code__ = f.__code__.replace(co_code=bytes(code))\nf()",
        &knocking,
    ];
    for program in programs {
        eprintln!("{program}");
        expect_timeout(Some(loopback()), program).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_catches_every_exception_times_out() {
    let program = "while True:\n    try:\n        while True: pass\n    except BaseException: pass";
    expect_timeout(None, program).await;
}
