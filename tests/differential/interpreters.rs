//! The two interpreters of a comparison: the one of the machine, and that of a sandbox.

use std::process::Stdio;
use std::time::Duration;

use eryx::{ResourceLimits, Sandbox};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::program::Program;
use crate::servers::Servers;

const EXECUTOR: &str = include_str!("executor.py");

/// How long a program may take in either interpreter. Its operations take less than a second each.
const LIMIT: Duration = Duration::from_secs(60);

/// The outcomes of a program's operations, or the text of its failure.
pub(crate) type Outcomes = Result<Vec<Value>, String>;

/// The text of a program for both. `settle` is the time to wait until a peer has acted.
fn text(program: &Program, servers: &Servers, settle: Duration) -> String {
    format!(
        "import json as _json\nPROGRAM = _json.loads({:?})\nPORTS = {}\nCA = {:?}\nSETTLE = {}\n{EXECUTOR}",
        program.to_json().to_string(),
        servers.ports(),
        servers.ca_pem(),
        settle.as_secs_f64(),
    )
}

fn parse(printed: &str) -> Outcomes {
    serde_json::from_str(printed).map_err(|error| format!("{error}: {printed}"))
}

/// Runs a program with the machine's own interpreter.
pub(crate) async fn run_natively(
    program: &Program,
    servers: &Servers,
    settle: Duration,
) -> Outcomes {
    let run = async {
        let mut child = Command::new("python3")
            .args(["-I", "-W", "ignore", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let text = text(program, servers, settle);
        if let Some(mut input) = child.stdin.take() {
            input.write_all(text.as_bytes()).await?;
        }
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(LIMIT, run)
        .await
        .map_err(|_| format!("not done after {LIMIT:?}"))?
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Runs a program in a sandbox.
pub(crate) async fn run_in_sandbox(
    program: &Program,
    servers: &Servers,
    settle: Duration,
) -> Outcomes {
    let network = servers.network().map_err(|error| error.to_string())?;
    let sandbox = Sandbox::embedded()
        .with_network(network)
        .with_resource_limits(ResourceLimits::default().with_execution_timeout(LIMIT))
        .build()
        .map_err(|error| error.to_string())?;
    match sandbox.execute(text(program, servers, settle)).await {
        Ok(result) => parse(&result.stdout),
        Err(error) => Err(format!("{error:?}")),
    }
}
