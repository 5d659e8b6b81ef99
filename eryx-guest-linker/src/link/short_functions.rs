//! The replacements of functions that have fewer parameters than CPython passes.

use std::collections::HashMap;

use wasmparser::{FuncType, ValType};

use super::Linker;
use super::layout::{ExtraFunction, Layout};
use super::start::{RELOCATE, StartStep};
use crate::error::Rejection;
use crate::limits;
use crate::method_tables::{MAX_PARAMETERS, Memory, ShortFunction};
use crate::writer::LibraryWriter;

impl Linker<'_, '_> {
    /// Adds functions with all the parameters that CPython passes, in place of those in the tables
    /// of a library that have fewer. Returns what stores them.
    pub(super) fn replace_short_functions(
        &mut self,
        layout: &mut Layout<'_, '_>,
        writer: &LibraryWriter,
    ) -> Result<Vec<StartStep>, Rejection> {
        let library = layout.library;
        let Some(&relocate) = library.exported_functions.get(RELOCATE) else {
            return Ok(Vec::new());
        };
        let functions = layout
            .slots
            .iter()
            .map(|(function, slot)| (*slot, *function));
        let memory = Memory::new(
            library,
            relocate,
            &writer.imported_globals,
            &layout.bases,
            functions.collect(),
        )?;
        // CPython passes parameters that no call in the image passes to no function.
        let types: Vec<_> = (0..=MAX_PARAMETERS)
            .map(|count| {
                let ty = FuncType::new(vec![ValType::I32; count], [ValType::I32]);
                self.image.type_index(&ty)
            })
            .collect();
        let mut slots = HashMap::new();
        let mut steps = Vec::new();
        for short in memory.short_functions()? {
            let ShortFunction {
                address,
                function,
                parameters,
            } = short;
            let Some(ty) = types.get(parameters).copied().flatten() else {
                continue;
            };
            let space = layout.memory_base..layout.memory_base + library.memory.memory_size;
            if !space.contains(&address) || !space.contains(&(address + 3)) {
                return Err(Rejection::OutOfBounds("the address of a function"));
            }
            self.replaced_words += 1;
            if self.replaced_words > limits::REPLACED_WORDS {
                return Err(Rejection::too_large(
                    "functions with fewer parameters than CPython passes",
                    limits::REPLACED_WORDS,
                ));
            }
            let slot = match slots.get(&(function, parameters)) {
                Some(slot) => *slot,
                None => {
                    let caller = ExtraFunction::Caller {
                        callee: layout.function(function),
                        parameters: library.function_type(function)?.params().len() as u32,
                    };
                    let caller = layout.add_function(ty, caller);
                    let slot = self.take_slot()?;
                    layout.extra_slots.push(caller);
                    slots.insert((function, parameters), slot);
                    slot
                }
            };
            steps.push(StartStep::Store { address, slot });
        }
        Ok(steps)
    }
}
