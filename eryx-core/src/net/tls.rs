use eryx_net_host::{NetError, TlsSession, tls};
use wasmtime::component::Resource;

use super::{Failure, convert, ready};
use crate::bindings::eryx::net::tls::{ClientConfig, Host as TlsHost, HostSession, Info};
use crate::store_state::Host;
use crate::thread;

impl TlsHost for Host {
    async fn decrypt_key(&mut self, key: String, password: String) -> Result<Vec<u8>, Failure> {
        let (key, password) = convert::encrypted_key(&key, &password)?;
        // It may take a while, which is not for a thread that serves other sandboxes, too. Whoever stops waiting leaves
        // behind no more than one such while.
        let decrypted = thread::run(move || tls::decrypt_key(&key, &password))
            .await
            .map_err(|_| NetError::Other("the host has no thread to decrypt the key".into()))?;
        Ok(decrypted.map_err(convert::key_error)?)
    }
}

impl HostSession for Host {
    fn client(&mut self, config: ClientConfig) -> Result<Resource<TlsSession>, Failure> {
        let session = self
            .network
            .tls_session(&convert::client_settings(config)?)?;
        Ok(self.table.push(session)?)
    }

    fn feed(&mut self, session: Resource<TlsSession>, ciphertext: Vec<u8>) -> Result<u32, Failure> {
        let taken = self.table.get_mut(&session)?.feed(&ciphertext);
        Ok(convert::size(taken.map_err(NetError::from)?))
    }

    fn feed_eof(&mut self, session: Resource<TlsSession>) -> wasmtime::Result<()> {
        self.table.get_mut(&session)?.feed_eof();
        Ok(())
    }

    fn take(&mut self, session: Resource<TlsSession>, max: u32) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get_mut(&session)?.take(convert::length(max)))
    }

    fn handshake(&mut self, session: Resource<TlsSession>) -> Result<(), Failure> {
        ready(self.table.get_mut(&session)?.handshake())
    }

    fn read(&mut self, session: Resource<TlsSession>, max: u32) -> Result<Vec<u8>, Failure> {
        ready(self.table.get_mut(&session)?.read(convert::length(max)))
    }

    fn write(&mut self, session: Resource<TlsSession>, plaintext: Vec<u8>) -> Result<u32, Failure> {
        ready(self.table.get_mut(&session)?.write(&plaintext)).map(convert::size)
    }

    fn pending(&mut self, session: Resource<TlsSession>) -> wasmtime::Result<u32> {
        Ok(convert::size(self.table.get(&session)?.pending()))
    }

    fn close(&mut self, session: Resource<TlsSession>) -> Result<(), Failure> {
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
