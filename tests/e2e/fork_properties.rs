//! Generated programs in a session and in its copies, which have to do the same as in two sessions
//! that never had anything to do with each other.

use eryx::Session;

use crate::random::Random;
use crate::support::{expect_stdout, sandbox};

/// The number of generated cases, each with a fork and a snapshot.
const CASES: u64 = 20;

/// The most statements of a part of a program.
const MAX_STATEMENTS: u64 = 12;

/// The state that the statements work on.
const SET_UP: &str = "
import asyncio, collections, hashlib, itertools, os, random, select, socket, sqlite3, zlib
class Account:
    def __init__(self): self.balance, self.history = 100, collections.deque(maxlen=5)
    def move(self, n): self.balance += n; self.history.append(n)
def numbers():
    total = 0
    for n in itertools.count(): total += yield n + total
counter, rows, table, big = 0, [1], {}, bytearray(300_000)
account, generator, seeded = Account(), numbers(), random.Random(7)
next(generator)
near, far = socket.socketpair()
for end in (near, far): end.setblocking(False)
reader, writer = os.pipe2(os.O_NONBLOCK)
database = sqlite3.connect(':memory:')
database.execute('create table items (n)')
compressor = zlib.compressobj()
compressed = b''
tasks = []
queue = asyncio.Queue()
async def work(n):
    await queue.get()
    account.move(n)
    return n
def digest():
    files = {name: open(f'/tmp/{name}').read() for name in sorted(os.listdir('/tmp'))}
    stored = database.execute('select count(*), sum(n) from items').fetchone()
    return (counter, rows, sorted(table.items()), hashlib.sha256(big).hexdigest(), account.balance,
            list(account.history), files, stored, len(tasks), seeded.getstate()[1][-1],
            hashlib.sha256(compressed).hexdigest())
";

fn statement(random: &mut Random) -> String {
    let (n, small) = (random.below(1000), random.below(6));
    match random.below(22) {
        0 => format!("counter += {n}"),
        1 => format!("rows.append({n})"),
        2 => format!("rows[{n} % len(rows)] = str({n})"),
        3 => format!("rows.extend(rows[-{small}:])"),
        4 => format!("del rows[{small} + 1:]"),
        5 => format!("table['k{small}'] = list(rows[:3])"),
        6 => format!("print(table.pop('k{small}', None))"),
        7 => format!("print(generator.send({n}))"),
        8 => format!("account.move({n})"),
        9 => format!("open('/tmp/f{small}', 'a').write('{n} ')"),
        10 => format!("if os.path.exists('/tmp/f{small}'): os.remove('/tmp/f{small}')"),
        11 => format!("big[{n} * 257:{n} * 257 + 100] = bytes(range(100))"),
        12 => format!("big += bytes({n} * 1000)"),
        13 => "print(seeded.random())".to_owned(),
        14 => format!("near.send(b'{n} ')"),
        15 => "print(far.recv(20) if select.select([far], [], [], 0)[0] else None)".to_owned(),
        16 => format!("os.write(writer, b'{n} ')"),
        17 => "print(os.read(reader, 7) if select.select([reader], [], [], 0)[0] else None)"
            .to_owned(),
        18 => format!("_ = database.execute('insert into items values ({n})')"),
        19 => format!("compressed += compressor.compress(str({n}).encode() * 50)"),
        20 => format!("tasks.append(asyncio.ensure_future(work({n}))); await asyncio.sleep(0)"),
        _ => "if tasks: queue.put_nowait(1); print(await tasks.pop(0))".to_owned(),
    }
}

/// Returns a part of a program, whose output has all of the state.
fn part(random: &mut Random) -> String {
    let length = 1 + random.below(MAX_STATEMENTS);
    let statements: Vec<_> = (0..length).map(|_| statement(random)).collect();
    format!("{}\nprint(digest())\n", statements.join("\n"))
}

async fn run(session: &mut Session, program: &str, case: u64) -> String {
    println!("case {case}:\n{program}");
    expect_stdout(session.execute(program).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_a_session_do_what_sessions_do_that_are_no_copies() {
    let sandbox = sandbox(None);
    for case in 0..CASES {
        let mut random = Random(case);
        let [first, second, third, fourth] = [(); 4].map(|()| part(&mut random));
        let mut session = sandbox.session().await.expect("started");
        run(&mut session, SET_UP, case).await;
        let before = run(&mut session, &first, case).await;
        let mut fork = session.fork().await.expect("forked");
        let snapshot = session.snapshot().await.expect("taken");
        let mut restored = sandbox.restore(&snapshot).await.expect("restored");
        // One after another, and the copies in turns with the original.
        let mut outputs = Vec::new();
        for (original, copied) in [(&second, &third), (&third, &fourth)] {
            let in_session = run(&mut session, original, case).await;
            let in_fork = run(&mut fork, copied, case).await;
            let in_restored = run(&mut restored, copied, case).await;
            assert_eq!(in_fork, in_restored, "case {case}");
            outputs.push([in_session, in_fork]);
        }
        for (copy, programs) in [(0, [&second, &third]), (1, [&third, &fourth])] {
            let mut other = sandbox.session().await.expect("started");
            run(&mut other, SET_UP, case).await;
            assert_eq!(run(&mut other, &first, case).await, before, "case {case}");
            for (program, output) in programs.into_iter().zip(&outputs) {
                let alone = run(&mut other, program, case).await;
                assert_eq!(alone, output[copy], "case {case}");
            }
        }
    }
}
