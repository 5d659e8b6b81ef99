//! Sandboxes for tests, and what their programs print.

use std::net::Ipv4Addr;
use std::time::Duration;

use eryx::net::NetConfig;
use eryx::{Error, ExecuteResult, PythonException, ResourceLimits, Sandbox};
use eryx_testkit::Authority;
use serde_json::Value;

/// Runs programs with the network `config`, or with none.
pub(crate) fn sandbox(config: Option<NetConfig>) -> Sandbox {
    limited(config, ResourceLimits::default())
}

/// As [`sandbox`], under `limits`.
pub(crate) fn limited(config: Option<NetConfig>, limits: ResourceLimits) -> Sandbox {
    let mut builder = Sandbox::embedded().with_resource_limits(limits);
    if let Some(config) = config {
        builder = builder.with_network(config);
    }
    builder.build().expect("the settings are right")
}

/// Limits with an execution timeout of one second.
pub(crate) fn one_second() -> ResourceLimits {
    ResourceLimits::default().with_execution_timeout(Duration::from_secs(1))
}

/// The default network, but for loopback, where the tests' servers are.
pub(crate) fn loopback() -> NetConfig {
    NetConfig::default().allow_localhost()
}

/// As [`loopback`], with `site.test`, `www.site.test` and `other.test` on this machine, and with trust in `authority`.
pub(crate) fn trusting(authority: &Authority) -> NetConfig {
    let here = || vec![Ipv4Addr::LOCALHOST.into()];
    loopback()
        .with_root_cert(authority.pem().as_bytes())
        .and_then(|config| {
            config
                .with_hosts(["site.test", "www.site.test", "other.test"].map(|name| (name, here())))
        })
        .expect("a certificate and names")
}

/// `text` after the helpers every program may use, with `constants` (strings and numbers by name) defined.
pub(crate) fn program(constants: &Value, text: &str) -> String {
    let mut program = include_str!("programs/outcome.py").to_owned();
    for (name, value) in constants.as_object().expect("an object") {
        // A string or a number in JSON is the same in Python.
        assert!(value.is_string() || value.is_number(), "{name} is neither");
        program.push_str(&format!("{name} = {value}\n"));
    }
    program + text
}

/// Runs [`program`] in a sandbox of its own with the network `config`; it has to succeed. Returns what it
/// printed.
pub(crate) async fn prints(config: NetConfig, constants: &Value, text: &str) -> String {
    succeeded(
        sandbox(Some(config))
            .execute(program(constants, text))
            .await,
    )
}

/// What `result` printed; it has to be a success.
#[track_caller]
pub(crate) fn succeeded(result: Result<ExecuteResult, Error>) -> String {
    match result {
        Ok(result) => result.stdout,
        Err(error) => panic!("the program failed: {}", told(&error)),
    }
}

/// The exception `result` ended with.
#[track_caller]
pub(crate) fn raised(result: Result<ExecuteResult, Error>) -> PythonException {
    match result {
        Err(Error::Exception(raised)) => *raised,
        Err(error) => panic!("the program did not raise: {}", told(&error)),
        Ok(result) => panic!("the program did not raise, it printed {:?}", result.stdout),
    }
}

/// An error with all that helps to understand it.
pub(crate) fn told(error: &Error) -> String {
    let mut text = error.to_string();
    if let Error::Exception(raised) = error {
        text.push('\n');
        text.push_str(&raised.traceback);
    }
    if let Some(output) = error.output() {
        text.push_str("\n-- stdout\n");
        text.push_str(&output.stdout_text());
        text.push_str("\n-- stderr\n");
        text.push_str(&output.stderr_text());
    }
    text
}
