//! The configuration of the pooling allocator: slots of reserved address space, function tables and
//! stacks, which are not mapped again for each sandbox.
//!
//! When an instance ends, the pages it wrote to go back to the kernel (`MADV_DONTNEED`), whatever
//! the kernel has done with them meanwhile: swapped them out, moved them or merged them. (Most
//! instances do not end with their program: `crate::interpreter::reuse`.) Asking the kernel which
//! pages were written to and restoring those (`PAGEMAP_SCAN`) would save the next sandbox page
//! faults, but wasmtime 48 asks only for present pages, and so leaves pages that are in the swap,
//! or on their way from one frame to another, to the next sandbox of the slot.

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The number of slots. Sandboxes beyond it use the on-demand allocator.
const SLOTS: u32 = 256;

/// How many unused slots keep their image mapped.
const WARM_SLOTS: u32 = 16;

/// The entries of a function table: an image has one table, which does not grow, and a small one
/// for its imports.
const TABLE_ELEMENTS: usize = 1 << 14;

/// Sets the pooling allocator in `config`.
pub(super) fn configure(config: &mut Config) {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(SLOTS)
        .total_memories(SLOTS)
        .total_core_instances(3 * SLOTS)
        .max_core_instances_per_component(3)
        .total_tables(2 * SLOTS)
        .max_tables_per_module(2)
        .table_elements(TABLE_ELEMENTS)
        .total_stacks(SLOTS)
        .max_memory_size(1 << 32)
        .max_unused_warm_slots(WARM_SLOTS)
        .table_keep_resident(TABLE_ELEMENTS * size_of::<usize>())
        .pagemap_scan(Enabled::No);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
}
