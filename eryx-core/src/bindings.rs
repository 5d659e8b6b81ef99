//! The host side of `wit/`, generated.
#![allow(missing_docs, reason = "the WIT documents these")]

wasmtime::component::bindgen!({
    path: "wit",
    world: "eryx:sandbox/sandbox",
    imports: {
        "eryx:net/tcp.[method]connection.finish-connect": async | trappable,
        "eryx:net/tcp.[method]connection.read": async | trappable,
        "eryx:net/tcp.[method]connection.write": async | trappable,
        "eryx:net/tcp.[method]connection.start-tls": async | trappable,
        "eryx:net/tcp.[method]connection.end-tls": async | trappable,
        "eryx:net/udp.[method]socket.send": async | trappable,
        "eryx:net/udp.[method]socket.send-to": async | trappable,
        "eryx:net/udp.[method]socket.receive": async | trappable,
        "eryx:net/resolver.resolve": async | trappable,
        "eryx:net/resolver.[method]lookup.finish": async | trappable,
        "eryx:net/tls.decrypt-key": async | trappable,
        "eryx:net/tls.[method]session.write": async | trappable,
        "eryx:net/poll.poll": async | trappable,
        "eryx:host/functions.invoke": async | trappable,
        "eryx:host/functions.[static]call.start": async | trappable,
        "eryx:host/functions.[method]call.finish": async | trappable,
        "eryx:host/key-derivation.pbkdf2-hmac": async | trappable,
        "eryx:host/key-derivation.scrypt": async | trappable,
        "yield-now": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "eryx:net/tcp.connection": eryx_net_host::Connection,
        "eryx:net/udp.socket": eryx_net_host::UdpSocket,
        "eryx:net/resolver.lookup": eryx_net_host::Lookup,
        "eryx:net/tls.session": eryx_net_host::TlsSession,
        "eryx:host/functions.call": crate::functions::Call,
    },
    trappable_error_type: {
        "eryx:net/types.error" => crate::trappable_error::TrappableError<eryx_net_host::NetError>,
    },
});
