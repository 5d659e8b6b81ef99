//! The machine that runs a program: the program can neither learn nor reach its addresses.

use std::net::TcpListener;
use std::process::Command;

use eryx::net::NetConfig;
use eryx::net::policy::Reason;

use crate::netns;
use crate::support::{expect_stdout, sandbox};

/// A public address of this machine, in addition to the one that connections use.
const OWN_ADDRESS: &str = "142.250.9.9";

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
fn a_program_can_neither_learn_nor_reach_the_addresses_of_its_machine() {
    netns::with_fake_internet(
        "machine::a_program_can_neither_learn_nor_reach_the_addresses_of_its_machine",
        async |_certificate| {
            let added = Command::new("ip")
                .args(["address", "add", &format!("{OWN_ADDRESS}/32"), "dev", "lo"])
                .status();
            assert!(added.expect("ip starts").success());
            let listener = TcpListener::bind((OWN_ADDRESS, 8099)).expect("bound");
            listener.set_nonblocking(true).expect("set");

            let result = sandbox(Some(NetConfig::default())).execute(PROGRAM).await;
            let result = result.expect("succeeds");
            let denied = |port| {
                format!(
                    "`{OWN_ADDRESS}:{port}` is denied: blocked_hosts covers it; allow_network(\"{OWN_ADDRESS}\") lifts that"
                )
            };
            let connected = "0.0.0.0 True ('93.184.215.14', 80)".to_owned();
            assert_eq!(
                result.stdout.lines().collect::<Vec<_>>(),
                [connected.clone(), denied(8099), denied(8098)]
            );
            let reasons = |result: &eryx::ExecuteResult| {
                let verdicts = result.network.connections.iter();
                let verdicts = verdicts.filter_map(|connection| connection.verdict.as_ref());
                verdicts
                    .filter(|verdict| verdict.reason() == Reason::OwnAddress)
                    .count()
            };
            // The entries of the lookups, which end the attempts.
            assert_eq!(reasons(&result), 2);
            assert!(listener.accept().is_err(), "a program connected");

            let config = NetConfig::default()
                .allow_network(OWN_ADDRESS)
                .expect("a network");
            let printed = expect_stdout(sandbox(Some(config)).execute(PROGRAM).await);
            assert_eq!(
                printed.lines().collect::<Vec<_>>(),
                [&*connected, "connected", "ConnectionRefusedError"]
            );
        },
    );
}
