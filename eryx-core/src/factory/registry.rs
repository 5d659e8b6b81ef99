//! The factories of this process that somebody holds: a second one like it shares what the first one loaded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};

use super::Built;

type Alive = BTreeMap<String, Weak<Built>>;

/// The table, unless somebody has it right now. Nobody waits for it: in the child of a fork, one who had it in the parent
/// never gives it back, and without it a factory is only loaded once more.
fn alive() -> Option<MutexGuard<'static, Alive>> {
    static ALIVE: Mutex<Alive> = Mutex::new(BTreeMap::new());
    match ALIVE.try_lock() {
        Ok(alive) => Some(alive),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// The one that was built under `key`.
pub(super) fn find(key: &str) -> Option<Arc<Built>> {
    alive()?.get(key)?.upgrade()
}

/// Remember `built` as long as somebody holds it.
pub(super) fn keep(built: &Arc<Built>) {
    if let Some(mut alive) = alive() {
        alive.retain(|_, built| built.strong_count() > 0);
        alive.insert(built.key.clone(), Arc::downgrade(built));
    }
}
