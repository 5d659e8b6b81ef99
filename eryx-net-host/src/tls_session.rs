//! A TLS session over a transport of the guest program, which counts against the sandbox's limits.

use std::ops::{Deref, DerefMut};

use eryx_tls::Session;

use crate::host_memory::Charge;
use crate::limits::semaphore::Permit;

/// A [`Session`] that counts against the sandbox's limit on sessions and its host memory until it
/// is dropped.
#[derive(Debug)]
pub struct TlsSession {
    session: Session,
    _permit: Permit,
    _memory: Charge,
}

impl TlsSession {
    pub(crate) fn new(session: Session, permit: Permit, memory: Charge) -> Self {
        Self {
            session,
            _permit: permit,
            _memory: memory,
        }
    }
}

impl Deref for TlsSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for TlsSession {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}
