//! Every command reports wrong options and malformed policy files with the fix.

use std::fs;

use eryx_testkit::CertificateAuthority;

use crate::command::{check, eryx, run, text};

const PROXY: &str = "http://proxy.example:3128";

#[test]
fn a_password_of_a_proxy_is_never_printed() {
    for (options, status) in [
        ("show --proxy http://user:secret@proxy.example:1", 2),
        ("show --proxy http://user:secret@proxy.example", 2),
        ("check a.example:1 --proxy http://user:secret@p:1", 0),
    ] {
        let options: Vec<&str> = options.split(' ').collect();
        let output = eryx(&[&["policy"], &options[..]].concat());
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert!(!printed.contains("secret"), "{printed}");
    }
}

#[test]
fn a_mistake_is_exit_status_2_and_says_what_to_write() {
    let folder = tempfile::tempdir().expect("created");
    let certificate = CertificateAuthority::new().expect("created").pem();
    for (name, lines) in [
        ("typo.toml", "\nmax_conections = 3\n"),
        ("pattern.toml", "allowed_hosts = [\n  'api.*.com',\n]\n"),
        ("blocked.toml", "also_blocked_hosts = ['ads.example']\n"),
        ("certs.toml", "root_cert_files = ['typo.toml']\n"),
        ("fine.toml", ""),
        ("ca.pem", certificate.as_str()),
    ] {
        fs::write(folder.path().join(name), lines).expect("written");
    }
    // Each row has options, in which `_` is a space, and parts of the error.
    let table = [
        // Patterns, networks, addresses, numbers.
        "--allow-host api.*.com | --allow-host | `api.*.com` | *.example.com",
        "--allow-host  | --allow-host | empty",
        "--allow-host https://a.example | URL | the host alone",
        "--allow-host a.example:99999 | `99999` is not a port | 1 to 65535",
        "--allow-host a.example:0 | `0` is not a port",
        "--allow-host a.example:2-1 | 1-2",
        "--allow-host 127.1 | `127.1` | four decimal numbers",
        "--allow-host a.example,b.example | an entry of its own",
        "--net --block-host a_b | --block-host | `a b`",
        "--net --block-host 10.0.0.1/8 | `10.0.0.1/8` | 10.0.0.0/8",
        "--net --block-host [::1 | `[::1`",
        "--net --allow-network corp | --allow-network | `corp`",
        "--net --allow-network 10.0.0.0/33 | 33 | 32",
        "--net --allow-network 10.0.0.1/8 | 10.0.0.0/8",
        "--net --allow-internal-host *corp | --allow-internal-host | `*corp`",
        "--net --allow-udp ns.example.com | --allow-udp | `ns.example.com:53`",
        "--allow-host a.example --allow-udp ns.example:53 | \
         --allow-udp ns.example:53 has no effect | --allow-host ns.example adds it",
        "--net --allow-udp 10.0.0.53:53 | has no effect | --allow-network 10.0.0.53",
        "--net --dns-server dns.example | `dns.example` is not a name server | 192.0.2.53",
        "--net --resolve a.example | `a.example` is not a name and its address | db.corp=10.0.0.5",
        "--net --resolve a.example=b.example | `a.example=b.example`",
        "--net --resolve a_b=10.0.0.1 | --resolve | `a b`",
        "--net --max-connections=-1 | --max-connections",
        "--net --max-connections=many | many",
        "--net --connects-per-second 0 | --connects-per-second: 0 a second | at least 1",
        "--net --send-rate 0 | --send-rate | at least 1",
        "--net --receive-rate 0 | --receive-rate | at least 1",
        "--net --max-sent lots | `lots` is not a size | 128M",
        "--net --max-received 1T | `1T` is not a size | 1G",
        "--net --connect-timeout 0 | `0` is not a duration | 30s",
        "--net --io-timeout 25h | --io-timeout | 24 hours",
        // Proxies.
        "--net --proxy proxy.example:3128 | --proxy: the proxy cannot be used | \
         http://proxy.example:3128",
        "--net --proxy http://proxy.example | --proxy:  | its port is missing",
        "--net --proxy socks5h://proxy.example | write `socks5` | proxy_resolves",
        "--net --no-proxy a.example | --no-proxy has no effect | add --proxy URL",
        "--net --proxy PROXY --no-proxy a.*.b | --no-proxy | `a.*.b`",
        "--net --proxy-resolves | proxy_resolves has no effect without a proxy",
        "--net --proxy PROXY --allow-udp 9.9.9.9:53 | allowed_udp cannot be combined with proxy",
        "--allow-host 1.2.3.4 --proxy PROXY --proxy-resolves | no name would be allowed",
        "--net --proxy PROXY --proxy-root-cert typo.toml | --proxy-root-cert | typo.toml | \
         not an X.509 certificate",
        "--net --proxy PROXY --proxy-root-cert ca.pem | \
         --proxy-root-cert has no effect without an https proxy",
        // Files.
        "--net --root-cert /no/such/file | /no/such/file",
        "--net --root-cert typo.toml | typo.toml | not an X.509 certificate",
        "--policy /no/such/file | --policy | /no/such/file | cannot be read",
        "--policy typo.toml | typo.toml, line 2, column 1 | `max_conections` | \
         did you mean `max_connections`?",
        "--policy pattern.toml | pattern.toml, line 2, column 3 | `api.*.com` | *.example.com",
        "--policy certs.toml | certs.toml | root_cert_files | not an X.509 certificate",
        // Contradictions.
        "--policy fine.toml --net | --net has no effect | leave one of them out",
        "--policy fine.toml --policy typo.toml | --policy",
        "--net --http-denials response | --http-denials has no effect | add --http-rule RULE",
        "--policy blocked.toml --allow-host ads.example | `ads.example` | a block beats an allow | \
         policy file",
        "--allow-host b.example --block-host B.example. | --allow-host b.example has no effect | \
         --block-host",
        "--allow-host localhost | --allow-host localhost has no effect | add --allow-localhost",
        "--allow-host [::1]:80 | --allow-host [::1]:80 has no effect | --allow-localhost",
        "--allow-host 10.1.2.3 | 10.1.2.3 has no effect | add --allow-network 10.1.2.3",
    ];
    assert!(table.len() >= 30);
    for row in table {
        let (options, parts) = row.split_once(" | ").expect(row);
        let args: Vec<String> = options
            .split(' ')
            .map(|word| match word.rsplit_once('.') {
                Some((_, "toml" | "pem")) => text(&folder.path().join(word)),
                _ => word.replace("PROXY", PROXY).replace('_', " "),
            })
            .collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        for output in [
            run(&args, "print(1)"),
            eryx(&[&["policy", "show"], &args[..]].concat()),
            eryx(&[&["policy", "check", "a.example:443"], &args[..]].concat()),
        ] {
            eprintln!("{args:?}");
            for part in parts.split(" | ") {
                check(&output, 2, "", part);
            }
        }
    }
    for (args, part) in [
        ("--net-log net.jsonl", "--net"),
        ("--net --net-log /no/such/folder/x", "/no/such/folder/x"),
    ] {
        let args: Vec<&str> = args.split(' ').collect();
        check(&run(&args, "print(1)"), 2, "", part);
    }
    for row in [
        "policy check | <HOST:PORT|METHOD URL>",
        "policy check a.example | write `a.example:443`",
        "policy check 8.8.8.8:53 2001:db8::7 | write `[2001:db8::7]:443`",
        "policy check https://a.example/ | write `GET https://a.example/`",
        "policy check a.example:https | a number from 1 to 65535",
        "policy | check",
        "policy frobnicate | frobnicate",
    ] {
        let (args, part) = row.split_once(" | ").expect(row);
        let args: Vec<&str> = args.split(' ').collect();
        check(&eryx(&args), 2, "", part);
    }
}

#[test]
fn an_option_that_needs_another_one_is_rejected_without_it() {
    for row in [
        "--find-links wheels | --find-links has no effect without -r REQUIREMENT or --package PATH",
        "--find-links wheels --factory saved | --find-links has no effect",
        "--no-index --find-links wheels | --find-links has no effect",
        "--no-index --find-links wheels --package a.whl | \
         --no-index has no effect without -r REQUIREMENT",
        "--no-index -r requests | --find-links",
        "--dependencies -r requests | --package",
        "--net --inspect a.example | --inspect has no effect without --net-log FILE",
    ] {
        let (args, message) = row.split_once(" | ").expect(row);
        let args: Vec<&str> = args.split(' ').collect();
        check(&run(&args, "print(1)"), 2, "", message);
        check(&eryx(&[&["mcp"], &args[..]].concat()), 2, "", message);
    }
    let message = "--har has no effect without requests to list: add --inspect PATTERN";
    check(
        &run(&["--net", "--har", "a.har"], "print(1)"),
        2,
        "",
        message,
    );
}

/// Regression: an option was accepted and had no effect.
#[test]
fn every_option_is_rejected_without_a_network() {
    for option in [
        &["--block-host", "a.example"][..],
        &["--allow-localhost"],
        &["--allow-network", "10.0.0.0/8"],
        &["--allow-internal-host", "db.corp"],
        &["--allow-udp", "ns.example:53"],
        &["--report-only"],
        &["--root-cert", "ca.pem"],
        &["--allow-unverified-tls"],
        &["--proxy", "http://user:secret@proxy.example:3128"],
        &["--no-proxy", "a.example"],
        &["--proxy-resolves"],
        &["--proxy-root-cert", "ca.pem"],
        &["--dns-server", "192.0.2.53"],
        &["--resolve", "a.example=192.0.2.1"],
        &["--max-connections", "1"],
        &["--max-connections-per-host", "1"],
        &["--connects-per-second", "1"],
        &["--connect-timeout", "1s"],
        &["--io-timeout", "1s"],
        &["--max-sent", "1"],
        &["--max-received", "1"],
        &["--send-rate", "1"],
        &["--receive-rate", "1"],
        &["--net-log", "net.jsonl"],
        &["--http-rule", "a.example"],
        &["--secret", "TOKEN=env:HOME@a.example"],
        &["--inspect", "a.example"],
        &["--http-denials", "error"],
        &["--har", "requests.har"],
    ] {
        let message = format!("{} has no effect without a network", option[0]);
        check(&run(option, "print(1)"), 2, "", &message);
    }
}
