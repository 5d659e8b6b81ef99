//! A network of one machine, in which public names and addresses lead to the testkit.
//!
//! For programs that are to run exactly as they are documented, with the default policy and the default ports. It
//! is set up inside network and mount namespaces of its own (`unshare -Urnm`), where loopback can carry public
//! addresses and `/etc/resolv.conf` can name the testkit's name server. The programs run in another network namespace
//! beside it: the default policy lets them reach other machines, and not addresses of their own.

use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use crate::{Answer, Authority, HttpServer, Leaf, NameServer, Script, ServerTls, Transport};

/// The names served, each on a public address of its own.
const HOSTS: [(&str, [u8; 4]); 4] = [
    ("example.com", [93, 184, 215, 14]),
    ("api.example.com", [93, 184, 215, 15]),
    ("google.com", [142, 250, 185, 78]),
    ("api.openai.com", [104, 18, 7, 192]),
];

/// Tries what [`World::set`] does, in namespaces that are gone afterwards.
const PROBE: &str = "ip link set lo up && ip address add 93.184.215.14/32 dev lo && ip link add world0 type veth peer name \
                     world1 && unshare -n true && mount --bind /dev/null /etc/resolv.conf";

/// Where the name server listens.
const NAME_SERVER: [u8; 4] = [10, 80, 0, 53];

/// Links a new network namespace to that of the process `$1`, and runs the rest there.
const VISIT: &str = r#"set -e
world="nsenter --target $1 --net"; shift
ip link set lo up
$world ip link add world0 type veth peer name world1 netns $$
$world ip address add 10.80.0.1/30 dev world0
$world ip link set world0 up
ip address add 10.80.0.2/30 dev world1
ip link set world1 up
ip route add default via 10.80.0.1
exec "$@""#;

/// The servers: HTTP and HTTPS for every name, and DNS. Dropped, they are gone; the addresses go with the
/// namespaces.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// // Inside `unshare -Urnm`:
/// let world = eryx_testkit::World::set().await?;
/// // Programs that trust this certificate get to `https://example.com/`.
/// let pem = world.authority.pem();
/// # let _ = pem;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct World {
    /// Who issued the servers' certificates.
    pub authority: Authority,
    _servers: Vec<HttpServer>,
    _names: NameServer,
    _configuration: tempfile::NamedTempFile,
}

impl World {
    /// Says why this machine does not let a world be made, if so.
    ///
    /// # Errors
    ///
    /// A sentence that says what is missing.
    pub fn permitted() -> Result<(), String> {
        match Command::new("unshare")
            .args(["-Urnm", "sh", "-c", PROBE])
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

    /// Sets it up in the namespaces this process is in, which have to be its own.
    ///
    /// # Errors
    ///
    /// When an address or a server cannot be had.
    pub async fn set() -> io::Result<Self> {
        shell("ip link set lo up")?;
        let authority = Authority::new().map_err(io::Error::other)?;
        let mut script = Script::new();
        let mut servers = Vec::new();
        for (name, address) in HOSTS {
            let address = IpAddr::from(address);
            shell(&format!("ip address add {address}/32 dev lo"))?;
            let answer = Answer::addresses([address.to_string().as_str()]);
            script = script.answer(name, answer.map_err(io::Error::other)?);
            let identity = authority
                .issue(&Leaf::server([name]))
                .map_err(io::Error::other)?;
            let tls = ServerTls::new(&identity).alpn(["http/1.1"]).build()?;
            for (transport, port) in [(Transport::plain(), 80), (Transport::tls(tls), 443)] {
                servers.push(HttpServer::start(transport, SocketAddr::new(address, port)).await?);
            }
        }
        let at = IpAddr::from(NAME_SERVER);
        shell(&format!("ip address add {at}/32 dev lo"))?;
        let names = NameServer::start_on(script, SocketAddr::new(at, 53)).await?;
        let configuration = tempfile::NamedTempFile::new()?;
        std::fs::write(configuration.path(), format!("nameserver {at}\n"))?;
        shell(&format!(
            "mount --bind {} /etc/resolv.conf",
            configuration.path().display()
        ))?;
        Ok(Self {
            authority,
            _servers: servers,
            _names: names,
            _configuration: configuration,
        })
    }

    /// Returns a command that runs `program` on a machine of its own beside this world, one at a time.
    #[must_use]
    pub fn visitor(&self, program: impl AsRef<OsStr>) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("unshare");
        command
            .args(["-n", "--", "sh", "-c", VISIT, "sh"])
            .arg(std::process::id().to_string())
            .arg(program);
        command
    }
}

fn shell(command: &str) -> io::Result<()> {
    let output = Command::new("sh").args(["-c", command]).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "{command}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}
