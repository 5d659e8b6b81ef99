//! TLS over a transport the program carries itself, counted.

use std::ops::{Deref, DerefMut};

use eryx_tls::Session;

use crate::Charge;
use crate::permit::Permit;

/// A [`Session`] that counts against what a sandbox may hold until it is dropped.
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
