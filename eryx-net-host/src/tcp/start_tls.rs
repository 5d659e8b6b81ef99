//! `Open -> Handshaking -> Tls`, and back.

use eryx_tls::{ClientSettings, Info};

use super::*;
use crate::encrypted::Begun;
use crate::footprint;
use crate::judge::Carrier;

impl Connection {
    /// Turns the connection into TLS. From then on reads and writes carry plaintext.
    ///
    /// After [`NetError::WouldBlock`] or a timeout of the caller's own, call it again with the same
    /// settings to go on with the same handshake. `None` waits for what establishing the connection has
    /// left of the connect timeout: name lookup, dialling and handshake share it, however much time
    /// passes between them.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`] when the policy does not allow the server name on this connection's port, and
    /// [`NetError::Tls`] with [`Refused`](crate::TlsFailure::Refused) for settings that cannot be honoured:
    /// both before anything is sent, and the connection stays as it was. Any other failure of the
    /// handshake is final. [`NetError::InvalidArgument`] when the connection is encrypted already or
    /// another handshake is under way.
    pub async fn start_tls(
        &mut self,
        settings: &ClientSettings,
        timeout: Option<Duration>,
    ) -> Result<(), NetError> {
        self.begin_handshake(settings)?;
        match self.soon(timeout, Self::poll_secured) {
            Some(outcome) => outcome?,
            None => {
                Patience::new(timeout, self.shared.config.connect_timeout())
                    .wait(|cx| self.poll_secured(cx))
                    .await?;
            }
        }
        if let State::Tls(encrypted) = &mut self.state {
            encrypted.tell_handshake();
        }
        Ok(())
    }

    fn begin_handshake(&mut self, settings: &ClientSettings) -> Result<(), NetError> {
        self.check_not_aborted()?;
        match &self.state {
            State::Open(_) => {}
            State::Handshaking(upgrade) if self.begun_with(upgrade.begun(), settings) => {
                return Ok(());
            }
            State::Handshaking(_) => {
                return Err(NetError::InvalidArgument(
                    "a TLS handshake with other settings is under way on this connection".into(),
                ));
            }
            State::Tls(encrypted)
                if encrypted.handshake_untold() && self.begun_with(encrypted.begun(), settings) =>
            {
                return Ok(());
            }
            State::Tls(_) => {
                return Err(NetError::InvalidArgument(
                    "the connection is encrypted already".into(),
                ));
            }
            State::Failed(error) => return Err(error.clone()),
            State::Resolving(_) | State::Connecting(_) | State::Gone => {
                return Err(NetError::NotConnected);
            }
        }
        if self.halves.send_shut {
            return Err(NetError::BrokenPipe);
        }
        let peer = self.peer_endpoint()?.ip();
        let judged = self.shared.judge_server_name(
            settings,
            Carrier::Connection {
                port: self.port,
                entry: &self.entry,
                peer,
            },
        )?;
        let roots_count = self.shared.config.allows_unverified_tls();
        let bytes = footprint::TLS + footprint::settings(settings, roots_count);
        let memory = self.shared.charge(&self.entry, bytes)?;
        let prepared = self.shared.connector().prepare(&judged)?;
        if let Some(place) = &mut self.place {
            place.set_tls(memory);
        }
        // Open -> Handshaking
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Open(plain) => {
                let begun = Begun {
                    settings: prepared.digest(),
                    server_name: settings.server_name.clone(),
                };
                let upgrade = Upgrade::new(prepared, begun, plain, self.budget);
                self.state = State::Handshaking(Box::new(upgrade));
            }
            other => self.state = other,
        }
        Ok(())
    }

    /// Whether a handshake that was begun is the one that is asked for.
    fn begun_with(&self, begun: &Begun, settings: &ClientSettings) -> bool {
        begun.server_name == settings.server_name
            && self
                .shared
                .connector()
                .digest(settings)
                .is_ok_and(|digest| digest == begun.settings)
    }

    /// Goes on with a handshake. Ready when it is complete, or has failed.
    pub(super) fn poll_secured(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        if let Err(error) = self.check_not_aborted() {
            return Poll::Ready(Err(error));
        }
        let upgrade = match &mut self.state {
            State::Handshaking(upgrade) => upgrade,
            State::Tls(_) => return Poll::Ready(Ok(())),
            State::Failed(error) => return Poll::Ready(Err(error.clone())),
            _ => return Poll::Ready(Err(NetError::NotConnected)),
        };
        match std::task::ready!(upgrade.poll(cx)) {
            Ok(encrypted) => {
                self.budget = upgrade.remaining();
                let info = encrypted.info();
                self.entry.secured(
                    info.version.as_str(),
                    info.cipher.to_owned(),
                    encrypted.begun().server_name.clone(),
                );
                // Handshaking -> Tls
                self.state = State::Tls(Box::new(encrypted));
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(self.fail(error))),
        }
    }

    /// Sends close_notify, waits for the peer's, and goes back to a plain connection.
    ///
    /// # Errors
    ///
    /// [`NetError::InvalidArgument`] unless the connection is encrypted, [`NetError::WouldBlock`] and
    /// [`NetError::TimedOut`], after which it can be called again, and [`NetError::Tls`] when the peer goes
    /// on sending or ends without close_notify.
    pub async fn end_tls(&mut self, timeout: Option<Duration>) -> Result<(), NetError> {
        self.check_usable()?;
        let outcome = self
            .patience(timeout)
            .wait(|cx| match &mut self.state {
                State::Tls(encrypted) => encrypted.poll_end(cx),
                _ => Poll::Ready(Err(NetError::InvalidArgument(
                    "the connection is not encrypted".into(),
                ))),
            })
            .await;
        if let Err(error) = outcome {
            self.note(&error);
            return Err(error);
        }
        // Tls -> Open
        match std::mem::replace(&mut self.state, State::Gone) {
            State::Tls(encrypted) => self.state = State::Open(encrypted.into_plain()),
            other => self.state = other,
        }
        // The peer has ended TLS and nothing else.
        self.halves.peer_ended = false;
        if self.close_reason == CloseReason::PeerClose {
            self.close_reason = CloseReason::LocalClose;
        }
        Ok(())
    }

    /// What the handshake agreed on; `None` unless the connection is encrypted.
    #[must_use]
    pub fn tls_info(&self) -> Option<&Info> {
        match &self.state {
            State::Tls(encrypted) => Some(encrypted.info()),
            _ => None,
        }
    }

    /// How many bytes of plaintext can be read without waiting for the peer. Always 0 on a plain connection.
    #[must_use]
    pub fn pending(&self) -> usize {
        match &self.state {
            State::Tls(encrypted) => encrypted.pending(),
            _ => 0,
        }
    }
}
