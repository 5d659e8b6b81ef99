//! Merges the core modules that a component links at instantiation into one (static linking).
//!
//! The interpreter and its libraries are core modules that share one memory and one table. Linked
//! at run time, each has an instance of its own, thousands of functions are put into a table that
//! belongs to another module, and every call between modules is indirect. After merging, the table
//! is the module's own and is filled on first use, and calls are direct.
//!
//! Some functions of the component need a memory of one of the modules, so the component defines
//! them after that module is instantiated. The pass merges every module that needs none of them.
//! The module that passes them on to the others stays. Globals that no function sets become
//! constants, and unreachable functions are left out. Those that native modules may use stay, and
//! the merged module has their names in its symbol table.

mod component_writer;
mod index_layout;
mod item;
mod link_graph;
mod merged_module;
mod module;
mod reachability;
mod symbols;

use anyhow::{Context, Result, ensure};
use eryx_guest_linker::yield_points;

use self::link_graph::LinkGraph;
use self::merged_module::MergedModule;
use super::state_access;

/// Returns `component` with as few core modules as possible.
///
/// With `yield_import`, a host function that modules import, the merged module gets yield points
/// that call it. If the modules share a C stack, the component gets exports that read and write the
/// state of an instance (pass `state_access`).
pub(crate) fn merge_modules(
    component: &[u8],
    yield_import: Option<(&str, &str)>,
) -> Result<Vec<u8>> {
    try_merge(component, yield_import).context("the component's modules cannot be merged")
}

fn try_merge(component: &[u8], yield_import: Option<(&str, &str)>) -> Result<Vec<u8>> {
    let graph = LinkGraph::parse(component)?;
    ensure!(!graph.merged.is_empty(), "there are none");
    graph.check_replacements()?;
    let mut merged = MergedModule::build(&graph)?;
    let yield_import = yield_import
        .map(|import| {
            ensure!(
                !graph.has_code_outside_merged()?,
                "a module that is not merged has code, which does not yield to the host"
            );
            let host_function = graph.host_function(import)?;
            let index = merged
                .imports
                .iter()
                .position(|imported| *imported == host_function)
                .context("no reachable function calls the function that yields")?;
            Ok(u32::try_from(index)?)
        })
        .transpose()?;
    let has_state_access = if let Some(stack_pointer) = merged.stack_pointer {
        let drops: Vec<u32> = (0..)
            .zip(&merged.imports)
            .filter(|(_, function)| graph.drops.contains(function))
            .map(|(index, _)| index)
            .collect();
        merged.bytes =
            state_access::add_functions(&merged.bytes, &drops, stack_pointer, yield_import)?;
        true
    } else {
        false
    };
    if let Some(yield_import) = yield_import {
        let inputs = yield_points::Inputs {
            yield_import,
            non_yielding: graph
                .non_yielding
                .iter()
                .filter_map(|item| merged.exports.get(item).map(String::as_str))
                .collect(),
        };
        let (bytes, points) = yield_points::add_yield_points(&merged.bytes, &inputs)?;
        merged.bytes = bytes;
        if let Some(symbols) = &mut merged.symbols {
            symbols.yield_points = points;
            merged.bytes = symbols.append_to(&merged.bytes);
        }
    }
    let (component, instance) = component_writer::write(component, &graph, merged)?;
    if has_state_access {
        return state_access::add_exports(&component, instance);
    }
    Ok(component)
}

#[cfg(test)]
mod tests;
