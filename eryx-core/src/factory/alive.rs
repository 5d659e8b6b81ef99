//! The factories of this process that somebody holds: a second one like it shares what the first one loaded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Built;

static ALIVE: Mutex<BTreeMap<String, Weak<Built>>> = Mutex::new(BTreeMap::new());

/// The one that was built under `key`.
pub(super) fn find(key: &str) -> Option<Arc<Built>> {
    let alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
    alive.get(key)?.upgrade()
}

/// Remember `built` as long as somebody holds it.
pub(super) fn keep(built: &Arc<Built>) {
    let mut alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
    alive.retain(|_, built| built.strong_count() > 0);
    alive.insert(built.key.clone(), Arc::downgrade(built));
}
