//! The demo scripts with their grants and expected results, and the servers they connect to.

use std::path::Path;

use anyhow::{Context, Result};
use eryx::Sandbox;
use eryx::net::{NetConfig, NetworkReport};
use eryx_testkit::{Answer, CertificateAuthority, HttpServer, Leaf, NameServer, Script};

/// A script and its expected results.
pub(crate) struct DemoScript {
    pub(crate) title: &'static str,
    /// The file under `examples/scripts`.
    pub(crate) file: &'static str,
    grant: Grant,
    /// The start of each line of the expected output.
    prints: &'static [&'static str],
    /// The expected verdicts in order: the host, and whether it is allowed.
    verdicts: &'static [(&'static str, bool)],
}

/// The network access of a script.
enum Grant {
    /// The demo servers. They listen on loopback, which the default policy denies.
    Servers,
    /// As `Servers`, but only `example.com`.
    OnlyExample,
    /// The default policy.
    Default,
}

/// Returns the scripts in the order of the demo.
pub(crate) fn all() -> Vec<DemoScript> {
    vec![
        DemoScript {
            title: "HTTP over a raw socket",
            file: "raw_socket.py",
            grant: Grant::Servers,
            prints: &["HTTP/1.1 200 OK", "True"],
            verdicts: &[("example.com", true)],
        },
        DemoScript {
            title: "TLS by hand",
            file: "tls_by_hand.py",
            grant: Grant::Servers,
            prints: &["TLSv1.3 TLS_", "['example.com']", "HTTP/1.1 200 OK"],
            verdicts: &[("example.com", true), ("127.0.0.1", true)],
        },
        DemoScript {
            title: "urllib over https",
            file: "urllib_https.py",
            grant: Grant::Servers,
            prints: &["200 text/html", "True"],
            verdicts: &[("example.com", true), ("127.0.0.1", true)],
        },
        DemoScript {
            title: "Two overlapping connections",
            file: "overlapping.py",
            grant: Grant::Servers,
            prints: &[
                "HTTP/1.1 200 OK",
                "HTTP/1.1 200 OK",
                "['requested', 'requested', 'received', 'received']",
            ],
            verdicts: &[("example.com", true), ("example.com", true)],
        },
        DemoScript {
            title: "A host that is not on the allow list",
            file: "not_allowed.py",
            grant: Grant::OnlyExample,
            prints: &["Blocked: [Errno 2] "],
            verdicts: &[("google.com", false)],
        },
        DemoScript {
            title: "Private addresses under the default policy",
            file: "private_addresses.py",
            grant: Grant::Default,
            prints: &[
                "127.0.0.1: [Errno 2] ",
                "localhost: [Errno 2] ",
                "10.0.0.5: [Errno 2] ",
                "192.168.1.1: [Errno 2] ",
                "169.254.169.254: [Errno 2] ",
                "metadata.google.internal: [Errno 2] ",
                "::1: [Errno 2] ",
                "::ffff:127.0.0.1: [Errno 2] ",
                "fd00::5: [Errno 2] ",
                "2130706433: [Errno 2] ",
                "intranet.example.com: [Errno 2] ",
            ],
            verdicts: &[],
        },
    ]
}

/// The servers that the scripts connect to.
pub(crate) struct DemoServers {
    ca: CertificateAuthority,
    http: HttpServer,
    https: HttpServer,
    names: NameServer,
}

/// The result of a script.
pub(crate) struct Outcome {
    pub(crate) output: String,
    pub(crate) report: NetworkReport,
    pub(crate) differences: Vec<String>,
}

impl DemoServers {
    /// Starts the servers.
    pub(crate) async fn start() -> Result<Self> {
        let ca = CertificateAuthority::new()?;
        let identity = ca.issue(&Leaf::server(["example.com"]))?;
        let script = Script::new()
            .answer("example.com", Answer::addresses(["127.0.0.1"])?)
            .answer("intranet.example.com", Answer::addresses(["10.1.2.3"])?);
        Ok(Self {
            http: HttpServer::http().await?,
            https: HttpServer::https(&identity).await?,
            names: NameServer::start(script).await?,
            ca,
        })
    }

    /// Runs a script in a sandbox of its own.
    pub(crate) async fn run(&self, script: &DemoScript) -> Result<Outcome> {
        let sandbox = Sandbox::embedded()
            .with_network(self.network(&script.grant)?)
            .build()?;
        let result = sandbox.execute(self.source(script.file)?).await;
        let mut differences = Vec::new();
        let (output, report) = match result {
            Ok(result) => (result.stdout, result.network),
            Err(error) => {
                differences.push(format!("it failed: {error}"));
                let output = error.output().map(|output| output.stdout_text());
                let report = error.network().cloned();
                (output.unwrap_or_default(), report.unwrap_or_default())
            }
        };
        let lines: Vec<&str> = output.lines().collect();
        if lines.len() != script.prints.len() {
            differences.push(format!(
                "it printed {} lines, not {}",
                lines.len(),
                script.prints.len()
            ));
        }
        for (line, expected) in lines.iter().zip(script.prints) {
            if !line.starts_with(expected) {
                differences.push(format!("it printed {line:?}, not {expected:?}"));
            }
        }
        let verdicts: Vec<(&str, bool)> = report
            .connections
            .iter()
            .filter_map(|entry| Some((entry.host.as_str(), entry.verdict.as_ref()?.is_allowed())))
            .collect();
        differences.extend(compare(&verdicts, script));
        Ok(Outcome {
            output,
            report,
            differences,
        })
    }

    fn network(&self, grant: &Grant) -> Result<NetConfig> {
        let base = NetConfig::default()
            .with_dns_server(self.names.address())
            .with_root_cert(self.ca.pem().as_bytes())?;
        Ok(match grant {
            Grant::Servers => base.allow_localhost(),
            Grant::OnlyExample => base.allow_localhost().allow_host("example.com")?,
            Grant::Default => base,
        })
    }

    /// Returns the source of a script with the ports of the servers, which cannot bind 80 and 443.
    fn source(&self, name: &str) -> Result<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../scripts")
            .join(name);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let (http, https) = (self.http.port(), self.https.port());
        Ok(text
            .replace("\nPORT = 80\n", &format!("\nPORT = {http}\n"))
            .replace("\nPORT = 443\n", &format!("\nPORT = {https}\n"))
            .replace("\nTLS_PORT = 443\n", &format!("\nTLS_PORT = {https}\n")))
    }
}

/// Returns how the verdicts differ from the expected ones.
fn compare(verdicts: &[(&str, bool)], script: &DemoScript) -> Option<String> {
    if let Grant::Default = script.grant {
        let reached: Vec<_> = verdicts.iter().filter(|(_, allowed)| *allowed).collect();
        let expected = script.prints.len();
        return (verdicts.len() < expected || !reached.is_empty()).then(|| {
            format!(
                "of {expected} hosts {} were checked and {reached:?} allowed",
                verdicts.len()
            )
        });
    }
    (verdicts != script.verdicts)
        .then(|| format!("the verdicts are {verdicts:?}, not {:?}", script.verdicts))
}
