//! What programs may know of the machine they run on, and reach of it, beside the testkit's public network.

use std::net::TcpListener;
use std::process::Command;

use eryx::net::NetConfig;
use eryx::net::policy::Reason;

use crate::netns;
use crate::support::{expect_stdout, sandbox};

/// A public address that this machine has beside the one it uses.
const OWN: &str = "142.250.9.9";

const PROGRAM: &str = "
import socket

with socket.create_connection(('example.com', 80), timeout=5) as s:
    host, port = s.getsockname()
    print(host, port > 0, s.getpeername())
for port in 8099, 8098:
    try:
        socket.create_connection(('142.250.9.9', port), timeout=5)
    except PermissionError as error:
        print(error.strerror)
    except OSError as error:
        print(type(error).__name__)
    else:
        print('connected')
";

#[test]
fn a_program_neither_learns_nor_reaches_the_addresses_of_its_machine() {
    netns::with_fake_internet(
        "this_machine::a_program_neither_learns_nor_reaches_the_addresses_of_its_machine",
        async |_certificate| {
            let added = Command::new("ip")
                .args(["address", "add", &format!("{OWN}/32"), "dev", "lo"])
                .status();
            assert!(added.expect("ip starts").success());
            let listener = TcpListener::bind((OWN, 8099)).expect("bound");
            listener.set_nonblocking(true).expect("set");

            let result = sandbox(Some(NetConfig::default())).execute(PROGRAM).await;
            let result = result.expect("it succeeds");
            let denied = |port| {
                format!(
                    "`{OWN}:{port}` is denied: blocked_hosts covers it; allow_network(\"{OWN}\") lifts that"
                )
            };
            let connected = "0.0.0.0 True ('93.184.215.14', 80)".to_owned();
            assert_eq!(
                result.stdout.lines().collect::<Vec<_>>(),
                [connected.clone(), denied(8099), denied(8098)]
            );
            let reasons = |result: &eryx::ExecuteResult| {
                let verdicts = result.network.connections.iter();
                let verdicts = verdicts.filter_map(|one| one.verdict.as_ref());
                verdicts
                    .filter(|verdict| verdict.reason() == Reason::OwnAddress)
                    .count()
            };
            // The lookup, which ends the attempt.
            assert_eq!(reasons(&result), 2);
            assert!(listener.accept().is_err(), "something reached it");

            let config = NetConfig::default().allow_network(OWN).expect("a network");
            let printed = expect_stdout(sandbox(Some(config)).execute(PROGRAM).await);
            assert_eq!(
                printed.lines().collect::<Vec<_>>(),
                [&*connected, "connected", "ConnectionRefusedError"]
            );
        },
    );
}
