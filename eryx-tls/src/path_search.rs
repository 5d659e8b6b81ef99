//! Bounds on the certificate chain of a peer: what is looked at before a path to an anchor is searched for, and how
//! long the search may take.

use rustls::{CertificateError, Error, RootCertStore};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use webpki::{EndEntityCert, anchor_from_trusted_cert};

use crate::certificate::refused;
use crate::limits;

/// The most intermediate certificates between a peer's certificate and an anchor (webpki's own bound).
const DEPTH: usize = 6;

/// The most intermediates that can be part of a path, after those that cannot are left out. A path has [`DEPTH`] at
/// most and servers send one to four; two more leave room for cross-signed ones.
const CANDIDATES: usize = 8;

/// The most partial paths that are tried. A chain without detours takes one for each certificate; eight authorities of
/// one name would take 28,961.
const STEPS: usize = 128;

/// The most signatures that are verified in search of one path: four paths of the greatest length. One takes up to a
/// millisecond (ECDSA over P-521).
const SIGNATURES: usize = 32;

/// The most bytes of certificates that are parsed in search of one path. Every step parses every candidate: this is 64
/// steps over a chain of 16 KiB.
const PARSED: usize = 1024 * 1024;

/// How much work the search for a path from a peer's certificate to an anchor takes at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Certificates of the message that were parsed once.
    pub certificates: usize,
    /// Partial paths that can be tried; each parses every candidate.
    pub steps: usize,
    /// Bytes of certificates that are parsed in these steps.
    pub parsed: usize,
    /// Signatures that can be verified.
    pub signatures: usize,
}

impl Effort {
    /// The most there can be for any chain.
    pub const MOST: Self = Self {
        certificates: limits::PEER_CHAIN,
        steps: STEPS,
        parsed: PARSED,
        signatures: SIGNATURES,
    };

    /// Counts one more step, of so many bytes and signatures, unless it is more than there can be.
    fn step(&mut self, parsed: usize, signatures: usize) -> Result<(), Error> {
        let more = Self {
            steps: self.steps + 1,
            parsed: self.parsed + parsed,
            signatures: self.signatures + signatures,
            ..*self
        };
        let most = Self::MOST;
        if more.steps > most.steps || more.parsed > most.parsed || more.signatures > most.signatures
        {
            return Err(too_long());
        }
        *self = more;
        Ok(())
    }
}

/// Holds the certificates of a message to [`limits::PEER_CHAIN`], whether they are verified or not: they are kept with
/// the connection and with each of its sessions.
///
/// # Errors
///
/// `certificate chain too long` for more, and a bad encoding for an empty one, which TLS 1.3 does not permit (RFC 8446,
/// 4.4.2) and no server has a reason to send.
pub(crate) fn check_message(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Result<(), Error> {
    if intermediates.len() >= limits::PEER_CHAIN {
        return Err(too_long());
    }
    if leaf.is_empty() || intermediates.iter().any(|cert| cert.is_empty()) {
        return Err(CertificateError::BadEncoding.into());
    }
    Ok(())
}

/// Returns the intermediates that can be part of a path from `leaf` to an anchor, in their order, and counts in `effort`
/// what the search for such a path takes at most.
///
/// webpki tries every order of the intermediates whose names fit, up to 200,000 times, and each time runs over all of
/// them. Here the same search runs over names and keys alone, and gives up early.
///
/// # Errors
///
/// `certificate chain too long` when the search could take more than [`Effort::MOST`].
pub(crate) fn candidates<'a>(
    leaf: &CertificateDer<'_>,
    intermediates: &'a [CertificateDer<'a>],
    anchors: &RootCertStore,
    effort: &mut Effort,
) -> Result<Vec<CertificateDer<'a>>, Error> {
    effort.certificates = intermediates.len() + 1;
    // What cannot be parsed is passed over by path building, too.
    let parsed: Vec<_> = intermediates
        .iter()
        .enumerate()
        .filter_map(|(index, der)| Some((index, EndEntityCert::try_from(der).ok()?)))
        .collect();
    let leaf = EndEntityCert::try_from(leaf).map_err(|_| CertificateError::BadEncoding)?;
    let first = Node::of(0, &leaf, anchors);
    let known: Vec<_> = parsed
        .iter()
        .map(|(index, cert)| Node::of(*index, cert, anchors))
        .collect();
    let nodes = reachable(&first, &known, anchors);
    if nodes.len() > CANDIDATES {
        return Err(too_long());
    }
    let mut search = Search {
        size: nodes.iter().map(|node| node.der.len()).sum(),
        nodes,
        effort,
    };
    search.extend(&mut vec![&first])?;
    let nodes = search.nodes.iter();
    Ok(nodes
        .map(|node| CertificateDer::from(intermediates[node.index].as_ref()))
        .collect())
}

/// Leaves out what no path needs: certificates that are not the issuer of any other on the way, that occur twice, and
/// those of anchors, which end a path without being in the message.
fn reachable<'n, 'a>(
    leaf: &Node<'a>,
    known: &'n [Node<'a>],
    anchors: &RootCertStore,
) -> Vec<&'n Node<'a>> {
    let mut issuers = vec![leaf.issuer];
    let mut found: Vec<&Node<'_>> = Vec::new();
    let mut next = 0;
    while let Some(issuer) = issuers.get(next).copied() {
        next += 1;
        for node in known.iter().filter(|node| node.subject == issuer) {
            let twice = found.iter().any(|other| other.der == node.der);
            if twice || node.is(leaf) || node.is_anchor(anchors) {
                continue;
            }
            found.push(node);
            if !issuers.contains(&node.issuer) {
                issuers.push(node.issuer);
            }
        }
    }
    found.sort_by_key(|node| node.index);
    found
}

/// What path building looks at in a certificate.
struct Node<'a> {
    /// Its place among the intermediates.
    index: usize,
    subject: &'a [u8],
    issuer: &'a [u8],
    key: SubjectPublicKeyInfoDer<'static>,
    der: CertificateDer<'a>,
    /// How many anchors have the issuer's name.
    anchors: usize,
}

impl<'a> Node<'a> {
    fn of(index: usize, cert: &'a EndEntityCert<'a>, anchors: &RootCertStore) -> Self {
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

    /// Whether both name the same entity, which is in a path once only.
    fn is(&self, other: &Node<'_>) -> bool {
        self.subject == other.subject && self.key == other.key
    }

    fn is_anchor(&self, anchors: &RootCertStore) -> bool {
        self.subject == self.issuer
            && self.anchors > 0
            && anchor_from_trusted_cert(&self.der)
                .is_ok_and(|anchor| anchors.roots.contains(&anchor))
    }
}

/// The search that webpki makes, over names and keys alone.
struct Search<'n, 'a, 'e> {
    nodes: Vec<&'n Node<'a>>,
    /// Bytes of all candidates.
    size: usize,
    effort: &'e mut Effort,
}

impl<'n, 'a> Search<'n, 'a, '_> {
    /// Counts every way to go on from `path`.
    fn extend(&mut self, path: &mut Vec<&'n Node<'a>>) -> Result<(), Error> {
        let Some(head) = path.last().copied() else {
            return Ok(());
        };
        self.effort.step(self.size, head.anchors * path.len())?;
        if path.len() > DEPTH {
            return Ok(());
        }
        for index in 0..self.nodes.len() {
            let node = self.nodes[index];
            if node.subject == head.issuer && !path.iter().any(|before| before.is(node)) {
                path.push(node);
                self.extend(path)?;
                path.pop();
            }
        }
        Ok(())
    }
}

fn too_long() -> Error {
    refused((22, "certificate chain too long"))
}
