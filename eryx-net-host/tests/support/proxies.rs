//! Proxies of every kind, and connections through them.

use std::sync::Arc;

use eryx_net_host::tls::ClientSettings;
use eryx_net_host::{Connection, NetConfig};
use eryx_testkit::{CertificateAuthority, Identity, Leaf, Peer, Proxy, ProxyBuilder};

use super::{ScriptedResolver, send, within_timeout};

/// A public address, which only a route of the proxy leads to.
pub const ADDRESS: &str = "93.184.215.14";

/// The kinds of proxies, each with the start of its URL, and with the credentials it demands.
pub struct Kind {
    pub scheme: &'static str,
    pub credentials: Option<&'static str>,
}

pub const KINDS: [Kind; 5] = [
    Kind {
        scheme: "http",
        credentials: None,
    },
    Kind {
        scheme: "http",
        credentials: Some("user:pass%20word"),
    },
    Kind {
        scheme: "https",
        credentials: Some("user:secret"),
    },
    Kind {
        scheme: "socks5",
        credentials: None,
    },
    Kind {
        scheme: "socks5",
        credentials: Some("user:secret"),
    },
];

/// A CA for servers, and another one for the proxy.
pub struct Authorities {
    pub servers: CertificateAuthority,
    pub proxies: CertificateAuthority,
}

impl Authorities {
    pub fn new() -> Self {
        let new = || CertificateAuthority::new().expect("an authority");
        Self {
            servers: new(),
            proxies: new(),
        }
    }

    pub fn server(&self) -> Identity {
        let leaf = Leaf::server(["site.test"]);
        self.servers.issue(&leaf).expect("an identity")
    }

    pub fn proxy(&self) -> Identity {
        let leaf = Leaf::server(["localhost"]);
        self.proxies.issue(&leaf).expect("an identity")
    }
}

/// Starts a proxy, and returns it with the network that uses it.
pub async fn proxied(
    kind: &Kind,
    authorities: &Authorities,
    routes: impl Fn(ProxyBuilder) -> ProxyBuilder,
) -> (Proxy, NetConfig) {
    let builder = match kind.scheme {
        "socks5" => Proxy::socks5(),
        "https" => Proxy::http().tls(&authorities.proxy()).expect("TLS"),
        _ => Proxy::http(),
    };
    let builder = match kind.credentials {
        Some(credentials) => builder.credentials(&credentials.replace("%20", " ")),
        None => builder,
    };
    let proxy = routes(builder).start().await.expect("a proxy");
    let userinfo = kind.credentials.map(|text| format!("{text}@"));
    let url = format!(
        "{}://{}localhost:{}",
        kind.scheme,
        userinfo.unwrap_or_default(),
        proxy.port()
    );
    let resolver = ScriptedResolver::new()
        .answer("site.test", &[ADDRESS])
        .answer("pair.test", &["1.1.1.1", ADDRESS]);
    let config = NetConfig::default()
        .with_proxy(url.parse().expect("a proxy"))
        .with_resolver(Arc::new(resolver))
        .with_root_cert(authorities.servers.pem().as_bytes())
        .and_then(|config| config.with_proxy_root_cert(authorities.proxies.pem().as_bytes()))
        .expect("certificates");
    (proxy, config)
}

/// Starts an HTTP proxy with a route to `peer` for every name, and returns it with its network.
pub async fn http_proxy(peer: &Peer) -> (Proxy, NetConfig) {
    proxied(&KINDS[0], &Authorities::new(), |builder| {
        builder.route(&format!("{ADDRESS}:80"), peer.address())
    })
    .await
}

pub async fn echo(connection: &mut Connection, data: &[u8]) {
    send(connection, data).await;
    let mut received = Vec::new();
    while received.len() < data.len() {
        let bytes = within_timeout(connection.read(1 << 20, None))
            .await
            .expect("read");
        assert!(
            !bytes.is_empty(),
            "the stream ended after {} bytes",
            received.len()
        );
        received.extend(bytes);
    }
    assert!(received == data);
}

pub fn settings_for(name: &str) -> ClientSettings {
    ClientSettings::for_name(name)
}
