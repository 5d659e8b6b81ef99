//! Conversions between the types of `wit/` and those of `eryx-net-host`, one to one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use eryx_net_host::tls;
use eryx_net_host::{
    ConnectionStatus, Datagram, Family, KeepaliveOption, NetError, Shutdown, TlsFailure,
};
use zeroize::Zeroize;

use crate::bindings::eryx::net::{resolver, tcp, tls as wit_tls, types, udp};

/// Converts a timeout in nanoseconds.
pub(super) fn timeout(nanoseconds: Option<u64>) -> Option<Duration> {
    nanoseconds.map(Duration::from_nanos)
}

/// Converts a size that fits: it came from a `u32`, or is the length of a WIT list.
pub(super) fn to_u32(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Converts a size that the guest asks for; `eryx-net-host` clamps it.
pub(super) fn to_usize(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

pub(super) fn endpoint(address: SocketAddr) -> types::Endpoint {
    types::Endpoint {
        address: address.ip().to_string(),
        port: address.port(),
    }
}

pub(super) fn shutdown(how: tcp::ShutdownType) -> Shutdown {
    match how {
        tcp::ShutdownType::Receive => Shutdown::Receive,
        tcp::ShutdownType::Send => Shutdown::Send,
        tcp::ShutdownType::Both => Shutdown::Both,
    }
}

pub(super) fn keepalive_option(option: tcp::KeepaliveOption, value: u32) -> KeepaliveOption {
    match option {
        tcp::KeepaliveOption::Idle => KeepaliveOption::Idle(value),
        tcp::KeepaliveOption::Interval => KeepaliveOption::Interval(value),
        tcp::KeepaliveOption::Count => KeepaliveOption::Count(value),
    }
}

pub(super) fn status(status: ConnectionStatus) -> tcp::ConnectionStatus {
    tcp::ConnectionStatus {
        read_closed: status.read_closed,
        hung_up: status.hung_up,
        has_error: status.has_error,
    }
}

pub(super) fn datagram(datagram: Datagram) -> udp::Datagram {
    udp::Datagram {
        size: to_u32(datagram.size),
        source: endpoint(datagram.source),
        data: datagram.data,
    }
}

pub(super) fn family(family: resolver::Family) -> Family {
    match family {
        resolver::Family::Any => Family::Any,
        resolver::Family::Ipv4 => Family::Ipv4,
        resolver::Family::Ipv6 => Family::Ipv6,
    }
}

pub(super) fn udp_family(family: udp::Family) -> Family {
    match family {
        udp::Family::Ipv4 => Family::Ipv4,
        udp::Family::Ipv6 => Family::Ipv6,
    }
}

/// Converts the settings of a handshake.
///
/// # Errors
///
/// [`NetError::InvalidArgument`] when a field that has to be base64 is not.
pub(super) fn client_settings(
    config: wit_tls::ClientConfig,
) -> Result<tls::ClientSettings, NetError> {
    Ok(tls::ClientSettings {
        server_name: config.server_name,
        alpn: config.alpn.into_iter().map(String::into_bytes).collect(),
        verify_peer: config.verify_peer,
        check_hostname: config.check_hostname,
        roots: from_base64_list("roots", &config.roots)?.into(),
        strict: config.strict,
        revocation: config.revocation.map(|depth| match depth {
            wit_tls::Revocation::Leaf => tls::Revocation::Leaf,
            wit_tls::Revocation::Chain => tls::Revocation::Chain,
        }),
        revocation_lists: from_base64_list("revocation-lists", &config.revocation_lists)?.into(),
        identity: match config.identity {
            Some(mut identity) => {
                let chain = from_base64_list("identity.chain", &identity.chain)?;
                let key = from_base64("identity.key", &identity.key);
                identity.key.zeroize();
                Some(Arc::new(tls::Identity { chain, key: key? }))
            }
            None => None,
        },
        min_version: config.min_version.map(version_from_wit),
        max_version: config.max_version.map(version_from_wit),
        ciphers: config.ciphers,
        groups: config.groups,
    })
}

/// Decodes an encrypted key and its password.
///
/// # Errors
///
/// When one of them is longer than the bounds of `eryx-tls`, or not base64.
pub(super) fn encrypted_key(key: &str, password: &str) -> Result<(Vec<u8>, Vec<u8>), NetError> {
    let base64_len = |bytes: usize| bytes.div_ceil(3) * 4;
    if key.len() > base64_len(tls::limits::MAX_KEY_SIZE)
        || password.len() > base64_len(tls::limits::MAX_PASSWORD)
    {
        return Err(key_error(tls::KeyError::Unreadable));
    }
    Ok((from_base64("key", key)?, from_base64("password", password)?))
}

pub(super) fn key_error(error: tls::KeyError) -> NetError {
    match error {
        tls::KeyError::Unreadable => NetError::InvalidArgument(error.to_string()),
        other => NetError::Tls(TlsFailure::Refused(other.to_string())),
    }
}

fn from_base64_list(field: &str, texts: &[String]) -> Result<Vec<Vec<u8>>, NetError> {
    texts.iter().map(|text| from_base64(field, text)).collect()
}

fn from_base64(field: &str, text: &str) -> Result<Vec<u8>, NetError> {
    BASE64
        .decode(text.as_bytes())
        .map_err(|error| NetError::InvalidArgument(format!("{field} is not base64: {error}")))
}

pub(super) fn tls_info(info: &tls::Info) -> wit_tls::Info {
    wit_tls::Info {
        version: match info.version {
            tls::Version::Tls12 => wit_tls::Version::Tls12,
            tls::Version::Tls13 => wit_tls::Version::Tls13,
        },
        cipher: info.cipher.to_owned(),
        cipher_bits: info.cipher_bits,
        alpn: info.alpn.clone(),
        peer_chain: info.peer_chain.clone(),
        resumed: info.resumed,
    }
}

fn version_from_wit(version: wit_tls::Version) -> tls::Version {
    match version {
        wit_tls::Version::Tls12 => tls::Version::Tls12,
        wit_tls::Version::Tls13 => tls::Version::Tls13,
    }
}

pub(super) fn error(error: NetError) -> types::Error {
    use types::Error;
    match error {
        NetError::WouldBlock => Error::WouldBlock,
        NetError::TimedOut => Error::TimedOut,
        NetError::Denied(reason) => Error::Denied(reason),
        NetError::LimitReached(reason) => Error::LimitReached(reason),
        // The guest raises EMFILE for both, after it collected garbage to close unreachable
        // sockets.
        NetError::TooManyFiles => Error::LimitReached(error.to_string()),
        NetError::QuotaExceeded(reason) => Error::QuotaExceeded(reason),
        NetError::NameNotFound => Error::NameNotFound,
        NetError::NameWithoutAddress => Error::NameWithoutAddress,
        NetError::NameTryAgain => Error::NameTryAgain,
        NetError::ConnectionRefused => Error::ConnectionRefused,
        NetError::ConnectionReset => Error::ConnectionReset,
        NetError::ConnectionAborted => Error::ConnectionAborted,
        NetError::BrokenPipe => Error::BrokenPipe,
        NetError::NotConnected => Error::NotConnected,
        NetError::HostUnreachable => Error::HostUnreachable,
        NetError::NetworkUnreachable => Error::NetworkUnreachable,
        NetError::MessageTooLong => Error::MessageTooLong,
        NetError::AddressNotAvailable => Error::AddressNotAvailable,
        NetError::NoBufferSpace => Error::NoBufferSpace,
        NetError::InvalidArgument(reason) => Error::InvalidArgument(reason),
        NetError::Tls(failure) => Error::Tls(tls_error(failure)),
        NetError::Proxy(reason) | NetError::Other(reason) => Error::Other(reason),
        // `NetError` is non-exhaustive: a new case has no WIT counterpart yet.
        other => Error::Other(other.to_string()),
    }
}

fn tls_error(failure: TlsFailure) -> types::TlsError {
    match failure {
        TlsFailure::Certificate { code, message } => {
            types::TlsError::Certificate(types::CertificateError { code, message })
        }
        TlsFailure::Alert(alert) => types::TlsError::Alert(alert),
        TlsFailure::Protocol(reason) => types::TlsError::Protocol(reason),
        TlsFailure::UnexpectedEof => types::TlsError::UnexpectedEof,
        TlsFailure::Refused(reason) => types::TlsError::Refused(reason),
        other => types::TlsError::Protocol(other.to_string()),
    }
}
