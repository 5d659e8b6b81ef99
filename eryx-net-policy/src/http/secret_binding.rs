//! Secret bindings: where a secret may be sent.

use crate::escape::escape_truncated;
use crate::host::Host;
use crate::http::binding_error::SecretBindingError;
use crate::http::host_match::{covers, names};
use crate::pattern::{HostPattern, Target};
use crate::port::Port;

/// The places where a secret may be sent: hosts, and fields, parameters and bodies of requests to
/// them. It does not have the secret itself.
///
/// ```
/// use eryx_net_policy::{Host, SecretBinding};
///
/// let binding = SecretBinding::new("GITHUB_TOKEN", ["api.github.com".parse()?])?;
/// assert_eq!(binding.headers(), ["authorization"]);
/// let host = Host::parse("api.github.com")?;
/// assert!(binding.is_for(&host, 443, true));
/// assert!(!binding.is_for(&host, 80, false));
///
/// let error = SecretBinding::new("GITHUB_TOKEN", ["*".parse()?]).unwrap_err();
/// assert!(error.to_string().contains("every host"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretBinding {
    name: String,
    hosts: Vec<HostPattern>,
    plaintext_hosts: Vec<HostPattern>,
    headers: Vec<String>,
    query: Vec<String>,
    body: bool,
    inject: Option<String>,
}

impl SecretBinding {
    /// Returns the binding of a secret to hosts, for the header field `authorization`.
    ///
    /// The name is that of the environment variable in which the program finds the placeholder.
    ///
    /// # Errors
    ///
    /// Fails if the name is not one of an environment variable (letters, digits and `_`, no digit
    /// first), if there is no host, and if a pattern is for every host.
    pub fn new(
        name: &str,
        hosts: impl IntoIterator<Item = HostPattern>,
    ) -> Result<Self, SecretBindingError> {
        check_name(name)?;
        let binding = Self {
            name: name.to_owned(),
            hosts: hosts.into_iter().collect(),
            plaintext_hosts: Vec::new(),
            headers: vec!["authorization".to_owned()],
            query: Vec::new(),
            body: false,
            inject: None,
        };
        if binding.hosts.is_empty() {
            return Err(SecretBindingError::NoHost { name: binding.name });
        }
        binding.check_hosts(&binding.hosts)?;
        Ok(binding)
    }

    /// Returns the binding with another name.
    ///
    /// # Errors
    ///
    /// Fails if the name is not one of an environment variable.
    pub fn with_name(self, name: &str) -> Result<Self, SecretBindingError> {
        check_name(name)?;
        Ok(Self {
            name: name.to_owned(),
            ..self
        })
    }

    /// Returns the binding for these header fields, in place of `authorization`. An empty list is
    /// for none. Names are compared without regard to case.
    ///
    /// # Errors
    ///
    /// Fails for a text that is not a field name, for a field that frames or routes the message or
    /// that the inspection changes, and, if [`with_inject`](Self::with_inject) was called, unless
    /// there is exactly one field.
    pub fn with_headers<H: AsRef<str>>(
        self,
        headers: impl IntoIterator<Item = H>,
    ) -> Result<Self, SecretBindingError> {
        let mut list: Vec<String> = Vec::new();
        for header in headers {
            let header = header.as_ref().to_ascii_lowercase();
            self.check_header(&header)?;
            if !list.contains(&header) {
                list.push(header);
            }
        }
        let binding = Self {
            headers: list,
            ..self
        };
        binding.check_inject()?;
        Ok(binding)
    }

    /// Returns the binding for the values of these query parameters as well, by their names in
    /// clear.
    ///
    /// # Errors
    ///
    /// Fails for an empty name.
    pub fn with_query<N: AsRef<str>>(
        self,
        parameters: impl IntoIterator<Item = N>,
    ) -> Result<Self, SecretBindingError> {
        let mut list: Vec<String> = Vec::new();
        for parameter in parameters {
            let parameter = parameter.as_ref();
            if parameter.is_empty() {
                return Err(SecretBindingError::EmptyParameter { name: self.name });
            }
            if !list.iter().any(|other| other == parameter) {
                list.push(parameter.to_owned());
            }
        }
        Ok(Self {
            query: list,
            ..self
        })
    }

    /// Returns the binding for bodies of requests as well, or not.
    #[must_use]
    pub fn with_body(self, body: bool) -> Self {
        Self { body, ..self }
    }

    /// Returns the binding with a value for its header field, for requests in which the program
    /// does not set the field. `{}` stands for the secret, as in `Bearer {}`.
    ///
    /// # Errors
    ///
    /// Fails unless the text has exactly one `{}` and is a field value (RFC 9110, 5.5), and the
    /// binding has exactly one header field.
    pub fn with_inject(self, template: &str) -> Result<Self, SecretBindingError> {
        let is_value =
            template.bytes().all(|b| matches!(b, b' '..=b'~')) && template.trim_ascii() == template;
        if template.matches("{}").count() != 1 || !is_value {
            return Err(SecretBindingError::Template {
                name: self.name,
                template: escape_truncated(template),
            });
        }
        let binding = Self {
            inject: Some(template.to_owned()),
            ..self
        };
        binding.check_inject()?;
        Ok(binding)
    }

    /// Returns the binding to further hosts, to which the secret may be sent in clear text as well
    /// as over TLS.
    ///
    /// # Errors
    ///
    /// Fails if a pattern is for every host.
    pub fn with_plaintext_hosts(
        self,
        hosts: impl IntoIterator<Item = HostPattern>,
    ) -> Result<Self, SecretBindingError> {
        let plaintext_hosts: Vec<HostPattern> = hosts.into_iter().collect();
        self.check_hosts(&plaintext_hosts)?;
        Ok(Self {
            plaintext_hosts,
            ..self
        })
    }

    /// Returns the name of the secret, and of the environment variable.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the hosts to which the secret may be sent over TLS.
    pub fn hosts(&self) -> &[HostPattern] {
        &self.hosts
    }

    /// Returns the hosts to which the secret may be sent over TLS or in clear text.
    pub fn plaintext_hosts(&self) -> &[HostPattern] {
        &self.plaintext_hosts
    }

    /// Returns the header fields that may have the secret, in lower case.
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// Returns the query parameters that may have the secret.
    pub fn query(&self) -> &[String] {
        &self.query
    }

    /// Returns whether the body may have the secret.
    pub fn body(&self) -> bool {
        self.body
    }

    /// Returns the value of the header field for requests without it; `{}` stands for the secret.
    pub fn inject(&self) -> Option<&str> {
        self.inject.as_deref()
    }

    /// Returns whether the secret may be sent to a host and port; for [`Port::Any`], whether it may
    /// be sent to one of its ports.
    ///
    /// A pattern for an address is only for the address itself, as opposed to names that resolve to
    /// it and addresses that embed it.
    pub fn is_for(&self, host: &Host, port: impl Into<Port>, is_encrypted: bool) -> bool {
        let port = port.into();
        let is_named = |pattern: &HostPattern| names(pattern, host, port);
        self.plaintext_hosts.iter().any(is_named)
            || (is_encrypted && self.hosts.iter().any(is_named))
    }

    /// Returns whether a connection to a host has to be inspected because of this secret.
    pub(crate) fn covers(&self, host: &Host, port: Port) -> bool {
        let mut patterns = self.hosts.iter().chain(&self.plaintext_hosts);
        patterns.any(|pattern| covers(pattern, host, port))
    }

    fn check_hosts(&self, hosts: &[HostPattern]) -> Result<(), SecretBindingError> {
        let is_everything = |pattern: &&HostPattern| match pattern.target() {
            Target::Everything => true,
            Target::Network(network) => network.prefix_len() == 0,
            Target::Name(_) | Target::Below(_) => false,
        };
        match hosts.iter().find(is_everything) {
            Some(pattern) => Err(SecretBindingError::EveryHost {
                name: self.name.clone(),
                pattern: pattern.clone().into(),
            }),
            None => Ok(()),
        }
    }

    fn check_header(&self, header: &str) -> Result<(), SecretBindingError> {
        let (name, header_text) = (self.name.clone(), escape_truncated(header));
        if !eryx_http::is_token(header) {
            return Err(SecretBindingError::Header {
                name,
                header: header_text,
            });
        }
        if eryx_http::is_protected_field(header) || PROTECTED.contains(&header) {
            return Err(SecretBindingError::ProtectedHeader {
                name,
                header: header_text,
            });
        }
        Ok(())
    }

    fn check_inject(&self) -> Result<(), SecretBindingError> {
        if self.inject.is_some() && self.headers.len() != 1 {
            return Err(SecretBindingError::InjectWithoutHeader {
                name: self.name.clone(),
                count: self.headers.len(),
            });
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), SecretBindingError> {
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.starts_with(|c: char| !c.is_ascii_digit());
    match is_name {
        true => Ok(()),
        false => Err(SecretBindingError::Name {
            name: escape_truncated(name),
        }),
    }
}

/// Fields about the connection (RFC 9110, 7.6.1), and one that the inspection sets. The parser
/// protects others.
const PROTECTED: [&str; 5] = [
    "accept-encoding",
    "keep-alive",
    "proxy-connection",
    "te",
    "via",
];
