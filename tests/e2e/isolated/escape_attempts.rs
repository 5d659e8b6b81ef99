//! Escape attempts, one program each under `escape_attempts/`: each runs without a network, with
//! the default network, UDP and functions, and the same in a session that was restored from a
//! snapshot, and must be denied or harmless. A binary of its own, since it checks the memory of the
//! whole process.
//!
//! A file with a line `# Programs: N` is N programs, which differ in the number `PROGRAM`.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use eryx::net::NetConfig;
use eryx::{Error, Files, Function, FunctionError, MountAccess, ResourceLimits, Sandbox};
use eryx_testkit::{NameServer, Script};

/// The allowed growth of the process's memory in MiB.
const MAX_GROWTH: u64 = 64;

#[tokio::test(flavor = "multi_thread")]
async fn every_escape_attempt_is_denied_or_harmless() {
    let canary = TcpListener::bind("127.0.0.1:0").expect("bound");
    canary.set_nonblocking(true).expect("set");
    let address = canary.local_addr().expect("bound");
    let port = address.port();
    let udp_canary = UdpSocket::bind(address).expect("bound");
    udp_canary.set_nonblocking(true).expect("set");
    let names = NameServer::start(Script::new()).await.expect("started");
    let network = NetConfig::default()
        .with_dns_server(names.address())
        .with_connect_timeout(Duration::from_secs(1))
        .and_then(|network| network.allow_udp("*:1-65535"))
        .expect("a duration and a pattern");
    let unconnected = sandbox(None);
    let connected = sandbox(Some(network));
    let machine = tempfile::tempdir().expect("a folder");
    let with_files = sandbox_with_files(machine.path());
    run(&unconnected, "print('alive')").await.expect("succeeds");
    let snapshot = snapshot(&connected).await;
    let before = resident_mib();
    let attempts = attempts();
    let mut failures = Vec::new();
    for attempt in &attempts {
        let name = attempt.file_stem().expect("named").to_string_lossy();
        let kinds = [
            ("without a network", &unconnected, None),
            ("with the default network and UDP", &connected, None),
            ("in a restored session", &connected, Some(&snapshot)),
            ("with files of the machine", &with_files, None),
        ];
        let programs = programs(attempt, port);
        let runs = programs
            .iter()
            .flat_map(|program| kinds.iter().map(move |kind| (program, kind)));
        for (program, &(kind, sandbox, snapshot)) in runs {
            let ended = match snapshot {
                Some(snapshot) => run_restored(sandbox, snapshot, program).await,
                None => run(sandbox, program).await,
            };
            let printed = match ended {
                Ok(printed) => printed,
                Err(Error::Image(reason)) => format!("ESCAPED: the image broke: {reason}"),
                Err(error) => error
                    .output()
                    .map(eryx::Output::stdout_text)
                    .unwrap_or_default(),
            };
            if printed.contains("ESCAPED") || printed.contains("ACCEPTED") {
                failures.push(format!(
                    "{name}, {kind}: {}",
                    &printed[..printed.len().min(500)]
                ));
            }
            if canary.accept().is_ok() || udp_canary.recv(&mut [0]).is_ok() {
                failures.push(format!("{name}, {kind}: it reached loopback"));
            }
            assert_eq!(
                run(sandbox, "print('alive')").await.expect("not affected"),
                "alive\n",
                "after {name}"
            );
        }
    }
    let outside = fs::read_to_string(machine.path().join("secret"));
    assert_eq!(outside.expect("it is still there"), "SECRET");
    let content = fs::read_to_string(machine.path().join("mount/file"));
    assert_eq!(content.expect("it is still there"), "content");
    let growth = resident_mib().saturating_sub(before);
    let _ = writeln!(
        std::io::stderr(),
        "\nescape attempts: {} of {} denied or harmless; the process has grown by {growth} MiB",
        attempts.len() - failures.len().min(attempts.len()),
        attempts.len()
    );
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(
        attempts.len() >= 20,
        "only {} attempts were found",
        attempts.len()
    );
    assert!(
        growth <= MAX_GROWTH,
        "the process has grown by {growth} MiB"
    );
}

/// Returns the paths of all attempts.
fn attempts() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("isolated/escape_attempts");
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .expect("readable")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .collect();
    paths.sort();
    paths
}

/// Returns the programs of an attempt. They find the port of the canary.
fn programs(attempt: &Path, port: u16) -> Vec<String> {
    let source = fs::read_to_string(attempt).expect("readable");
    let count = source
        .lines()
        .find_map(|line| line.strip_prefix("# Programs: "))
        .map_or(1, |count| count.parse().expect("a number"));
    (0..count)
        .map(|number: u32| {
            format!(
                "CANARY = {port}\nCANARY_HOST = '127.0.0.1'\nPROGRAMS = {count}\n\
                 PROGRAM = {number}\n{source}"
            )
        })
        .collect()
}

fn sandbox(network: Option<NetConfig>) -> Sandbox {
    let limits = ResourceLimits::default().with_execution_timeout(Duration::from_secs(20));
    let mut builder = Sandbox::embedded().with_resource_limits(limits);
    if let Some(network) = network {
        let size = |arguments: eryx::Arguments| Ok::<_, FunctionError>(arguments.as_str().len());
        let later = Function::asynchronous(move |arguments| async move {
            tokio::task::yield_now().await;
            size(arguments)
        });
        builder = builder
            .with_network(network)
            .with_function("echo", Function::immediate(size))
            .with_function("block", Function::blocking(size))
            .with_function("later", later);
    }
    builder.build().expect("built")
}

/// Returns a sandbox with mounts of two directories in `machine`, which have links out of them, and
/// with provided files.
fn sandbox_with_files(machine: &Path) -> Sandbox {
    let path = |name: &str| machine.join(name);
    fs::write(path("secret"), "SECRET").expect("written");
    for mount in ["mount", "writable"] {
        fs::create_dir_all(path(mount).join("sub")).expect("created");
        for (name, target) in [
            ("out", "../secret"),
            ("absolute", "/etc/passwd"),
            ("up", ".."),
            ("loop", "loop"),
        ] {
            symlink(target, path(mount).join(name)).expect("linked");
        }
    }
    fs::write(path("mount/file"), "content").expect("written");
    let access = MountAccess::ReadWrite {
        max_growth: 1 << 20,
    };
    let files = Files::new()
        .with_mount("/mount", path("mount"), MountAccess::ReadOnly)
        .with_mount("/writable", path("writable"), access)
        .with_source("/provided/text", None, || Ok("provided"))
        .with_source("/provided/broken", None, || {
            Err::<String, _>(std::io::Error::other("broken"))
        });
    let limits = ResourceLimits::default().with_execution_timeout(Duration::from_secs(20));
    Sandbox::embedded()
        .with_resource_limits(limits)
        .with_files(files)
        .build()
        .expect("built")
}

async fn run(sandbox: &Sandbox, program: &str) -> Result<String, Error> {
    sandbox.execute(program).await.map(|result| result.stdout)
}

/// Returns a snapshot of a session in which a program has used files, threads and tasks.
async fn snapshot(sandbox: &Sandbox) -> Vec<u8> {
    let mut session = sandbox.session().await.expect("started");
    let start = "
import asyncio, os, socket, threading
reader, writer = os.pipe()
near, far = socket.socketpair()
log = open('/tmp/log', 'w')
names = os.scandir('/')
task = asyncio.ensure_future(asyncio.sleep(0.01))
thread = threading.Thread(target=threading.Event().wait, daemon=True)
thread.start()
await asyncio.sleep(0)
";
    session.execute(start).await.expect("succeeds");
    session.snapshot().await.expect("taken")
}

async fn run_restored(sandbox: &Sandbox, snapshot: &[u8], program: &str) -> Result<String, Error> {
    let mut session = sandbox.restore(snapshot).await.expect("restored");
    session.execute(program).await.map(|result| result.stdout)
}

/// Returns the resident memory of the process, in MiB.
fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("readable");
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
        .expect("exists");
    kilobytes.trim().parse::<u64>().expect("a number") / 1024
}
