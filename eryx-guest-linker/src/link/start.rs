//! The start of the libraries, and the functions by which `dlopen` finds their modules.

use std::collections::BTreeMap;

use wasm_encoder::{Function, Instruction, MemArg};

use super::Linker;
use super::layout::Layout;
use crate::error::Rejection;
use crate::writer::LibraryWriter;
use crate::yield_points::body;

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

    /// Returns the function that starts the libraries, and then sets them: `root` is the address of
    /// their table.
    pub(super) fn start_function(&self, root: u32) -> Function {
        let mut start = Function::new([]);
        // The table has this function, which called none before. Its branch gets no hint.
        body::count_entry(&self.symbols.yield_points, &mut start);
        for step in &self.start {
            match step {
                StartStep::Call(function) => {
                    start.instruction(&Instruction::Call(*function));
                }
                StartStep::Store { address, slot } => {
                    start
                        .instruction(&Instruction::I32Const(address.cast_signed()))
                        .instruction(&Instruction::I32Const(slot.cast_signed()))
                        .instruction(&Instruction::I32Store(MemArg {
                            offset: 0,
                            align: 2,
                            memory_index: 0,
                        }));
                }
            }
        }
        start
            .instruction(&Instruction::I32Const(root.cast_signed()))
            .instruction(&Instruction::Call(self.symbols.set_libraries))
            .instruction(&Instruction::End);
        start
    }
}
