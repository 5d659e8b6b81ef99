//! The idle instances: those that were reset after their program, and wait for the next one
//! (`interpreter/reuse.rs`).

use eryx_sync::Mutex;
use wasmtime::Store;
use wasmtime::component::Instance;

use crate::bindings::Sandbox as Guest;
use crate::memory_access::MemoryAccess;
use crate::store_state::StoreState;

/// The most instances that wait, of all images together. Each has up to a megabyte of memory.
const MAX_IDLE: usize = 16;

/// The instances that wait, the last one used at the end.
static POOL: Mutex<Vec<IdleInstance>> = Mutex::new(Vec::new());

/// An instance that is equal to a new one.
pub(crate) struct IdleInstance {
    /// The image that it is an instance of.
    pub(crate) image: u64,
    /// The bytes of its memory.
    pub(crate) memory: u64,
    pub(crate) store: Store<StoreState>,
    pub(crate) guest: Guest,
    pub(crate) instance: Instance,
    pub(crate) access: Box<MemoryAccess>,
}

impl IdleInstance {
    /// Makes it wait for its next program.
    pub(crate) fn park(self) {
        let Some(mut pool) = POOL.try_lock_spinning() else {
            return;
        };
        let evicted = (pool.len() == MAX_IDLE).then(|| pool.remove(0));
        pool.push(self);
        drop(pool);
        drop(evicted);
    }
}

/// Takes an instance of `image` that has at most `max_memory` bytes of memory, if one waits.
pub(crate) fn take(image: u64, max_memory: u64) -> Option<IdleInstance> {
    let mut pool = POOL.try_lock_spinning()?;
    let found = pool
        .iter()
        .rposition(|idle| idle.image == image && idle.memory <= max_memory)?;
    Some(pool.remove(found))
}

/// Ends the instance that was used least recently, whose slot is then free. Returns whether there
/// was one.
pub(crate) fn evict_lru() -> bool {
    let Some(mut pool) = POOL.try_lock_spinning() else {
        return false;
    };
    let evicted = (!pool.is_empty()).then(|| pool.remove(0));
    drop(pool);
    evicted.is_some()
}

/// Ends the instances of an image that is no longer used.
pub(crate) fn evict_image(image: u64) {
    // If they are left, they end when others take their place.
    let Some(mut pool) = POOL.try_lock_spinning() else {
        return;
    };
    let evicted: Vec<_> = pool.extract_if(.., |idle| idle.image == image).collect();
    drop(pool);
    drop(evicted);
}
