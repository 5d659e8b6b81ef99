//! The filter of a connection to an inspected host that carries TLS of the guest program: only
//! records of Eryx's own sessions pass. In report-only mode others pass as well, unless the host
//! can return a secret.

use std::sync::Arc;

use eryx_net_policy::Host;

use crate::audit::entry::AuditEntry;
use crate::error::NetError;
use crate::http::context::HttpContext;
use crate::http::expected_records::{
    ExpectedRecords, HEADER, MAX_RECORD, NextRecord, record_length,
};
use crate::http::target::{InspectionTarget, with_port};

/// Compares the bytes that a program writes with the records of one TLS session.
pub(crate) struct TlsRecordFilter {
    context: Arc<HttpContext>,
    entry: Arc<AuditEntry>,
    target: InspectionTarget,
    session: Option<Arc<ExpectedRecords>>,
    /// The start of a record that is not complete, and that was not checked.
    partial: Vec<u8>,
    /// How many bytes are missing of a record that was checked.
    missing: usize,
    /// Whether all further bytes pass, because a denial was only reported.
    is_reported: bool,
}

/// The most bytes that one call of [`TlsRecordFilter::push`] appends, less one record.
const STEP: usize = 48 * 1024;

impl TlsRecordFilter {
    pub(crate) fn new(
        context: Arc<HttpContext>,
        entry: Arc<AuditEntry>,
        target: InspectionTarget,
    ) -> Self {
        Self {
            context,
            entry,
            target,
            session: None,
            partial: Vec::new(),
            missing: 0,
            is_reported: false,
        }
    }

    /// Takes bytes that the program writes, and appends those of records that may be sent to
    /// `output`. Returns how many bytes were taken, at least one unless `data` is empty.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`] for a record that is not the next one of a session for this host,
    /// unless it is only reported.
    pub(crate) fn push(&mut self, data: &[u8], output: &mut Vec<u8>) -> Result<usize, NetError> {
        let mut taken = 0;
        while !self.is_reported {
            match self.push_records(data, &mut taken, output) {
                Ok(()) => return Ok(taken),
                Err(error) => self.report(error)?,
            }
        }
        output.append(&mut self.partial);
        let rest = &data[taken..];
        let count = rest.len().min(STEP);
        output.extend_from_slice(&rest[..count]);
        Ok(taken + count)
    }

    /// Reports a denial in report-only mode, as opposed to enforcing it.
    fn report(&mut self, error: NetError) -> Result<(), NetError> {
        match &error {
            NetError::Denied(message) if self.target.is_reported_only(&self.context) => {
                self.target.report_denial(&self.entry, message);
                // Its records are no longer counted.
                self.session = None;
                self.is_reported = true;
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Takes records of a session, and counts the bytes that it takes in `taken`.
    fn push_records(
        &mut self,
        data: &[u8],
        taken: &mut usize,
        output: &mut Vec<u8>,
    ) -> Result<(), NetError> {
        while *taken < data.len() && output.len() < STEP {
            let rest = &data[*taken..];
            if self.missing > 0 {
                let count = self.missing.min(rest.len());
                output.extend_from_slice(&rest[..count]);
                self.missing -= count;
                *taken += count;
                continue;
            }
            let wanted = self.wanted()?;
            let count = wanted.saturating_sub(self.partial.len()).min(rest.len());
            self.partial.extend_from_slice(&rest[..count]);
            *taken += count;
            // With the header, the length is known.
            if self.partial.len() >= self.wanted()? {
                self.check()?;
                let length = record_length(&self.partial).unwrap_or(HEADER);
                self.missing = length - self.partial.len();
                output.append(&mut self.partial);
            }
        }
        Ok(())
    }

    /// Returns how many bytes of the current record have to be there before it can be checked: all
    /// of a record of the handshake, and the header of a later one.
    fn wanted(&self) -> Result<usize, NetError> {
        let length = record_length(&self.partial).unwrap_or(HEADER);
        if length > MAX_RECORD {
            return Err(self.denial());
        }
        let next = self.session.as_ref().and_then(|session| session.next());
        match next {
            Some(NextRecord::Later) => Ok(HEADER),
            Some(NextRecord::Handshake(_)) | None => Ok(length),
        }
    }

    /// Records bytes that the connection received.
    pub(crate) fn receive(&self, data: &[u8]) {
        if let Some(session) = &self.session {
            session.receive(data);
        }
    }

    /// Returns whether the session has ended for the program, which then reads the end of the
    /// stream: it may wait for the connection before it reads from the session.
    pub(crate) fn has_ended(&self) -> bool {
        self.session
            .as_ref()
            .is_some_and(|session| session.has_ended())
    }

    /// Checks a record, as far as it [has to be there](Self::wanted).
    fn check(&mut self) -> Result<(), NetError> {
        let registry = &self.context.sessions;
        if self.session.is_none() {
            let first = registry.fingerprint(&self.partial);
            let is_allowed = |host: &Host| self.target.is_for(&self.context, host);
            let address = (self.target.address(), self.target.port());
            self.session = registry.bind(first, address, is_allowed);
        }
        let session = self.session.as_ref().ok_or_else(|| self.denial())?;
        match session.next() {
            Some(NextRecord::Later) => {}
            Some(NextRecord::Handshake(next)) if registry.fingerprint(&self.partial) == next => {}
            Some(NextRecord::Handshake(_)) | None => return Err(self.denial()),
        }
        session.pop();
        Ok(())
    }

    fn denial(&self) -> NetError {
        let host = self.target.host();
        let host_port = with_port(host, self.target.port());
        NetError::Denied(format!(
            "the bytes written to `{host_port}` are neither HTTP/1.1 nor TLS of the ssl module with \
             `{host}` as server name; requests to this host are inspected (http_rules, secrets): use \
             ssl, or have the embedder remove the rules and secrets for it"
        ))
    }
}
