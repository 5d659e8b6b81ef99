//! What a name server is to answer.

use std::collections::HashMap;
use std::net::{AddrParseError, IpAddr};
use std::time::Duration;

/// The answers to each name, in order. A name's last answer is repeated; a name that is not in
/// the script does not exist.
///
/// Names are compared without regard to case or the root dot; international ones may be
/// written as they are read.
#[derive(Clone, Debug)]
pub struct Script {
    names: HashMap<String, Vec<Answer>>,
    otherwise: Answer,
}

impl Script {
    /// A script in which no name exists.
    #[must_use]
    pub fn new() -> Self {
        Self {
            names: HashMap::new(),
            otherwise: Answer::NameError,
        }
    }

    /// Appends an answer for `name`: the first one added is given to the first lookup, the next
    /// one to the next.
    ///
    /// A lookup is a query for one type: asking for A and then for AAAA is the first lookup of
    /// each.
    #[must_use]
    pub fn answer(mut self, name: &str, answer: Answer) -> Self {
        self.names.entry(canonical(name)).or_default().push(answer);
        self
    }

    /// The answer for every name that is not in the script, instead of [`Answer::NameError`].
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

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// These addresses, of those the type asked for; none is the empty answer "no data".
    Addresses {
        /// Version 4 and 6 mixed; each type gets its own.
        addresses: Vec<IpAddr>,
        /// How long they may be cached, in seconds.
        ttl: u32,
    },
    /// A CNAME, and what the script has for the name it points to.
    Alias {
        /// The canonical name.
        to: String,
        /// How long it may be cached, in seconds.
        ttl: u32,
    },
    /// NXDOMAIN: there is no such name.
    NameError,
    /// SERVFAIL.
    ServerFailure,
    /// REFUSED.
    Refused,
    /// Nothing is sent back.
    Silence,
    /// Bytes that are no DNS message.
    Garbage,
    /// The right answer under another transaction's number, as a blind forger would send it.
    Forged(Box<Answer>),
    /// Over UDP, only a note that the answer is too long (TC); over TCP, the answer.
    Truncated(Box<Answer>),
    /// The answer, later.
    Late(Duration, Box<Answer>),
}

impl Answer {
    /// Addresses that may not be cached: TTL 0, so that every lookup reaches the server.
    ///
    /// # Errors
    ///
    /// When one of them is not an IP address.
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

    /// Like [`addresses`](Self::addresses), of addresses that are parsed already.
    #[must_use]
    pub fn from_ips(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let addresses = addresses.into_iter().collect();
        Self::Addresses { addresses, ttl: 0 }
    }

    /// A CNAME that may not be cached. The name is sent in lower case and ASCII; one that DNS
    /// cannot carry is answered as [`ServerFailure`](Self::ServerFailure).
    #[must_use]
    pub fn alias(to: &str) -> Self {
        Self::Alias {
            to: canonical(to),
            ttl: 0,
        }
    }

    /// This answer with another time to live, in seconds; without effect on answers without
    /// records.
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

    /// This answer, truncated over UDP.
    #[must_use]
    pub fn truncated(self) -> Self {
        Self::Truncated(Box::new(self))
    }

    /// This answer under a wrong transaction number.
    #[must_use]
    pub fn forged(self) -> Self {
        Self::Forged(Box::new(self))
    }

    /// This answer, later.
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

/// The form in which names are compared: ASCII (UTS #46), lower case, no root dot.
pub(super) fn canonical(name: &str) -> String {
    let ascii = idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_ascii_lowercase());
    ascii.strip_suffix('.').unwrap_or(&ascii).to_owned()
}
