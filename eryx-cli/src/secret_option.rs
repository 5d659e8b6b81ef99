//! The option `--secret`: a name, the source of its value, and the hosts that may get it.

use std::path::PathBuf;

use anyhow::Result;
use eryx::net::policy::{HostPattern, SecretBinding};
use eryx::net::{NetConfig, Secret};

/// The value of an option `--secret`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretOption {
    name: String,
    source: SecretSource,
    hosts: Vec<HostPattern>,
}

/// The source of the value of a secret. An option never has the value itself, because other users
/// of the machine can see options.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SecretSource {
    Variable(String),
    File(PathBuf),
}

/// Parses `NAME=env:VARIABLE@HOST[,HOST…]` or `NAME=file:PATH@HOST[,HOST…]`. The error does not
/// repeat the text after the name, which may be the value of a secret by mistake.
pub(crate) fn parse(text: &str) -> Result<SecretOption, String> {
    const FORM: &str =
        "`NAME=env:VARIABLE@HOST` or `NAME=file:PATH@HOST`, with hosts separated by commas";
    let Some((name, rest)) = text.split_once('=') else {
        return Err(format!(
            "a secret has a name and the place of its value; write {FORM}"
        ));
    };
    let Some((source, hosts)) = rest.rsplit_once('@') else {
        return Err(format!("the secret `{name}` has no host; write {FORM}"));
    };
    let source = match source.split_once(':') {
        Some(("env", variable)) if !variable.is_empty() => {
            SecretSource::Variable(variable.to_owned())
        }
        Some(("file", path)) if !path.is_empty() => SecretSource::File(path.into()),
        _ => {
            return Err(format!(
                "the value of the secret `{name}` is in an environment variable or a file; write {FORM}"
            ));
        }
    };
    let hosts: Result<Vec<HostPattern>, _> = hosts.split(',').map(str::parse).collect();
    let option = SecretOption {
        name: name.to_owned(),
        source,
        hosts: hosts.map_err(|error| error.to_string())?,
    };
    option.binding()?;
    Ok(option)
}

impl SecretOption {
    pub(crate) fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    fn binding(&self) -> Result<SecretBinding, String> {
        SecretBinding::new(&self.name, self.hosts.iter().cloned())
            .map_err(|error| error.to_string())
    }

    fn secret(&self) -> Result<Secret> {
        let binding = self.binding().map_err(anyhow::Error::msg)?;
        Ok(match &self.source {
            SecretSource::Variable(variable) => Secret::from_variable(binding, variable)?,
            SecretSource::File(path) => Secret::from_file(binding, std::path::absolute(path)?)?,
        })
    }
}

/// Returns a copy of `config` with these secrets, which replace those of the same names in a policy
/// file.
pub(crate) fn with_secrets(config: &NetConfig, given: &[SecretOption]) -> Result<NetConfig> {
    let is_given = |secret: &&Secret| {
        let name = secret.binding().name();
        given.iter().any(|option| option.name == name)
    };
    let mut secrets: Vec<Secret> = config
        .secrets()
        .filter(|secret| !is_given(secret))
        .cloned()
        .collect();
    for option in given {
        secrets.push(option.secret()?);
    }
    Ok(config.with_secrets(secrets)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_a_name_a_source_and_hosts() {
        for (text, source, hosts) in [
            (
                "TOKEN=env:GITHUB_TOKEN@api.github.com",
                SecretSource::Variable("GITHUB_TOKEN".to_owned()),
                &["api.github.com"][..],
            ),
            (
                "TOKEN=file:/run/a@b=c:d@api.github.com:443,*.example.com",
                SecretSource::File("/run/a@b=c:d".into()),
                &["api.github.com:443", "*.example.com"],
            ),
        ] {
            let option = parse(text).expect(text);
            assert_eq!((option.name.as_str(), &option.source), ("TOKEN", &source));
            let parsed: Vec<String> = option.hosts.iter().map(ToString::to_string).collect();
            assert_eq!(parsed, hosts);
        }
    }

    #[test]
    fn a_malformed_secret_is_an_error_that_does_not_repeat_a_value() {
        for (text, part) in [
            ("hunter2", "write `NAME=env:VARIABLE@HOST`"),
            ("TOKEN=hunter2", "`TOKEN` has no host"),
            (
                "TOKEN=hunter2@a.example",
                "in an environment variable or a file",
            ),
            (
                "TOKEN=var:hunter2@a.example",
                "in an environment variable or a file",
            ),
            (
                "TOKEN=env:@a.example",
                "in an environment variable or a file",
            ),
            ("TOKEN=env:X@", "not a host pattern"),
            ("TOKEN=env:X@a.*.b", "not a host pattern"),
            ("TOKEN=env:X@*", "every host"),
            ("=env:X@a.example", "letters, digits and `_`"),
            ("A-B=env:X@a.example", "letters, digits and `_`"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
