//! Slots that sandboxes take turns in: reserved address space, function tables and stacks that are not mapped anew for each.
//!
//! A sandbox that ends gives the pages it wrote to back to the kernel (`MADV_DONTNEED`), whatever the kernel has done with
//! them meanwhile: swapped them out, moved them or merged them. Asking the kernel which pages were written to and
//! putting those back (`PAGEMAP_SCAN`) would save the next sandbox page faults, but wasmtime 48 asks for present pages
//! alone and so leaves what is in the swap, or on its way from one frame to another, to the next tenant.

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How many sandboxes find a slot; any beyond them are made without a pool.
const SLOTS: u32 = 256;

/// How many unused slots keep their image mapped.
const WARM: u32 = 16;

/// The entries of a function table: an image has one, which does not grow, and a small one to import through.
const TABLE: usize = 1 << 14;

/// Has `config` make sandboxes in a pool.
pub(super) fn add_to(config: &mut Config) {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(SLOTS)
        .total_memories(SLOTS)
        .total_core_instances(3 * SLOTS)
        .max_core_instances_per_component(3)
        .total_tables(2 * SLOTS)
        .max_tables_per_module(2)
        .table_elements(TABLE)
        .total_stacks(SLOTS)
        .max_memory_size(1 << 32)
        .max_unused_warm_slots(WARM)
        .table_keep_resident(TABLE * size_of::<usize>())
        .pagemap_scan(Enabled::No);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
}
