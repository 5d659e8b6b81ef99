//! Warnings about HTTP rules and secrets that may have an unexpected effect.

use eryx_net_policy::{HostPattern, HttpRule, Port, PortRange, Reason, UdpPattern};

use super::NetConfig;

impl NetConfig {
    /// Returns warnings about rules and secrets for hosts that the policy denies, and about rules
    /// that leave ports of a host out. Patterns for several hosts get none.
    pub(super) fn http_warnings(&self) -> Vec<String> {
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
