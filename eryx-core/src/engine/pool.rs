//! Places that sandboxes take turns in.
//!
//! A sandbox that ends leaves its memory mapped, with the pages it wrote to put back to what the image has. The next one
//! in its place finds them there, and the kernel need not map, copy and unmap them again.

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How many sandboxes find a place; any beyond them are made without a pool.
const PLACES: u32 = 256;

/// How many empty places keep their memory.
const WARM: u32 = 16;

/// How much of its memory a place keeps, in bytes: what a program writes to that imports a few modules. Where the kernel
/// does not tell which pages those are (`PAGEMAP_SCAN`, Linux 6.7), nothing is kept.
const KEPT: usize = 1 << 20;

/// The entries of a function table: an image has one, which does not grow, and a small one to import through.
const TABLE: usize = 1 << 14;

/// Have `config` make sandboxes in a pool.
pub(super) fn add_to(config: &mut Config) {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(PLACES)
        .total_memories(PLACES)
        .total_core_instances(3 * PLACES)
        .max_core_instances_per_component(3)
        .total_tables(2 * PLACES)
        .max_tables_per_module(2)
        .table_elements(TABLE)
        .total_stacks(PLACES)
        .max_memory_size(1 << 32)
        .max_unused_warm_slots(WARM);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(KEPT)
            .table_keep_resident(TABLE * size_of::<usize>());
    }
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
}
