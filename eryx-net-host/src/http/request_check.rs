//! The check of a request against the HTTP rules.

use eryx_http::RequestHead;
use eryx_net_policy::{HttpPolicy, HttpRequest, HttpVerdict};

use crate::http::target::Peer;

/// Fields that ask a server for another method than that of the request line. Google's APIs, Rails
/// and others follow them.
const METHOD_FIELDS: [&str; 3] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Fields that ask a server for another path. IIS, Symfony and others follow them.
const PATH_FIELDS: [&str; 2] = ["x-original-url", "x-rewrite-url"];

/// The result of the check of a request.
pub(super) struct RequestCheck {
    /// The first denial, or else the verdict for the request line on the first port.
    pub(super) verdict: HttpVerdict,
    /// The most bytes of the request's body.
    pub(super) max_request_bytes: Option<u64>,
    /// The most bytes of the response's body.
    pub(super) max_response_bytes: Option<u64>,
}

impl RequestCheck {
    /// Checks the request on each of `ports`, of which there is at least one.
    ///
    /// A method or path that a field asks for is checked as well, since a server may follow the
    /// field.
    ///
    /// # Errors
    ///
    /// Fails if such a field is there more than once.
    pub(super) fn new(
        policy: &HttpPolicy,
        peer: &Peer,
        ports: &[u16],
        head: &RequestHead,
    ) -> Result<Self, String> {
        let check = |port: u16, method: &str, target: &str| {
            policy.check(&HttpRequest {
                scheme: peer.scheme,
                host: &peer.host,
                address: peer.address,
                port,
                method,
                target,
                upgrade: head.upgrade().is_some(),
            })
        };
        let target = head.path_and_query();
        let (mut methods, mut targets) = (vec![head.method().into()], vec![target.clone()]);
        for name in METHOD_FIELDS {
            methods.extend(single(head, name)?);
        }
        for name in PATH_FIELDS {
            targets.extend(single(head, name)?);
        }
        let mut verdicts = Vec::with_capacity(1);
        for &port in ports {
            let verdict = check(port, head.method(), &target);
            // Where there are no rules, the fields change nothing.
            let is_restricted = !verdict.is_allowed() || verdict.rule().is_some();
            verdicts.push(verdict);
            let others = methods
                .iter()
                .flat_map(|method| targets.iter().map(move |target| (method, target)))
                .skip(1)
                .filter(|_| is_restricted);
            verdicts.extend(others.map(|(method, target)| check(port, method, target)));
        }
        let rules = || verdicts.iter().filter_map(HttpVerdict::rule);
        let max_request_bytes = rules().filter_map(|rule| rule.max_request_bytes()).min();
        let max_response_bytes = rules().filter_map(|rule| rule.max_response_bytes()).min();
        let denial = verdicts.iter().position(|verdict| !verdict.is_allowed());
        Ok(Self {
            verdict: verdicts.swap_remove(denial.unwrap_or(0)),
            max_request_bytes,
            max_response_bytes,
        })
    }
}

/// Returns the value of the field `name`.
fn single<'a>(
    head: &'a RequestHead,
    name: &'a str,
) -> Result<Option<std::borrow::Cow<'a, str>>, String> {
    let mut values = head.fields().all(name);
    let value = values.next();
    if values.next().is_some() {
        return Err(format!(
            "the field `{name}`, which can change the method or the path, is there more than once; \
             send it once"
        ));
    }
    Ok(value.map(String::from_utf8_lossy))
}
