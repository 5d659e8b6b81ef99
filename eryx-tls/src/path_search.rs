//! Bounds on the certificate chain of a peer, and on the search for a path to an anchor.

use rustls::{CertificateError, Error, RootCertStore};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use webpki::{EndEntityCert, anchor_from_trusted_cert};

use crate::certificate::to_rustls_error;
use crate::settings::limits;

/// The most intermediate certificates between a peer's certificate and an anchor (webpki's own
/// limit).
const MAX_DEPTH: usize = 6;

/// The most intermediates that can be part of a path. A path has at most [`MAX_DEPTH`], and servers
/// send one to four; the other two allow for cross-signed certificates.
const MAX_CANDIDATES: usize = 8;

/// The most partial paths that are tried. A linear chain takes one for each certificate; eight CAs
/// of the same name would take 28,961.
const MAX_STEPS: usize = 128;

/// The most signatures that are verified in the search for one path: four paths of the greatest
/// length. A verification takes up to a millisecond (ECDSA over P-521).
const MAX_SIGNATURES: usize = 32;

/// The most bytes of certificates that are parsed in the search for one path. Every step parses
/// every candidate: this is 64 steps with a chain of 16 KiB.
const MAX_PARSED_BYTES: usize = 1024 * 1024;

/// An upper bound for the work of the search for a path from a peer's certificate to an anchor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathSearchCost {
    /// The certificates of the message, each of which is parsed once.
    pub certificates: usize,
    /// The partial paths that can be tried. Each parses every candidate.
    pub steps: usize,
    /// The bytes of certificates that are parsed in these steps.
    pub parsed_bytes: usize,
    /// The signatures that can be verified.
    pub signatures: usize,
}

impl PathSearchCost {
    /// The limits. A chain that could cost more is not accepted.
    pub const MAX: Self = Self {
        certificates: limits::MAX_PEER_CHAIN,
        steps: MAX_STEPS,
        parsed_bytes: MAX_PARSED_BYTES,
        signatures: MAX_SIGNATURES,
    };

    /// Adds one step with these bytes and signatures, or fails if a limit would be exceeded.
    fn add_step(&mut self, parsed_bytes: usize, signatures: usize) -> Result<(), Error> {
        let sum = Self {
            steps: self.steps + 1,
            parsed_bytes: self.parsed_bytes + parsed_bytes,
            signatures: self.signatures + signatures,
            ..*self
        };
        let max = Self::MAX;
        if sum.steps > max.steps
            || sum.parsed_bytes > max.parsed_bytes
            || sum.signatures > max.signatures
        {
            return Err(chain_too_long());
        }
        *self = sum;
        Ok(())
    }
}

/// Checks the number of certificates in a message against [`limits::MAX_PEER_CHAIN`].
///
/// The limit also holds where nothing is verified: the certificates are stored with the connection
/// and with each of its sessions.
///
/// # Errors
///
/// `certificate chain too long` for more certificates, and a bad encoding for an empty certificate,
/// which TLS 1.3 does not permit (RFC 8446, 4.4.2) and no server has a reason to send.
pub(crate) fn check_message(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<(), Error> {
    if intermediates.len() >= limits::MAX_PEER_CHAIN {
        return Err(chain_too_long());
    }
    if leaf.is_empty() || intermediates.iter().any(|cert| cert.is_empty()) {
        return Err(CertificateError::BadEncoding.into());
    }
    Ok(())
}

/// Returns the intermediates that can be part of a path from `leaf` to an anchor, in their order,
/// and sets `cost` to an upper bound for the search.
///
/// webpki tries every order of the intermediates whose names match, up to 200,000 times, and each
/// time iterates over all of them. This function does the same search over names and keys only, and
/// stops at the limits.
///
/// # Errors
///
/// `certificate chain too long` when the search could cost more than [`PathSearchCost::MAX`].
pub(crate) fn candidates<'a>(
    leaf: &CertificateDer<'_>,
    intermediates: &'a [CertificateDer<'a>],
    anchors: &RootCertStore,
    cost: &mut PathSearchCost,
) -> Result<Vec<CertificateDer<'a>>, Error> {
    cost.certificates = intermediates.len() + 1;
    // webpki skips a certificate that cannot be parsed, too.
    let parsed: Vec<_> = intermediates
        .iter()
        .enumerate()
        .filter_map(|(index, der)| Some((index, EndEntityCert::try_from(der).ok()?)))
        .collect();
    let leaf = EndEntityCert::try_from(leaf).map_err(|_| CertificateError::BadEncoding)?;
    let leaf = Node::new(0, &leaf, anchors);
    let nodes: Vec<_> = parsed
        .iter()
        .map(|(index, cert)| Node::new(*index, cert, anchors))
        .collect();
    let reachable = reachable(&leaf, &nodes, anchors);
    if reachable.len() > MAX_CANDIDATES {
        return Err(chain_too_long());
    }
    let mut search = Search {
        size: reachable.iter().map(|node| node.der.len()).sum(),
        nodes: reachable,
        cost,
    };
    search.extend(&mut vec![&leaf])?;
    let nodes = search.nodes.iter();
    Ok(nodes
        .map(|node| CertificateDer::from(intermediates[node.index].as_ref()))
        .collect())
}

/// Returns the nodes that a path may need.
///
/// Leaves out certificates that issued no other certificate on a path, duplicates, and the
/// certificates of anchors, which end a path without being in the message.
fn reachable<'n, 'a>(
    leaf: &Node<'a>,
    nodes: &'n [Node<'a>],
    anchors: &RootCertStore,
) -> Vec<&'n Node<'a>> {
    let mut issuers = vec![leaf.issuer];
    let mut reachable: Vec<&Node<'_>> = Vec::new();
    let mut next = 0;
    while let Some(issuer) = issuers.get(next).copied() {
        next += 1;
        for node in nodes.iter().filter(|node| node.subject == issuer) {
            let is_duplicate = reachable.iter().any(|other| other.der == node.der);
            if is_duplicate || node.is_same_entity(leaf) || node.is_anchor(anchors) {
                continue;
            }
            reachable.push(node);
            if !issuers.contains(&node.issuer) {
                issuers.push(node.issuer);
            }
        }
    }
    reachable.sort_by_key(|node| node.index);
    reachable
}

/// The parts of a certificate that path building uses.
struct Node<'a> {
    /// The index among the intermediates.
    index: usize,
    subject: &'a [u8],
    issuer: &'a [u8],
    key: SubjectPublicKeyInfoDer<'static>,
    der: CertificateDer<'a>,
    /// The number of anchors with the issuer's name.
    anchors: usize,
}

impl<'a> Node<'a> {
    fn new(index: usize, cert: &'a EndEntityCert<'a>, anchors: &RootCertStore) -> Self {
        let issuer = cert.issuer();
        let roots = anchors.roots.iter();
        Self {
            index,
            subject: cert.subject(),
            issuer,
            key: cert.subject_public_key_info(),
            der: cert.der(),
            anchors: roots
                .filter(|anchor| anchor.subject.as_ref() == issuer)
                .count(),
        }
    }

    /// Returns whether both certificates are for the same entity, which is at most once in a path.
    fn is_same_entity(&self, other: &Node<'_>) -> bool {
        self.subject == other.subject && self.key == other.key
    }

    fn is_anchor(&self, anchors: &RootCertStore) -> bool {
        self.subject == self.issuer
            && self.anchors > 0
            && anchor_from_trusted_cert(&self.der)
                .is_ok_and(|anchor| anchors.roots.contains(&anchor))
    }
}

/// webpki's search, over names and keys only.
struct Search<'n, 'a, 'c> {
    nodes: Vec<&'n Node<'a>>,
    /// The size of all candidates, in bytes.
    size: usize,
    cost: &'c mut PathSearchCost,
}

impl<'n, 'a> Search<'n, 'a, '_> {
    /// Adds the cost of every continuation of `path`.
    fn extend(&mut self, path: &mut Vec<&'n Node<'a>>) -> Result<(), Error> {
        let Some(head) = path.last().copied() else {
            return Ok(());
        };
        self.cost.add_step(self.size, head.anchors * path.len())?;
        if path.len() > MAX_DEPTH {
            return Ok(());
        }
        for index in 0..self.nodes.len() {
            let node = self.nodes[index];
            if node.subject == head.issuer && !path.iter().any(|other| other.is_same_entity(node)) {
                path.push(node);
                self.extend(path)?;
                path.pop();
            }
        }
        Ok(())
    }
}

fn chain_too_long() -> Error {
    to_rustls_error((22, "certificate chain too long"))
}
