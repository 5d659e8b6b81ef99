//! Re-encodes the parts of a library for the index spaces of the image.

use std::convert::Infallible;

use wasm_encoder::Instruction;
use wasm_encoder::reencode::{self, Reencode, utils};
use wasmparser::Operator;

/// What an imported global of a library is in the image.
#[derive(Debug, Clone, Copy)]
pub(crate) enum GlobalValue {
    /// A global of the image.
    Global(u32),
    /// A constant.
    Constant(u32),
}

/// The place of a library's items in the index spaces of the image.
pub(crate) struct LibraryWriter {
    pub(crate) first_type: u32,
    /// The functions that it imports.
    pub(crate) functions: Vec<u32>,
    /// The first function that it defines.
    pub(crate) first_function: u32,
    pub(crate) imported_globals: Vec<GlobalValue>,
    /// The first global that it defines.
    pub(crate) first_global: u32,
    pub(crate) first_element: u32,
    pub(crate) first_data: u32,
    /// The table of the image.
    pub(crate) table: u32,
}

type Error = reencode::Error<Infallible>;

impl LibraryWriter {
    /// Returns the index of a function of the library.
    pub(crate) fn function(&self, index: u32) -> u32 {
        match self.functions.get(index as usize) {
            Some(function) => *function,
            None => self.first_function + (index - self.functions.len() as u32),
        }
    }
}

impl Reencode for LibraryWriter {
    type Error = Infallible;

    fn type_index(&mut self, ty: u32) -> Result<u32, Error> {
        Ok(self.first_type + ty)
    }

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        Ok(self.function(function))
    }

    fn global_index(&mut self, global: u32) -> Result<u32, Error> {
        match self.imported_globals.get(global as usize) {
            Some(GlobalValue::Global(index)) => Ok(*index),
            // `instruction` replaces every use of a constant.
            Some(GlobalValue::Constant(_)) => Err(reencode::Error::InvalidConstExpr),
            None => Ok(self.first_global + (global - self.imported_globals.len() as u32)),
        }
    }

    fn table_index(&mut self, _: u32) -> Result<u32, Error> {
        Ok(self.table)
    }

    fn data_index(&mut self, data: u32) -> Result<u32, Error> {
        Ok(self.first_data + data)
    }

    fn element_index(&mut self, element: u32) -> Result<u32, Error> {
        Ok(self.first_element + element)
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>, Error> {
        if let Operator::GlobalGet { global_index } = operator
            && let Some(GlobalValue::Constant(value)) =
                self.imported_globals.get(global_index as usize)
        {
            return Ok(Instruction::I32Const(value.cast_signed()));
        }
        utils::instruction(self, operator)
    }
}
