//! Programs whose embedder has a proxy: they know nothing of it.

use std::net::SocketAddr;
use std::sync::Arc;

use eryx::net::{EventKind, NetConfig, Recorder};
use eryx::{Error, Sandbox};
use eryx_testkit::{CertificateAuthority, HttpServer, Leaf, Proxy, ProxyBuilder};
use serde_json::json;

use crate::support::{expect_stdout, program, run_program};

/// A public address, which only a route of the proxy leads to.
const ADDRESS: &str = "93.184.215.14";

/// Starts an HTTPS server with the name `site.test`, and returns it with its CA.
async fn https() -> (CertificateAuthority, HttpServer) {
    let ca = CertificateAuthority::new().expect("created");
    let identity = ca.issue(&Leaf::server(["site.test"])).expect("issued");
    let server = HttpServer::https(&identity).await.expect("started");
    (ca, server)
}

/// Returns the network with the proxy at `url`, in which `site.test` and `lost.test` have public
/// addresses.
fn network(ca: &CertificateAuthority, url: &str) -> NetConfig {
    let address = |text: &str| vec![text.parse().expect("an address")];
    NetConfig::default()
        .with_proxy(url.parse().expect("a URL"))
        .with_root_cert(ca.pem().as_bytes())
        .and_then(|config| {
            let hosts = [
                ("site.test", address(ADDRESS)),
                ("lost.test", address("1.1.1.1")),
            ];
            config.with_hosts(hosts)
        })
        .expect("valid")
}

async fn start(builder: ProxyBuilder, target: &str, server: SocketAddr) -> Proxy {
    builder
        .route(target, server)
        .start()
        .await
        .expect("started")
}

#[tokio::test(flavor = "multi_thread")]
async fn unmodified_clients_work_through_every_kind_of_proxy() {
    let (ca, server) = https().await;
    let proxies = CertificateAuthority::new().expect("created");
    let identity = proxies.issue(&Leaf::server(["localhost"])).expect("issued");
    let tls = Proxy::http().tls(&identity).expect("TLS");
    let text = "
import asyncio, ssl, urllib.request
with urllib.request.urlopen('https://site.test/bytes/3000000', timeout=20) as response:
    print(response.status, len(response.read()))

async def fetch():
    reader, writer = await asyncio.open_connection('site.test', 443, ssl=True)
    writer.write(b'GET /bytes/1000 HTTP/1.1\\r\\nHost: site.test\\r\\nConnection: close\\r\\n\\r\\n')
    body = await reader.read()
    writer.close()
    return len(body.split(b'\\r\\n\\r\\n', 1)[1])

print(await asyncio.gather(*[fetch() for _ in range(3)]))
";
    for (scheme, builder) in [
        ("http", Proxy::http()),
        ("https", tls),
        ("socks5", Proxy::socks5()),
    ] {
        let target = format!("{ADDRESS}:443");
        let proxy = start(
            builder.credentials("user:secret"),
            &target,
            server.address(),
        )
        .await;
        let url = format!("{scheme}://user:secret@localhost:{}", proxy.port());
        let config = network(&ca, &url)
            .with_proxy_root_cert(proxies.pem().as_bytes())
            .expect("a root");
        let printed = run_program(config, &json!({}), text).await;
        assert_eq!(printed, "200 3000000\n[1000, 1000, 1000]\n", "{scheme}");
        assert_eq!(proxy.targets(), vec![target; 4]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_cannot_see_the_proxy_in_errors_and_endpoints() {
    let (ca, server) = https().await;
    let target = format!("{ADDRESS}:443");
    for (scheme, builder) in [("http", Proxy::http()), ("socks5", Proxy::socks5())] {
        let proxy = start(
            builder.credentials("user:secret"),
            &target,
            server.address(),
        )
        .await;
        let text = "
import socket
with socket.create_connection(('site.test', 443), timeout=5) as s:
    print(s.getpeername(), s.getsockname()[0])
for host, port in [('lost.test', 443), ('127.0.0.1', PORT), ('localhost', PORT)]:
    try:
        socket.create_connection((host, port), timeout=5)
    except OSError as error:
        print(type(error).__name__, error.strerror)
";
        let url = |userinfo| format!("{scheme}://{userinfo}@localhost:{}", proxy.port());
        let constants = json!({"PORT": proxy.port()});
        let config = network(&ca, &url("user:secret")).allow_localhost();
        let printed = run_program(config, &constants, text).await;
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines[0], format!("('{ADDRESS}', 443) 0.0.0.0"));
        let expected = match scheme {
            "http" => {
                "OSError the embedder's proxy does not make the connection: it answers with \
                       HTTP status 502"
            }
            _ => "OSError No route to host",
        };
        assert_eq!(lines[1], expected);
        assert_eq!(lines[2..], ["ConnectionRefusedError Connection refused"; 2]);

        let wrong = network(&ca, &url("user:wrong"));
        let recorder = Arc::new(Recorder::new(100));
        let sandbox = Sandbox::embedded()
            .with_network(wrong)
            .with_network_observer(Arc::clone(&recorder) as _)
            .build()
            .expect("valid settings");
        let text = "
import socket
try:
    socket.create_connection(('site.test', 443), timeout=5)
except OSError as error:
    print(error.strerror)
";
        let result = sandbox.execute(program(&json!({}), text)).await;
        let printed = expect_stdout(result);
        assert!(
            printed.contains("does not accept the credentials"),
            "{printed}"
        );
        for hidden in ["localhost", "user", "wrong", &proxy.port().to_string()] {
            assert!(!printed.contains(hidden), "{printed}");
        }
        let reason = recorder
            .events()
            .into_iter()
            .find_map(|event| match event.kind {
                EventKind::ProxyFailed { proxy, reason } => Some(format!("{proxy}: {reason}")),
                _ => None,
            });
        let reason = reason.expect("an event");
        assert!(
            reason.contains("localhost") && !reason.contains("wrong"),
            "{reason}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_the_proxy_resolves_works_with_getaddrinfo() {
    let (ca, server) = https().await;
    let proxy = start(Proxy::http(), "site.test:443", server.address()).await;
    let config = NetConfig::default()
        .with_proxy(
            format!("http://{}", proxy.address())
                .parse()
                .expect("a URL"),
        )
        .with_proxy_resolves(true)
        .with_root_cert(ca.pem().as_bytes())
        .expect("a root");
    let text = "
import socket, urllib.request
with urllib.request.urlopen('https://site.test/bytes/1000', timeout=20) as response:
    print(response.status, len(response.read()))
[info] = socket.getaddrinfo('site.test', 443, type=socket.SOCK_STREAM)
print(info[4], socket.gethostbyaddr(info[4][0])[0])
with socket.create_connection(info[4]) as s:
    print(s.getpeername() == info[4])
with socket.socket() as s:
    s.connect(('site.test', 443))
    print(s.getpeername() == info[4])
";
    let printed = run_program(config, &json!({}), text).await;
    assert_eq!(
        printed,
        "200 1000\n('198.18.0.1', 443) site.test\nTrue\nTrue\n"
    );
    assert_eq!(proxy.targets(), vec!["site.test:443"; 3]);
}

#[test]
fn settings_that_exclude_each_other_are_an_error_of_the_sandbox() {
    let config = NetConfig::default()
        .allow_udp("192.0.2.7:53")
        .expect("a pattern")
        .with_proxy("http://proxy.test:3128".parse().expect("a URL"));
    let error = Sandbox::embedded().with_network(config).build();
    let error = error.expect_err("allowed_udp with proxy");
    assert!(matches!(&error, Error::Config(_)), "{error:?}");
    assert!(error.to_string().contains("allowed_udp"), "{error}");
}
