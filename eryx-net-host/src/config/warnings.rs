//! Warnings about settings that may have an unexpected effect.

use eryx_net_policy::{HostPattern, HttpRule, Port, PortRange, Reason, UdpPattern};

use super::NetConfig;
use super::http::HttpDenials;

/// The warning about an empty `allowed_hosts`.
const EVERY_HOST: &str = "allowed_hosts is empty: every host that is not blocked may be reached";

impl NetConfig {
    /// Returns warnings about settings that may have an unexpected effect, one sentence each: an
    /// empty `allowed_hosts` in a policy file, entries that
    /// [`proxy_resolves`](Self::proxy_resolves) makes ineffective for names, and settings that have
    /// no effect without others.
    ///
    /// ```
    /// # #[cfg(feature = "toml")] {
    /// use eryx_net_host::NetConfig;
    ///
    /// let config = NetConfig::from_toml_str("allowed_hosts = []")?;
    /// assert_eq!(
    ///     config.warnings(),
    ///     ["allowed_hosts is empty: every host that is not blocked may be reached"]
    /// );
    /// assert!(config.allow_host("example.com")?.warnings().is_empty());
    /// # }
    /// # Ok::<(), eryx_net_host::ConfigError>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let open =
            self.rules.allowed_hosts_given_empty && self.rules.lists.allowed_hosts.is_empty();
        let open = open.then(|| EVERY_HOST.to_owned());
        let warnings = open.into_iter().chain(self.http_warnings());
        let warnings = warnings.chain(self.proxy_warning());
        warnings.chain(self.settings_without_effect()).collect()
    }

    /// Returns warnings about rules and secrets for hosts that the policy denies, and about rules
    /// that leave ports of a host out. Patterns for several hosts get none.
    fn http_warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for rule in self.http_rules() {
            match self.denial(rule.host()) {
                Some(denial) => warnings.push(format!(
                    "http_rules: `{rule}` has no effect, because its host is denied: {denial}"
                )),
                None => warnings.extend(self.unrestricted_port(rule)),
            }
        }
        for secret in self.secrets() {
            let binding = secret.binding();
            let hosts = binding.hosts().iter().chain(binding.plaintext_hosts());
            for denial in hosts.filter_map(|pattern| self.denial(pattern)) {
                let name = binding.name();
                warnings.push(format!(
                    "secrets.{name}: a host of the secret is denied: {denial}"
                ));
            }
        }
        for pattern in self.allowed_udp() {
            warnings.extend(self.inspected_udp(pattern));
        }
        warnings
    }

    /// Returns the warning about entries that do not apply to names, if there are such.
    fn proxy_warning(&self) -> Option<String> {
        if !self.proxy_resolves() || self.proxy_server().is_none() {
            return None;
        }
        let is_network = |pattern: &HostPattern| pattern.network().is_some();
        let lists = [
            ("allowed_hosts", self.allowed_hosts().iter().any(is_network)),
            ("blocked_hosts", self.blocked_hosts().iter().any(is_network)),
            (
                "http_rules",
                self.http_rules().iter().any(|rule| is_network(rule.host())),
            ),
            ("inspect", self.inspect().iter().any(is_network)),
        ];
        let with_networks: Vec<&str> = lists
            .into_iter()
            .filter_map(|(name, has_networks)| has_networks.then_some(name))
            .collect();
        (!with_networks.is_empty()).then(|| {
            format!(
                "proxy_resolves is set: the addresses and networks in {} apply only where a program \
                 names an address; a name may lead to any address that the proxy reaches, internal \
                 ones included",
                with_networks.join(" and ")
            )
        })
    }

    /// Returns warnings about settings that have no effect without others. They are no errors: an
    /// option or a method may add the others to a file.
    fn settings_without_effect(&self) -> impl Iterator<Item = String> {
        let has_requests_to_deny = !self.http_rules().is_empty() || self.secrets().len() > 0;
        let denials = self.http_denials() != HttpDenials::default() && !has_requests_to_deny;
        let no_proxy = !self.no_proxy().is_empty() && self.proxy().is_none();
        let certificates = self.proxy_trust().extra_roots().next().is_some();
        [
            (
                denials,
                "http_denials has no effect without HTTP rules and secrets: add http_rules, or leave it out",
            ),
            (
                no_proxy,
                "no_proxy has no effect without a proxy: set proxy, too",
            ),
            (
                certificates && !self.may_use_https_proxy(),
                "proxy_root_certs and proxy_root_cert_files have no effect without an https proxy: \
                 set proxy, too",
            ),
        ]
        .into_iter()
        .filter(|(is_unused, _)| *is_unused)
        .map(|(_, warning)| warning.to_owned())
    }

    /// Returns the denial of the one host of a pattern.
    fn denial(&self, pattern: &HostPattern) -> Option<String> {
        let port = match pattern.ports() {
            PortRange::ALL => Port::Any,
            ports => Port::Number(ports.first()),
        };
        let verdict = self.policy().check_host(&pattern.host()?, port);
        verdict.is_denied().then(|| verdict.to_string())
    }

    /// Returns a warning if datagrams to the one host of a pattern are denied, because its requests
    /// are inspected.
    fn inspected_udp(&self, pattern: &UdpPattern) -> Option<String> {
        let pattern = pattern.pattern();
        let verdict = self.check_udp(&pattern.host()?.to_string(), pattern.ports().first());
        (verdict.reason() == Reason::UdpInspected)
            .then(|| format!("allowed_udp: `{pattern}` has no effect: {verdict}"))
    }

    /// Returns a warning if the program may reach the host of a rule on the port of HTTPS or HTTP
    /// without any rule.
    fn unrestricted_port(&self, rule: &HttpRule) -> Option<String> {
        let host = rule.host().host()?;
        let is_unrestricted = |port: &u16| {
            !self
                .http_rules()
                .iter()
                .any(|rule| rule.is_for(&host, *port))
                && !self.policy().check_host(&host, *port).is_denied()
        };
        let port = [443, 80].into_iter().find(is_unrestricted)?;
        Some(format!(
            "http_rules: `{rule}` is for some ports of `{host}`, and no rule is for its port {port}, which \
             may be reached: leave the ports out of the rule, or name them in allowed_hosts as well"
        ))
    }
}
