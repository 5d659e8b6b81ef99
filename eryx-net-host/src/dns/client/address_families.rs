//! The A and AAAA queries of one name, each with the aliases that it follows.

use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use eryx_net_policy::HostName;
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::message::{Question, Response};
use super::name_servers::NameServers;
use crate::dns::resolver::{Answer, MAX_ALIASES, ResolveError, too_many_aliases};

/// How long to wait for the second of the A and AAAA answers once the first has arrived. Longer
/// than the 50 ms of RFC 8305, so that a verdict, which is about both, depends less on which answer
/// was faster.
const SECOND_FAMILY_WAIT: Duration = Duration::from_secs(1);

/// The most queries for one family. A recursive server follows aliases itself, so that one query is
/// enough.
const MAX_QUERIES: usize = 8;

/// The result of the queries for a name.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) answer: Result<Answer, ResolveError>,
    /// How long the answer may be cached; zero for a failure, and if one family is missing.
    pub(super) ttl: Duration,
}

/// The answer for one family; without addresses if the name has none of that family.
#[derive(Debug)]
struct FamilyAnswer {
    /// Whether the name exists.
    exists: bool,
    aliases: Vec<HostName>,
    addresses: Vec<IpAddr>,
    ttl: Duration,
}

/// Queries both families in parallel.
pub(super) async fn query(servers: &NameServers, sockets: &Semaphore, name: Name) -> Outcome {
    let mut six = pin!(query_family(
        servers,
        sockets,
        name.clone(),
        RecordType::AAAA
    ));
    let mut four = pin!(query_family(servers, sockets, name, RecordType::A));
    let mut second_family = pin!(tokio::time::sleep(Duration::MAX));
    let mut answers: [Option<Result<FamilyAnswer, ResolveError>>; 2] = [None, None];
    loop {
        let [has_six, has_four] = answers.each_ref().map(Option::is_some);
        if has_six && has_four {
            break;
        }
        let usable = |answer: &Result<FamilyAnswer, _>| {
            answer.as_ref().is_ok_and(FamilyAnswer::has_addresses)
        };
        if answers.iter().flatten().any(usable) {
            second_family
                .as_mut()
                .reset(Instant::now() + SECOND_FAMILY_WAIT);
        }
        tokio::select! {
            answer = &mut six, if !has_six => answers[0] = Some(answer),
            answer = &mut four, if !has_four => answers[1] = Some(answer),
            () = &mut second_family => break,
        }
    }
    merge_families(answers)
}

/// Queries one family, and follows aliases where the server does not.
async fn query_family(
    servers: &NameServers,
    sockets: &Semaphore,
    mut name: Name,
    record_type: RecordType,
) -> Result<FamilyAnswer, ResolveError> {
    let mut answer = FamilyAnswer {
        exists: true,
        aliases: Vec::new(),
        addresses: Vec::new(),
        ttl: Duration::MAX,
    };
    for _ in 0..MAX_QUERIES {
        let question = Question::new(name, record_type);
        let response = servers.query(&question, sockets).await?;
        let Response::Found {
            mut aliases,
            end,
            addresses,
            ttl,
        } = response
        else {
            return Ok(FamilyAnswer::absent(response));
        };
        answer.aliases.append(&mut aliases);
        answer.ttl = answer.ttl.min(ttl);
        if answer.aliases.len() > MAX_ALIASES {
            break;
        }
        if !addresses.is_empty() {
            answer.addresses = addresses;
            return Ok(answer);
        }
        name = end;
    }
    Err(ResolveError::TryAgain(too_many_aliases()))
}

impl FamilyAnswer {
    fn absent(response: Response) -> Self {
        let (exists, ttl) = match response {
            Response::Absent { exists, ttl } => (exists, ttl),
            _ => (false, Duration::ZERO),
        };
        Self {
            exists,
            aliases: Vec::new(),
            addresses: Vec::new(),
            ttl,
        }
    }

    fn has_addresses(&self) -> bool {
        !self.addresses.is_empty()
    }
}

/// Merges the answers of both families. Fails only if neither has addresses and the name does not
/// exist, or if a query failed.
fn merge_families(answers: [Option<Result<FamilyAnswer, ResolveError>>; 2]) -> Outcome {
    let mut complete = true;
    let mut exists = false;
    let mut failure = None;
    let mut merged = Answer::default();
    let mut ttl = Duration::MAX;
    let mut negative_ttl = Duration::MAX;
    for answer in answers {
        match answer {
            Some(Ok(mut answer)) if answer.has_addresses() => {
                answer
                    .aliases
                    .retain(|alias| !merged.aliases.contains(alias));
                merged.aliases.append(&mut answer.aliases);
                merged.addresses.append(&mut answer.addresses);
                ttl = ttl.min(answer.ttl);
            }
            Some(Ok(answer)) => {
                exists |= answer.exists;
                negative_ttl = negative_ttl.min(answer.ttl);
            }
            Some(Err(error)) => {
                complete = false;
                failure = Some(error);
            }
            None => complete = false,
        }
    }
    let has_addresses = !merged.addresses.is_empty();
    Outcome {
        ttl: match (complete, has_addresses) {
            (false, _) => Duration::ZERO,
            (true, true) => ttl,
            (true, false) => negative_ttl,
        },
        answer: match failure {
            _ if has_addresses => Ok(merged),
            Some(failure) => Err(failure),
            None if exists => Ok(Answer::default()),
            None => Err(ResolveError::NotFound),
        },
    }
}
