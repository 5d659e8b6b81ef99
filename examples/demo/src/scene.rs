//! The scripts, what they are granted, and what should come of it.

use std::path::Path;

use anyhow::{Context, Result};
use eryx::Sandbox;
use eryx::net::{NetConfig, NetworkReport};
use eryx_testkit::{Answer, CertificateAuthority, HttpServer, Leaf, NameServer, Script};

/// One script and what is expected of it.
pub(crate) struct Scene {
    pub(crate) title: &'static str,
    /// Its file under `examples/scripts`.
    pub(crate) script: &'static str,
    grant: Grant,
    /// What it should print: a line each, by what it starts with.
    prints: &'static [&'static str],
    /// The verdicts it should get, in order: the host, and whether it was allowed.
    verdicts: &'static [(&'static str, bool)],
}

/// What a script may reach.
enum Grant {
    /// The servers of the stage. They are on loopback, which the default does not permit.
    Stage,
    /// As `Stage`, and nothing but `example.com`.
    OnlyExample,
    /// The default policy.
    Default,
}

/// The scenes in the order they are shown.
pub(crate) fn all() -> Vec<Scene> {
    vec![
        Scene {
            title: "HTTP over a raw socket",
            script: "raw_socket.py",
            grant: Grant::Stage,
            prints: &["HTTP/1.1 200 OK", "True"],
            verdicts: &[("example.com", true)],
        },
        Scene {
            title: "TLS by hand",
            script: "tls_by_hand.py",
            grant: Grant::Stage,
            prints: &["TLSv1.3 TLS_", "['example.com']", "HTTP/1.1 200 OK"],
            verdicts: &[("example.com", true), ("127.0.0.1", true)],
        },
        Scene {
            title: "urllib over https",
            script: "urllib_https.py",
            grant: Grant::Stage,
            prints: &["200 text/html", "True"],
            verdicts: &[("example.com", true), ("127.0.0.1", true)],
        },
        Scene {
            title: "Two overlapping connections",
            script: "overlapping.py",
            grant: Grant::Stage,
            prints: &[
                "HTTP/1.1 200 OK",
                "HTTP/1.1 200 OK",
                "['asked', 'asked', 'answered', 'answered']",
            ],
            verdicts: &[("example.com", true), ("example.com", true)],
        },
        Scene {
            title: "A host that is not on the allow list",
            script: "not_allowed.py",
            grant: Grant::OnlyExample,
            prints: &["Blocked: [Errno 2] "],
            verdicts: &[("google.com", false)],
        },
        Scene {
            title: "Private addresses under the default policy",
            script: "private_addresses.py",
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

/// The servers the scripts talk to.
pub(crate) struct Stage {
    authority: CertificateAuthority,
    http: HttpServer,
    https: HttpServer,
    names: NameServer,
}

/// What came of a scene.
pub(crate) struct Played {
    pub(crate) output: String,
    pub(crate) report: NetworkReport,
    pub(crate) differences: Vec<String>,
}

impl Stage {
    /// Start the servers.
    pub(crate) async fn set() -> Result<Self> {
        let authority = CertificateAuthority::new()?;
        let identity = authority.issue(&Leaf::server(["example.com"]))?;
        let script = Script::new()
            .answer("example.com", Answer::addresses(["127.0.0.1"])?)
            .answer("intranet.example.com", Answer::addresses(["10.1.2.3"])?);
        Ok(Self {
            http: HttpServer::http().await?,
            https: HttpServer::https(&identity).await?,
            names: NameServer::start(script).await?,
            authority,
        })
    }

    /// Run a scene's script in a sandbox of its own.
    pub(crate) async fn play(&self, scene: &Scene) -> Result<Played> {
        let sandbox = Sandbox::embedded()
            .with_network(self.network(&scene.grant)?)
            .build()?;
        let result = sandbox.execute(self.script(scene.script)?).await;
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
        if lines.len() != scene.prints.len() {
            differences.push(format!(
                "it printed {} lines, not {}",
                lines.len(),
                scene.prints.len()
            ));
        }
        for (line, expected) in lines.iter().zip(scene.prints) {
            if !line.starts_with(expected) {
                differences.push(format!("it printed {line:?}, not {expected:?}"));
            }
        }
        let verdicts: Vec<(&str, bool)> = report
            .connections
            .iter()
            .filter_map(|line| Some((line.host.as_str(), line.verdict.as_ref()?.is_allowed())))
            .collect();
        differences.extend(compare(&verdicts, scene));
        Ok(Played {
            output,
            report,
            differences,
        })
    }

    fn network(&self, grant: &Grant) -> Result<NetConfig> {
        let base = NetConfig::default()
            .with_dns_server(self.names.address())
            .with_root_cert(self.authority.pem().as_bytes())?;
        Ok(match grant {
            Grant::Stage => base.allow_localhost(),
            Grant::OnlyExample => base.allow_localhost().allow_host("example.com")?,
            Grant::Default => base,
        })
    }

    /// A script as it stands, but for the ports: these servers may not take 80 and 443.
    fn script(&self, name: &str) -> Result<String> {
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

fn compare(verdicts: &[(&str, bool)], scene: &Scene) -> Option<String> {
    if let Grant::Default = scene.grant {
        let reached: Vec<_> = verdicts.iter().filter(|(_, allowed)| *allowed).collect();
        let expected = scene.prints.len();
        return (verdicts.len() < expected || !reached.is_empty()).then(|| {
            format!(
                "of {expected} hosts {} were judged and {reached:?} allowed",
                verdicts.len()
            )
        });
    }
    (verdicts != scene.verdicts)
        .then(|| format!("the verdicts are {verdicts:?}, not {:?}", scene.verdicts))
}
