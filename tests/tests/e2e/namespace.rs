//! Runs a test again inside network and mount namespaces of its own, where the testkit is the public network: see
//! [`World`]. Where namespaces are not permitted the test says that it is skipped, and why.

use std::io::Write;
use std::process::Command;

use eryx_testkit::World;

/// Marks the run inside.
const INSIDE: &str = "ERYX_TEST_NAMESPACE";

/// Run `play` with the network above. `test` is the full name of the calling test.
pub(crate) fn run(test: &str, play: impl AsyncFnOnce(World)) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Runtime::new().expect("started");
        runtime.block_on(async { play(World::set().await.expect("set up")).await });
        return;
    }
    if let Err(reason) = World::permitted() {
        // Past the harness, which shows nothing of a test that passes.
        let _ = writeln!(std::io::stderr(), "\nSKIPPED {test}: {reason}");
        return;
    }
    let output = Command::new("unshare")
        .args(["-Urnm", "--"])
        .arg(std::env::current_exe().expect("known"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare starts");
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
