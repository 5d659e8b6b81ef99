//! Host memory held on behalf of a program is counted, limited and reported.

use eryx::net::NetConfig;
use eryx::{Error, Limit, ResourceLimits};

use crate::support::{error_details, expect_stdout, sandbox, sandbox_with_limits};

/// The limit of [`tight_limits`]: 4 MiB above the base.
const TIGHT: u64 = ResourceLimits::HOST_MEMORY_BASE + (4 << 20);

fn tight_limits() -> ResourceLimits {
    ResourceLimits::default()
        .with_max_output(4 << 20)
        .with_max_host_memory(TIGHT)
}

/// Defines `hold`, which creates TLS sessions without a transport until one fails.
const SESSIONS: &str = "
import base64
from wit_world.imports import tls
held = []
def hold(size):
    lists = [base64.b64encode(bytes(size)).decode()] if size else []
    config = tls.ClientConfig('example.com', [], True, True, [], False, None, lists, None, None, None, [], [])
    try:
        while len(held) < 32: held.append(tls.Session.client(config))
    except Exception as error:
        print('max_host_memory' in str(error), end=' ')
";

#[tokio::test]
async fn the_tls_settings_of_a_program_count_as_host_memory() {
    let program = format!(
        "{SESSIONS}hold(1 << 20)\nprint(len(held))\nheld.clear()\nhold(0)\nprint(len(held))"
    );
    let result = sandbox_with_limits(Some(NetConfig::default()), tight_limits())
        .execute(program)
        .await
        .unwrap_or_else(|error| panic!("{}", error_details(&error)));
    // 1 MiB and 384 KiB each, then 384 KiB each.
    assert_eq!(result.stdout, "True 2\nTrue 10\n");
    assert!(result.peak_host_memory <= TIGHT);
    assert!(result.peak_host_memory > TIGHT - (1 << 20));
}

#[tokio::test]
async fn output_beyond_the_host_memory_limit_ends_the_program() {
    let program = format!("{SESSIONS}hold(0)\nprint('x' * (3 << 20), flush=True)");
    match sandbox_with_limits(Some(NetConfig::default()), tight_limits())
        .execute(program)
        .await
    {
        Err(Error::Limit { limit, .. }) => assert_eq!(limit, Limit::HostMemory(TIGHT)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn output_counts_as_host_memory_until_its_execution_ends() {
    let sandbox = sandbox(None);
    let mut session = sandbox.session().await.expect("started");
    let mut peaks = Vec::new();
    for program in ["pass", "print('x' * (1 << 20))", "pass"] {
        let result = session.execute(program).await.expect("succeeds");
        peaks.push(result.peak_host_memory);
    }
    assert_eq!(peaks[0], ResourceLimits::HOST_MEMORY_BASE);
    assert_eq!(peaks[1], ResourceLimits::HOST_MEMORY_BASE + (1 << 20) + 1);
    assert_eq!(peaks[2], peaks[0]);
    expect_stdout(session.execute("print('still there')").await);
}
