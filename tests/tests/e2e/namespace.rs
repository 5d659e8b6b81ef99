//! Runs a test again beside the testkit's public network, in namespaces of its own: see [`World`]. Where namespaces are not
//! permitted the test says that it is skipped, and why.

use std::io::Write;
use std::process::{Command, Output};

use eryx_testkit::World;

/// Marks the runs inside: that of the world's servers, and that of the test beside it.
const INSIDE: &str = "ERYX_TEST_NAMESPACE";

/// The file with the certificate of the world's authority.
const AUTHORITY: &str = "ERYX_TESTKIT_CA";

/// Run `play` with the network above, and the certificate of its authority. `test` is the full name of the calling test.
pub(crate) fn run(test: &str, play: impl AsyncFnOnce(String)) {
    let runtime = || tokio::runtime::Runtime::new().expect("started");
    let marked = std::env::var_os(INSIDE);
    match marked.as_ref().and_then(|place| place.to_str()) {
        Some("world") => runtime().block_on(host(test)),
        Some(_) => {
            let file = std::env::var_os(AUTHORITY).expect("set beside the world");
            let certificate = std::fs::read_to_string(file).expect("readable");
            runtime().block_on(play(certificate));
        }
        None => outside(test, "world"),
    }
}

/// Run `play` in namespaces without a network. `test` is the full name of the calling test.
pub(crate) fn alone(test: &str, play: impl AsyncFnOnce()) {
    match std::env::var_os(INSIDE) {
        Some(_) => {
            let runtime = tokio::runtime::Runtime::new().expect("started");
            runtime.block_on(play());
        }
        None => outside(test, "alone"),
    }
}

fn outside(test: &str, place: &str) {
    if let Err(reason) = World::permitted() {
        // Past the harness, which shows nothing of a test that passes.
        let _ = writeln!(std::io::stderr(), "\nSKIPPED {test}: {reason}");
        return;
    }
    let output = Command::new("unshare")
        .args(["-Urnm", "--"])
        .arg(std::env::current_exe().expect("known"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, place)
        .output()
        .expect("unshare starts");
    expect_passed(&output);
}

/// Serves the world while the test runs beside it.
async fn host(test: &str) {
    let world = World::set().await.expect("set up");
    let certificate = tempfile::NamedTempFile::new().expect("made");
    std::fs::write(certificate.path(), world.authority.pem()).expect("written");
    let output = world
        .visitor(std::env::current_exe().expect("known"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "beside")
        .env(AUTHORITY, certificate.path())
        .output()
        .await
        .expect("unshare starts");
    expect_passed(&output);
}

fn expect_passed(output: &Output) {
    let told = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("1 passed"),
        "the test did not run inside: {told}"
    );
}
