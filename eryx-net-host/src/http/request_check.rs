//! The check of a request against the HTTP rules.

use eryx_http::RequestHead;
use eryx_net_policy::{HttpPolicy, HttpRequest, HttpVerdict};

use crate::http::target::Peer;

/// The result of the check of a request.
pub(super) struct RequestCheck {
    /// The first denial, or else the verdict on the first port.
    pub(super) verdict: HttpVerdict,
    /// The most bytes of the request's body.
    pub(super) max_request_bytes: Option<u64>,
    /// The most bytes of the response's body.
    pub(super) max_response_bytes: Option<u64>,
}

impl RequestCheck {
    /// Checks the request on each of `ports`, of which there is at least one.
    pub(super) fn new(policy: &HttpPolicy, peer: &Peer, ports: &[u16], head: &RequestHead) -> Self {
        let target = head.path_and_query();
        let check = |&port: &u16| {
            policy.check(&HttpRequest {
                scheme: peer.scheme,
                host: &peer.host,
                address: peer.address,
                port,
                method: head.method(),
                target: &target,
                upgrade: head.upgrade().is_some(),
            })
        };
        let mut verdicts: Vec<HttpVerdict> = ports.iter().map(check).collect();
        let rules = || verdicts.iter().filter_map(HttpVerdict::rule);
        let max_request_bytes = rules().filter_map(|rule| rule.max_request_bytes()).min();
        let max_response_bytes = rules().filter_map(|rule| rule.max_response_bytes()).min();
        let denial = verdicts.iter().position(|verdict| !verdict.is_allowed());
        Self {
            verdict: verdicts.swap_remove(denial.unwrap_or(0)),
            max_request_bytes,
            max_response_bytes,
        }
    }
}
