//! Forks of sessions: copies that continue independently.

use std::io::{Read, Write};

use eryx::net::Secret;
use eryx::net::policy::SecretBinding;
use eryx::{Error, Files, ResourceLimits, Session};
use eryx_testkit::{
    Behaviour, CertificateAuthority, LOOPBACK, Leaf, Peer, RequestRecorder, ServerTls, Transport,
};
use serde_json::json;

use crate::support::{
    expect_stdout, loopback, program, sandbox, sandbox_with_limits, start_peer, timeout_of,
    trusting,
};

/// Returns a session in which `program` has run, and a fork of it.
async fn forked(program: &str) -> (Session, Session) {
    let mut session = sandbox(None).session().await.expect("started");
    expect_stdout(session.execute(program).await);
    let fork = session.fork().await.expect("forked");
    (session, fork)
}

async fn run(session: &mut Session, program: &str) -> String {
    expect_stdout(session.execute(program).await)
}

#[tokio::test]
async fn a_fork_continues_independently_of_its_parent_and_its_siblings() {
    let program = "
import json, re, collections, datetime, decimal, hashlib, sqlite3, dataclasses, itertools
rows = [{'number': n, 'name': str(n)} for n in range(5000)]
class Account:
    def __init__(self, balance): self.balance = balance
account = Account(100)
def squares():
    for n in itertools.count(): yield n * n
numbers = squares()
for _ in range(3): next(numbers)
print('ready')
";
    let (mut parent, mut first) = forked(program).await;
    let mut second = parent.fork().await.expect("forked");
    let work = |amount: u32| {
        format!("account.balance += {amount}; print(account.balance, next(numbers), next(numbers))")
    };
    assert_eq!(run(&mut first, &work(1)).await, "101 9 16\n");
    assert_eq!(run(&mut second, &work(2)).await, "102 9 16\n");
    assert_eq!(run(&mut parent, &work(3)).await, "103 9 16\n");
    let mut grandchild = first.fork().await.expect("forked");
    assert_eq!(run(&mut grandchild, &work(10)).await, "111 25 36\n");
    assert_eq!(run(&mut first, &work(20)).await, "121 25 36\n");
    let check = "
import gc, hashlib
gc.collect()
database = sqlite3.connect(':memory:')
print(len(rows), rows[4999]['name'], hashlib.sha256(b'a').hexdigest()[:4],
      database.execute('select 1 + 1').fetchone(), json.dumps(rows[1]))
";
    let expected = "5000 4999 ca97 (2,) {\"number\": 1, \"name\": \"1\"}\n";
    for session in [&mut parent, &mut first, &mut second, &mut grandchild] {
        assert_eq!(run(session, check).await, expected);
    }
    drop(parent);
    assert_eq!(run(&mut second, "print(account.balance)").await, "102\n");
}

#[tokio::test]
async fn a_fork_has_memory_that_its_parent_added() {
    let (mut parent, mut fork) = forked("data = bytes(range(256)) * 80_000").await;
    for session in [&mut fork, &mut parent] {
        assert_eq!(
            run(
                session,
                "print(len(data), data[:3], data[-1], sum(data) == 80_000 * 32_640)"
            )
            .await,
            "20480000 b'\\x00\\x01\\x02' 255 True\n"
        );
    }
}

#[tokio::test]
async fn suspended_coroutines_and_timers_continue_in_a_fork() {
    let program = "
import asyncio
seen = []
async def work():
    seen.append('begun')
    await asyncio.sleep(0.05)
    seen.append('ended')
task = asyncio.ensure_future(work())
await asyncio.sleep(0)
";
    let (mut parent, mut fork) = forked(program).await;
    for session in [&mut fork, &mut parent] {
        let output = run(session, "await task; print(seen)").await;
        assert_eq!(output, "['begun', 'ended']\n");
    }
}

#[tokio::test]
async fn the_monotonic_clock_of_a_fork_continues() {
    let (mut parent, mut fork) = forked("import time; time.sleep(0.3); t = time.monotonic()").await;
    for session in [&mut fork, &mut parent] {
        let output = run(
            session,
            "print(t >= 0.3, time.monotonic() >= t, time.process_time() >= t)",
        )
        .await;
        assert_eq!(output, "True True True\n");
    }
}

#[tokio::test]
async fn random_numbers_differ_in_every_fork_and_seeded_generators_continue() {
    let program = "
import random, tempfile, uuid
random.seed(1)
own = random.Random(7); own.random()
first = tempfile.mktemp()
";
    let (mut parent, mut fork) = forked(program).await;
    let mut other = parent.fork().await.expect("forked");
    let mut numbers = Vec::new();
    for session in [&mut parent, &mut fork, &mut other] {
        let program = "print(random.random(), tempfile.mktemp(), uuid.uuid4(), uuid.uuid1())";
        numbers.extend(
            run(session, program)
                .await
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        );
    }
    let count = numbers.len();
    numbers.sort();
    numbers.dedup();
    assert_eq!((numbers.len(), count), (12, 12), "{numbers:?}");
    let mut owns = Vec::new();
    for session in [&mut parent, &mut fork, &mut other] {
        owns.push(run(session, "print(own.random())").await);
    }
    owns.dedup();
    assert_eq!(owns.len(), 1);
}

#[tokio::test]
async fn a_fork_has_a_copy_of_the_files_and_no_open_file() {
    let program = "
import os
os.makedirs('/tmp/a')
with open('/tmp/a/b', 'w') as file: file.write('parent')
log = open('/tmp/log', 'w+'); log.write('line\\n'); log.flush()
raw = os.open('/tmp/a/b', os.O_RDWR)
names = os.scandir('/tmp')
";
    let (mut parent, mut fork) = forked(program).await;
    let check = "
import errno
print(open('/tmp/a/b').read(), os.listdir('/tmp') == sorted(os.listdir('/tmp')))
def failure(call, *arguments):
    try: return call(*arguments)
    except OSError as error: return errno.errorcode[error.errno]
print(failure(os.read, raw, 4), failure(os.write, raw, b'x'), failure(os.read, log.fileno(), 1))
new = open('/tmp/new', 'w+')
print(new.fileno() in (raw, log.fileno()))
os.close(raw)
new.write('kept'); new.flush(); new.seek(0)
print(new.read(), list(names))
";
    let output = run(&mut fork, check).await;
    assert_eq!(output, "parent True\nEISDIR EBADF EISDIR\nFalse\nkept []\n");
    let output = run(
        &mut parent,
        "log.write('more\\n'); log.seek(0); print(log.read(), os.read(raw, 6))",
    )
    .await;
    assert_eq!(output, "line\nmore\n b'parent'\n");
    assert_eq!(
        run(&mut parent, "print(os.path.exists('/tmp/new'))").await,
        "False\n"
    );
}

#[tokio::test]
async fn what_open_files_have_in_buffers_is_written_before_a_copy_is_made() {
    let program = "
import errno, io, os, sys
text = open('/tmp/text', 'w'); text.write('one\\n')
binary = open('/tmp/binary', 'wb'); binary.write(b'one')
both = open('/tmp/both', 'w+b'); both.write(b'one')
class Own(io.TextIOWrapper):
    def flush(self): print('flushed'); super().flush()
own = Own(open('/tmp/own', 'wb')); own.write('one')
gone = open('/tmp/gone', 'w'); gone.write('one'); os.close(gone.fileno())
detached = open('/tmp/detached', 'w'); detached.detach()
copy = os.dup(1)
printed = open(copy, 'w'); printed.write('printed')
";
    let (mut parent, mut fork) = forked(program).await;
    let bytes = parent.snapshot().await.expect("taken");
    let restored = sandbox(None).restore(&bytes).await;
    let mut restored = restored.expect("restored");
    let check = "
print([open(f'/tmp/{name}').read() for name in ('text', 'binary', 'both', 'own')])
for file in (text, binary, both): file.close()
";
    let expected = "['one\\n', 'one', 'one', '']\n";
    for session in [&mut fork, &mut restored] {
        assert_eq!(run(session, check).await, expected);
    }
    // Nothing is written twice, and nothing was printed where no result has it.
    let more = "
text.write('two'); binary.write(b'two'); both.write(b'two'); printed.flush()
for file in (text, binary, both): file.close()
print([open(f'/tmp/{name}').read() for name in ('text', 'binary', 'both')])
";
    assert_eq!(
        run(&mut parent, more).await,
        "printed['one\\ntwo', 'onetwo', 'onetwo']\n"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_written_before_a_fork_says_so_when_its_program_closes_it() {
    let limits = ResourceLimits::default().with_max_file_bytes(1000);
    let sandbox = sandbox_with_limits(None, limits);
    let mut session = sandbox.session().await.expect("started");
    let open = "file = open('/tmp/full', 'wb', buffering=1 << 20); file.write(bytes(3000))";
    run(&mut session, open).await;
    session.fork().await.expect("forked");
    let close = "
import errno
try: file.close()
except OSError as error: print(errno.errorcode[error.errno] in ('EIO', 'ENOSPC'))
";
    assert_eq!(run(&mut session, close).await, "True\n");
}

#[tokio::test]
async fn callbacks_of_register_at_fork_run_in_the_parent_and_in_the_child() {
    let program = "
import os
calls = []
for n in (1, 2):
    os.register_at_fork(before=lambda n=n: calls.append(f'before {n}'),
                        after_in_parent=lambda n=n: calls.append(f'parent {n}'),
                        after_in_child=lambda n=n: calls.append(f'child {n}'))
os.register_at_fork(after_in_child=lambda: 1 / 0)
try: os.register_at_fork()
except TypeError as error: print(error)
";
    let (mut parent, mut fork) = forked(program).await;
    let output = run(&mut parent, "print(calls)").await;
    assert_eq!(output, "['before 2', 'before 1', 'parent 1', 'parent 2']\n");
    let result = fork.execute("print(calls)").await.expect("run");
    assert_eq!(
        result.stdout,
        "['before 2', 'before 1', 'child 1', 'child 2']\n"
    );
    assert!(
        result.stderr.contains("ZeroDivisionError"),
        "{}",
        result.stderr
    );
    assert_eq!(run(&mut fork, "print(len(calls))").await, "4\n");
}

#[tokio::test]
async fn callbacks_of_a_child_run_before_it_is_forked_itself() {
    let program = "
import os
calls = []
os.register_at_fork(before=lambda: calls.append('before'),
                    after_in_parent=lambda: calls.append('parent'),
                    after_in_child=lambda: calls.append('child'))
";
    let (_parent, mut fork) = forked(program).await;
    // No program has run in the fork.
    let mut second = fork.fork().await.expect("forked");
    assert_eq!(
        run(&mut fork, "print(calls)").await,
        "['before', 'child', 'before', 'parent']\n"
    );
    assert_eq!(
        run(&mut second, "print(calls)").await,
        "['before', 'child', 'before', 'child']\n"
    );
}

#[tokio::test]
async fn a_file_that_a_callback_opens_is_not_a_new_file_of_the_fork() {
    let program = "
import os
def before():
    global log
    log = open('/tmp/log', 'w')
os.register_at_fork(before=before)
";
    let (mut parent, mut fork) = forked(program).await;
    let program = "
new = open('/tmp/new', 'w')
print(new.fileno() == log.fileno())
try:
    log.write('of the parent')
    log.flush()
except OSError:
    print('lost')
new.close()
print(repr(open('/tmp/new').read()))
";
    assert_eq!(run(&mut fork, program).await, "False\nlost\n''\n");
    assert_eq!(
        run(&mut parent, "log.write('x'); print(log.flush())").await,
        "None\n"
    );
}

#[tokio::test]
async fn connections_of_a_fork_are_reset_and_those_of_its_parent_are_not() {
    let peer = start_peer(Behaviour::Echo).await;
    let mut session = sandbox(Some(loopback())).session().await.expect("started");
    let start = "
import asyncio, select, socket
sock = socket.create_connection(('127.0.0.1', PORT))
sock.sendall(b'ab'); print(sock.recv(1))
pair = socket.socketpair()
reader, writer = await asyncio.open_connection('127.0.0.1', PORT)
kept = [sock.dup()]
";
    run(
        &mut session,
        &program(&json!({"PORT": peer.address().port()}), start),
    )
    .await;
    let mut fork = session.fork().await.expect("forked");
    let check = "
for use in (lambda: sock.recv(1), lambda: kept[0].sendall(b'x')):
    try: print('no error', use())
    except ConnectionResetError: print('reset')
print(select.select([sock], [], [], 0)[0] == [sock])
try: print(await reader.read(1))
except ConnectionResetError: print('reset')
pair[0].send(b'in the sandbox'); print(pair[1].recv(20))
sock.close()
again = socket.create_connection(('127.0.0.1', PORT)); again.sendall(b'new'); print(again.recv(3))
";
    assert_eq!(
        run(&mut fork, check).await,
        "reset\nreset\nTrue\nreset\nb'in the sandbox'\nb'new'\n"
    );
    assert_eq!(
        run(
            &mut session,
            "print(sock.recv(1)); writer.write(b'q'); print(await reader.read(1))"
        )
        .await,
        "b'b'\nb'q'\n"
    );
}

#[tokio::test]
async fn duplicates_of_descriptors_are_not_those_of_new_files_in_a_fork() {
    let mut session = sandbox(None).session().await.expect("started");
    let start = "
import os
file = open('old.txt', 'w'); file.write('old'); file.flush()
copy = os.dup(file.fileno())
saved = os.dup(1)
os.dup2(file.fileno(), 900)
os.dup2(copy, 1)
print('in the file')
";
    assert_eq!(run(&mut session, start).await, "");
    let bytes = session.snapshot().await.expect("taken");
    let check = "
new = [open(f'{number}.txt', 'w') for number in range(4)]
old = {file.fileno(), copy, saved, 900}
assert old.isdisjoint(each.fileno() for each in new), (old, new)
failed = 0
for number in old:
    try: os.write(number, b'lost')
    except OSError: failed += 1
for each in new: each.close()
print(failed, [os.stat(f'{number}.txt').st_size for number in range(4)])
";
    let mut copies = [
        session.fork().await.expect("forked"),
        sandbox(None).restore(&bytes).await.expect("restored"),
    ];
    for copy in &mut copies {
        assert_eq!(run(copy, check).await, "4 [0, 0, 0, 0]\n");
    }
    let check = "
os.dup2(saved, 1)
print(open('old.txt').read())
";
    assert_eq!(run(&mut session, check).await, "oldin the file\n\n");
}

/// Regression: `close` raised the error of the session, and pools of connections did not reconnect.
#[tokio::test]
async fn asyncio_streams_over_tls_are_reset_in_a_fork_and_can_be_closed() {
    let ca = CertificateAuthority::new().expect("created");
    let identity = ca
        .issue(&Leaf::server(["site.test"]))
        .expect("a certificate");
    let tls = ServerTls::new(&identity).build().expect("built");
    let peer = Peer::start(Behaviour::Echo, Transport::tls(tls), LOOPBACK).await;
    let peer = peer.expect("started");
    let network = Some(trusting(&ca));
    let mut session = sandbox(network).session().await.expect("started");
    let start = "
import asyncio
streams = [await asyncio.open_connection('site.test', PORT, ssl=True) for _ in range(3)]
for reader, writer in streams:
    writer.write(b'x'); print(await reader.read(1))
";
    let port = peer.port();
    run(&mut session, &program(&json!({"PORT": port}), start)).await;
    let mut fork = session.fork().await.expect("forked");
    let check = "
(_, closed), (reader, _), (_, writer) = streams
closed.close()
for use in (reader.read(1), writer.drain()):
    writer.write(b'x')
    try: print('no error', await use)
    except ConnectionResetError: print('reset')
";
    assert_eq!(run(&mut fork, check).await, "reset\nreset\n");
    let check = "writer.write(b'q'); print(await reader.read(1))";
    assert_eq!(run(&mut session, check).await, "b'q'\n");
}

#[tokio::test]
async fn a_closed_session_cannot_be_forked() {
    let mut session = sandbox(None).session().await.expect("started");
    session
        .execute("import os; os._exit(1)")
        .await
        .expect_err("exits");
    let error = session.fork().await.expect_err("closed");
    assert!(matches!(error, Error::SessionClosed { .. }), "{error}");
}

/// Returns a session that continues the one in which `program` has run, in another sandbox.
async fn restored(program: &str) -> Session {
    let mut session = sandbox(None).session().await.expect("started");
    expect_stdout(session.execute(program).await);
    let bytes = session.snapshot().await.expect("taken");
    expect_stdout(session.execute("import os; print(os.getcwd())").await);
    drop(session);
    sandbox(None).restore(&bytes).await.expect("restored")
}

#[tokio::test]
async fn a_restored_session_continues_with_names_files_and_clock() {
    let program = "
import asyncio, os, random, time
print('printed')
rows = [{'n': n} for n in range(5000)]
data = bytes(range(256)) * 80_000
numbers = iter(range(10)); next(numbers)
os.makedirs('/tmp/a/b'); os.symlink('b', '/tmp/a/link')
for name, text in (('/tmp/a/b/c', 'one'), ('/home/user/big', 'x' * 300_000)):
    with open(name, 'w') as file: file.write(text)
os.utime('/tmp/a/b/c', (1000, 2000))
os.utime('/tmp/a', (1000, 3000))
random.seed(3)
time.sleep(0.2); t = time.monotonic()
async def work():
    await asyncio.sleep(0.01)
    return 'done'
task = asyncio.ensure_future(work())
await asyncio.sleep(0)
";
    let mut session = restored(program).await;
    let check = "
print(len(rows), rows[4999], len(data), data[-1], next(numbers), time.monotonic() >= t >= 0.2)
print(open('/tmp/a/link/c').read(), os.stat('/tmp/a/b/c').st_mtime, os.stat('/tmp/a').st_mtime,
      os.path.getsize('/home/user/big'), os.readlink('/tmp/a/link'))
print(await task, random.random() != random.Random(3).random())
import subprocess, sqlite3, decimal
print(decimal.Decimal(1) / 4)
";
    assert_eq!(
        run(&mut session, check).await,
        "5000 {'n': 4999} 20480000 255 1 True\none 2000.0 3000.0 300000 b\ndone True\n0.25\n"
    );
    // It can be saved again.
    let bytes = session.snapshot().await.expect("taken");
    let mut again = sandbox(None).restore(&bytes).await.expect("restored");
    assert_eq!(
        run(
            &mut again,
            "print(next(numbers), open('/tmp/a/b/c').read())"
        )
        .await,
        "2 one\n"
    );
}

#[tokio::test]
async fn hard_links_of_a_restored_session_are_names_of_one_file() {
    let program = "
import os
with open('/tmp/big', 'wb') as file: file.truncate(20 << 20)
for n in range(3): os.link('/tmp/big', f'/tmp/big{n}')
with open('/tmp/removed', 'w') as file: file.write('text')
os.link('/tmp/removed', '/tmp/kept'); os.remove('/tmp/removed')
";
    let mut session = restored(program).await;
    let check = "
with open('/tmp/big1', 'r+b') as file: file.write(b'shared')
print(open('/tmp/big', 'rb').read(6), os.stat('/tmp/big2').st_nlink, os.path.getsize('/tmp/big0'))
print(os.stat('/tmp/kept').st_nlink, open('/tmp/kept').read())
";
    assert_eq!(
        run(&mut session, check).await,
        "b'shared' 4 20971520\n1 text\n"
    );
}

#[tokio::test]
async fn a_hard_link_to_a_file_of_the_embedder_stays_one_in_a_restored_session() {
    let given = |files: &[&'static str]| {
        let with = |all: Files, path: &&'static str| all.with_file(*path, "of the embedder");
        let files = files.iter().fold(Files::new(), with);
        let sandbox = eryx::Sandbox::embedded().with_files(files).build();
        sandbox.expect("valid settings")
    };
    let (both, none) = (given(&["/data/in", "/data/other"]), given(&[]));
    let mut session = both.session().await.expect("started");
    let program = "import os; os.link('/data/in', 'first'); os.link('/data/in', '/tmp/second')";
    expect_stdout(session.execute(program).await);
    let unchanged = session.snapshot().await.expect("taken");
    let mut restored = both.restore(&unchanged).await.expect("restored");
    let check = "
with open('first', 'r+') as file: file.write('IN')
print(open('/data/in').read(5), open('/tmp/second').read(5), os.stat('/data/in').st_nlink)
";
    assert_eq!(run(&mut restored, check).await, "IN th IN th 3\n");
    // Once it is changed, the snapshot has it.
    let changed = restored.snapshot().await.expect("taken");
    for sandbox in [&both, &none] {
        let mut again = sandbox.restore(&changed).await.expect("restored");
        assert_eq!(run(&mut again, check).await, "IN th IN th 3\n");
    }
    let error = none.restore(&unchanged).await.expect_err("refused");
    assert!(
        error.to_string().contains(
            "\"home/user/first\": it is another name of the file \"data/in\", which the sandbox"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_snapshot_is_small_and_refused_when_damaged_or_of_something_else() {
    let sandbox = sandbox(None);
    let mut session = sandbox.session().await.expect("started");
    run(&mut session, "x = 41").await;
    let bytes = session.snapshot().await.expect("taken");
    assert!(bytes.len() < 200_000, "{} bytes", bytes.len());
    for (damaged, why) in [
        (b"".to_vec(), "not a snapshot"),
        (bytes[..bytes.len() - 10].to_vec(), "damaged"),
        ([&bytes[..], b"x"].concat(), "damaged"),
    ] {
        let error = sandbox.restore(&damaged).await.expect_err(why);
        assert!(matches!(error, Error::Snapshot(_)), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    let mut other = bytes.clone();
    // In the digest of the image.
    other[20] ^= 1;
    let error = sandbox
        .restore(&other)
        .await
        .expect_err("refused")
        .to_string();
    assert!(error.contains("another guest image"), "{error}");
}

/// Returns the bytes of a snapshot with `change` made in what is compressed, after the header.
fn forged(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    const HEADER: usize = 8 + 4 + 32 + 32;
    let mut content = Vec::new();
    flate2::read::ZlibDecoder::new(&bytes[HEADER..])
        .read_to_end(&mut content)
        .expect("zlib");
    change(&mut content);
    let mut forged =
        flate2::write::ZlibEncoder::new(bytes[..HEADER].to_vec(), flate2::Compression::fast());
    forged.write_all(&content).expect("written");
    forged.finish().expect("written")
}

/// Regression: the free memory of the image had former content, and the difference from it cannot
/// be compressed.
#[tokio::test]
async fn a_snapshot_of_thousands_of_objects_is_small() {
    let mut session = sandbox(None).session().await.expect("started");
    let program = "rows = [{'number': n, 'name': str(n)} for n in range(5000)]";
    session.execute(program).await.expect("executed");
    let bytes = session.snapshot().await.expect("saved");
    assert!(bytes.len() < 250_000, "{} bytes", bytes.len());
}

#[tokio::test]
async fn a_snapshot_with_forged_memory_ends_the_session_not_the_host() {
    let sandbox = sandbox_with_limits(None, timeout_of(5));
    let mut session = sandbox.session().await.expect("started");
    run(&mut session, "x = [{n: str(n)} for n in range(5000)]").await;
    let bytes = session.snapshot().await.expect("taken");
    let mut ended = 0;
    for seed in 1..=8_usize {
        let forged = forged(&bytes, |content| {
            // All bytes of memory come after the first hundred.
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for _ in 0..200 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                let at = 100 + (state >> 20) % (content.len() - 200);
                content[at] ^= (state >> 8) as u8;
            }
        });
        match sandbox.restore(&forged).await {
            Err(_) => ended += 1,
            Ok(mut session) => {
                let used = session
                    .execute("import gc; gc.collect(); print(len(x))")
                    .await;
                ended += usize::from(used.is_err());
            }
        }
    }
    assert!(ended > 0, "no forgery had an effect");
    assert_eq!(expect_stdout(sandbox.execute("print(1)").await), "1\n");
}

#[tokio::test]
async fn a_restored_session_has_the_limits_and_the_network_of_its_sandbox() {
    let peer = start_peer(Behaviour::Echo).await;
    let mut session = sandbox(Some(loopback())).session().await.expect("started");
    let start = "
import socket
sock = socket.create_connection(('127.0.0.1', PORT))
big = bytearray(20_000_000)
with open('/tmp/file', 'wb') as file: file.write(bytes(5_000_000))
";
    run(
        &mut session,
        &program(&json!({"PORT": peer.address().port()}), start),
    )
    .await;
    let bytes = session.snapshot().await.expect("taken");
    let mut without = sandbox(None).restore(&bytes).await.expect("restored");
    let check = "
try: sock.recv(1)
except ConnectionResetError: print('reset')
try: socket.create_connection(('127.0.0.1', PORT))
except PermissionError: print('denied')
";
    assert_eq!(run(&mut without, check).await, "reset\ndenied\n");
    let less = ResourceLimits::default().with_max_memory(ResourceLimits::MIN_MEMORY);
    let error = sandbox_with_limits(None, less)
        .restore(&bytes)
        .await
        .expect_err("too large");
    assert!(error.to_string().contains("max_memory"), "{error}");
    let less = ResourceLimits::default().with_max_file_bytes(1 << 20);
    let error = sandbox_with_limits(None, less)
        .restore(&bytes)
        .await
        .expect_err("too large");
    assert!(error.to_string().contains("max_file_bytes"), "{error}");
}

#[tokio::test]
async fn a_fork_shares_the_byte_quota_of_its_session() {
    let peer = start_peer(Behaviour::Echo).await;
    let network = loopback().with_max_sent_bytes(10);
    let mut session = sandbox(Some(network)).session().await.expect("started");
    let send = "
import socket
def send(count):
    sock = socket.create_connection(('127.0.0.1', PORT))
    try: print(sock.send(b'x' * count))
    except OSError as error: print(type(error).__name__)
send(4)
";
    let first = run(
        &mut session,
        &program(&json!({"PORT": peer.address().port()}), send),
    )
    .await;
    assert_eq!(first, "4\n");
    let mut fork = session.fork().await.expect("forked");
    assert_eq!(run(&mut fork, "send(4)").await, "4\n");
    assert_eq!(run(&mut session, "send(4)").await, "2\n");
    assert_eq!(run(&mut fork, "send(4)").await, "OSError\n");
}

#[tokio::test]
async fn callbacks_before_a_fork_end_at_the_execution_timeout() {
    let sandbox = sandbox_with_limits(None, timeout_of(3));
    let mut session = sandbox.session().await.expect("started");
    let program = "
import os
def loop():
    while True: pass
os.register_at_fork(before=loop)
";
    run(&mut session, program).await;
    let error = session.fork().await.expect_err("too long");
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    let error = session.execute("pass").await.expect_err("over");
    assert!(matches!(error, Error::SessionClosed { .. }), "{error}");
}

/// The request of a fork has the secret in place of the placeholder that its session had.
#[tokio::test]
async fn placeholders_of_secrets_stay_in_a_fork_and_are_new_in_a_restored_session() {
    let ca = CertificateAuthority::new().expect("created");
    let identity = ca
        .issue(&Leaf::server(["site.test"]))
        .expect("a certificate");
    let server = RequestRecorder::tls(&identity, |request| {
        let has_secret = String::from_utf8_lossy(request).contains("the-secret-value");
        RequestRecorder::ok(if has_secret { "secret" } else { "placeholder" })
    })
    .await
    .expect("a server");
    let host = "site.test".parse().expect("a pattern");
    let binding = SecretBinding::new("TOKEN", [host]).expect("a binding");
    let config = trusting(&ca)
        .with_secret(Secret::new(binding, "the-secret-value".to_owned()).expect("a secret"))
        .expect("a configuration");
    let sandbox = sandbox(Some(config));
    let mut session = sandbox.session().await.expect("started");
    let start = "
import http.client, os
token = os.environ['TOKEN']
def get(token):
    connection = http.client.HTTPSConnection('site.test', PORT)
    connection.request('GET', '/', headers={'Authorization': 'Bearer ' + token})
    return connection.getresponse().read().decode()
print(get(token))
";
    let port = server.address().port();
    let first = run(&mut session, &program(&json!({"PORT": port}), start)).await;
    assert_eq!(first, "secret\n");
    let mut fork = session.fork().await.expect("forked");
    let check = "print(get(token), os.environ['TOKEN'] == token, get(os.environ['TOKEN']))";
    assert_eq!(run(&mut fork, check).await, "secret True secret\n");
    let bytes = session.snapshot().await.expect("taken");
    let mut restored = sandbox.restore(&bytes).await.expect("restored");
    assert_eq!(
        run(&mut restored, check).await,
        "placeholder False secret\n"
    );
}
