//! Shared helpers: sandboxes for tests, and assertions on the results of programs.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use eryx::net::NetConfig;
use eryx::{Error, ExecuteResult, Limit, PythonException, ResourceLimits, Sandbox};
use eryx_testkit::{Behaviour, CertificateAuthority, Peer};
use serde_json::Value;

/// Returns the root of the workspace.
pub(crate) fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Starts a plain TCP peer.
pub(crate) async fn start_peer(behaviour: Behaviour) -> Peer {
    Peer::plain(behaviour).await.expect("started")
}

/// Creates a sandbox with the network `config`, or without a network.
pub(crate) fn sandbox(config: Option<NetConfig>) -> Sandbox {
    sandbox_with_limits(config, ResourceLimits::default())
}

/// Creates a sandbox as [`sandbox`] does, with `limits`.
pub(crate) fn sandbox_with_limits(config: Option<NetConfig>, limits: ResourceLimits) -> Sandbox {
    let mut builder = Sandbox::embedded().with_resource_limits(limits);
    if let Some(config) = config {
        builder = builder.with_network(config);
    }
    builder.build().expect("valid settings")
}

/// Returns limits with an execution timeout of `seconds`.
pub(crate) fn timeout_of(seconds: u64) -> ResourceLimits {
    ResourceLimits::default().with_execution_timeout(Duration::from_secs(seconds))
}

/// Returns the default network, with loopback allowed, where the tests' servers listen.
pub(crate) fn loopback() -> NetConfig {
    NetConfig::default().allow_localhost()
}

/// Returns the network [`loopback`], which trusts `ca` and resolves `site.test`, `www.site.test`
/// and `other.test` to 127.0.0.1.
pub(crate) fn trusting(ca: &CertificateAuthority) -> NetConfig {
    let addresses = || vec![Ipv4Addr::LOCALHOST.into()];
    loopback()
        .with_root_cert(ca.pem().as_bytes())
        .and_then(|config| {
            let names = ["site.test", "www.site.test", "other.test"];
            config.with_hosts(names.map(|name| (name, addresses())))
        })
        .expect("a certificate and names")
}

/// Returns the program `text`, preceded by the helpers of `helpers.py` and by `constants` (strings
/// and numbers by name).
pub(crate) fn program(constants: &Value, text: &str) -> String {
    let mut program = include_str!("programs/helpers.py").to_owned();
    for (name, value) in constants.as_object().expect("an object") {
        // Strings and numbers have the same syntax in JSON and in Python.
        assert!(value.is_string() || value.is_number(), "{name} is neither");
        program.push_str(&format!("{name} = {value}\n"));
    }
    program + text
}

/// Runs [`program`] in a sandbox with the network `config`, and returns its standard output.
///
/// # Panics
///
/// If the program fails.
pub(crate) async fn run_program(config: NetConfig, constants: &Value, text: &str) -> String {
    let program = program(constants, text);
    expect_stdout(sandbox(Some(config)).execute(program).await)
}

/// Returns the standard output of a successful execution.
#[track_caller]
pub(crate) fn expect_stdout(result: Result<ExecuteResult, Error>) -> String {
    match result {
        Ok(result) => result.stdout,
        Err(error) => panic!("the program failed: {}", error_details(&error)),
    }
}

/// Returns the exception that ended an execution.
#[track_caller]
pub(crate) fn expect_exception(result: Result<ExecuteResult, Error>) -> PythonException {
    match result {
        Err(Error::Exception(exception)) => *exception,
        Err(error) => panic!("the program did not raise: {}", error_details(&error)),
        Ok(result) => panic!("the program did not raise, it printed {:?}", result.stdout),
    }
}

/// Checks that an execution of `program` ended at its time limit.
#[track_caller]
pub(crate) fn expect_time_limit(result: Result<ExecuteResult, Error>, program: &str) {
    match result {
        Err(Error::Limit {
            limit: Limit::ExecutionTime(_),
            ..
        }) => {}
        other => panic!("{program}: {other:?}"),
    }
}

/// Returns the text of an error with its traceback and output.
pub(crate) fn error_details(error: &Error) -> String {
    let mut text = error.to_string();
    if let Error::Exception(exception) = error {
        text.push('\n');
        text.push_str(&exception.traceback);
    }
    if let Some(output) = error.output() {
        text.push_str("\n-- stdout\n");
        text.push_str(&output.stdout_text());
        text.push_str("\n-- stderr\n");
        text.push_str(&output.stderr_text());
    }
    text
}
