//! The functions of a library, with yield points and padded frames.

use wasm_encoder::{BlockType, CodeSection, Function, FunctionSection, Instruction};

use super::layout::{ExtraFunction, Layout};
use super::{Linker, invalid};
use crate::error::Rejection;
use crate::library::Library;
use crate::sections::List;
use crate::writer::LibraryWriter;
use crate::yield_points::body::{self, BodyInputs, Padding};

/// The padding of the frames of functions that may call themselves, in bytes: as that of CPython's
/// own functions that check the recursion depth.
const FRAME_PADDING: i32 = 96;

impl Linker<'_, '_> {
    /// Adds the functions, with yield points.
    pub(super) fn add_code(
        &mut self,
        layout: &Layout<'_, '_>,
        writer: &mut LibraryWriter,
    ) -> Result<(), Rejection> {
        let library = layout.library;
        let mut calls = library.calls.clone();
        calls.redirect(&layout.redirects);
        for &function in layout.slots.keys() {
            calls.add_reference(function);
        }
        let counted_entries = calls.counted_entries();
        let points = &self.symbols.yield_points;
        let imported = library.imported_functions.len() as u32;
        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        for (index, body) in (imported..).zip(&library.bodies) {
            let ty = library.function_types[index as usize];
            functions.function(writer.first_type + ty);
            let inputs = BodyInputs {
                points,
                parameters: library.function_type(index)?.params().len() as u32,
                counts_entry: counted_entries.contains(&index),
                yield_import: None,
                // It imports functions of the image, and none of the host.
                calls_host: &|_| false,
                padding: self.padding(library, index, counted_entries.contains(&index))?,
            };
            let instrumented = body::instrument(writer, body, &inputs).map_err(invalid)?;
            code.function(&instrumented.function);
            if !instrumented.hints.is_empty() {
                self.additions
                    .hints
                    .push((writer.function(index), instrumented.hints));
            }
        }
        let first = layout.first_function + library.bodies.len() as u32;
        for (index, (ty, extra)) in (first..).zip(&layout.extra_functions) {
            functions.function(*ty);
            let mut function = Function::new([]);
            match extra {
                ExtraFunction::Caller { callee, parameters } => {
                    let hints = body::count_entry(points, &mut function);
                    self.additions.hints.push((index, hints));
                    for parameter in 0..*parameters {
                        function.instruction(&Instruction::LocalGet(parameter));
                    }
                    function.instruction(&Instruction::Call(*callee));
                }
                ExtraFunction::Trap => {
                    function.instruction(&Instruction::Unreachable);
                }
            }
            function.instruction(&Instruction::End);
            code.function(&function);
        }
        self.additions
            .functions
            .append(&List::from_section(&functions)?);
        self.additions.code.append(&List::from_section(&code)?);
        Ok(())
    }

    /// Returns the padding of a function's frame: CPython's own check of the recursion depth has to
    /// fail before the native stack ends, also where functions of the library are between two
    /// checks.
    fn padding(
        &self,
        library: &Library<'_>,
        function: u32,
        may_recurse: bool,
    ) -> Result<Option<Padding>, Rejection> {
        let ty = library.function_type(function)?;
        let result = match ty.results() {
            [] => BlockType::Empty,
            [result] => match wasm_encoder::ValType::try_from(*result) {
                Ok(result) => BlockType::Result(result),
                Err(_) => return Ok(None),
            },
            _ => return Ok(None),
        };
        if !may_recurse || library.calls.has_tail_calls(function) {
            return Ok(None);
        }
        Ok(Some(Padding {
            stack_pointer: self.symbols.stack_pointer,
            bytes: FRAME_PADDING,
            result,
        }))
    }
}
