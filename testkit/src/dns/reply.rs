//! Builds DNS messages from the answers of a script.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{Message, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::Answer;

/// Returns the delay and the reply to `question`. `next` returns the script's next answer for a
/// name.
pub(super) fn to(
    request: &Message,
    question: &Query,
    name: &str,
    tcp: bool,
    next: &mut dyn FnMut(&str) -> Answer,
) -> Option<(Duration, Vec<u8>)> {
    let mut draft = Draft {
        message: Message::response(request.metadata.id, OpCode::Query),
        delay: Duration::ZERO,
        silent: false,
        garbage: false,
    };
    let metadata = &mut draft.message.metadata;
    *metadata = Metadata::response_from_request(&request.metadata);
    metadata.authoritative = true;
    metadata.recursion_available = true;
    draft.message.add_query(question.clone());
    draft.follow(question, name, tcp, next);
    if draft.silent {
        return None;
    }
    let bytes = if draft.garbage {
        GARBAGE.to_vec()
    } else {
        draft.message.to_vec().ok()?
    };
    Some((draft.delay, bytes))
}

struct Draft {
    message: Message,
    delay: Duration,
    silent: bool,
    garbage: bool,
}

impl Draft {
    fn follow(
        &mut self,
        question: &Query,
        name: &str,
        tcp: bool,
        next: &mut dyn FnMut(&str) -> Answer,
    ) {
        let mut owner = question.name().clone();
        let mut answer = next(name);
        // A cyclic chain is cut off here; detecting it is the client's task.
        for _ in 0..MAX_HOPS {
            let Some((to, ttl)) = self.add(&owner, question.query_type(), answer, tcp) else {
                return;
            };
            let Ok(mut target) = Name::from_ascii(&to) else {
                return self.fail(ResponseCode::ServFail);
            };
            target.set_fqdn(true);
            let record = RData::CNAME(CNAME(target.clone()));
            self.message
                .add_answer(Record::from_rdata(owner, ttl, record));
            if question.query_type() == RecordType::CNAME {
                return;
            }
            owner = target;
            answer = next(&to);
        }
    }

    /// Adds one answer. Returns the target and the TTL of an alias, which the caller follows.
    fn add(
        &mut self,
        owner: &Name,
        kind: RecordType,
        answer: Answer,
        tcp: bool,
    ) -> Option<(String, u32)> {
        match answer {
            Answer::Addresses { addresses, ttl } => {
                for address in addresses {
                    let record = match (address, kind) {
                        (IpAddr::V4(address), RecordType::A) => RData::A(A(address)),
                        (IpAddr::V6(address), RecordType::AAAA) => RData::AAAA(AAAA(address)),
                        _ => continue,
                    };
                    self.message
                        .add_answer(Record::from_rdata(owner.clone(), ttl, record));
                }
            }
            Answer::Alias { to, ttl } => return Some((to, ttl)),
            // Preceding aliases stay in the answer (RFC 6604).
            Answer::NameError => self.fail(ResponseCode::NXDomain),
            Answer::ServerFailure => self.fail(ResponseCode::ServFail),
            Answer::Refused => self.fail(ResponseCode::Refused),
            Answer::Silence => self.silent = true,
            Answer::Garbage => self.garbage = true,
            Answer::Forged(inner) => {
                self.message.metadata.id ^= 0x5555;
                return self.add(owner, kind, *inner, tcp);
            }
            Answer::Truncated(inner) if tcp => return self.add(owner, kind, *inner, tcp),
            Answer::Truncated(_) => self.message.metadata.truncation = true,
            Answer::Late(delay, inner) => {
                self.delay += delay;
                return self.add(owner, kind, *inner, tcp);
            }
        }
        None
    }

    fn fail(&mut self, code: ResponseCode) {
        self.message.metadata.response_code = code;
    }
}

/// The maximum number of aliases followed.
const MAX_HOPS: usize = 16;

/// Bytes that are shorter than a DNS header.
const GARBAGE: &[u8] = b"not dns";
