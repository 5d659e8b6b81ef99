//! `eryx policy`: what the options of a network mean, without touching one.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use eryx::net::NetConfig;
use eryx::net::policy::{Decision, Reason, Verdict};

use crate::network_options::NetworkOptions;
use crate::target::{self, Target};

/// At least one host is denied.
const DENIED: u8 = 1;
/// Bad usage, as clap reports it.
const USAGE: u8 = 2;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Say whether a script may connect to hosts, why, and by which rule
    Check(Check),
    /// Print every setting, the defaults included, as a file for --policy
    Show(Show),
}

/// Without --net, --allow-host or --policy the network is that of --net. Nothing is resolved: a name that
/// may pass is allowed unless one of its addresses is blocked.
#[derive(Args)]
#[command(after_help = Check::STATUS)]
pub(crate) struct Check {
    /// A host and a port: `example.com:443`, `192.0.2.7:53`, `[2001:db8::7]:443`
    #[arg(required = true, value_name = "HOST:PORT", value_parser = target::target)]
    targets: Vec<Target>,
    /// Ask about datagrams (UDP) instead of connections
    #[arg(long)]
    udp: bool,
    #[command(flatten)]
    network: NetworkOptions,
}

impl Check {
    const STATUS: &str =
        "Exit status: 0 when all hosts may pass, 1 when some are denied, 2 for bad usage.";
}

/// Without --net, --allow-host or --policy the network is that of --net.
#[derive(Args)]
pub(crate) struct Show {
    #[command(flatten)]
    network: NetworkOptions,
}

/// Answer `command`.
pub(crate) fn run(command: &Command) -> ExitCode {
    let answer = match command {
        Command::Check(options) => check(options),
        Command::Show(options) => show(options),
    };
    match answer {
        Ok((text, status)) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::from(status),
            Err(error) => complain(&format!("cannot print the answer: {error}")),
        },
        Err(error) => complain(&format!("{error:#}")),
    }
}

fn check(options: &Check) -> Result<(String, u8)> {
    let config = options.network.config()?;
    let mut text = String::new();
    let mut status = 0;
    for Target { host, port } in &options.targets {
        let verdict = if options.udp {
            config.check_udp(host, *port)
        } else {
            config.check(host, *port)
        };
        if verdict.is_denied() {
            status = DENIED;
        }
        describe(&mut text, &format!("{host}:{port}"), &verdict);
    }
    if config.report_only() {
        text.push_str("report_only is set: what is denied goes on, and is only told.\n");
    }
    Ok((text, status))
}

fn describe(text: &mut String, target: &str, verdict: &Verdict) {
    let canonical = match verdict.host() {
        Some(host) => host.to_string(),
        None => "none, it is no host".to_owned(),
    };
    let rule = match verdict.rule() {
        Some(rule) => rule.to_string(),
        None => "none".to_owned(),
    };
    // A String takes whatever is written to it.
    let _ = write!(
        text,
        "{target}: {}\n  host:   {canonical}\n  reason: {}\n  rule:   {rule}\n  {verdict}\n",
        outcome(verdict),
        verdict.reason(),
    );
}

fn outcome(verdict: &Verdict) -> &'static str {
    match (verdict.decision(), verdict.reason()) {
        (Decision::Allow, _) => "allowed",
        (Decision::Deny, _) => "denied",
        (Decision::NeedsAddresses, Reason::DependsOnAddresses) => {
            "allowed if all of its addresses are listed"
        }
        (Decision::NeedsAddresses, _) => "allowed unless an address is blocked",
    }
}

fn show(options: &Show) -> Result<(String, u8)> {
    let config = options.network.config()?;
    let mut text = String::from(
        "# What a script may do on the network. Save it and edit it: --policy FILE reads it.\n",
    );
    for line in remarks(&config) {
        text.push_str("# ");
        text.push_str(&line);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&config.to_toml()?);
    Ok((text, 0))
}

/// What the settings below leave unsaid.
fn remarks(config: &NetConfig) -> Vec<String> {
    let mut remarks = vec![match config.allowed_hosts() {
        [] => "allowed_hosts is empty: every host that is not blocked may be reached.".to_owned(),
        _ => "Only what allowed_hosts matches, and blocked_hosts does not.".to_owned(),
    }];
    let unlimited: Vec<&str> = [
        (
            "max_connections_per_host",
            config.max_connections_per_host().is_none(),
        ),
        (
            "connects_per_second",
            config.connects_per_second().is_none(),
        ),
        ("max_sent_bytes", config.max_sent_bytes().is_none()),
        ("max_received_bytes", config.max_received_bytes().is_none()),
        (
            "sent_bytes_per_second",
            config.sent_bytes_per_second().is_none(),
        ),
        (
            "received_bytes_per_second",
            config.received_bytes_per_second().is_none(),
        ),
    ]
    .into_iter()
    .filter_map(|(setting, unlimited)| unlimited.then_some(setting))
    .collect();
    if !unlimited.is_empty() {
        remarks.push(format!("Not limited: {}.", unlimited.join(", ")));
    }
    if config.dns_server().is_none() {
        remarks.push("Names are asked of the system's name servers (no dns_server).".to_owned());
    }
    if config.allowed_udp().is_empty() {
        remarks.push("allowed_udp is empty: no datagrams.".to_owned());
    }
    if config.report_only() {
        remarks.push("report_only: what is denied goes on, and is only reported.".to_owned());
    }
    remarks
}

fn complain(text: &str) -> ExitCode {
    eprintln!("eryx: {text}");
    ExitCode::from(USAGE)
}
