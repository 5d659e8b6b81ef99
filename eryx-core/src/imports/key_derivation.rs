//! `eryx:host/key-derivation`: converts types, and yields to the runtime.

use wasmtime::component::{HasSelf, Linker};
use zeroize::Zeroizing;

use crate::bindings::eryx::host::key_derivation as wit;
use crate::key_derivation::pbkdf2::{self, Hash};
use crate::key_derivation::scrypt::{self, Cost};
use crate::key_derivation::yield_point::YieldPoint;
use crate::key_derivation::{KeyError, check_sizes};
use crate::store_state::StoreState;
use crate::time_slice::TimeSlice;

impl wit::Host for StoreState {
    async fn pbkdf2_hmac(
        &mut self,
        hash: wit::Hash,
        password: Vec<u8>,
        salt: Vec<u8>,
        rounds: u32,
        size: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, String>> {
        let password = Zeroizing::new(password);
        let size = length(size);
        if let Err(error) = check_sizes(&password, &salt, size) {
            return Ok(Err(error.to_string()));
        }
        if rounds == 0 {
            return Ok(Err(KeyError::NoRounds.to_string()));
        }
        let hash = match hash {
            wit::Hash::Md5 => Hash::Md5,
            wit::Hash::Sha1 => Hash::Sha1,
            wit::Hash::Sha224 => Hash::Sha224,
            wit::Hash::Sha256 => Hash::Sha256,
            wit::Hash::Sha384 => Hash::Sha384,
            wit::Hash::Sha512 => Hash::Sha512,
            wit::Hash::Sha512T224 => Hash::Sha512T224,
            wit::Hash::Sha512T256 => Hash::Sha512T256,
        };
        let yield_point = &mut self.time_slice;
        Ok(Ok(pbkdf2::derive(
            yield_point,
            hash,
            &password,
            &salt,
            rounds,
            size,
        )
        .await))
    }

    async fn scrypt(
        &mut self,
        password: Vec<u8>,
        salt: Vec<u8>,
        n: u64,
        r: u32,
        p: u32,
        size: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, String>> {
        let password = Zeroizing::new(password);
        let size = length(size);
        let cost = check_sizes(&password, &salt, size).and_then(|()| Cost::new(n, r, p));
        let key = match cost {
            Ok(cost) => {
                let (yield_point, budget) = (&mut self.time_slice, &self.host_memory);
                scrypt::derive(yield_point, budget, &password, &salt, cost, size).await
            }
            Err(error) => Err(error),
        };
        Ok(key.map_err(|error| error.to_string()))
    }
}

impl YieldPoint for TimeSlice {
    async fn yield_if_due(&mut self) {
        if self.is_over() {
            tokio::task::yield_now().await;
        }
    }
}

fn length(size: u32) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX)
}

/// Links the functions of `eryx:host/key-derivation` that the guest image imports.
pub(crate) fn add_to_linker(linker: &mut Linker<StoreState>) -> wasmtime::Result<()> {
    wit::add_to_linker::<_, HasSelf<StoreState>>(linker, |state| {
        state.on_call("eryx:host/key-derivation")
    })
}
