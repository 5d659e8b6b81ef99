//! Tests of inspected TLS over the transport of the program.

use eryx_net_host::Network;
use eryx_net_host::tls::ClientSettings;

use crate::support::http::{
    Origin, SECRET, denial, get, get_only, handshake, placeholder, rule, secret, session_echo,
    session_write,
};
use crate::support::{connected, settings, within_timeout};

#[tokio::test]
async fn a_session_over_the_programs_own_transport_is_inspected_as_well() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_secret(secret("secure.test"))
        .expect("a secret")
        .with_http_rule(get_only())
        .expect("a rule");
    for versions in [
        eryx_net_host::tls::Version::Tls12,
        eryx_net_host::tls::Version::Tls13,
    ] {
        let network = Network::new(&config);
        let port = origin.port();
        let p = placeholder(&network);
        let before = origin.server.text().len();
        let mut connection = connected(&network, "secure.test", port).await;
        let settings = ClientSettings {
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            max_version: Some(versions),
            ..settings()
        };
        let mut session = network.tls_session(&settings).expect("allowed");
        handshake(&mut connection, &mut session).await;
        let alpn = session.info().and_then(|info| info.alpn);
        assert_eq!(alpn.as_deref(), Some(&b"http/1.1"[..]));
        let request = get("/", port, &format!("Authorization: Bearer {p}\r\n"));
        let taken = session_write(&mut connection, &mut session, &request).await;
        assert_eq!(taken, Ok(request.len()));
        let echoed = session_echo(&mut connection, &mut session, request.len()).await;
        assert!(origin.server.text()[before..].contains(SECRET));
        assert!(echoed.contains(&p) && !echoed.contains(SECRET), "{echoed}");
        let post = format!("POST / HTTP/1.1\r\nHost: secure.test:{port}\r\n\r\n");
        let message = denial(session.write(post.as_bytes()).await);
        assert!(message.contains("POST"), "{message}");
        // Bytes that the session did not produce do not leave.
        let forged = [&[23, 3, 3, 0, 20][..], &[7; 20]].concat();
        let message = denial(within_timeout(connection.write(&forged, None)).await);
        assert!(message.contains("neither HTTP/1.1 nor TLS"), "{message}");
    }
}

#[tokio::test]
async fn a_client_hello_of_another_session_does_not_pass() {
    let origin = Origin::new().await;
    let config = origin
        .config
        .with_http_rule(rule("secure.test"))
        .expect("a rule");
    let network = Network::new(&config);
    let mut session = network
        .tls_session(&ClientSettings::for_name("other.test"))
        .expect("allowed");
    let hello = session.take(usize::MAX);
    let mut connection = connected(&network, "secure.test", origin.port()).await;
    denial(within_timeout(connection.write(&hello, None)).await);
    let mut session = network.tls_session(&settings()).expect("allowed");
    let mut hello = session.take(usize::MAX);
    let last = hello.len() - 1;
    hello[last] ^= 1;
    let mut connection = connected(&network, "secure.test", origin.port()).await;
    denial(within_timeout(connection.write(&hello, None)).await);
}
