//! Runs a test again in network namespaces of its own, with a [`FakeInternet`] or without a
//! network. Where namespaces are not permitted, the test prints that it is skipped, and why.

use std::io::Write;
use std::process::{Command, Output};

use eryx_testkit::FakeInternet;

/// The role of this process: [`SERVERS`], [`CLIENT`] or [`ISOLATED`]. Not set outside the
/// namespaces.
const ROLE: &str = "ERYX_TEST_NAMESPACE";

/// The process that runs the servers.
const SERVERS: &str = "servers";

/// The process that runs the test beside the servers.
const CLIENT: &str = "client";

/// The process that runs the test without a network.
const ISOLATED: &str = "isolated";

/// Names the file with the certificate of the servers' CA.
const CA_FILE: &str = "ERYX_TESTKIT_CA";

/// Runs `body` beside a [`FakeInternet`] with the certificate of its CA. `test` is the full name of
/// the calling test.
pub(crate) fn with_fake_internet(test: &str, body: impl AsyncFnOnce(String)) {
    let role = std::env::var_os(ROLE);
    match role.as_ref().and_then(|role| role.to_str()) {
        Some(SERVERS) => runtime().block_on(serve(test)),
        Some(_) => {
            let file = std::env::var_os(CA_FILE).expect("set for the client");
            let certificate = std::fs::read_to_string(file).expect("readable");
            runtime().block_on(body(certificate));
        }
        None => unshare(test, SERVERS),
    }
}

/// Runs `body` in namespaces without a network. `test` is the full name of the calling test.
pub(crate) fn without_network(test: &str, body: impl AsyncFnOnce()) {
    match std::env::var_os(ROLE) {
        Some(_) => runtime().block_on(body()),
        None => unshare(test, ISOLATED),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("started")
}

/// Runs `test` again as `role` in namespaces of its own.
fn unshare(test: &str, role: &str) {
    if let Err(reason) = FakeInternet::check_permitted() {
        // Written directly: the test harness captures the output of a passing test.
        let _ = writeln!(std::io::stderr(), "\nSKIPPED {test}: {reason}");
        return;
    }
    let output = Command::new("unshare")
        .args(["-Urnm", "--"])
        .arg(std::env::current_exe().expect("known"))
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, role)
        .output()
        .expect("unshare starts");
    expect_passed(&output);
}

/// Runs the servers while `test` runs beside them.
async fn serve(test: &str) {
    let internet = FakeInternet::start().await.expect("started");
    let certificate = tempfile::NamedTempFile::new().expect("created");
    std::fs::write(certificate.path(), internet.ca.pem()).expect("written");
    let output = internet
        .client_command(std::env::current_exe().expect("known"))
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, CLIENT)
        .env(CA_FILE, certificate.path())
        .output()
        .await
        .expect("unshare starts");
    expect_passed(&output);
}

fn expect_passed(output: &Output) {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("1 passed"),
        "the test did not run in the namespaces: {text}"
    );
}
