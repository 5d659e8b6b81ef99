//! The functions and globals of the image that a library imports.

use wasmparser::FuncType;

use super::Linker;
use super::layout::{ExtraFunction, Layout};
use crate::error::Rejection;
use crate::library::{ImportedGlobal, PREVIEW1};
use crate::writer::GlobalValue;

impl Linker<'_, '_> {
    /// Returns the functions of the image that a library imports.
    pub(super) fn resolve_functions(
        &self,
        layout: &mut Layout<'_, '_>,
    ) -> Result<Vec<u32>, Rejection> {
        let mut functions = Vec::new();
        for (index, import) in (0..).zip(&layout.library.imported_functions) {
            let expected = layout.library.function_type(index)?;
            let symbols = if import.module == PREVIEW1 {
                &self.symbols.preview1
            } else {
                &self.symbols.functions
            };
            let own = layout.library.exported_functions.get(import.name);
            match (own, symbols.get(import.name)) {
                // A linker may let a library import a function that it defines, so that another
                // library can replace it.
                (Some(&own), _) if import.module != PREVIEW1 && layout.defines(own) => {
                    if layout.library.function_type(own)? != expected {
                        let reason = format!("{} has two types", import.name);
                        return Err(Rejection::Invalid(reason));
                    }
                    functions.push(layout.function(own));
                    layout.redirects.insert(index, own);
                }
                (_, Some(&function)) => {
                    self.check_type(import.name, expected, function)?;
                    functions.push(function);
                }
                _ if layout.library.is_weak(import.module, import.name) => {
                    let ty = layout.library.function_types[index as usize];
                    let ty = self.image.types() + self.additions.types.count + ty;
                    functions.push(layout.add_function(ty, ExtraFunction::Trap));
                }
                _ if import.module == PREVIEW1 => {
                    return Err(Rejection::Import {
                        kind: "the function",
                        module: import.module.to_owned(),
                        name: import.name.to_owned(),
                    });
                }
                _ => layout.unknown.push(import.name.to_owned()),
            }
        }
        Ok(functions)
    }

    fn check_type(&self, name: &str, expected: &FuncType, function: u32) -> Result<(), Rejection> {
        let found = self.image.function_type(function);
        if found == Some(expected) {
            return Ok(());
        }
        Err(Rejection::FunctionType {
            name: name.to_owned(),
            expected: expected.to_string(),
            found: found.map(ToString::to_string).unwrap_or_default(),
        })
    }

    /// Returns the values of the globals that a library imports.
    pub(super) fn resolve_globals(
        &mut self,
        layout: &mut Layout<'_, '_>,
    ) -> Result<Vec<GlobalValue>, Rejection> {
        let library = layout.library;
        let mut values = Vec::new();
        for global in &library.imported_globals {
            let value = match *global {
                ImportedGlobal::StackPointer => {
                    values.push(GlobalValue::Global(self.symbols.stack_pointer));
                    continue;
                }
                ImportedGlobal::MemoryBase => Some(layout.memory_base),
                ImportedGlobal::TableBase => Some(layout.table_base),
                ImportedGlobal::DataAddress(name) => match layout.own_data(name)? {
                    Some(address) => Some(address),
                    None => self.symbols.data.get(name).copied(),
                },
                ImportedGlobal::FunctionAddress(name) => {
                    match (
                        library.exported_functions.get(name),
                        self.symbols.functions.get(name),
                    ) {
                        (Some(&own), _) if layout.defines(own) => Some(self.own_slot(layout, own)?),
                        (_, Some(&function)) => Some(self.image_slot(layout, function)?),
                        _ => None,
                    }
                }
            };
            match (value, *global) {
                (Some(value), _) => values.push(GlobalValue::Constant(value)),
                (
                    None,
                    ImportedGlobal::DataAddress(name) | ImportedGlobal::FunctionAddress(name),
                ) => {
                    let (mem, func) = ("GOT.mem", "GOT.func");
                    let is_weak = [mem, func, "env"]
                        .iter()
                        .any(|module| library.is_weak(module, name));
                    if !is_weak {
                        layout.unknown.push(name.to_owned());
                    }
                    values.push(GlobalValue::Constant(0));
                }
                (None, _) => {}
            }
        }
        Ok(values)
    }
}
