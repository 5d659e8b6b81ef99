//! Scripts of a name server: the answers to each name.

use std::collections::HashMap;
use std::net::{AddrParseError, IpAddr};
use std::time::Duration;

/// The answers to each name, in order. The last answer of a name is repeated. A name that is not in
/// the script does not exist.
///
/// Names are compared without regard to case and the root dot. International names may be written
/// in Unicode.
#[derive(Clone, Debug)]
pub struct Script {
    names: HashMap<String, Vec<Answer>>,
    otherwise: Answer,
}

impl Script {
    /// Creates a script in which no name exists.
    #[must_use]
    pub fn new() -> Self {
        Self {
            names: HashMap::new(),
            otherwise: Answer::NameError,
        }
    }

    /// Appends an answer for `name`: the first lookup gets the first one, the next lookup the next.
    ///
    /// A lookup is a query for one type: a query for A and one for AAAA are the first lookup of
    /// each.
    #[must_use]
    pub fn answer(mut self, name: &str, answer: Answer) -> Self {
        self.names.entry(canonical(name)).or_default().push(answer);
        self
    }

    /// Sets the answer for names that are not in the script, instead of [`Answer::NameError`].
    #[must_use]
    pub fn otherwise(mut self, answer: Answer) -> Self {
        self.otherwise = answer;
        self
    }

    pub(super) fn at(&self, name: &str, step: usize) -> &Answer {
        match self.names.get(name) {
            Some(answers) => answers
                .get(step)
                .or(answers.last())
                .unwrap_or(&self.otherwise),
            None => &self.otherwise,
        }
    }
}

impl Default for Script {
    fn default() -> Self {
        Self::new()
    }
}

/// The answer to a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The addresses of the queried type. If there is none, the answer is empty (NODATA).
    Addresses {
        /// Addresses of both versions; a query gets those of its type.
        addresses: Vec<IpAddr>,
        /// The TTL, in seconds.
        ttl: u32,
    },
    /// A CNAME, followed by the script's answer for its target.
    Alias {
        /// The canonical name.
        to: String,
        /// The TTL, in seconds.
        ttl: u32,
    },
    /// NXDOMAIN: the name does not exist.
    NameError,
    /// SERVFAIL.
    ServerFailure,
    /// REFUSED.
    Refused,
    /// No reply.
    Silence,
    /// Bytes that are not a DNS message.
    Garbage,
    /// The answer with a wrong transaction ID, as an off-path attacker would send it.
    Forged(Box<Answer>),
    /// Over UDP, an empty answer with the TC bit set; over TCP, the answer.
    Truncated(Box<Answer>),
    /// The answer, after a delay.
    Late(Duration, Box<Answer>),
}

impl Answer {
    /// Creates an answer with `addresses` and TTL 0, so that every lookup reaches the server.
    ///
    /// # Errors
    ///
    /// If one of them is not an IP address.
    pub fn addresses<'a>(
        addresses: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, AddrParseError> {
        Ok(Self::from_ips(
            addresses
                .into_iter()
                .map(str::parse)
                .collect::<Result<Vec<IpAddr>, _>>()?,
        ))
    }

    /// Creates an answer as [`addresses`](Self::addresses) does, from parsed addresses.
    #[must_use]
    pub fn from_ips(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let addresses = addresses.into_iter().collect();
        Self::Addresses { addresses, ttl: 0 }
    }

    /// Creates a CNAME with TTL 0. The target is sent in lower case and ASCII. One that is not
    /// valid in DNS is answered as [`ServerFailure`](Self::ServerFailure).
    #[must_use]
    pub fn alias(to: &str) -> Self {
        Self::Alias {
            to: canonical(to),
            ttl: 0,
        }
    }

    /// Sets the TTL, in seconds. Has no effect on answers without records.
    #[must_use]
    pub fn with_ttl(mut self, seconds: u32) -> Self {
        match &mut self {
            Self::Addresses { ttl, .. } | Self::Alias { ttl, .. } => *ttl = seconds,
            Self::Forged(inner) | Self::Truncated(inner) | Self::Late(_, inner) => {
                **inner = std::mem::replace(&mut **inner, Self::NameError).with_ttl(seconds);
            }
            _ => {}
        }
        self
    }

    /// Truncates this answer over UDP.
    #[must_use]
    pub fn truncated(self) -> Self {
        Self::Truncated(Box::new(self))
    }

    /// Gives this answer a wrong transaction ID.
    #[must_use]
    pub fn forged(self) -> Self {
        Self::Forged(Box::new(self))
    }

    /// Delays this answer.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self::Late(delay, Box::new(self))
    }

    pub(super) fn truncates(&self) -> bool {
        match self {
            Self::Truncated(_) => true,
            Self::Forged(inner) | Self::Late(_, inner) => inner.truncates(),
            _ => false,
        }
    }
}

/// Returns the form in which names are compared: ASCII (UTS #46), lower case, no root dot.
pub(super) fn canonical(name: &str) -> String {
    let ascii = idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_ascii_lowercase());
    ascii.strip_suffix('.').unwrap_or(&ascii).to_owned()
}
