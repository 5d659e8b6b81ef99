//! The policy vectors of the default policy, checked from inside a guest.

use std::time::Duration;

use eryx::net::{CloseReason, NetConfig};
use eryx_testkit::policy_vectors::PolicyVector;
use serde_json::json;

use crate::policy::{names, run};

/// Checks every vector through the bindings and through every function of the standard library that
/// connects.
#[tokio::test(flavor = "multi_thread")]
async fn every_policy_vector_has_its_verdict_in_the_guest() {
    let mut wrong = Vec::new();
    for vector in PolicyVector::parse_file(VECTORS).expect("valid vectors") {
        if let Err(problem) = check(&vector).await {
            wrong.push(format!("{} ({}): {problem}", vector.input, vector.reason));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn check(vector: &PolicyVector) -> Result<(), String> {
    let names = names(vector.script()).await;
    let config = NetConfig::default()
        .with_dns_server(names.address())
        .with_connect_timeout(Duration::from_secs(2))
        .expect("in range");
    let constants = json!({"HOST": vector.host, "LOOKUPS": vector.connect});
    // A name is connected to as often as the vector says; the verdict is that of the last connect.
    let lookups = "
from componentize_py_types import Err
from wit_world.imports import resolver, tcp
def verdict_of(step):
    try:
        return 'allowed', step()
    except Err as error:
        return type(error.value).__name__.removeprefix('Error_'), str(error.value.value)
for _ in range(LOOKUPS):
    verdict, text = verdict_of(lambda: resolver.Lookup.start(HOST, 443, resolver.Family.ANY).finish(None))
print(verdict)
";
    let result = run(config.clone(), &constants, lookups).await;
    let verdict = result.stdout.trim();
    let expected = if vector.allow { "allowed" } else { "Denied" };
    if verdict != expected {
        return Err(format!("a lookup was {verdict}"));
    }
    let reported = result.network.connections.last().expect("a lookup");
    let agrees = reported
        .verdict
        .as_ref()
        .is_some_and(|verdict| verdict.is_allowed() == vector.allow);
    if !agrees {
        return Err(format!("the report says {:?}", reported.verdict));
    }
    if vector.allow {
        return Ok(());
    }
    if vector.lookups.is_empty() && names.count() > 0 {
        return Err(format!(
            "the name server was queried: {:?}",
            names.queries()
        ));
    }
    if vector.connect > 1 {
        // The first connect would be allowed and leave loopback.
        return Ok(());
    }
    let connects = "
import asyncio, socket
import _eryx_async
from componentize_py_types import Err
from wit_world.imports import tcp
try:
    tcp.Connection.connect(HOST, 443).finish_connect(None)
except Err as error:
    print(type(error.value).__name__)
def by_family(family):
    with socket.socket(family) as s:
        s.settimeout(5)
        s.connect((HOST, 443))
print(outcome(by_family, socket.AF_INET))
print(outcome(by_family, socket.AF_INET6))
print(outcome(socket.create_connection, (HOST, 443), 5))
for begin in (asyncio.open_connection, _eryx_async.await_tcp_connect):
    try:
        print(await begin(HOST, 443))
    except Exception as error:
        print(described(error))
";
    let result = run(config, &constants, connects).await;
    let mut lines = result.stdout.lines();
    if lines.next() != Some("Error_Denied") {
        return Err(format!("a connect was not denied: {}", result.stdout));
    }
    // CPython itself rejects some hosts before the policy is consulted.
    let denials = [
        "PermissionError(EACCES)",
        "gaierror",
        "UnicodeEncodeError",
        "UnicodeError",
        "ValueError",
    ];
    for line in lines {
        if !denials.contains(&line) {
            return Err(format!("unexpected result: {line}"));
        }
    }
    for connection in &result.network.connections {
        if connection.address.is_some()
            || !matches!(
                connection.close_reason,
                Some(CloseReason::Denied | CloseReason::Error(_))
            )
        {
            return Err(format!("{connection:?}"));
        }
    }
    if vector.lookups.is_empty() && names.count() > 0 {
        return Err(format!(
            "the name server was queried: {:?}",
            names.queries()
        ));
    }
    Ok(())
}

const VECTORS: &str = include_str!("../../eryx-net-policy/tests/vectors/policy-default.tsv");
