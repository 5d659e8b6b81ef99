//! The error of TLS operations, and its conversion from rustls's error.

use std::io;

use rustls::{AlertDescription, InvalidMessage, PeerIncompatible, PeerMisbehaved};
use thiserror::Error;

use crate::certificate;

/// The error of TLS or of the transport below it.
///
/// [`Clone`] exists because a failed connection returns its error again: the copy of
/// [`Io`](Self::Io) keeps the kind, the operating system's code and the message.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer's certificate chain or name was not accepted. No other error uses this variant.
    #[error("certificate verify failed: {message}")]
    Certificate {
        /// OpenSSL's `X509_V_ERR_*` number, as
        /// [`X509_STORE_CTX_get_error`](https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/)
        /// lists them.
        code: u32,
        /// OpenSSL's message for `code`. For a name that does not match, CPython's message, which
        /// contains the name.
        message: String,
    },
    /// The peer ended the handshake or the session with this fatal alert, named in snake case as in
    /// [RFC 8446, 6.2](https://www.rfc-editor.org/rfc/rfc8446#section-6.2).
    #[error("the peer sent the alert {0}")]
    Alert(String),
    /// The peer does not speak TLS, violates the protocol, or shares no parameters with this side.
    ///
    /// The text is OpenSSL's reason in lower case, a colon, and an explanation. Upper-cased and
    /// with underscores for spaces, the part before the colon is Python's `SSLError.reason`:
    /// `wrong version number`, `unsupported protocol`, `unexpected message`, …
    #[error("{0}")]
    Protocol(String),
    /// The transport ended without close_notify ([RFC 8446,
    /// 6.1](https://www.rfc-editor.org/rfc/rfc8446#section-6.1)): the stream may be truncated.
    #[error("the transport ended without close_notify: the stream may be truncated")]
    UnexpectedEof,
    /// The settings cannot be used, or the embedder does not permit them. Nothing was sent.
    #[error("{0}")]
    Refused(String),
    /// The transport failed. The error is that of the transport, such as a reset or a timeout.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl TlsError {
    pub(crate) fn protocol(reason: &str, explanation: &str) -> Self {
        Self::Protocol(format!("{reason}: {explanation}"))
    }

    /// Converts an error of rustls.
    pub(crate) fn from_rustls(error: rustls::Error) -> Self {
        use rustls::Error;
        match error {
            Error::InvalidCertificate(error) => {
                let (code, message) = certificate::openssl_error(&error);
                Self::Certificate { code, message }
            }
            Error::AlertReceived(alert) => Self::Alert(alert_name(alert)),
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::UnknownProtocolVersion
                | InvalidMessage::MessageTooLarge,
            ) => Self::protocol(
                "wrong version number",
                "the peer's bytes are not TLS; it may expect plain text on this port",
            ),
            Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => too_large(),
            Error::InvalidMessage(kind) => Self::protocol(
                "bad extension",
                &format!("the peer sent a malformed message ({kind:?})"),
            ),
            Error::PeerSentOversizedRecord => Self::protocol(
                "data length too long",
                "the peer sent a record longer than TLS permits",
            ),
            Error::DecryptError => Self::protocol(
                "decryption failed or bad record mac",
                "a record from the peer was damaged on its way",
            ),
            Error::InappropriateMessage { got_type, .. } => Self::protocol(
                "unexpected message",
                &format!("the peer sent {got_type:?} when it must not"),
            ),
            Error::InappropriateHandshakeMessage { got_type, .. } => Self::protocol(
                "unexpected message",
                &format!("the peer sent {got_type:?} when it must not"),
            ),
            Error::PeerIncompatible(kind) => incompatible(&kind),
            Error::PeerMisbehaved(kind) => misbehaved(&kind),
            Error::NoCertificatesPresented => Self::protocol(
                "peer did not return a certificate",
                "the peer presented no certificate",
            ),
            Error::UnsupportedNameType => Self::Refused(
                "this kind of server name cannot be verified: wanted a host name or an IP address".into(),
            ),
            Error::InconsistentKeys(_) => Self::Refused(
                "the private key does not belong to the client certificate: check that both files are of \
                 the same pair"
                    .into(),
            ),
            other => Self::protocol("internal error", &other.to_string()),
        }
    }
}

impl Clone for TlsError {
    fn clone(&self) -> Self {
        match self {
            Self::Certificate { code, message } => Self::Certificate {
                code: *code,
                message: message.clone(),
            },
            Self::Alert(name) => Self::Alert(name.clone()),
            Self::Protocol(text) => Self::Protocol(text.clone()),
            Self::UnexpectedEof => Self::UnexpectedEof,
            Self::Refused(text) => Self::Refused(text.clone()),
            Self::Io(error) => Self::Io(match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            }),
        }
    }
}

impl From<TlsError> for io::Error {
    /// Converts the error for code that only uses `std::io`: the kind is the closest one, and the
    /// source is the error itself.
    fn from(error: TlsError) -> Self {
        let kind = match error {
            TlsError::Io(error) => return error,
            TlsError::UnexpectedEof => io::ErrorKind::UnexpectedEof,
            TlsError::Refused(_) => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// Returns the error of a handshake message of more than [`INCOMING_LIMIT`](crate::INCOMING_LIMIT)
/// or of more than 64 KiB.
pub(crate) fn too_large() -> TlsError {
    TlsError::protocol(
        "excessive message size",
        "the peer sent a handshake message of more than 64 KiB",
    )
}

fn incompatible(kind: &PeerIncompatible) -> TlsError {
    use PeerIncompatible as P;
    match kind {
        P::ServerDoesNotSupportTls12Or13
        | P::ServerTlsVersionIsDisabledByOurConfig
        | P::SupportedVersionsExtensionRequired
        | P::Tls12NotOffered
        | P::Tls12NotOfferedOrEnabled => TlsError::protocol(
            "unsupported protocol",
            "the peer offers no protocol version that is permitted here (TLS 1.2 and 1.3, less what the \
             settings exclude)",
        ),
        other => TlsError::protocol(
            "no suitable parameters",
            &format!("the peer supports nothing that is permitted here ({other:?})"),
        ),
    }
}

fn misbehaved(kind: &PeerMisbehaved) -> TlsError {
    use PeerMisbehaved as P;
    match kind {
        P::SelectedUnofferedCipherSuite | P::SelectedUnusableCipherSuiteForVersion => {
            TlsError::protocol("wrong cipher returned", "the peer chose one not offered")
        }
        P::AttemptedDowngradeToTls12WhenTls13IsSupported => TlsError::protocol(
            "inappropriate fallback",
            "someone between here and the peer forced an older protocol version",
        ),
        other => TlsError::protocol(
            "unexpected message",
            &format!("the peer broke the protocol ({other:?})"),
        ),
    }
}

/// Returns the name of an alert, from RFC 8446 or the RFC that defines it. The alerts are those of
/// the [IANA
/// registry](https://www.iana.org/assignments/tls-parameters/tls-parameters.xhtml#tls-parameters-6).
fn alert_name(alert: AlertDescription) -> String {
    use AlertDescription as A;
    let name = match alert {
        A::CloseNotify => "close_notify",
        A::UnexpectedMessage => "unexpected_message",
        A::BadRecordMac => "bad_record_mac",
        A::DecryptionFailed => "decryption_failed",
        A::RecordOverflow => "record_overflow",
        A::DecompressionFailure => "decompression_failure",
        A::HandshakeFailure => "handshake_failure",
        A::NoCertificate => "no_certificate",
        A::BadCertificate => "bad_certificate",
        A::UnsupportedCertificate => "unsupported_certificate",
        A::CertificateRevoked => "certificate_revoked",
        A::CertificateExpired => "certificate_expired",
        A::CertificateUnknown => "certificate_unknown",
        A::IllegalParameter => "illegal_parameter",
        A::UnknownCA => "unknown_ca",
        A::AccessDenied => "access_denied",
        A::DecodeError => "decode_error",
        A::DecryptError => "decrypt_error",
        A::ExportRestriction => "export_restriction",
        A::ProtocolVersion => "protocol_version",
        A::InsufficientSecurity => "insufficient_security",
        A::InternalError => "internal_error",
        A::InappropriateFallback => "inappropriate_fallback",
        A::UserCanceled => "user_canceled",
        A::NoRenegotiation => "no_renegotiation",
        A::MissingExtension => "missing_extension",
        A::UnsupportedExtension => "unsupported_extension",
        A::CertificateUnobtainable => "certificate_unobtainable",
        A::UnrecognisedName => "unrecognized_name",
        A::BadCertificateStatusResponse => "bad_certificate_status_response",
        A::BadCertificateHashValue => "bad_certificate_hash_value",
        A::UnknownPSKIdentity => "unknown_psk_identity",
        A::CertificateRequired => "certificate_required",
        A::NoApplicationProtocol => "no_application_protocol",
        A::EncryptedClientHelloRequired => "ech_required",
        other => return format!("unknown_{}", u8::from(other)),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use std::io;

    use rustls::AlertDescription;

    use super::{TlsError, alert_name};

    #[test]
    fn an_unregistered_alert_is_named_by_its_number() {
        assert_eq!(
            alert_name(AlertDescription::from(0x28)),
            "handshake_failure"
        );
        assert_eq!(alert_name(AlertDescription::from(200)), "unknown_200");
    }

    #[test]
    fn every_registered_alert_has_a_name() {
        for code in 0..=u8::MAX {
            let alert = AlertDescription::from(code);
            let unnamed = alert_name(alert).starts_with("unknown_1")
                || alert_name(alert).starts_with("unknown_2")
                || alert_name(alert)
                    .chars()
                    .last()
                    .is_some_and(|c| c.is_ascii_digit());
            assert_eq!(unnamed, alert.as_str().is_none(), "{alert:?}");
        }
    }

    #[test]
    fn a_cloned_transport_error_keeps_kind_code_and_message() {
        let reset = TlsError::Io(io::Error::from_raw_os_error(104));
        let TlsError::Io(copy) = reset.clone() else {
            panic!("{reset:?}")
        };
        assert_eq!(copy.raw_os_error(), Some(104));
        let other = TlsError::Io(io::Error::new(io::ErrorKind::TimedOut, "too slow"));
        let TlsError::Io(copy) = other.clone() else {
            panic!("{other:?}")
        };
        assert_eq!(copy.kind(), io::ErrorKind::TimedOut);
        assert_eq!(copy.to_string(), "too slow");
    }
}
