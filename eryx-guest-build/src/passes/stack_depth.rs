//! Makes CPython's recursion check effective: pads the linear-memory stack frame of every function
//! that checks the recursion depth.
//!
//! CPython measures its recursion by the stack pointer, which on WebAssembly is the one in linear
//! memory. A function whose variables fit into WebAssembly locals takes little or nothing of that
//! stack: deallocating an object, comparing two or reading JSON can recurse until the native stack
//! overflows, and that ends the sandbox. So every function that checks the depth takes more of the
//! linear-memory stack than it needs. CPython's own limit then comes first, as on other platforms.

use std::convert::Infallible;

use anyhow::{Context, Result, ensure};
use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent, component_utils, utils};
use wasm_encoder::{BlockType, CodeSection, Component, Function, Instruction, ValType};
use wasmparser::{
    BinaryReaderError, CompositeInnerType, ExternalKind, FunctionBody, Operator, Parser, Payload,
    TypeRef,
};

/// The padding of a frame, in bytes. CPython allows 1 MiB of the linear-memory stack and the engine
/// 12 MiB of the native one, so the native frames between two such calls may be twelve times as
/// large as the padded one. More padding is safer, and allows fewer nested calls of Python
/// functions through C.
const FRAME_PADDING: i32 = 96;

/// The interpreter's exported function that does nothing but check the recursion depth.
const RECURSION_CHECK: &str = "_Py_ReachedRecursionLimitWithMargin";

/// Pads the stack frame of every function of `component` that checks the recursion depth.
///
/// # Errors
///
/// Fails when it finds so few of them that CPython must have been compiled in another way.
pub(crate) fn pad_recursive_frames(component: &[u8]) -> Result<Vec<u8>> {
    let (rewritten, padded) = rewrite(component).context("the component cannot be rewritten")?;
    ensure!(
        padded > 20,
        "only {padded} functions of the interpreter check the recursion depth: has its compiler \
         or its check changed?"
    );
    Ok(rewritten)
}

/// Returns the new component, and the number of padded functions.
fn rewrite(component: &[u8]) -> Result<(Vec<u8>, usize), Error<Infallible>> {
    let mut rewriter = Rewriter::default();
    let mut rewritten = Component::new();
    rewriter.parse_component(&mut rewritten, Parser::new(0), component)?;
    Ok((rewritten.finish(), rewriter.padded))
}

#[derive(Default)]
struct Rewriter {
    module: Module,
    padded: usize,
}

/// The facts about the module whose functions are being rewritten.
#[derive(Default)]
struct Module {
    /// The index of the stack pointer among the globals; `None` if the module uses no stack.
    stack_pointer: Option<u32>,
    /// The offset of the stack limit in CPython's thread state; `None` if the module does not
    /// export [`RECURSION_CHECK`].
    limit_offset: Option<u64>,
    /// The result type of each defined function; `None` if it has several, as no C function does.
    results: Vec<Option<BlockType>>,
    /// The number of function bodies read.
    bodies: usize,
}

impl Module {
    fn parse(bytes: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut module = Self::default();
        let mut types = Vec::new();
        let (mut globals, mut functions) = (0, 0);
        let mut recursion_check = None;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section {
                        types.extend(group?.into_types());
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        match import.ty {
                            TypeRef::Func(_) => functions += 1,
                            TypeRef::Global(_) => {
                                if import.name == "__stack_pointer" {
                                    module.stack_pointer = Some(globals);
                                }
                                globals += 1;
                            }
                            _ => {}
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for index in section {
                        let ty = types.get(index? as usize);
                        module.results.push(ty.and_then(block_type));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ExternalKind::Func && export.name == RECURSION_CHECK {
                            recursion_check = Some(export.index);
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    if recursion_check == Some(functions) {
                        module.limit_offset = offsets(&body)?.first().copied();
                    }
                    functions += 1;
                }
                _ => {}
            }
        }
        Ok(module)
    }

    /// Returns whether `body` reads both the stack pointer and its limit, and makes no tail call,
    /// which `parse_function_body` could not rewrite.
    fn checks_recursion(&self, body: &FunctionBody<'_>) -> Result<bool, BinaryReaderError> {
        let (Some(stack_pointer), Some(limit_offset)) = (self.stack_pointer, self.limit_offset)
        else {
            return Ok(false);
        };
        let mut reads_pointer = false;
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::GlobalGet { global_index } => {
                    reads_pointer |= global_index == stack_pointer
                }
                Operator::ReturnCall { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::ReturnCallRef { .. } => return Ok(false),
                _ => {}
            }
        }
        Ok(reads_pointer && offsets(body)?.contains(&limit_offset))
    }
}

/// Returns the result of a function type as the type of a block.
fn block_type(ty: &wasmparser::SubType) -> Option<BlockType> {
    let CompositeInnerType::Func(function) = &ty.composite_type.inner else {
        return None;
    };
    match function.results() {
        [] => Some(BlockType::Empty),
        [wasmparser::ValType::I32] => Some(BlockType::Result(ValType::I32)),
        [wasmparser::ValType::I64] => Some(BlockType::Result(ValType::I64)),
        [wasmparser::ValType::F32] => Some(BlockType::Result(ValType::F32)),
        [wasmparser::ValType::F64] => Some(BlockType::Result(ValType::F64)),
        _ => None,
    }
}

/// Returns the constant offsets from pointers that `body` loads from or computes.
fn offsets(body: &FunctionBody<'_>) -> Result<Vec<u64>, BinaryReaderError> {
    let mut offsets = Vec::new();
    let mut constant = None;
    for operator in body.get_operators_reader()? {
        let operator = operator?;
        match operator {
            Operator::I32Add => offsets.extend(constant),
            Operator::I32Load { memarg } if memarg.offset > 0 => offsets.push(memarg.offset),
            _ => {}
        }
        constant = match operator {
            Operator::I32Const { value } => u64::try_from(value).ok(),
            _ => None,
        };
    }
    Ok(offsets)
}

impl Reencode for Rewriter {
    type Error = Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Infallible>> {
        let result = self
            .module
            .results
            .get(self.module.bodies)
            .copied()
            .flatten();
        self.module.bodies += 1;
        let (Some(stack_pointer), Some(result)) = (self.module.stack_pointer, result) else {
            return utils::parse_function_body(self, code, body);
        };
        if !self.module.checks_recursion(&body)? {
            return utils::parse_function_body(self, code, body);
        }
        self.padded += 1;
        let mut function = self.new_function_with_parsed_locals(&body)?;
        move_stack_pointer(&mut function, stack_pointer, &Instruction::I32Sub);
        // The body becomes a block, and every return a branch to its end.
        function.instruction(&Instruction::Block(result));
        let mut depth = 0;
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let instruction = self.parse_instruction(&mut reader)?;
            match instruction {
                Instruction::Block(_)
                | Instruction::Loop(_)
                | Instruction::If(_)
                | Instruction::TryTable(..)
                | Instruction::Try(_) => depth += 1,
                Instruction::End if depth > 0 => depth -= 1,
                Instruction::Return => {
                    function.instruction(&Instruction::Br(depth));
                    continue;
                }
                _ => {}
            }
            function.instruction(&instruction);
        }
        move_stack_pointer(&mut function, stack_pointer, &Instruction::I32Add);
        function.instruction(&Instruction::End);
        code.function(&function);
        Ok(())
    }
}

/// Emits code that adds the padding to the stack pointer, or subtracts it.
fn move_stack_pointer(function: &mut Function, stack_pointer: u32, operation: &Instruction<'_>) {
    function
        .instruction(&Instruction::GlobalGet(stack_pointer))
        .instruction(&Instruction::I32Const(FRAME_PADDING))
        .instruction(operation)
        .instruction(&Instruction::GlobalSet(stack_pointer));
}

impl ReencodeComponent for Rewriter {
    fn parse_component_submodule(
        &mut self,
        component: &mut Component,
        parser: Parser,
        module: &[u8],
    ) -> Result<(), Error<Infallible>> {
        self.module = Module::parse(module)?;
        component_utils::parse_component_submodule(self, component, parser, module)
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::{Operator, Parser, Payload};

    use super::{pad_recursive_frames, rewrite};

    /// Functions that check the depth at offset 712, as the exported check does. One returns early
    /// from nested blocks. The last two read only the limit or only the stack pointer.
    const TEXT: &str = r#"(component (core module
        (import "env" "__stack_pointer" (global $sp (mut i32)))
        (import "env" "memory" (memory 1))
        (func (export "_Py_ReachedRecursionLimitWithMargin") (param i32 i32) (result i32)
            (i32.lt_u (global.get $sp) (i32.load (i32.add (local.get 0) (i32.const 712)))))
        (func (param i32) (result i32)
            (block (block (br_if 1 (i32.lt_u (global.get $sp) (i32.load offset=712 (local.get 0))))
                (return (i32.const 1))))
            (i32.const 0))
        (func (param i32) (result i32)
            (i32.load (i32.add (local.get 0) (i32.const 712))))
        (func (result i32) (global.get $sp))))"#;

    #[test]
    fn padded_functions_restore_the_stack_pointer_on_every_return() {
        let component = wat::parse_str(TEXT).expect("assembles");
        let (rewritten, padded) = rewrite(&component).expect("rewritten");
        assert_eq!(padded, 2);
        wasmparser::Validator::new()
            .validate_all(&rewritten)
            .expect("valid");
        let mut counts = Vec::new();
        for payload in Parser::new(0).parse_all(&rewritten) {
            if let Payload::CodeSectionEntry(body) = payload.expect("readable") {
                let operators: Vec<_> = body
                    .get_operators_reader()
                    .and_then(|operators| operators.into_iter().collect())
                    .expect("readable");
                let returns = operators
                    .iter()
                    .filter(|operator| matches!(operator, Operator::Return));
                let moves = operators
                    .iter()
                    .filter(|operator| matches!(operator, Operator::GlobalSet { global_index: 0 }));
                counts.push((moves.count(), returns.count()));
            }
        }
        assert_eq!(counts, [(2, 0), (2, 0), (0, 0), (0, 0)]);
    }

    #[test]
    fn interpreter_without_recursion_checks_is_rejected() {
        let component = wat::parse_str("(component (core module))").expect("assembles");
        let error = pad_recursive_frames(&component).expect_err("rejected");
        assert!(error.to_string().contains("only 0 functions"), "{error}");
    }
}
