//! Makes the interpreter notice how deep it is.
//!
//! CPython measures its recursion by the stack pointer, and on WebAssembly that is the one in linear memory. A function
//! whose variables fit into WebAssembly locals takes little there, or nothing: what frees an object, compares two or
//! reads JSON can call itself until the native stack is full, and that ends the sandbox. So every function that asks how
//! deep it is gets room on that stack that it does not need. Then the interpreter's own limit comes first, as on any
//! other machine.

use std::convert::Infallible;

use anyhow::{Context, Result, ensure};
use wasm_encoder::reencode::{Error, Reencode, ReencodeComponent, component_utils, utils};
use wasm_encoder::{BlockType, CodeSection, Component, Function, Instruction, ValType};
use wasmparser::{
    BinaryReaderError, CompositeInnerType, ExternalKind, FunctionBody, Operator, Parser, Payload,
    TypeRef,
};

/// How much more of the stack in linear memory a call takes that asks how deep it is, in bytes. CPython lets one MiB
/// of that stack be used, and the engine twelve of the native one: what is between one such call and the next there may
/// be twelve times as long. More room is safer, and fewer calls of Python functions through C fit.
const ROOM: i32 = 96;

/// A function of the interpreter that is there to ask how deep it is, and does so first of all.
const ASKS: &str = "_Py_ReachedRecursionLimitWithMargin";

/// Give every function of `component` that asks how deep it is more room on the stack.
pub(crate) fn measurable(component: &[u8]) -> Result<Vec<u8>> {
    let (rewritten, widened) = rewrite(component).context("the component cannot be rewritten")?;
    ensure!(
        widened > 20,
        "only {widened} functions of the interpreter ask how deep they are: is it made in another way now?"
    );
    Ok(rewritten)
}

/// The component, and how many functions got more room.
fn rewrite(component: &[u8]) -> Result<(Vec<u8>, usize), Error<Infallible>> {
    let mut rewriter = Rewriter::default();
    let mut rewritten = Component::new();
    rewriter.parse_component(&mut rewritten, Parser::new(0), component)?;
    Ok((rewritten.finish(), rewriter.widened))
}

#[derive(Default)]
struct Rewriter {
    module: Module,
    widened: usize,
}

/// What there is to know about the module whose functions are being read.
#[derive(Default)]
struct Module {
    /// The index of the stack pointer among the globals; none for a module that uses no stack.
    stack_pointer: Option<u32>,
    /// Where in its state of a thread the interpreter keeps how far the stack may go; none for any other module.
    limit: Option<u64>,
    /// What each function returns; `None` if that is more than one value, as no C function does.
    results: Vec<Option<BlockType>>,
    /// How many function bodies were read.
    read: usize,
}

impl Module {
    fn of(bytes: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut module = Self::default();
        let mut types = Vec::new();
        let (mut globals, mut functions) = (0, 0);
        let mut asks = None;
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
                        module.results.push(ty.and_then(result));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        if export.kind == ExternalKind::Func && export.name == ASKS {
                            asks = Some(export.index);
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    if asks == Some(functions) {
                        module.limit = fields(&body)?.first().copied();
                    }
                    functions += 1;
                }
                _ => {}
            }
        }
        Ok(module)
    }

    /// Whether `body` compares the stack pointer with how far it may go, and returns in ways that can be rewritten.
    fn asks(&self, body: &FunctionBody<'_>) -> Result<bool, BinaryReaderError> {
        let (Some(stack_pointer), Some(limit)) = (self.stack_pointer, self.limit) else {
            return Ok(false);
        };
        let mut looks = false;
        for operator in body.get_operators_reader()? {
            match operator? {
                Operator::GlobalGet { global_index } => looks |= global_index == stack_pointer,
                Operator::ReturnCall { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::ReturnCallRef { .. } => return Ok(false),
                _ => {}
            }
        }
        Ok(looks && fields(body)?.contains(&limit))
    }
}

fn result(ty: &wasmparser::SubType) -> Option<BlockType> {
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

/// How far behind a pointer the values are that `body` reads or points at.
fn fields(body: &FunctionBody<'_>) -> Result<Vec<u64>, BinaryReaderError> {
    let mut found = Vec::new();
    let mut constant = None;
    for operator in body.get_operators_reader()? {
        let operator = operator?;
        match operator {
            Operator::I32Add => found.extend(constant),
            Operator::I32Load { memarg } if memarg.offset > 0 => found.push(memarg.offset),
            _ => {}
        }
        constant = match operator {
            Operator::I32Const { value } => u64::try_from(value).ok(),
            _ => None,
        };
    }
    Ok(found)
}

impl Reencode for Rewriter {
    type Error = Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Infallible>> {
        let result = self.module.results.get(self.module.read).copied().flatten();
        self.module.read += 1;
        let (Some(stack_pointer), Some(result)) = (self.module.stack_pointer, result) else {
            return utils::parse_function_body(self, code, body);
        };
        if !self.module.asks(&body)? {
            return utils::parse_function_body(self, code, body);
        }
        self.widened += 1;
        let mut function = self.new_function_with_parsed_locals(&body)?;
        move_pointer(&mut function, stack_pointer, &Instruction::I32Sub);
        // The whole body becomes a block, and every way out of it leads to its end.
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
        move_pointer(&mut function, stack_pointer, &Instruction::I32Add);
        function.instruction(&Instruction::End);
        code.function(&function);
        Ok(())
    }
}

fn move_pointer(function: &mut Function, stack_pointer: u32, how: &Instruction<'_>) {
    function
        .instruction(&Instruction::GlobalGet(stack_pointer))
        .instruction(&Instruction::I32Const(ROOM))
        .instruction(how)
        .instruction(&Instruction::GlobalSet(stack_pointer));
}

impl ReencodeComponent for Rewriter {
    fn parse_component_submodule(
        &mut self,
        component: &mut Component,
        parser: Parser,
        module: &[u8],
    ) -> Result<(), Error<Infallible>> {
        self.module = Module::of(module)?;
        component_utils::parse_component_submodule(self, component, parser, module)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks by an offset of 712, as does the function that is there to ask. One returns early, one has nested blocks.
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
    fn what_asks_gets_room_and_gives_it_back_on_every_way_out() {
        let component = wat::parse_str(TEXT).expect("assembles");
        let (rewritten, widened) = rewrite(&component).expect("rewritten");
        assert_eq!(widened, 2);
        wasmparser::Validator::new()
            .validate_all(&rewritten)
            .expect("valid");
        let mut ends = Vec::new();
        for payload in Parser::new(0).parse_all(&rewritten) {
            if let Payload::CodeSectionEntry(body) = payload.expect("readable") {
                let operators: Vec<_> = body
                    .get_operators_reader()
                    .and_then(|operators| operators.into_iter().collect())
                    .expect("readable");
                let returns = operators
                    .iter()
                    .filter(|one| matches!(one, Operator::Return));
                let moves = operators
                    .iter()
                    .filter(|one| matches!(one, Operator::GlobalSet { global_index: 0 }));
                ends.push((moves.count(), returns.count()));
            }
        }
        assert_eq!(ends, [(2, 0), (2, 0), (0, 0), (0, 0)]);
    }

    #[test]
    fn an_interpreter_that_never_asks_is_refused() {
        let component = wat::parse_str("(component (core module))").expect("assembles");
        let error = measurable(&component).expect_err("refused");
        assert!(error.to_string().contains("only 0 functions"), "{error}");
    }
}
