//! The memory of an instance, through the exports that the image has for it (`eryx-guest-build`,
//! pass `state_access`).

use wasmtime::Store;
use wasmtime::component::{
    ComponentNamedList, Instance as Exports, Lift, Lower, TypedFunc, WasmList,
};

use crate::bindings::Sandbox as Guest;
use crate::instance::MAX_CALL;
use crate::session_snapshot::{Handles, WASM_PAGE};
use crate::store_state::StoreState;

/// The functions that read and write the memory of an instance between two calls of the guest.
pub(crate) struct MemoryAccess {
    view: TypedFunc<(), (WasmList<u8>,)>,
    stack: TypedFunc<(), (u32,)>,
    target: TypedFunc<(u32,), ()>,
    place: TypedFunc<(Vec<u8>,), ()>,
    grow: TypedFunc<(u32,), (u32,)>,
    drop_nothing: TypedFunc<(u32,), ()>,
    reset_preopens: TypedFunc<(), ()>,
}

impl MemoryAccess {
    /// Returns the functions of an instance with these `exports`.
    ///
    /// # Errors
    ///
    /// Fails for an image without them.
    pub(crate) fn find(exports: &Exports, store: &mut Store<StoreState>) -> wasmtime::Result<Self> {
        fn typed<P, R>(
            exports: &Exports,
            store: &mut Store<StoreState>,
            name: &str,
        ) -> wasmtime::Result<TypedFunc<P, R>>
        where
            P: ComponentNamedList + Lower,
            R: ComponentNamedList + Lift,
        {
            exports.get_typed_func(store, name)
        }
        Ok(Self {
            view: typed(exports, store, "memory-view")?,
            stack: typed(exports, store, "memory-stack")?,
            target: typed(exports, store, "memory-target")?,
            place: typed(exports, store, "memory-place")?,
            grow: typed(exports, store, "memory-grow")?,
            drop_nothing: typed(exports, store, "drop-nothing")?,
            reset_preopens: typed(exports, store, "reset-preopens")?,
        })
    }

    /// Returns all memory, without a copy: `as_le_slice` of the list is the guest's memory.
    pub(crate) async fn view(
        &self,
        store: &mut Store<StoreState>,
    ) -> wasmtime::Result<WasmList<u8>> {
        store.set_hostcall_fuel(usize::MAX);
        let (memory,) = self.view.call_async(&mut *store, ()).await?;
        store.set_hostcall_fuel(MAX_CALL);
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
