//! The start of the libraries, and the functions by which `dlopen` finds their modules.

use std::collections::BTreeMap;

use super::Linker;
use super::layout::Layout;
use crate::error::Rejection;
use crate::writer::LibraryWriter;

/// The export of a library that stores addresses in its data. `wasm-ld` makes it.
pub(super) const RELOCATE: &str = "__wasm_apply_data_relocs";

/// The exports of a library that are run when it is started, in this order.
const START_FUNCTIONS: [&str; 3] = [RELOCATE, "__wasm_call_ctors", "_initialize"];

/// The prefix of the functions with which CPython makes a module.
const MODULE_FUNCTIONS: &str = "PyInit_";

/// A part of the start of the libraries.
pub(super) enum StartStep {
    /// Calls a function.
    Call(u32),
    /// Stores an entry of the table at an address.
    Store { address: u32, slot: u32 },
}

impl<'m> Linker<'_, 'm> {
    /// Adds the functions that make modules to the libraries that `dlopen` finds, and those that
    /// start the library. `replaced` follows the relocations.
    pub(super) fn add_exports(
        &mut self,
        path: &'m str,
        layout: &mut Layout<'_, 'm>,
        writer: &LibraryWriter,
        replaced: Vec<StartStep>,
    ) -> Result<(), Rejection> {
        let exported: BTreeMap<&'m str, u32> = layout
            .library
            .exported_functions
            .iter()
            .filter(|(_, function)| layout.defines(**function))
            .map(|(name, function)| (*name, *function))
            .collect();
        // It runs under the limits of the sandbox, and not when an instance is made.
        if let Some(start) = layout.library.start {
            if !layout.defines(start) {
                return Err(Rejection::Forbidden("starts with an imported function"));
            }
            self.start.push(StartStep::Call(writer.function(start)));
        }
        let mut replaced = Some(replaced);
        for name in START_FUNCTIONS {
            let Some(&function) = exported.get(name) else {
                continue;
            };
            let ty = layout.library.function_type(function)?;
            if !ty.params().is_empty() || !ty.results().is_empty() {
                return Err(Rejection::Forbidden("has a constructor with parameters"));
            }
            self.start.push(StartStep::Call(writer.function(function)));
            if name == RELOCATE {
                self.start.extend(replaced.take().unwrap_or_default());
            }
        }
        let mut symbols = BTreeMap::new();
        for (name, function) in exported {
            if name.starts_with(MODULE_FUNCTIONS) {
                symbols.insert(name, self.own_slot(layout, function)?);
            }
        }
        self.libraries.insert(path, symbols);
        Ok(())
    }
}
