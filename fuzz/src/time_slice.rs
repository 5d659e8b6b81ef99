//! The part of `eryx-core`'s time slice that the format of snapshots uses.

/// A time slice that is never over.
pub(crate) struct TimeSlice;

impl TimeSlice {
    pub(crate) fn is_over(&self) -> bool {
        false
    }
}
