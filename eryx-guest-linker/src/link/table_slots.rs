//! The entries of the function table that a library needs besides those that it asks for.

use super::Linker;
use super::layout::{ExtraFunction, Layout};
use crate::error::Rejection;

impl Linker<'_, '_> {
    /// Takes an entry of the table.
    pub(super) fn take_slot(&mut self) -> Result<u32, Rejection> {
        let slot = self.slot;
        self.slot = slot.saturating_add(1);
        self.check_sizes()?;
        Ok(slot)
    }

    /// Returns the entry of the table with a function that a library defines.
    pub(super) fn own_slot(
        &mut self,
        layout: &mut Layout<'_, '_>,
        function: u32,
    ) -> Result<u32, Rejection> {
        if let Some(slot) = layout.slots.get(&function) {
            return Ok(*slot);
        }
        let slot = self.take_slot()?;
        layout.slots.insert(function, slot);
        layout.extra_slots.push(layout.function(function));
        Ok(slot)
    }

    /// Returns the entry of the table with a function of the image.
    pub(super) fn image_slot(
        &mut self,
        layout: &mut Layout<'_, '_>,
        function: u32,
    ) -> Result<u32, Rejection> {
        let found = self
            .image
            .slot(function)
            .or_else(|| self.image_slots.get(&function).copied());
        if let Some(slot) = found {
            return Ok(slot);
        }
        let (Some(ty), Some(parameters)) = (
            self.image.function_type_index(function),
            self.image.function_type(function),
        ) else {
            return Err(Rejection::Invalid("a symbol is no function".to_owned()));
        };
        let caller = ExtraFunction::Caller {
            callee: function,
            parameters: parameters.params().len() as u32,
        };
        let caller = layout.add_function(ty, caller);
        let slot = self.take_slot()?;
        layout.extra_slots.push(caller);
        self.image_slots.insert(function, slot);
        Ok(slot)
    }
}
