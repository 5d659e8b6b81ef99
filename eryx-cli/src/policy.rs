//! `eryx policy`: shows what network options allow, without using the network.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use eryx::net::policy::{Decision, HttpVerdict, Reason, Verdict, escape};
use eryx::net::{NetConfig, SETTINGS, SettingKind};

use crate::check_target::{self, CheckTarget, CheckedTarget};
use crate::host_port::HostPort;
use crate::network_args::NetworkArgs;
use crate::{EXIT_USAGE, exit_with};

/// Exit status when at least one host is denied.
const EXIT_DENIED: u8 = 1;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print whether a script may connect to hosts and send HTTP requests, why, and by which rule
    Check(Check),
    /// Print every setting, the defaults included, as a file for --policy
    Show(Show),
}

/// Without --net, --allow-host or --policy the network is that of --net. Nothing is resolved: a
/// name that is not denied is allowed unless one of its addresses is blocked.
#[derive(Args)]
#[command(after_help = Check::EXIT_STATUS)]
pub(crate) struct Check {
    /// A host and a port: `example.com:443`, `192.0.2.7:53`, `[2001:db8::7]:443`; or a method and a
    /// URL: `GET https://example.com/`
    #[arg(required = true, value_name = "HOST:PORT|METHOD URL", value_parser = check_target::parse)]
    targets: Vec<CheckTarget>,
    /// Check UDP instead of connections
    #[arg(long)]
    udp: bool,
    #[command(flatten)]
    network: NetworkArgs,
}

impl Check {
    const EXIT_STATUS: &str = "Exit status: 0 when nothing is denied, 1 when a host or request is denied, 2 for bad usage.";
}

/// Without --net, --allow-host or --policy the network is that of --net.
#[derive(Args)]
pub(crate) struct Show {
    #[command(flatten)]
    network: NetworkArgs,
}

/// Runs `command`, and returns the exit status.
pub(crate) fn run(command: &Command) -> u8 {
    let output = match command {
        Command::Check(options) => check(options),
        Command::Show(options) => show(options),
    };
    match output {
        Ok(output) => match io::stdout().write_all(output.text.as_bytes()) {
            Ok(()) => output.status,
            Err(error) => exit_with(EXIT_USAGE, &format!("cannot print the output: {error}")),
        },
        Err(error) => exit_with(EXIT_USAGE, &format!("{error:#}")),
    }
}

/// The output of a command.
struct Output {
    text: String,
    /// The exit status.
    status: u8,
}

fn check(options: &Check) -> Result<Output> {
    let config = options.network.config()?;
    let mut text = String::new();
    let mut status = 0;
    for check in check_target::pair(&options.targets)? {
        let is_denied = match check {
            CheckedTarget::Host(HostPort { host, port }) => {
                let verdict = match options.udp {
                    true => config.check_udp(host, *port),
                    false => config.check(host, *port),
                };
                describe(&mut text, &format!("{host}:{port}"), &verdict);
                verdict.is_denied()
            }
            CheckedTarget::Request { .. } if options.udp => {
                bail!(
                    "--udp has no effect on an HTTP request, which takes a connection: leave it out"
                )
            }
            CheckedTarget::Request { method, url } => {
                let verdict = config.check_http(method, url);
                describe_request(&mut text, &format!("{method} {url}"), &verdict);
                verdict.is_denied()
            }
        };
        if is_denied {
            status = EXIT_DENIED;
        }
    }
    if config.report_only() {
        text.push_str("report_only is set: denied connections continue, and are only reported.\n");
    }
    Ok(Output { text, status })
}

fn describe(text: &mut String, host_port: &str, verdict: &Verdict) {
    let canonical = match verdict.host() {
        Some(host) => host.to_string(),
        None => "none, it is not a host".to_owned(),
    };
    let rule = match verdict.rule() {
        Some(rule) => rule.to_string(),
        None => "none".to_owned(),
    };
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "{host_port}: {}\n  host:   {canonical}\n  reason: {}\n  rule:   {rule}\n  {verdict}\n",
        outcome(verdict),
        verdict.reason(),
    );
}

fn describe_request(text: &mut String, request: &str, verdict: &HttpVerdict) {
    let host = verdict.host_verdict();
    let canonical = match (verdict.host(), host) {
        (Some(host), _) => host.to_string(),
        (None, Some(_)) => "none, it is not a host".to_owned(),
        (None, None) => "none, the URL is malformed".to_owned(),
    };
    let host = host.filter(|host| host.is_denied());
    let rule = match (verdict.rule(), host.and_then(Verdict::rule)) {
        (Some(rule), _) => format!("`{rule}` in http_rules"),
        (None, Some(rule)) => rule.to_string(),
        (None, None) => "none".to_owned(),
    };
    let reason = match host {
        Some(host) => host.reason().as_str(),
        None => verdict.reason().as_str(),
    };
    let outcome = match verdict.decision() {
        Decision::Allow => "allowed",
        Decision::Deny => "denied",
        Decision::NeedsAddresses => match verdict.host_verdict() {
            Some(host) => outcome(host),
            None => "allowed unless an address is blocked",
        },
    };
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "{}: {outcome}\n  host:   {canonical}\n  reason: {reason}\n  rule:   {rule}\n  {verdict}\n",
        escape(request),
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

fn show(options: &Show) -> Result<Output> {
    let config = options.network.config()?;
    let mut text = String::from(
        "# The network of a script. Save this to a file and edit it: --policy FILE reads it.\n",
    );
    for line in header_comments(&config)? {
        text.push_str("# ");
        text.push_str(&line);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&config.to_toml()?);
    Ok(Output { text, status: 0 })
}

/// Returns comments for the file about effects of settings that are empty or absent in it.
fn header_comments(config: &NetConfig) -> Result<Vec<String>> {
    let mut comments = vec![match config.allowed_hosts() {
        [] => "allowed_hosts is empty: every host that is not blocked may be reached.".to_owned(),
        _ => "Only hosts that match allowed_hosts and do not match blocked_hosts may be reached."
            .to_owned(),
    }];
    let settings = serde_json::to_value(config)?;
    let unlimited: Vec<&str> = SETTINGS
        .iter()
        .filter(|setting| matches!(setting.kind, SettingKind::Limit | SettingKind::Rate))
        .map(|setting| setting.name)
        .filter(|name| settings.get(name).is_none())
        .collect();
    if !unlimited.is_empty() {
        comments.push(format!("Not limited: {}.", unlimited.join(", ")));
    }
    if config.dns_server().is_none() {
        comments.push("The system's name servers resolve names (no dns_server).".to_owned());
    }
    if config.proxy().is_none() {
        comments.push("Connections are direct (no proxy).".to_owned());
    }
    if config.http_rules().is_empty() {
        comments.push("There are no http_rules: HTTP requests are not checked.".to_owned());
    }
    if config.allowed_udp().is_empty() {
        comments.push("allowed_udp is empty: no UDP.".to_owned());
    }
    if config.report_only() {
        comments
            .push("report_only: denied connections are made anyway, and only reported.".to_owned());
    }
    Ok(comments)
}
