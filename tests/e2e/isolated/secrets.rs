//! Searches the whole memory of a sandbox for a secret that its program has used.
//!
//! In a process of its own, in which no other sandbox has memory.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use eryx::Sandbox;
use eryx::net::policy::{HttpRule, SecretBinding};
use eryx::net::{NetConfig, Secret};
use eryx_testkit::{CertificateAuthority, Leaf, RequestRecorder};

/// Built at run time, so that the program file does not contain it.
fn secret() -> String {
    [
        "sk-",
        "this-is-a-token",
        "-that-only-the-host-has-",
        "0123456789",
    ]
    .concat()
}

const PROGRAM: &str = r#"
import os, ssl, socket, http.client, urllib.request, asyncio
token = os.environ["TOKEN"]
root = f"https://site.test:{PORT}"
def exchange(path):
    request = urllib.request.Request(root + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request) as response:
        return response.read().decode()
seen = exchange("/echo")
assert token in seen, seen
async def streams():
    reader, writer = await asyncio.open_connection("site.test", PORT, ssl=True)
    writer.write(f"GET /streams HTTP/1.1\r\nHost: site.test:{PORT}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode())
    return await reader.readuntil(b"Connection: close")
seen = asyncio.run(streams())
assert token.encode() in seen, seen
try:
    exchange("/denied")
except OSError as error:
    print(error)
print(token)
"#;

/// Returns the readable mappings of this process that belong to memories of WebAssembly: those of
/// an image, and the anonymous ones directly behind them.
fn guest_mappings() -> Vec<(u64, u64)> {
    let maps = fs::read_to_string("/proc/self/maps").expect("readable");
    let mut mappings = Vec::new();
    let mut end_of_memory = 0;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, access) = (
            fields.next().expect("a range"),
            fields.next().expect("access"),
        );
        let path = fields.nth(3).unwrap_or("");
        let (start, end) = range.split_once('-').expect("a range");
        let number = |text| u64::from_str_radix(text, 16).expect("hexadecimal");
        let (start, end) = (number(start), number(end));
        let is_anonymous = path.is_empty() && start == end_of_memory;
        if access.starts_with("rw") && (path.starts_with("/memfd:") || is_anonymous) {
            mappings.push((start, end));
            end_of_memory = end;
        }
    }
    mappings
}

/// Returns how often `text` is in the memories of WebAssembly.
fn occurrences(text: &str) -> usize {
    let memory = File::open("/proc/self/mem").expect("readable");
    let mut count = 0;
    for (start, end) in guest_mappings() {
        let mut bytes = vec![0; usize::try_from(end - start).expect("64 bits")];
        memory.read_exact_at(&mut bytes, start).expect("readable");
        let found = bytes
            .windows(text.len())
            .filter(|window| *window == text.as_bytes());
        count += found.count();
    }
    count
}

#[tokio::test]
async fn a_secret_is_nowhere_in_the_memory_of_the_sandbox() {
    let ca = CertificateAuthority::new().expect("an authority");
    let identity = ca
        .issue(&Leaf::server(["site.test"]))
        .expect("a certificate");
    let server = RequestRecorder::tls(&identity, |request| {
        RequestRecorder::ok(&String::from_utf8_lossy(request))
    })
    .await
    .expect("a server");
    let host = "site.test".parse().expect("a pattern");
    let binding = SecretBinding::new("TOKEN", [host]).expect("a binding");
    let rule: HttpRule = "GET site.test/echo".parse().expect("a rule");
    let streams: HttpRule = "GET site.test/streams".parse().expect("a rule");
    let config = NetConfig::default()
        .allow_localhost()
        .with_root_cert(ca.pem().as_bytes())
        .and_then(|config| config.with_hosts([("site.test", vec![[127, 0, 0, 1].into()])]))
        .and_then(|config| config.with_secret(Secret::new(binding, secret())?))
        .and_then(|config| config.with_http_rule(rule)?.with_http_rule(streams))
        .expect("a configuration");
    let sandbox = Sandbox::embedded()
        .with_network(config)
        .build()
        .expect("valid settings");
    let mut session = sandbox.session().await.expect("a session");
    let program = format!("PORT = {}\n{PROGRAM}", server.port());
    let result = session
        .execute(program)
        .await
        .expect("the program succeeds");
    let (denial, placeholder) = result.stdout.trim().split_once('\n').expect("two lines");
    assert!(denial.contains("/denied"), "{denial}");
    assert_eq!(placeholder.len(), secret().len());
    let received = server.text();
    assert_eq!(
        received.matches(&format!("Bearer {}", secret())).count(),
        2,
        "{received}"
    );
    // The search finds what is there.
    assert!(occurrences(placeholder) > 0);
    assert_eq!(occurrences(&secret()), 0);
    let control = session
        .execute(format!("control = {:?} + '-in-the-sandbox'", secret()))
        .await;
    control.expect("the program succeeds");
    assert!(occurrences(&secret()) > 0);
}
