//! A question to a name server, and what a message says in reply.

use std::net::IpAddr;
use std::time::Duration;

use eryx_net_policy::HostName;
use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::establish::{MAX_ADDRESSES, MAX_ALIASES};

/// The size of a reply over UDP that is asked for, where the server knows EDNS (RFC 6891): what fits into
/// one packet on any path (DNS Flag Day 2020).
const UDP_PAYLOAD: u16 = 1232;

/// A question for the addresses of one name and one family.
#[derive(Debug)]
pub(super) struct Question {
    name: Name,
    kind: RecordType,
}

/// A question as it is sent, with the number that its reply has to carry.
#[derive(Debug)]
pub(super) struct Request {
    id: u16,
    pub(super) bytes: Vec<u8>,
}

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The aliases from the name asked for to `end`, and the addresses of `end`. Without addresses, `end` is
    /// to be asked for.
    Found {
        aliases: Vec<HostName>,
        end: Name,
        addresses: Vec<IpAddr>,
        ttl: Duration,
    },
    /// There is no such name, or it has no address of this family; `ttl` says for how long that holds.
    Absent { ttl: Duration },
    /// The whole reply has to be asked for over TCP.
    Truncated,
    /// The server could not or would not answer, or its answer cannot be used. A sentence for the log.
    Failed(String),
}

impl Question {
    pub(super) fn new(name: Name, kind: RecordType) -> Self {
        Self { name, kind }
    }

    /// The question as a message with a random number of its own.
    ///
    /// # Errors
    ///
    /// When the name does not fit into a message; no [`HostName`] is that long.
    pub(super) fn request(&self, edns: bool) -> Result<Request, String> {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(self.name.clone(), self.kind));
        if edns {
            let mut options = Edns::new();
            options.set_max_payload(UDP_PAYLOAD);
            message.set_edns(options);
        }
        Ok(Request {
            id: message.metadata.id,
            bytes: message.to_vec().map_err(|error| error.to_string())?,
        })
    }

    /// What `bytes` say in reply to `request`. `None` for anything else, which may be forged.
    pub(super) fn read(&self, request: &Request, bytes: &[u8]) -> Option<Reply> {
        if bytes.get(..2)? != request.id.to_be_bytes() {
            return None;
        }
        let message = Message::from_vec(bytes).ok()?;
        let replies = message.metadata.message_type == MessageType::Response
            && matches!(message.queries.as_slice(), [query] if self.is(query));
        replies.then(|| self.reply(&message))
    }

    fn is(&self, query: &Query) -> bool {
        *query.name() == self.name
            && query.query_type() == self.kind
            && query.query_class() == DNSClass::IN
    }

    fn reply(&self, message: &Message) -> Reply {
        if message.metadata.truncation {
            return Reply::Truncated;
        }
        let code = message.metadata.response_code;
        if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Reply::Failed(format!("the name server answers {code}"));
        }
        if message.answers.len() > MAX_ADDRESSES + MAX_ALIASES {
            return Reply::Failed(format!(
                "the answer has {} records, more than any host needs",
                message.answers.len()
            ));
        }
        let negative = message.authorities.iter().find_map(negative_ttl);
        let chain = match self.chain(&message.answers) {
            Ok(chain) => chain,
            Err(reason) => return Reply::Failed(reason),
        };
        let nothing_there = chain.addresses.is_empty()
            && (code == ResponseCode::NXDomain || chain.aliases.is_empty() || negative.is_some());
        if nothing_there {
            return Reply::Absent {
                ttl: seconds(negative.unwrap_or(0)),
            };
        }
        Reply::Found {
            aliases: chain.aliases,
            end: chain.end,
            addresses: chain.addresses,
            ttl: seconds(chain.ttl),
        }
    }

    /// Follows the aliases from the name asked for, and takes the addresses at their end. Other records are
    /// none of the answer's.
    fn chain(&self, answers: &[Record]) -> Result<Chain, String> {
        let mut chain = Chain {
            aliases: Vec::new(),
            end: self.name.clone(),
            addresses: Vec::new(),
            ttl: u32::MAX,
        };
        while let Some((target, ttl)) = answers.iter().find_map(|record| alias(record, &chain.end))
        {
            if chain.aliases.len() == MAX_ALIASES {
                return Err(format!(
                    "the name has more than {MAX_ALIASES} aliases, or they lead in a circle"
                ));
            }
            let alias = HostName::parse(&target.to_ascii())
                .map_err(|error| format!("the answer holds an impossible alias: {error}"))?;
            chain.aliases.push(alias);
            chain.end = target.clone();
            chain.ttl = chain.ttl.min(ttl);
        }
        for record in answers.iter().filter(|record| record.name == chain.end) {
            let address = match (&record.data, self.kind) {
                (RData::A(address), RecordType::A) => IpAddr::V4(address.0),
                (RData::AAAA(address), RecordType::AAAA) => IpAddr::V6(address.0),
                _ => continue,
            };
            chain.addresses.push(address);
            chain.ttl = chain.ttl.min(record.ttl);
        }
        Ok(chain)
    }
}

struct Chain {
    aliases: Vec<HostName>,
    end: Name,
    addresses: Vec<IpAddr>,
    ttl: u32,
}

/// The target of the record and its time to live, if it is an alias of `owner`.
fn alias<'a>(record: &'a Record, owner: &Name) -> Option<(&'a Name, u32)> {
    match &record.data {
        RData::CNAME(target) if record.name == *owner => Some((&target.0, record.ttl)),
        _ => None,
    }
}

/// How long an absence may be remembered (RFC 2308, 5), in seconds.
fn negative_ttl(record: &Record) -> Option<u32> {
    match &record.data {
        RData::SOA(start) => Some(record.ttl.min(start.minimum)),
        _ => None,
    }
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}
