//! The options that grant a network, for every command that has one.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use eryx::net::policy::{HintStyle, HostPattern, HttpRule, IpNetwork, Port, PortRange, Verdict};
use eryx::net::{NetConfig, Proxy, SETTINGS, Setting, SettingKind};
use serde_json::{Value, json};

use crate::host_port::{self, HostPort};
use crate::secret_option::{self, SecretOption, with_secrets};
use crate::value_parsers;

/// The options that grant a network and set it up.
#[derive(Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkArgs {
    /// Grant the network, except private, loopback and other special addresses
    #[arg(long)]
    net: bool,
    /// Grant the network this TOML file describes; the other options add to it
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingArgs,
}

/// The options of single settings, made from [`SETTINGS`].
struct SettingArgs(Vec<SettingArg>);

/// An option on the command line.
struct SettingArg {
    setting: &'static Setting,
    option: &'static str,
    value: ArgValue,
}

enum ArgValue {
    /// A value that replaces the earlier one.
    Value(Value),
    /// Entries to add to a list.
    Entries(Vec<String>),
    Files(Vec<PathBuf>),
    Hosts(Vec<(String, IpAddr)>),
    Secrets(Vec<SecretOption>),
}

/// Returns the settings that have an option, in the order of `--help`: hosts before limits and
/// flags.
fn options() -> impl Iterator<Item = (&'static Setting, &'static str)> {
    let is_scalar = |setting: &&Setting| setting.setter.is_some();
    let (scalars, others): (Vec<&Setting>, Vec<_>) = SETTINGS.iter().partition(is_scalar);
    others
        .into_iter()
        .chain(scalars)
        .filter_map(|setting| Some((setting, setting.option?)))
}

/// Defines the option of a setting.
fn argument(setting: &Setting, option: &'static str) -> Arg {
    let arg = Arg::new(option).long(option);
    let bytes = setting.unit.is_some_and(|unit| unit.starts_with("bytes"));
    let arg = match setting.kind {
        SettingKind::Flag => arg.action(ArgAction::SetTrue),
        SettingKind::Timeout => arg
            .value_name("DURATION")
            .value_parser(value_parsers::duration),
        SettingKind::Patterns => arg.value_name("PATTERN").action(ArgAction::Append),
        SettingKind::Networks => arg.value_name("NETWORK").action(ArgAction::Append),
        SettingKind::CertificateFiles => arg
            .value_name("FILE")
            .action(ArgAction::Append)
            .value_parser(value_parser!(PathBuf)),
        SettingKind::Hosts => arg
            .value_name("NAME=ADDRESS")
            .action(ArgAction::Append)
            .value_parser(value_parsers::name_and_address),
        SettingKind::NameServer => arg.value_name("ADDRESS"),
        SettingKind::HttpRules => arg.value_name("RULE").action(ArgAction::Append),
        SettingKind::HttpDenials => arg.value_name("FORM").value_parser(["error", "response"]),
        SettingKind::Secrets => arg
            .value_name("NAME=PLACE@HOST")
            .action(ArgAction::Append)
            .value_parser(secret_option::parse),
        SettingKind::Proxy => arg.value_name("URL"),
        _ if bytes => arg.value_name("SIZE").value_parser(value_parsers::bytes),
        _ => arg.value_name("N").value_parser(value_parser!(u64)),
    };
    let mut help = setting.help.unwrap_or(setting.doc).to_owned();
    if help.ends_with('.') {
        help.pop();
    }
    if matches!(arg.get_action(), ArgAction::Append) {
        help.push_str(" (repeatable)");
    }
    arg.help(help)
}

/// Returns the value of an option that was given.
fn value_of(setting: &Setting, option: &str, matches: &ArgMatches) -> ArgValue {
    match setting.kind {
        SettingKind::Flag => ArgValue::Value(json!(true)),
        SettingKind::Timeout => {
            let timeout = one::<Duration>(matches, option);
            ArgValue::Value(json!(timeout.map(|timeout| {
                u64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
            })))
        }
        SettingKind::Patterns | SettingKind::Networks | SettingKind::HttpRules => {
            ArgValue::Entries(all(matches, option))
        }
        SettingKind::CertificateFiles => ArgValue::Files(all(matches, option)),
        SettingKind::Hosts => ArgValue::Hosts(all(matches, option)),
        SettingKind::Secrets => ArgValue::Secrets(all(matches, option)),
        SettingKind::NameServer | SettingKind::Proxy | SettingKind::HttpDenials => {
            ArgValue::Value(json!(one::<String>(matches, option)))
        }
        _ => ArgValue::Value(json!(one::<u64>(matches, option))),
    }
}

fn one<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, option: &str) -> Option<T> {
    matches.get_one(option).cloned()
}

fn all<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, option: &str) -> Vec<T> {
    matches
        .get_many(option)
        .into_iter()
        .flatten()
        .cloned()
        .collect()
}

impl Args for SettingArgs {
    fn augment_args(command: Command) -> Command {
        command.args(options().map(|(setting, option)| argument(setting, option)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = options()
            .filter(|(_, option)| matches.value_source(option) == Some(ValueSource::CommandLine));
        let given = given.map(|(setting, option)| SettingArg {
            setting,
            option,
            value: value_of(setting, option, matches),
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl SettingArg {
    /// Returns a copy of `config` with this option.
    fn apply_to(&self, config: &NetConfig) -> Result<NetConfig> {
        match &self.value {
            ArgValue::Value(value) => Ok(config.with_settings(json!({self.setting.name: value}))?),
            ArgValue::Entries(entries) => {
                let add = self.setting.add.context("a list that takes no entries")?;
                let mut config = config.clone();
                for entry in entries {
                    config = add(&config, entry)?;
                }
                Ok(config)
            }
            ArgValue::Files(paths) => {
                let add = match self.setting.name {
                    "proxy_root_cert_files" => NetConfig::with_proxy_root_cert,
                    _ => NetConfig::with_root_cert,
                };
                let mut config = config.clone();
                for path in paths {
                    let certificate = fs::read(path)
                        .with_context(|| format!("cannot read {}", path.display()))?;
                    config =
                        add(&config, &certificate).with_context(|| path.display().to_string())?;
                }
                Ok(config)
            }
            ArgValue::Hosts(hosts) => with_hosts(config, hosts),
            ArgValue::Secrets(secrets) => with_secrets(config, secrets),
        }
    }
}

/// Returns a copy of `config` with fixed addresses for these names, which replace those of the
/// same names in a policy file.
fn with_hosts(config: &NetConfig, given: &[(String, IpAddr)]) -> Result<NetConfig> {
    let names =
        NetConfig::default().with_hosts(given.iter().map(|(name, _)| (name, Vec::new())))?;
    let names: Vec<_> = names.hosts().iter().map(|(name, _)| name.clone()).collect();
    let mut hosts: Vec<(String, Vec<IpAddr>)> = config
        .hosts()
        .iter()
        .filter(|(name, _)| !names.contains(name))
        .map(|(name, addresses)| (name.to_string(), addresses.to_vec()))
        .collect();
    for name in &names {
        let addresses = given.iter().filter_map(|(text, address)| {
            let same = text.parse().is_ok_and(|other| *name == other);
            same.then_some(*address)
        });
        hosts.push((name.to_string(), addresses.collect()));
    }
    Ok(config.with_hosts(hosts)?)
}

impl NetworkArgs {
    /// Returns the network that the options grant; `None` when they grant none.
    pub(crate) fn network(&self) -> Result<Option<NetConfig>> {
        let mut settings = self.settings.0.iter();
        if self.net || self.policy.is_some() || !self.entries("allowed_hosts").is_empty() {
            return self.config().map(Some);
        }
        if let Some(SettingArg { option, .. }) = settings.next() {
            bail!(
                "--{option} has no effect without a network: add --net, --allow-host PATTERN or \
                 --policy FILE"
            );
        }
        Ok(None)
    }

    /// Returns the network under these options: that of --net when they grant none.
    pub(crate) fn config(&self) -> Result<NetConfig> {
        let config = match &self.policy {
            Some(_) if self.net => bail!(
                "--net has no effect beside --policy, whose file grants the network: leave one of them out"
            ),
            Some(path) => NetConfig::from_toml_file(path).context("--policy")?,
            None => NetConfig::default(),
        };
        let mut config = config.with_hint_style(HintStyle::Options);
        for argument in &self.settings.0 {
            config = argument
                .apply_to(&config)
                .with_context(|| format!("--{}", argument.option))?;
        }
        self.reject_shadowed_allow(&config)?;
        self.reject_unreachable_udp(&config)?;
        self.reject_unreachable_http(&config)?;
        self.reject_unused(&config)?;
        config.validate()?;
        for warning in config.warnings() {
            match &self.policy {
                Some(path) => eprintln!("eryx: warning: --policy {}: {warning}", path.display()),
                None => eprintln!("eryx: warning: {warning}"),
            }
        }
        Ok(config)
    }

    /// Rejects an `--allow-host` that a block overrides: the user expects to reach that host.
    fn reject_shadowed_allow(&self, config: &NetConfig) -> Result<()> {
        for text in self.entries("allowed_hosts") {
            let pattern: HostPattern = text.parse().context("--allow-host")?;
            if !config.blocked_hosts().contains(&pattern) {
                reject_blocked_address(&pattern, config)?;
                continue;
            }
            let localhost = NetConfig::default().allow_localhost();
            let is_loopback = NetConfig::default().blocked_hosts().contains(&pattern)
                && !localhost.blocked_hosts().contains(&pattern);
            let remedy = if is_loopback && !self.is_given("allow_localhost") {
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

    /// Rejects an `--allow-udp` of a host that no connection may reach.
    fn reject_unreachable_udp(&self, config: &NetConfig) -> Result<()> {
        for text in self.entries("allowed_udp") {
            // Patterns for many hosts, or for many ports, may have an effect on some.
            let Ok(HostPort { host, port }) = host_port::parse(text) else {
                continue;
            };
            let verdict = config.check(&host, port);
            if verdict.is_denied() && verdict.host().is_some() && !config.report_only() {
                bail!("--allow-udp {text} has no effect where no connection may go: {verdict}");
            }
        }
        Ok(())
    }

    /// Rejects an `--http-rule` and a `--secret` for a host that no connection may reach.
    fn reject_unreachable_http(&self, config: &NetConfig) -> Result<()> {
        for text in self.entries("http_rules") {
            let rule: HttpRule = text.parse().context("--http-rule")?;
            if let Some(denial) = denial(rule.host(), config) {
                bail!("--http-rule '{text}' has no effect where no connection may go: {denial}");
            }
        }
        for argument in &self.settings.0 {
            let ArgValue::Secrets(secrets) = &argument.value else {
                continue;
            };
            let mut hosts = secrets.iter().flat_map(SecretOption::hosts);
            if let Some(denial) = hosts.find_map(|host| denial(host, config)) {
                bail!("--secret has no effect where no connection may go: {denial}");
            }
        }
        Ok(())
    }

    /// Rejects options that have no effect without others.
    fn reject_unused(&self, config: &NetConfig) -> Result<()> {
        if config.proxy().is_none() && self.is_given("no_proxy") {
            bail!("--no-proxy has no effect without a proxy: add --proxy URL");
        }
        // The proxy of the environment may be one.
        let is_https =
            |proxy: &Proxy| proxy.is_from_env() || proxy.to_string().starts_with("https:");
        if !config.proxy().is_some_and(is_https) && self.is_given("proxy_root_cert_files") {
            bail!(
                "--proxy-root-cert has no effect without an https proxy: add --proxy https://HOST"
            );
        }
        let has_requests_to_deny = !config.http_rules().is_empty() || config.secrets().len() > 0;
        if !has_requests_to_deny && self.is_given("http_denials") {
            bail!(
                "--http-denials has no effect without HTTP rules and secrets: add --http-rule RULE"
            );
        }
        Ok(())
    }

    /// Returns whether `--inspect` is given.
    pub(crate) fn inspects(&self) -> bool {
        self.is_given("inspect")
    }

    /// Returns whether the option of a setting is given.
    fn is_given(&self, name: &str) -> bool {
        self.settings.0.iter().any(|a| a.setting.name == name)
    }

    /// Returns the entries that the options add to a list.
    fn entries(&self, name: &str) -> &[String] {
        let argument = self.settings.0.iter().find(|a| a.setting.name == name);
        match argument.map(|argument| &argument.value) {
            Some(ArgValue::Entries(entries)) => entries,
            _ => &[],
        }
    }
}

/// Returns the denial of the one host of a pattern. Patterns for many hosts, or for many ports, may
/// have an effect on some.
fn denial(pattern: &HostPattern, config: &NetConfig) -> Option<Verdict> {
    let port = match pattern.ports() {
        PortRange::ALL => Port::Any,
        ports => Port::Number(ports.first()),
    };
    let verdict = config.check(&pattern.host()?.to_string(), port);
    (verdict.is_denied() && !config.report_only()).then_some(verdict)
}

/// Rejects an `--allow-host` of one address that a wider block covers.
fn reject_blocked_address(pattern: &HostPattern, config: &NetConfig) -> Result<()> {
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
