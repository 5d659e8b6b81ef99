//! The options that grant a network, for every command that has one.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use eryx::net::NetConfig;
use eryx::net::policy::{HintStyle, HostPattern, IpNetwork};

use crate::quantity;
use crate::target::{self, Target};

/// What the network is, as far as options say it.
#[derive(Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkOptions {
    /// Grant the network, except private, loopback and other special addresses
    #[arg(long)]
    net: bool,
    /// Grant the network this TOML file describes; the other options add to it
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Grant the network, but only to hosts this matches: a name, `*.name`, an address, a network, each
    /// with an optional `:port` or `:from-to` (repeatable)
    #[arg(long, value_name = "PATTERN")]
    allow_host: Vec<String>,
    /// Refuse hosts this matches, whatever else allows them (repeatable)
    #[arg(long, value_name = "PATTERN")]
    block_host: Vec<String>,
    /// Lift the block of this machine's own loopback addresses
    #[arg(long)]
    allow_localhost: bool,
    /// Lift the block of internal addresses for those in this network, such as `10.20.0.0/16` (repeatable)
    #[arg(long, value_name = "NETWORK")]
    allow_network: Vec<String>,
    /// Lift the block of internal addresses for names this matches, such as `db.corp:5432` (repeatable)
    #[arg(long, value_name = "PATTERN")]
    allow_internal_host: Vec<String>,
    /// Allow datagrams (UDP) to what this matches, as far as a connection may reach it: a pattern with a port,
    /// such as `ns.example.com:53` (repeatable)
    #[arg(long, value_name = "PATTERN")]
    allow_udp: Vec<String>,
    /// Deny nothing, and only tell (--net-log) what would be denied
    #[arg(long)]
    report_only: bool,
    /// Trust the certificates in this file too (PEM or DER) (repeatable)
    #[arg(long, value_name = "FILE")]
    root_cert: Vec<PathBuf>,
    /// Let the script turn certificate verification off
    #[arg(long)]
    allow_unverified_tls: bool,
    /// Ask this name server instead of the system's
    #[arg(long, value_name = "ADDRESS")]
    dns_server: Option<String>,
    /// Give this name this address without asking anyone; several times for several addresses (repeatable)
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = fixed_host)]
    resolve: Vec<(String, IpAddr)>,
    /// How many connections there may be at once
    #[arg(long, value_name = "N")]
    max_connections: Option<usize>,
    /// How many connections there may be at once to one host
    #[arg(long, value_name = "N")]
    max_connections_per_host: Option<usize>,
    /// How many connections may begin a second; others wait
    #[arg(long, value_name = "N")]
    connects_per_second: Option<u32>,
    /// How long connecting, TLS included, may take
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    connect_timeout: Option<Duration>,
    /// How long one read or write may take
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    io_timeout: Option<Duration>,
    /// How much may be sent in all
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    max_sent: Option<u64>,
    /// How much may be received in all
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    max_received: Option<u64>,
    /// How much may be sent a second; the rest waits
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    send_rate: Option<u64>,
    /// How much may be received a second; the rest waits
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    receive_rate: Option<u64>,
}

impl NetworkOptions {
    /// The network the options grant; `None` when they grant none.
    pub(crate) fn granted(&self) -> Result<Option<NetConfig>> {
        if self.grants() {
            return self.config().map(Some);
        }
        if let Some(option) = self.given() {
            bail!(
                "{option} has no effect without a network: add --net, --allow-host PATTERN or --policy FILE"
            );
        }
        Ok(None)
    }

    /// The network under these options, that of --net when they do not say.
    pub(crate) fn config(&self) -> Result<NetConfig> {
        let config = match &self.policy {
            Some(_) if self.net => bail!(
                "--net has no effect beside --policy, whose file grants the network: leave one of them out"
            ),
            Some(path) => NetConfig::from_toml_file(path).context("--policy")?,
            None => NetConfig::default(),
        };
        let config = self.with_hosts(config.with_hint_style(HintStyle::Options))?;
        let config = self.with_tls(config)?;
        let config = self.with_limits(config)?;
        self.contradiction(&config)?;
        self.unreachable(&config)?;
        if let Some(path) = &self.policy {
            for warning in config.warnings() {
                eprintln!("eryx: warning: --policy {}: {warning}", path.display());
            }
        }
        Ok(config)
    }

    fn with_hosts(&self, mut config: NetConfig) -> Result<NetConfig> {
        if self.allow_localhost {
            config = config.allow_localhost();
        }
        for pattern in &self.allow_host {
            config = config.allow_host(pattern).context("--allow-host")?;
        }
        for pattern in &self.block_host {
            config = config.block_host(pattern).context("--block-host")?;
        }
        for network in &self.allow_network {
            config = config.allow_network(network).context("--allow-network")?;
        }
        for pattern in &self.allow_internal_host {
            config = config
                .allow_internal_host(pattern)
                .context("--allow-internal-host")?;
        }
        for pattern in &self.allow_udp {
            config = config.allow_udp(pattern).context("--allow-udp")?;
        }
        if self.report_only {
            config = config.with_report_only(true);
        }
        if let Some(server) = &self.dns_server {
            config = config.with_dns_server_at(server).context("--dns-server")?;
        }
        if !self.resolve.is_empty() {
            config = self.with_fixed_hosts(&config)?;
        }
        Ok(config)
    }

    /// With the names of --resolve in place of the same names of a file.
    fn with_fixed_hosts(&self, config: &NetConfig) -> Result<NetConfig> {
        let own = NetConfig::default()
            .with_hosts(self.resolve.iter().map(|(name, _)| (name, Vec::new())))
            .context("--resolve")?;
        let own: Vec<_> = own.hosts().iter().map(|(name, _)| name.clone()).collect();
        let mut hosts: Vec<(String, Vec<IpAddr>)> = config
            .hosts()
            .iter()
            .filter(|(name, _)| !own.contains(name))
            .map(|(name, addresses)| (name.to_string(), addresses.to_vec()))
            .collect();
        for name in &own {
            let addresses = self.resolve.iter().filter_map(|(text, address)| {
                let same = text.parse().is_ok_and(|other| *name == other);
                same.then_some(*address)
            });
            hosts.push((name.to_string(), addresses.collect()));
        }
        config.with_hosts(hosts).context("--resolve")
    }

    fn with_tls(&self, mut config: NetConfig) -> Result<NetConfig> {
        for path in &self.root_cert {
            let certificate = fs::read(path)
                .with_context(|| format!("--root-cert: cannot read {}", path.display()))?;
            config = config
                .with_root_cert(&certificate)
                .with_context(|| format!("--root-cert {}", path.display()))?;
        }
        if self.allow_unverified_tls {
            config = config.allow_unverified_tls(true);
        }
        Ok(config)
    }

    fn with_limits(&self, mut config: NetConfig) -> Result<NetConfig> {
        if let Some(count) = self.max_connections {
            config = config.with_max_connections(count);
        }
        if let Some(count) = self.max_connections_per_host {
            config = config.with_max_connections_per_host(count);
        }
        if let Some(count) = self.connects_per_second {
            config = config
                .with_connects_per_second(count)
                .context("--connects-per-second")?;
        }
        if let Some(timeout) = self.connect_timeout {
            config = config
                .with_connect_timeout(timeout)
                .context("--connect-timeout")?;
        }
        if let Some(timeout) = self.io_timeout {
            config = config.with_io_timeout(timeout).context("--io-timeout")?;
        }
        if let Some(bytes) = self.max_sent {
            config = config.with_max_sent_bytes(bytes);
        }
        if let Some(bytes) = self.max_received {
            config = config.with_max_received_bytes(bytes);
        }
        if let Some(bytes) = self.send_rate {
            config = config
                .with_sent_bytes_per_second(bytes)
                .context("--send-rate")?;
        }
        if let Some(bytes) = self.receive_rate {
            config = config
                .with_received_bytes_per_second(bytes)
                .context("--receive-rate")?;
        }
        Ok(config)
    }

    /// An allow that a block makes void is a mistake: whoever wrote it expects to reach that host.
    fn contradiction(&self, config: &NetConfig) -> Result<()> {
        for text in &self.allow_host {
            let pattern: HostPattern = text.parse().context("--allow-host")?;
            if !config.blocked_hosts().contains(&pattern) {
                covered(&pattern, config)?;
                continue;
            }
            let by_default = NetConfig::default().blocked_hosts().contains(&pattern);
            let opened = NetConfig::default()
                .allow_localhost()
                .blocked_hosts()
                .contains(&pattern);
            let remedy = if by_default && !opened && !self.allow_localhost {
                "add --allow-localhost"
            } else {
                "take it out of what is blocked (--block-host, or blocked_hosts in the policy file)"
            };
            bail!(
                "--allow-host {text} has no effect: blocked_hosts has `{pattern}` too, and a block beats an \
                 allow; {remedy}"
            );
        }
        Ok(())
    }

    /// The same for datagrams to what no connection may reach.
    fn unreachable(&self, config: &NetConfig) -> Result<()> {
        for text in &self.allow_udp {
            // Patterns for many hosts, or for many ports, may have their effect on some.
            let Ok(Target { host, port }) = target::target(text) else {
                continue;
            };
            let verdict = config.check(&host, port);
            if verdict.is_denied() && verdict.host().is_some() && !config.report_only() {
                bail!("--allow-udp {text} has no effect where no connection may go: {verdict}");
            }
        }
        Ok(())
    }

    fn grants(&self) -> bool {
        self.net || self.policy.is_some() || !self.allow_host.is_empty()
    }

    /// The first option given that says how the network is, without granting it.
    fn given(&self) -> Option<&'static str> {
        [
            ("--block-host", !self.block_host.is_empty()),
            ("--allow-localhost", self.allow_localhost),
            ("--allow-network", !self.allow_network.is_empty()),
            (
                "--allow-internal-host",
                !self.allow_internal_host.is_empty(),
            ),
            ("--allow-udp", !self.allow_udp.is_empty()),
            ("--report-only", self.report_only),
            ("--root-cert", !self.root_cert.is_empty()),
            ("--allow-unverified-tls", self.allow_unverified_tls),
            ("--dns-server", self.dns_server.is_some()),
            ("--resolve", !self.resolve.is_empty()),
            ("--max-connections", self.max_connections.is_some()),
            (
                "--max-connections-per-host",
                self.max_connections_per_host.is_some(),
            ),
            ("--connects-per-second", self.connects_per_second.is_some()),
            ("--connect-timeout", self.connect_timeout.is_some()),
            ("--io-timeout", self.io_timeout.is_some()),
            ("--max-sent", self.max_sent.is_some()),
            ("--max-received", self.max_received.is_some()),
            ("--send-rate", self.send_rate.is_some()),
            ("--receive-rate", self.receive_rate.is_some()),
        ]
        .into_iter()
        .find_map(|(option, given)| given.then_some(option))
    }
}

/// `name=address`.
fn fixed_host(text: &str) -> Result<(String, IpAddr), String> {
    text.split_once('=')
        .and_then(|(name, address)| Some((name.to_owned(), address.parse().ok()?)))
        .ok_or_else(|| {
            format!(
                "`{text}` is not a name and its address; write `name=address`, such as `db.corp=10.0.0.5`"
            )
        })
}

/// The same for an address that something wider blocks.
fn covered(pattern: &HostPattern, config: &NetConfig) -> Result<()> {
    let Some(network) = pattern.network().filter(IpNetwork::is_single) else {
        return Ok(());
    };
    let address = network.address();
    let verdict = config.check(&address.to_string(), pattern.ports().first());
    if !verdict.is_denied() {
        return Ok(());
    }
    let remedy = if address.is_loopback() {
        "add --allow-localhost".to_owned()
    } else {
        format!("add --allow-network {address}")
    };
    bail!(
        "--allow-host {pattern} has no effect: what is blocked covers it, and a block beats an allow; {remedy}"
    )
}
