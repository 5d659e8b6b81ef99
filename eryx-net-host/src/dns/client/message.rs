//! DNS messages: the question that is sent, and the response that is parsed.

use std::net::IpAddr;
use std::time::Duration;

use eryx_net_policy::HostName;
use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::dns::resolver::{MAX_ADDRESSES, MAX_ALIASES, too_many_aliases};

/// The largest UDP response to request through EDNS (RFC 6891): it fits into one packet on any path
/// (DNS Flag Day 2020).
const UDP_PAYLOAD: u16 = 1232;

/// A question about the addresses of one name in one family.
#[derive(Debug)]
pub(super) struct Question {
    name: Name,
    record_type: RecordType,
}

/// A query as it is sent, with the ID that its response has to carry.
#[derive(Debug)]
pub(super) struct QueryMessage {
    id: u16,
    pub(super) bytes: Vec<u8>,
}

/// A parsed response.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Response {
    /// The aliases from the name in the question to `end`, and the addresses of `end`. Without
    /// addresses, the caller has to query `end`.
    Found {
        aliases: Vec<HostName>,
        end: Name,
        addresses: Vec<IpAddr>,
        ttl: Duration,
    },
    /// The name has no address of this family, or does not exist at all. May be cached for `ttl`.
    Absent { exists: bool, ttl: Duration },
    /// The response is truncated; the caller has to query over TCP.
    Truncated,
    /// The server could not or would not answer, or its answer is unusable. A message for the log.
    Failed(String),
}

impl Question {
    pub(super) fn new(name: Name, record_type: RecordType) -> Self {
        Self { name, record_type }
    }

    /// Returns the question as a message with a random ID.
    ///
    /// # Errors
    ///
    /// A message when the name does not fit into a query; no [`HostName`] is that long.
    pub(super) fn query_message(&self, edns: bool) -> Result<QueryMessage, String> {
        let mut message = Message::query();
        // Not the generator of this thread, which a fork of the process copies.
        let mut id = [0; 2];
        getrandom::fill(&mut id).map_err(|error| error.to_string())?;
        message.metadata.id = u16::from_ne_bytes(id);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(self.name.clone(), self.record_type));
        if edns {
            let mut options = Edns::new();
            options.set_max_payload(UDP_PAYLOAD);
            message.set_edns(options);
        }
        Ok(QueryMessage {
            id: message.metadata.id,
            bytes: message.to_vec().map_err(|error| error.to_string())?,
        })
    }

    /// Parses `bytes` as the response to `query`. Returns `None` for any other message, which may
    /// be forged.
    pub(super) fn parse_response(&self, query: &QueryMessage, bytes: &[u8]) -> Option<Response> {
        if bytes.get(..2)? != query.id.to_be_bytes() {
            return None;
        }
        let message = Message::from_vec(bytes).ok()?;
        let is_response = message.metadata.message_type == MessageType::Response
            && matches!(message.queries.as_slice(), [query] if self.matches(query));
        is_response.then(|| self.response(&message))
    }

    fn matches(&self, query: &Query) -> bool {
        *query.name() == self.name
            && query.query_type() == self.record_type
            && query.query_class() == DNSClass::IN
    }

    fn response(&self, message: &Message) -> Response {
        if message.metadata.truncation {
            return Response::Truncated;
        }
        let code = message.metadata.response_code;
        if !matches!(code, ResponseCode::NoError | ResponseCode::NXDomain) {
            return Response::Failed(format!("the name server answers {code}"));
        }
        if message.answers.len() > MAX_ADDRESSES + MAX_ALIASES {
            return Response::Failed(format!(
                "the answer has {} records, more than any host needs",
                message.answers.len()
            ));
        }
        let negative = message.authorities.iter().find_map(negative_ttl);
        let chain = match self.chain(&message.answers) {
            Ok(chain) => chain,
            Err(reason) => return Response::Failed(reason),
        };
        let absent = chain.addresses.is_empty()
            && (code == ResponseCode::NXDomain || chain.aliases.is_empty() || negative.is_some());
        if absent {
            return Response::Absent {
                exists: code == ResponseCode::NoError,
                ttl: seconds(negative.unwrap_or(0)),
            };
        }
        Response::Found {
            aliases: chain.aliases,
            end: chain.end,
            addresses: chain.addresses,
            ttl: seconds(chain.ttl),
        }
    }

    /// Follows the aliases from the name in the question and collects the addresses at their end.
    /// Ignores all other records.
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
                return Err(too_many_aliases());
            }
            let alias = HostName::parse(&target.to_ascii())
                .map_err(|error| format!("the answer contains an invalid alias: {error}"))?;
            chain.aliases.push(alias);
            chain.end = target.clone();
            chain.ttl = chain.ttl.min(ttl);
        }
        for record in answers.iter().filter(|record| record.name == chain.end) {
            let address = match (&record.data, self.record_type) {
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

/// A chain of aliases and the addresses at its end.
struct Chain {
    aliases: Vec<HostName>,
    end: Name,
    addresses: Vec<IpAddr>,
    ttl: u32,
}

/// Returns the target of the record and its time to live, if it is an alias of `owner`.
fn alias<'a>(record: &'a Record, owner: &Name) -> Option<(&'a Name, u32)> {
    match &record.data {
        RData::CNAME(target) if record.name == *owner => Some((&target.0, record.ttl)),
        _ => None,
    }
}

/// Returns how long the absence of a name may be cached (RFC 2308, 5), in seconds.
fn negative_ttl(record: &Record) -> Option<u32> {
    match &record.data {
        RData::SOA(start) => Some(record.ttl.min(start.minimum)),
        _ => None,
    }
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}
