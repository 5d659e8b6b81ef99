//! A network of one machine, in which public names and addresses lead to the testkit.
//!
//! The test runs itself again inside new user, network and mount namespaces (`unshare -Urnm`): loopback there
//! carries public addresses, and `/etc/resolv.conf` names the testkit's name server. Programs can then be run as
//! they are documented, with the default policy and the default ports. Where namespaces are not permitted the test
//! says that it is skipped, and why.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;

use eryx_testkit::{Answer, Authority, HttpServer, Leaf, NameServer, Script, ServerTls, Transport};

/// The names served, each on a public address of its own.
const HOSTS: [(&str, &str); 4] = [
    ("example.com", "93.184.215.14"),
    ("api.example.com", "93.184.215.15"),
    ("google.com", "142.250.185.78"),
    ("api.openai.com", "104.18.7.192"),
];

/// Marks the run inside.
const INSIDE: &str = "ERYX_TEST_NAMESPACE";

/// Run `play` with the network above. `test` is the full name of the calling test.
pub(crate) fn run(test: &str, play: impl AsyncFnOnce(World)) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Runtime::new().expect("started");
        runtime.block_on(async { play(World::set().await).await });
        return;
    }
    if let Err(reason) = permitted() {
        // Past the harness, which shows nothing of a test that passes.
        let _ = writeln!(std::io::stderr(), "\nSKIPPED {test}: {reason}");
        return;
    }
    let output = Command::new("unshare")
        .args(["-Urnm", "--"])
        .arg(std::env::current_exe().expect("known"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare starts");
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("1 passed"),
        "the test did not run inside: {told}"
    );
}

fn permitted() -> Result<(), String> {
    let probe = "ip link set lo up && ip address add 93.184.215.14/32 dev lo && mount --bind /dev/null /etc/resolv.conf";
    match Command::new("unshare")
        .args(["-Urnm", "sh", "-c", probe])
        .output()
    {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "this machine does not let the test make a network namespace: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!(
            "unshare (Debian: util-linux, iproute2) cannot be started: {error}"
        )),
    }
}

/// The servers inside.
pub(crate) struct World {
    pub(crate) authority: Authority,
    _servers: Vec<HttpServer>,
    _names: NameServer,
}

impl World {
    async fn set() -> Self {
        shell("ip link set lo up");
        let authority = Authority::new().expect("made");
        let mut script = Script::new();
        let mut servers = Vec::new();
        for (name, address) in HOSTS {
            shell(&format!("ip address add {address}/32 dev lo"));
            script = script.answer(name, Answer::addresses([address]).expect("an address"));
            let identity = authority.issue(&Leaf::server([name])).expect("issued");
            let tls = ServerTls::new(&identity)
                .alpn(["http/1.1"])
                .build()
                .expect("built");
            for (transport, port) in [(Transport::plain(), 80), (Transport::tls(tls), 443)] {
                let at = SocketAddr::new(address.parse().expect("an address"), port);
                servers.push(HttpServer::start(transport, at).await.expect("started"));
            }
        }
        let at = SocketAddr::from(([127, 0, 0, 1], 53));
        let names = NameServer::start_on(script, at).await.expect("started");
        let configuration = tempfile::NamedTempFile::new().expect("made");
        std::fs::write(configuration.path(), "nameserver 127.0.0.1\n").expect("written");
        shell(&format!(
            "mount --bind {} /etc/resolv.conf",
            configuration.path().display()
        ));
        Self {
            authority,
            _servers: servers,
            _names: names,
        }
    }
}

fn shell(command: &str) {
    let output = Command::new("sh")
        .args(["-c", command])
        .output()
        .expect("starts");
    assert!(
        output.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
