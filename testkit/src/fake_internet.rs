//! A fake internet in a network namespace: public names and addresses served by the testkit.
//!
//! It lets programs run exactly as they are documented, with the default policy and the default
//! ports. The servers run in network and mount namespaces of their own (`unshare -Urnm`), where
//! loopback can have public addresses and `/etc/resolv.conf` can name the testkit's name server.
//! The programs run in another network namespace: the default policy lets them connect to other
//! machines but not to addresses of their own.

use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use crate::ca::{CertificateAuthority, Leaf};
use crate::dns::{Answer, NameServer, Script};
use crate::http::HttpServer;
use crate::server_transport::{ServerTls, Transport};

/// The names served, each on a public address of its own.
const HOSTS: [(&str, [u8; 4]); 5] = [
    ("example.com", [93, 184, 215, 14]),
    ("api.example.com", [93, 184, 215, 15]),
    ("api.github.com", [140, 82, 121, 6]),
    ("google.com", [142, 250, 185, 78]),
    ("api.openai.com", [104, 18, 7, 192]),
];

/// Tries the commands of [`FakeInternet::start`] in temporary namespaces.
const PROBE: &str = "ip link set lo up && ip address add 93.184.215.14/32 dev lo && ip link add internet0 type veth peer name \
                     internet1 && unshare -n true && mount --bind /dev/null /etc/resolv.conf";

/// The address of the name server.
const NAME_SERVER: [u8; 4] = [10, 80, 0, 53];

/// Links a new network namespace to that of the process `$1`, and runs the rest of its arguments
/// there.
const CLIENT: &str = r#"set -e
internet="nsenter --target $1 --net"; shift
ip link set lo up
$internet ip link add internet0 type veth peer name internet1 netns $$
$internet ip address add 10.80.0.1/30 dev internet0
$internet ip link set internet0 up
ip address add 10.80.0.2/30 dev internet1
ip link set internet1 up
ip route add default via 10.80.0.1
exec "$@""#;

/// The servers: HTTP and HTTPS for every name, and DNS. Dropping this ends them; the addresses end
/// with the namespaces.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// // Inside `unshare -Urnm`:
/// let internet = eryx_testkit::FakeInternet::start().await?;
/// // Programs that trust this certificate can connect to `https://example.com/`.
/// let pem = internet.ca.pem();
/// # let _ = pem;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct FakeInternet {
    /// The issuer of the servers' certificates.
    pub ca: CertificateAuthority,
    _servers: Vec<HttpServer>,
    _name_server: NameServer,
    _resolv_conf: tempfile::NamedTempFile,
}

impl FakeInternet {
    /// Checks whether this machine permits [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// A message that names what is missing.
    pub fn check_permitted() -> Result<(), String> {
        match Command::new("unshare")
            .args(["-Urnm", "sh", "-c", PROBE])
            .output()
        {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(format!(
                "this machine does not permit network namespaces: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )),
            Err(error) => Err(format!(
                "unshare (Debian: util-linux, iproute2) cannot be started: {error}"
            )),
        }
    }

    /// Starts the servers in the namespaces of this process, which must be its own.
    ///
    /// # Errors
    ///
    /// If an address cannot be added or a server cannot be started.
    pub async fn start() -> io::Result<Self> {
        shell("ip link set lo up")?;
        let ca = CertificateAuthority::new().map_err(io::Error::other)?;
        let mut script = Script::new();
        let mut servers = Vec::new();
        for (name, address) in HOSTS {
            let address = IpAddr::from(address);
            shell(&format!("ip address add {address}/32 dev lo"))?;
            let answer = Answer::addresses([address.to_string().as_str()]);
            script = script.answer(name, answer.map_err(io::Error::other)?);
            let identity = ca.issue(&Leaf::server([name])).map_err(io::Error::other)?;
            let tls = ServerTls::new(&identity).alpn(["http/1.1"]).build()?;
            for (transport, port) in [(Transport::plain(), 80), (Transport::tls(tls), 443)] {
                servers.push(HttpServer::start(transport, SocketAddr::new(address, port)).await?);
            }
        }
        let resolver = IpAddr::from(NAME_SERVER);
        shell(&format!("ip address add {resolver}/32 dev lo"))?;
        let name_server = NameServer::start_on(script, SocketAddr::new(resolver, 53)).await?;
        let resolv_conf = tempfile::NamedTempFile::new()?;
        std::fs::write(resolv_conf.path(), format!("nameserver {resolver}\n"))?;
        shell(&format!(
            "mount --bind {} /etc/resolv.conf",
            resolv_conf.path().display()
        ))?;
        Ok(Self {
            ca,
            _servers: servers,
            _name_server: name_server,
            _resolv_conf: resolv_conf,
        })
    }

    /// Returns a command that runs `program` in a network namespace of its own, linked to this one.
    /// Only one can run at a time.
    #[must_use]
    pub fn client_command(&self, program: impl AsRef<OsStr>) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("unshare");
        command
            .args(["-n", "--", "sh", "-c", CLIENT, "sh"])
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
