//! The error of a secret binding.

use thiserror::Error;

use crate::pattern::HostPattern;

/// The error of a [`SecretBinding`](crate::SecretBinding).
///
/// The message names the secret, the rule that is broken and the correction. It never has a value
/// of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SecretBindingError {
    /// The name is not one of an environment variable.
    #[error(
        "`{name}` is not the name of a secret: it is also that of an environment variable; write letters, \
         digits and `_`, and no digit first, as in `GITHUB_TOKEN`"
    )]
    Name {
        /// The name, shortened for display.
        name: String,
    },
    /// There is no host.
    #[error(
        "the secret `{name}` has no host; name the hosts that may get it, such as `api.github.com`"
    )]
    NoHost {
        /// The name of the secret.
        name: String,
    },
    /// A pattern is for every host.
    #[error(
        "the secret `{name}` may not be for every host, as `{pattern}` is; name the hosts that may get it, such \
         as `api.github.com`"
    )]
    EveryHost {
        /// The name of the secret.
        name: String,
        /// The pattern.
        pattern: Box<HostPattern>,
    },
    /// A header field has no field name.
    #[error(
        "the secret `{name}`: `{header}` is not the name of a header field (RFC 9110, 5.1); write one such as \
         `authorization`, without its value"
    )]
    Header {
        /// The name of the secret.
        name: String,
        /// The text, shortened for display.
        header: String,
    },
    /// A header field that cannot have a secret.
    #[error(
        "the secret `{name}` cannot be in the header field `{header}`, which the connection depends on; name \
         another field"
    )]
    ProtectedHeader {
        /// The name of the secret.
        name: String,
        /// The field, shortened for display.
        header: String,
    },
    /// A query parameter with an empty name.
    #[error(
        "the secret `{name}` is for a query parameter with an empty name; write its name, such as `key`"
    )]
    EmptyParameter {
        /// The name of the secret.
        name: String,
    },
    /// A value to inject that is malformed.
    #[error(
        "the secret `{name}` cannot be injected as `{template}`: write a header value in visible ASCII with \
         exactly one `{{}}` for the secret, as in `Bearer {{}}`"
    )]
    Template {
        /// The name of the secret.
        name: String,
        /// The value, shortened for display.
        template: String,
    },
    /// A value to inject, and other than one header field.
    #[error(
        "the secret `{name}` is injected into one header field, and {count} are named; name exactly one"
    )]
    InjectWithoutHeader {
        /// The name of the secret.
        name: String,
        /// The number of header fields.
        count: usize,
    },
}
