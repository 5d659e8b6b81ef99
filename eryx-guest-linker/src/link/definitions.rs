//! The types, globals, data and table entries of a library.

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{ConstExpr, DataSection, ElementSection, Elements, GlobalSection, TypeSection};
use wasmparser::DataKind;

use super::layout::Layout;
use super::{Linker, invalid};
use crate::error::Rejection;
use crate::sections::List;
use crate::writer::LibraryWriter;

impl Linker<'_, '_> {
    /// Adds the types, globals and data of a library.
    pub(super) fn add_definitions(
        &mut self,
        layout: &Layout<'_, '_>,
        writer: &mut LibraryWriter,
    ) -> Result<(), Rejection> {
        let library = layout.library;
        let mut types = TypeSection::new();
        for ty in &library.types {
            let ty = writer.func_type(ty.clone()).map_err(invalid)?;
            types.ty().func_type(&ty);
        }
        let mut globals = GlobalSection::new();
        for global in &library.globals {
            writer
                .parse_global(&mut globals, global.clone())
                .map_err(invalid)?;
        }
        let mut data = DataSection::new();
        for segment in &library.data {
            let DataKind::Active { offset_expr, .. } = &segment.kind else {
                return Err(Rejection::Forbidden("has a passive data segment"));
            };
            let offset = library.evaluate(offset_expr, &layout.bases)?;
            let end = u64::from(offset) + segment.data.len() as u64;
            let space = u64::from(layout.memory_base) + u64::from(library.memory.memory_size);
            if offset < layout.memory_base || end > space {
                return Err(Rejection::OutOfBounds("a data segment"));
            }
            data.active(
                0,
                &ConstExpr::i32_const(offset.cast_signed()),
                segment.data.iter().copied(),
            );
        }
        self.additions.types.append(&List::from_section(&types)?);
        self.additions
            .globals
            .append(&List::from_section(&globals)?);
        self.additions.data.append(&List::from_section(&data)?);
        Ok(())
    }

    /// Adds the entries of the table.
    pub(super) fn add_elements(
        &mut self,
        layout: &Layout<'_, '_>,
        writer: &LibraryWriter,
    ) -> Result<(), Rejection> {
        let mut section = ElementSection::new();
        let mut add = |first: u32, functions: Vec<u32>| {
            section.active(
                Some(self.symbols.table).filter(|table| *table != 0),
                &ConstExpr::i32_const(first.cast_signed()),
                Elements::Functions(functions.into()),
            );
        };
        for element in &layout.library.elements {
            let (first, functions) = layout.element(element)?;
            let functions = functions.iter().map(|index| writer.function(*index));
            add(first, functions.collect());
        }
        // They were taken one after another, behind those that the library asks for.
        let extra = layout.extra_slots.clone();
        add(self.slot - extra.len() as u32, extra);
        self.additions
            .elements
            .append(&List::from_section(&section)?);
        Ok(())
    }
}
