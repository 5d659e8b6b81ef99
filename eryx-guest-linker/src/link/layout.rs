//! The layout of a library in the image: its memory, entries of the table, and indices.

use std::collections::HashMap;

use wasmparser::{ElementItems, ElementKind, ValType};

use crate::error::Rejection;
use crate::library::Library;

/// The layout of a library: its memory, entries of the table, and indices in the image.
pub(super) struct Layout<'l, 'a> {
    pub(super) library: &'l Library<'a>,
    pub(super) memory_base: u32,
    pub(super) table_base: u32,
    pub(super) first_function: u32,
    /// The imported globals that are constants of the same value in the whole library.
    pub(super) bases: Vec<Option<u32>>,
    /// The entries of the table that have its own functions.
    pub(super) slots: HashMap<u32, u32>,
    /// The functions in the entries behind those that it asks for.
    pub(super) extra_slots: Vec<u32>,
    /// Functions behind its own: the index of their type, and their body.
    pub(super) extra_functions: Vec<(u32, ExtraFunction)>,
    /// The functions that it imports and defines.
    pub(super) redirects: HashMap<u32, u32>,
    pub(super) unknown: Vec<String>,
}

/// A function that a library needs besides its own.
pub(super) enum ExtraFunction {
    /// Calls a function with the first of its parameters. It is in the table in place of a function
    /// of the image, which does not decrement the counter when it is called, or of one of the
    /// library with fewer parameters than CPython passes.
    Caller { callee: u32, parameters: u32 },
    /// Traps: a weak symbol that is missing.
    Trap,
}

impl Layout<'_, '_> {
    /// Returns whether the library defines a function, by its index there.
    pub(super) fn defines(&self, function: u32) -> bool {
        function as usize >= self.library.imported_functions.len()
    }

    /// Returns the index in the image of a function that the library defines.
    pub(super) fn function(&self, function: u32) -> u32 {
        self.first_function + function - self.library.imported_functions.len() as u32
    }

    /// Adds a function behind those of the library. Returns its index in the image.
    pub(super) fn add_function(&mut self, ty: u32, function: ExtraFunction) -> u32 {
        let behind = self.library.bodies.len() + self.extra_functions.len();
        self.extra_functions.push((ty, function));
        self.first_function + behind as u32
    }

    /// Returns the address of data that the library exports.
    pub(super) fn own_data(&self, name: &str) -> Result<Option<u32>, Rejection> {
        let Some(&export) = self.library.exported_globals.get(name) else {
            return Ok(None);
        };
        let imported = self.library.imported_globals.len();
        let global = (export as usize)
            .checked_sub(imported)
            .and_then(|index| self.library.globals.get(index));
        match global {
            Some(global) if !global.ty.mutable && global.ty.content_type == ValType::I32 => {
                let offset = self.library.evaluate(&global.init_expr, &self.bases)?;
                Ok(Some(self.memory_base.wrapping_add(offset)))
            }
            _ => Ok(None),
        }
    }

    /// Returns the first entry of the table that an element segment fills, and its functions.
    pub(super) fn element(
        &self,
        element: &wasmparser::Element<'_>,
    ) -> Result<(u32, Vec<u32>), Rejection> {
        let (ElementKind::Active { offset_expr, .. }, ElementItems::Functions(functions)) =
            (&element.kind, element.items.clone())
        else {
            return Err(Rejection::Forbidden("has a passive element segment"));
        };
        let first = self.library.evaluate(offset_expr, &self.bases)?;
        let end = u64::from(first) + u64::from(functions.count());
        let space = u64::from(self.table_base) + u64::from(self.library.memory.table_size);
        if first < self.table_base || end > space {
            return Err(Rejection::OutOfBounds("an element segment"));
        }
        let functions = functions.into_iter().collect::<Result<_, _>>()?;
        Ok((first, functions))
    }

    /// Finds the entries of the table with functions of the library.
    pub(super) fn read_slots(&mut self) -> Result<(), Rejection> {
        for element in &self.library.elements {
            let (first, functions) = self.element(element)?;
            for (slot, function) in (first..).zip(functions) {
                if self.defines(function) {
                    self.slots.entry(function).or_insert(slot);
                }
            }
        }
        Ok(())
    }
}
