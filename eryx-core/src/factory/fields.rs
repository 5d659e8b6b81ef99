//! The fields of binary files.

/// Takes a field of `N` bytes off the start of `rest`. Returns `None` if it has fewer.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}
