//! Both families of a name, each with the aliases on its way.

use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use eryx_net_policy::HostName;
use hickory_proto::rr::{Name, RecordType};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::question::{Question, Reply};
use super::servers::Servers;
use crate::establish::MAX_ALIASES;
use crate::{Answer, ResolveError};

/// How long a family whose answer has not come may hold up the other's. Every answer that came is judged,
/// so waiting longer than RFC 8305's 50 ms makes verdicts depend less on who was faster.
const GRACE: Duration = Duration::from_secs(1);

/// Most questions for one family. A recursive server follows aliases itself and is asked once.
const MAX_QUESTIONS: usize = 8;

/// What asking for a name came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) answer: Result<Answer, ResolveError>,
    /// For how long it holds; zero for a failure, and for half an answer.
    pub(super) ttl: Duration,
}

/// What is known of one family: nothing but a time to live if the name has no address of it.
#[derive(Debug)]
struct Part {
    aliases: Vec<HostName>,
    addresses: Vec<IpAddr>,
    ttl: Duration,
}

/// Asks for both families at once.
pub(super) async fn ask(servers: &Servers, sockets: &Semaphore, name: Name) -> Outcome {
    let mut six = pin!(ask_for(servers, sockets, name.clone(), RecordType::AAAA));
    let mut four = pin!(ask_for(servers, sockets, name, RecordType::A));
    let mut grace = pin!(tokio::time::sleep(Duration::MAX));
    let mut parts: [Option<Result<Part, ResolveError>>; 2] = [None, None];
    loop {
        let [six_came, four_came] = parts.each_ref().map(Option::is_some);
        if six_came && four_came {
            break;
        }
        let usable = |part: &Result<Part, _>| part.as_ref().is_ok_and(Part::has_addresses);
        if parts.iter().flatten().any(usable) {
            grace.as_mut().reset(Instant::now() + GRACE);
        }
        tokio::select! {
            part = &mut six, if !six_came => parts[0] = Some(part),
            part = &mut four, if !four_came => parts[1] = Some(part),
            () = &mut grace => break,
        }
    }
    combine(parts)
}

/// Asks for one family, and follows aliases where the server does not.
async fn ask_for(
    servers: &Servers,
    sockets: &Semaphore,
    mut name: Name,
    kind: RecordType,
) -> Result<Part, ResolveError> {
    let mut part = Part {
        aliases: Vec::new(),
        addresses: Vec::new(),
        ttl: Duration::MAX,
    };
    for _ in 0..MAX_QUESTIONS {
        let reply = servers.ask(&Question::new(name, kind), sockets).await?;
        let Reply::Found {
            mut aliases,
            end,
            addresses,
            ttl,
        } = reply
        else {
            return Ok(Part::absent(reply));
        };
        part.aliases.append(&mut aliases);
        part.ttl = part.ttl.min(ttl);
        if part.aliases.len() > MAX_ALIASES {
            break;
        }
        if !addresses.is_empty() {
            part.addresses = addresses;
            return Ok(part);
        }
        name = end;
    }
    Err(ResolveError::TryAgain(format!(
        "the name has more than {MAX_ALIASES} aliases, or they lead in a circle"
    )))
}

impl Part {
    fn absent(reply: Reply) -> Self {
        Self {
            aliases: Vec::new(),
            addresses: Vec::new(),
            ttl: match reply {
                Reply::Absent { ttl } => ttl,
                _ => Duration::ZERO,
            },
        }
    }

    fn has_addresses(&self) -> bool {
        !self.addresses.is_empty()
    }
}

/// One family without an answer does not spoil the other's; two failures are one.
fn combine(parts: [Option<Result<Part, ResolveError>>; 2]) -> Outcome {
    let mut complete = true;
    let mut failure = None;
    let mut answer = Answer::default();
    let mut found = Duration::MAX;
    let mut absent = Duration::MAX;
    for part in parts {
        match part {
            Some(Ok(mut part)) if part.has_addresses() => {
                part.aliases.retain(|alias| !answer.aliases.contains(alias));
                answer.aliases.append(&mut part.aliases);
                answer.addresses.append(&mut part.addresses);
                found = found.min(part.ttl);
            }
            Some(Ok(part)) => absent = absent.min(part.ttl),
            Some(Err(error)) => {
                complete = false;
                failure = Some(error);
            }
            None => complete = false,
        }
    }
    let some = !answer.addresses.is_empty();
    Outcome {
        ttl: match (complete, some) {
            (false, _) => Duration::ZERO,
            (true, true) => found,
            (true, false) => absent,
        },
        answer: match failure {
            _ if some => Ok(answer),
            Some(failure) => Err(failure),
            None => Err(ResolveError::NotFound),
        },
    }
}
