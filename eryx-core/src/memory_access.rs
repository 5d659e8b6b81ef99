//! The memory of an instance, through the exports that the image has for it (`eryx-guest-build`,
//! pass `state_access`).

use std::ops::Range;

use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Instance, Lift, Lower, TypedFunc, WasmList};

use crate::bindings::Sandbox as Guest;
use crate::error::Error;
use crate::session_snapshot::{Handles, WASM_PAGE};
use crate::snapshot_error::SnapshotError;
use crate::store_state::{MAX_CALL, StoreState};

/// An address, which is a multiple of 8, and the words that are placed there.
pub(crate) type Part = (u32, Vec<u64>);

/// The most parts that are placed in one call: their list has to fit into the first page.
pub(crate) const MAX_PARTS: usize = 256;

/// The functions that read and write the memory of an instance between two calls of the guest.
pub(crate) struct MemoryAccess {
    view: TypedFunc<(), (WasmList<u8>,)>,
    stack: TypedFunc<(), (u32,)>,
    target: TypedFunc<(u32,), ()>,
    place: TypedFunc<(Vec<u8>,), ()>,
    place_all: TypedFunc<(Vec<Part>,), ()>,
    grow: TypedFunc<(u32,), (u32,)>,
    drop_nothing: TypedFunc<(u32,), ()>,
    reset_preopens: TypedFunc<(), ()>,
}

impl MemoryAccess {
    /// Returns the functions of `instance`.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Unsupported`] for an image without them.
    pub(crate) fn find(instance: &Instance, store: &mut Store<StoreState>) -> Result<Self, Error> {
        fn typed<P, R>(
            instance: &Instance,
            store: &mut Store<StoreState>,
            name: &str,
        ) -> Result<TypedFunc<P, R>, SnapshotError>
        where
            P: ComponentNamedList + Lower,
            R: ComponentNamedList + Lift,
        {
            let function = instance.get_typed_func(store, name);
            function.map_err(|_| SnapshotError::Unsupported)
        }
        Ok(Self {
            view: typed(instance, store, "memory-view")?,
            stack: typed(instance, store, "memory-stack")?,
            target: typed(instance, store, "memory-target")?,
            place: typed(instance, store, "memory-place")?,
            place_all: typed(instance, store, "memory-place-all")?,
            grow: typed(instance, store, "memory-grow")?,
            drop_nothing: typed(instance, store, "drop-nothing")?,
            reset_preopens: typed(instance, store, "reset-preopens")?,
        })
    }

    /// Returns all memory, without a copy: `as_le_slice` of the list is the guest's memory.
    ///
    /// # Errors
    ///
    /// When the call traps, or the memory is empty: that is what the image says of one with all 4
    /// GiB, which the limits do not allow.
    pub(crate) async fn view(
        &self,
        store: &mut Store<StoreState>,
    ) -> wasmtime::Result<WasmList<u8>> {
        store.set_hostcall_fuel(usize::MAX);
        let (memory,) = self.view.call_async(&mut *store, ()).await?;
        store.set_hostcall_fuel(MAX_CALL);
        if memory.len() == 0 {
            return Err(wasmtime::Error::msg("its size has no 32-bit number"));
        }
        Ok(memory)
    }

    /// Returns the lowest address in use: the C stack is below, and no function has a frame there
    /// between two calls of the guest.
    pub(crate) async fn start(&self, store: &mut Store<StoreState>) -> wasmtime::Result<usize> {
        let (stack,) = self.stack.call_async(&mut *store, ()).await?;
        Ok(stack as usize)
    }

    /// Copies `bytes` to `address`. The engine checks that both ends are in the memory.
    pub(crate) async fn place(
        &self,
        store: &mut Store<StoreState>,
        address: u32,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<()> {
        self.target.call_async(&mut *store, (address,)).await?;
        self.place.call_async(&mut *store, (bytes,)).await
    }

    /// Copies each of `parts` to its address, as [`place`](Self::place) does. Overwrites the first
    /// page, the end of the C stack.
    ///
    /// # Errors
    ///
    /// When there are more than [`MAX_PARTS`], or as for [`place`](Self::place).
    pub(crate) async fn place_all(
        &self,
        store: &mut Store<StoreState>,
        parts: Vec<Part>,
    ) -> wasmtime::Result<()> {
        if parts.len() > MAX_PARTS {
            return Err(wasmtime::Error::msg("too many parts of memory"));
        }
        self.place_all.call_async(&mut *store, (parts,)).await
    }

    /// Grows the memory to `size` bytes. Returns whether the limits allow it.
    pub(crate) async fn grow_to(
        &self,
        store: &mut Store<StoreState>,
        size: usize,
    ) -> wasmtime::Result<bool> {
        let present = self.view(store).await?.len();
        let Some(missing) = size.checked_sub(present) else {
            return Err(wasmtime::Error::msg("the memory is larger already"));
        };
        if missing == 0 {
            return Ok(true);
        }
        // A memory has at most 65,536 pages.
        let pages = u32::try_from(missing.div_ceil(WASM_PAGE)).unwrap_or(u32::MAX);
        let (before,) = self.grow.call_async(&mut *store, (pages,)).await?;
        Ok(before != u32::MAX)
    }

    /// Makes libc drop the handles that it has, of standard output as of open directories.
    pub(crate) async fn reset_preopens(
        &self,
        store: &mut Store<StoreState>,
    ) -> wasmtime::Result<()> {
        self.reset_preopens.call_async(&mut *store, ()).await
    }

    /// Makes a program continue whose memory was copied to this instance: see `wake` in the WIT.
    pub(crate) async fn wake(
        &self,
        store: &mut Store<StoreState>,
        guest: &Guest,
        handles: Handles,
    ) -> wasmtime::Result<()> {
        // The memory has the numbers of handles that this instance does not have.
        self.drop_nothing.call_async(&mut *store, (1,)).await?;
        self.reset_preopens.call_async(&mut *store, ()).await?;
        guest
            .call_wake(&mut *store, handles.network, handles.listings)
            .await?;
        self.drop_nothing.call_async(&mut *store, (0,)).await
    }
}

/// Returns the part that `range` of `memory` is, which has whole words.
pub(crate) fn part(memory: &[u8], range: Range<usize>) -> Part {
    // Addresses have 32 bits.
    let address = u32::try_from(range.start).unwrap_or(u32::MAX);
    (address, words(&memory[range]))
}

/// Returns the words that `bytes` are.
pub(crate) fn words(bytes: &[u8]) -> Vec<u64> {
    let (words, _) = bytes.as_chunks();
    words.iter().map(|word| u64::from_le_bytes(*word)).collect()
}

/// Returns the error for memory that cannot be read or written.
pub(crate) fn copy_error(error: wasmtime::Error) -> Error {
    Error::image("its memory cannot be copied", error)
}
