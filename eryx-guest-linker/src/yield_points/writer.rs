//! Re-encodes a module with yield points.

use wasm_encoder::reencode::{self, Reencode, RoundtripReencoder, utils};
use wasm_encoder::{
    BranchHints, CodeSection, ConstExpr, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, Instruction, ValType,
};
use wasmparser::{ExternalKind, FunctionBody};

use super::BUDGET;
use super::analysis::Analysis;
use super::body::{self, BodyInputs, InstrumentedBody};
use super::bulk_memory::BulkFunction;

/// The value of the counter for functions that must not yield: the host calls them while the guest
/// may not call the host. All of them share it until the next yield, so during one call of the
/// host. The program ends when they use it up. Such functions allocate memory for values, and 4 MiB
/// of values in thousands of allocations take a tenth of it. It lasts for less than 10 ms.
pub(super) const ALLOWANCE: i32 = 1 << 21;

/// Re-encodes a module with the yield points that its analysis demands.
pub(super) struct Writer<'a> {
    pub(super) analysis: Analysis<'a>,
    /// The number of function bodies written.
    pub(super) bodies: usize,
    /// The hints for unlikely branches.
    pub(super) hints: BranchHints,
}

type Error = reencode::Error;

impl Writer<'_> {
    /// Emits the function that yields, the wrappers of functions that must not yield, and the
    /// functions that fill and copy memory.
    fn write_own_functions(&mut self, code: &mut CodeSection) {
        let analysis = &self.analysis;
        let mut yield_function = Function::new([]);
        yield_function
            .instruction(&Instruction::Call(analysis.inputs.yield_import))
            .instruction(&Instruction::I32Const(BUDGET))
            .instruction(&Instruction::GlobalSet(analysis.counter_global))
            .instruction(&Instruction::I32Const(ALLOWANCE))
            .instruction(&Instruction::GlobalSet(analysis.allowance_global()))
            .instruction(&Instruction::End);
        code.function(&yield_function);
        for &callee in &analysis.non_yielding {
            code.function(&self.wrapper(callee));
        }
        if let Some(bulk_memory) = analysis.points().bulk_memory {
            for (index, bulk) in [
                (bulk_memory.fill, BulkFunction::fill(analysis)),
                (bulk_memory.copy, BulkFunction::copy(analysis)),
            ] {
                code.function(&bulk.function);
                self.hints.function_hints(index, bulk.hints);
            }
        }
    }

    /// Returns a function that runs `callee` on the allowance, and then restores the counter.
    fn wrapper(&self, callee: u32) -> Function {
        let analysis = &self.analysis;
        let parameters = analysis.parameters[analysis.types[callee as usize] as usize];
        let saved_counter = parameters;
        let mut wrapper = Function::new([(1, ValType::I32)]);
        wrapper
            .instruction(&Instruction::GlobalGet(analysis.counter_global))
            .instruction(&Instruction::LocalSet(saved_counter))
            .instruction(&Instruction::GlobalGet(analysis.allowance_global()))
            .instruction(&Instruction::GlobalSet(analysis.counter_global));
        for parameter in 0..parameters {
            wrapper.instruction(&Instruction::LocalGet(parameter));
        }
        wrapper
            .instruction(&Instruction::Call(callee))
            .instruction(&Instruction::GlobalGet(analysis.counter_global))
            .instruction(&Instruction::GlobalSet(analysis.allowance_global()))
            .instruction(&Instruction::LocalGet(saved_counter))
            .instruction(&Instruction::GlobalSet(analysis.counter_global))
            .instruction(&Instruction::End);
        wrapper
    }
}

impl Reencode for Writer<'_> {
    type Error = std::convert::Infallible;

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_function_section(self, functions, section)?;
        let analysis = &self.analysis;
        functions.function(analysis.types[analysis.inputs.yield_import as usize]);
        for &callee in &analysis.non_yielding {
            functions.function(analysis.types[callee as usize]);
        }
        if let Some(ty) = analysis.bulk_type() {
            functions.function(ty).function(ty);
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_global_section(self, globals, section)?;
        for value in [BUDGET, ALLOWANCE] {
            globals.global(
                GlobalType {
                    val_type: ValType::I32,
                    mutable: true,
                    shared: false,
                },
                &ConstExpr::i32_const(value),
            );
        }
        Ok(())
    }

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: wasmparser::Export<'_>,
    ) -> Result<(), Error> {
        if export.kind == ExternalKind::Func
            && self.analysis.inputs.non_yielding.contains(export.name)
            && let Some(wrapper) = self.analysis.wrapper_function(export.index)
        {
            exports.export(export.name, wasm_encoder::ExportKind::Func, wrapper);
            return Ok(());
        }
        utils::parse_export(self, exports, export)
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error> {
        let index = self.analysis.imported + u32::try_from(self.bodies).unwrap_or(u32::MAX);
        let analysis = &self.analysis;
        let inputs = BodyInputs {
            points: &analysis.points(),
            parameters: analysis.parameters[analysis.types[index as usize] as usize],
            counts_entry: analysis.counted_entries.contains(&index),
            yield_import: Some(analysis.inputs.yield_import),
            calls_host: &|operator| analysis.calls_host(operator),
            padding: None,
        };
        let InstrumentedBody { function, hints } =
            body::instrument(&mut RoundtripReencoder, &body, &inputs)?;
        code.function(&function);
        if !hints.is_empty() {
            self.hints.function_hints(index, hints);
        }
        self.bodies += 1;
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        utils::parse_code_section(self, code, section)?;
        self.write_own_functions(code);
        Ok(())
    }
}
