//! Starting and ending TLS: `Open -> Handshaking -> Tls`, and back to `Open`.

use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use eryx_net_policy::Host;
use eryx_tls::{ClientSettings, Info};

use crate::audit::activity::CloseReason;
use crate::error::NetError;
use crate::host_memory::estimate;
use crate::http::inspector::Inspector;
use crate::http::tls_peer::TlsTransport;
use crate::server_name_check::HandshakeTransport;
use crate::tcp::connection::Connection;
use crate::tcp::inspected_stream::InspectedStream;
use crate::tcp::state::State;
use crate::tcp::tls_connection::{HandshakeSettings, TlsHandshake};

impl Connection {
    /// Starts TLS on the connection. Reads and writes then transfer plaintext over TLS.
    ///
    /// After [`NetError::WouldBlock`] or a timeout of the caller's own, another call with the same
    /// settings continues the handshake. `None` waits for the rest of the connect timeout: name
    /// lookup, dialling and the handshake share it, however much time passes between them.
    ///
    /// # Errors
    ///
    /// [`NetError::Denied`] when the policy denies the server name on this connection's port, and
    /// [`NetError::Tls`] with [`Refused`](crate::TlsFailure::Refused) for settings that cannot be
    /// honoured: both before any byte is sent, and the connection is unchanged. Any other failure
    /// of the handshake is final. [`NetError::InvalidArgument`] when TLS has already started, or a
    /// handshake with other settings is in progress.
    pub async fn start_tls(
        &mut self,
        settings: &ClientSettings,
        timeout: Option<Duration>,
    ) -> Result<(), NetError> {
        self.begin_handshake(settings)?;
        let ceiling = self.limits.context.config.connect_timeout();
        self.run_inline_first(timeout, ceiling, Self::poll_handshake)
            .await?;
        match &mut self.state {
            State::Tls(tls) => tls.mark_reported(),
            State::Inspected(inspected) => {
                if let Some(tls) = inspected.tls_connection_mut() {
                    tls.mark_reported();
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn begin_handshake(&mut self, settings: &ClientSettings) -> Result<(), NetError> {
        self.limits.check_not_aborted()?;
        let encrypted = match &self.state {
            State::Tls(tls) => Some(&**tls),
            State::Inspected(inspected) => inspected.tls_connection(),
            _ => None,
        };
        if let Some(tls) = encrypted {
            if tls.handshake_unreported() && self.settings_match(tls.settings(), settings) {
                return Ok(());
            }
            return Err(NetError::InvalidArgument(
                "the connection is encrypted already".into(),
            ));
        }
        match &self.state {
            State::Open(_) | State::Tls(_) => {}
            State::Inspected(inspected) => {
                if !inspected.can_begin_tls() {
                    return Err(NetError::Denied(format!(
                        "TLS cannot begin on a connection to `{}` that has carried bytes: requests to \
                         this host are inspected (http_rules, secrets); open another connection",
                        self.host
                    )));
                }
            }
            State::Handshaking(handshake)
                if self.settings_match(handshake.settings(), settings) =>
            {
                return Ok(());
            }
            State::Handshaking(_) => {
                return Err(NetError::InvalidArgument(
                    "a TLS handshake with other settings is under way on this connection".into(),
                ));
            }
            State::Failed(error) => return Err(error.clone()),
            State::Resolving(_) | State::Connecting(_) | State::Taken => {
                return Err(NetError::NotConnected);
            }
        }
        if self.half_close.write_shutdown {
            return Err(NetError::BrokenPipe);
        }
        let endpoints = self.endpoints.ok_or(NetError::NotConnected)?;
        let address = endpoints.policy_address();
        let context = &self.limits.context;
        let mut checked = context.check_server_name(
            settings,
            HandshakeTransport::Connection {
                port: self.port,
                entry: &self.entry,
                peer: address,
            },
        )?;
        let trusts_guest_roots = context.config.allows_unverified_tls();
        let inspected = match &context.http {
            Some(http) => {
                let transport = TlsTransport {
                    entry: &self.entry,
                    target: self.inspection.as_ref(),
                    hosts: self.hosts(address),
                    address,
                    port: self.port,
                };
                let hosts_of = |host: &Host| context.hosts_of(host);
                http.tls_peer(&mut checked, Some(&transport), trusts_guest_roots, hosts_of)?
            }
            None => None,
        };
        let mut bytes = estimate::tls(settings, trusts_guest_roots);
        // A connection to an inspected host was charged for it when it was established.
        if inspected.is_some() && self.inspection.is_none() {
            bytes += context.inspection_memory();
        }
        let memory = context.charge(&self.entry, bytes)?;
        let prepared = context.connector().prepare(&checked)?;
        if let Some(slot) = &mut self.slot {
            slot.set_tls(memory);
        }
        // The program continues the handshake with the protocols that it offered.
        let digest = match inspected {
            Some(_) => context.connector().digest(settings)?,
            None => prepared.digest(),
        };
        // Open -> Handshaking
        let plain = match std::mem::replace(&mut self.state, State::Taken) {
            State::Open(plain) => Ok(plain),
            State::Inspected(stream) => stream
                .into_plaintext()
                .map_err(|stream| State::Inspected(Box::new(stream))),
            other => Err(other),
        };
        self.state = match plain {
            Ok(plain) => {
                let settings = HandshakeSettings {
                    digest,
                    server_name: settings.server_name.clone(),
                };
                let budget = self.handshake_budget;
                let handshake = TlsHandshake::new(prepared, settings, plain, budget, inspected);
                State::Handshaking(Box::new(handshake))
            }
            Err(state) => state,
        };
        Ok(())
    }

    /// Returns the hosts that the connection leads to, as opposed to those behind a proxy of the
    /// guest program.
    fn hosts(&self, address: Option<IpAddr>) -> Vec<Host> {
        let mut hosts = self.limits.context.hosts_of(&self.host);
        // The program may have dialled the placeholder of a name.
        hosts.push(self.policy_host.clone());
        hosts.extend(address.map(Host::from));
        hosts
    }

    /// Returns whether a handshake that began with `begun` is the one that `settings` request.
    fn settings_match(&self, begun: &HandshakeSettings, settings: &ClientSettings) -> bool {
        begun.server_name == settings.server_name
            && self
                .limits
                .context
                .connector()
                .digest(settings)
                .is_ok_and(|digest| digest == begun.digest)
    }

    /// Drives a handshake. Ready when it is complete or has failed.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NetError>> {
        if let Err(error) = self.limits.check_not_aborted() {
            return Poll::Ready(Err(error));
        }
        let handshake = match &mut self.state {
            State::Handshaking(handshake) => handshake,
            State::Tls(_) | State::Inspected(_) => return Poll::Ready(Ok(())),
            State::Failed(error) => return Poll::Ready(Err(error.clone())),
            _ => return Poll::Ready(Err(NetError::NotConnected)),
        };
        match ready!(handshake.poll(cx)) {
            Ok(tls) => {
                self.handshake_budget = handshake.remaining();
                let info = tls.info();
                self.entry.tls_established(
                    info.version.as_str(),
                    info.cipher.to_owned(),
                    tls.settings().server_name.clone(),
                );
                // Handshaking -> Tls
                let inspected = handshake.take_inspected();
                self.state = match (inspected, &self.limits.context.http) {
                    (Some(peer), Some(context)) => {
                        let entry = Arc::clone(&self.entry);
                        let inspector = Inspector::new(Arc::clone(context), entry, peer);
                        let stream = InspectedStream::tls(Box::new(tls), inspector);
                        State::Inspected(Box::new(stream))
                    }
                    _ => State::Tls(Box::new(tls)),
                };
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(self.fail(error))),
        }
    }

    /// Ends TLS: sends close_notify, waits for the peer's, and returns to a plaintext connection.
    ///
    /// # Errors
    ///
    /// [`NetError::InvalidArgument`] unless the connection uses TLS, [`NetError::WouldBlock`] and
    /// [`NetError::TimedOut`], after which the method can be called again, and [`NetError::Tls`]
    /// when the peer continues to send or ends the stream without close_notify.
    pub async fn end_tls(&mut self, timeout: Option<Duration>) -> Result<(), NetError> {
        self.check_io_ready()?;
        let outcome = self
            .limits
            .io_timeout(timeout)
            .run(|cx| match &mut self.state {
                State::Tls(tls) => tls.poll_close(cx),
                State::Inspected(inspected) => inspected.poll_close(cx),
                _ => Poll::Ready(Err(NetError::InvalidArgument(
                    "the connection is not encrypted".into(),
                ))),
            })
            .await;
        if let Err(error) = outcome {
            self.record_error(&error);
            return Err(error);
        }
        // Tls -> Open
        let encrypted = match std::mem::replace(&mut self.state, State::Taken) {
            State::Tls(tls) => Some(tls),
            State::Inspected(inspected) => inspected.into_tls(),
            _ => None,
        };
        self.state = match encrypted {
            Some(tls) => self.plaintext_state(tls.into_plaintext()),
            None => State::Failed(NetError::NotConnected),
        };
        // The peer has ended TLS, but not its stream.
        self.half_close.peer_eof = false;
        if self.close_reason == CloseReason::PeerClose {
            self.close_reason = CloseReason::LocalClose;
        }
        Ok(())
    }

    /// Returns the parameters that the handshake negotiated; `None` unless the connection uses TLS.
    #[must_use]
    pub fn tls_info(&self) -> Option<&Info> {
        match &self.state {
            State::Tls(tls) => Some(tls.info()),
            State::Inspected(inspected) => inspected.info(),
            _ => None,
        }
    }

    /// Returns how many bytes of decrypted plaintext are buffered. Always 0 on a plaintext
    /// connection.
    #[must_use]
    pub fn pending(&self) -> usize {
        match &self.state {
            State::Tls(tls) => tls.pending(),
            State::Inspected(inspected) if inspected.is_tls() => inspected.pending(),
            _ => 0,
        }
    }
}
