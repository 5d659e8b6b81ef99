//! `eryx:net/tls`: TLS sessions whose bytes the guest transports, and decryption of keys.

use std::task::Poll;

use eryx_net_host::{NetError, TlsSession, tls};
use wasmtime::component::Resource;

use crate::bindings::eryx::net::tls::{ClientConfig, Host, HostSession, Info};
use crate::imports::net::convert;
use crate::store_state::StoreState;
use crate::thread;
use crate::trappable_error::TrappableError;

impl Host for StoreState {
    async fn decrypt_key(
        &mut self,
        key: String,
        password: String,
    ) -> Result<Vec<u8>, TrappableError<NetError>> {
        let (key, password) = convert::encrypted_key(&key, &password)?;
        // Decryption is CPU-bound, so it runs on a thread of its own. A cancelled caller leaves at
        // most one such thread behind.
        let decrypted = thread::run(move || tls::decrypt_key(&key, &password))
            .await
            .map_err(|_| {
                NetError::Other("the machine has no thread left to decrypt the key".into())
            })?;
        Ok(decrypted.map_err(convert::key_error)?)
    }
}

/// Maps `Pending` to `WouldBlock`: the guest polls.
fn ready<T>(poll: Poll<Result<T, NetError>>) -> Result<T, TrappableError<NetError>> {
    match poll {
        Poll::Ready(result) => Ok(result?),
        Poll::Pending => Err(NetError::WouldBlock.into()),
    }
}

impl HostSession for StoreState {
    fn client(
        &mut self,
        config: ClientConfig,
    ) -> Result<Resource<TlsSession>, TrappableError<NetError>> {
        let session = self
            .network
            .tls_session(&convert::client_settings(config)?)?;
        Ok(self.table.push(session)?)
    }

    fn feed(
        &mut self,
        session: Resource<TlsSession>,
        ciphertext: Vec<u8>,
    ) -> Result<u32, TrappableError<NetError>> {
        let session = self.table.get_mut(&session)?;
        Ok(convert::to_u32(session.feed(&ciphertext)?))
    }

    fn feed_eof(&mut self, session: Resource<TlsSession>) -> wasmtime::Result<()> {
        self.table.get_mut(&session)?.feed_eof();
        Ok(())
    }

    fn take(&mut self, session: Resource<TlsSession>, max: u32) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get_mut(&session)?.take(convert::to_usize(max)))
    }

    fn handshake(&mut self, session: Resource<TlsSession>) -> Result<(), TrappableError<NetError>> {
        ready(self.table.get_mut(&session)?.handshake())
    }

    fn read(
        &mut self,
        session: Resource<TlsSession>,
        max: u32,
    ) -> Result<Vec<u8>, TrappableError<NetError>> {
        ready(self.table.get_mut(&session)?.read(convert::to_usize(max)))
    }

    async fn write(
        &mut self,
        session: Resource<TlsSession>,
        plaintext: Vec<u8>,
    ) -> Result<u32, TrappableError<NetError>> {
        let session = self.table.get_mut(&session)?;
        Ok(convert::to_u32(session.write(&plaintext).await?))
    }

    fn pending(&mut self, session: Resource<TlsSession>) -> wasmtime::Result<u32> {
        Ok(convert::to_u32(self.table.get(&session)?.pending()))
    }

    fn close(&mut self, session: Resource<TlsSession>) -> Result<(), TrappableError<NetError>> {
        ready(self.table.get_mut(&session)?.close())
    }

    fn info(&mut self, session: Resource<TlsSession>) -> wasmtime::Result<Option<Info>> {
        Ok(self
            .table
            .get(&session)?
            .info()
            .as_ref()
            .map(convert::tls_info))
    }

    fn drop(&mut self, session: Resource<TlsSession>) -> wasmtime::Result<()> {
        self.table.delete(session)?;
        Ok(())
    }
}
