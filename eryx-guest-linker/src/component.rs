//! The core module of a component that has the symbol table.

use std::ops::Range;

use wasm_encoder::{Component, ComponentSectionId, RawSection};
use wasmparser::{Chunk, Parser, Payload};

use crate::error::Rejection;
use crate::symbols::{SECTION, SymbolTable};

/// The core module of an image, and its symbol table.
pub(crate) struct ImageParts<'a> {
    component: &'a [u8],
    /// Where the module lies in the component.
    range: Range<usize>,
    pub(crate) symbols: SymbolTable,
}

impl<'a> ImageParts<'a> {
    /// Finds the module in `component`.
    pub(crate) fn find(component: &'a [u8]) -> Result<Self, Rejection> {
        for range in modules(component)? {
            for payload in Parser::new(0).parse_all(&component[range.clone()]) {
                if let Payload::CustomSection(section) = payload?
                    && section.name() == SECTION
                {
                    let symbols = SymbolTable::parse(section.data())?;
                    return Ok(Self {
                        component,
                        range,
                        symbols,
                    });
                }
            }
        }
        Err(Rejection::Invalid("it has no symbol table".to_owned()))
    }

    /// Returns the bytes of the module.
    pub(crate) fn module(&self) -> &'a [u8] {
        &self.component[self.range.clone()]
    }

    /// Returns the component with `module` in place of the module.
    pub(crate) fn with_module(&self, module: &[u8]) -> Result<Vec<u8>, Rejection> {
        let mut output = Component::new();
        let mut parser = Parser::new(0);
        let mut position = 0;
        loop {
            let (consumed, payload) = parse(&mut parser, &self.component[position..])?;
            let section = payload.as_section();
            position += consumed;
            if let Payload::ModuleSection {
                unchecked_range, ..
            }
            | Payload::ComponentSection {
                unchecked_range, ..
            } = &payload
            {
                position += unchecked_range.len();
            }
            if matches!(payload, Payload::End(_)) {
                return Ok(output.finish());
            }
            if let Some((id, range)) = section {
                let data = if id == u8::from(ComponentSectionId::CoreModule) && range == self.range
                {
                    module
                } else {
                    &self.component[range]
                };
                output.section(&RawSection { id, data });
            }
        }
    }
}

/// Returns where the core modules of `component` lie.
fn modules(component: &[u8]) -> Result<Vec<Range<usize>>, Rejection> {
    let mut modules = Vec::new();
    let mut parser = Parser::new(0);
    let mut position = 0;
    loop {
        let (consumed, payload) = parse(&mut parser, &component[position..])?;
        position += consumed;
        match payload {
            Payload::End(_) => return Ok(modules),
            Payload::ModuleSection {
                unchecked_range, ..
            } => {
                position += unchecked_range.len();
                modules.push(unchecked_range);
            }
            Payload::ComponentSection {
                unchecked_range, ..
            } => position += unchecked_range.len(),
            _ => {}
        }
    }
}

fn parse<'a>(parser: &mut Parser, rest: &'a [u8]) -> Result<(usize, Payload<'a>), Rejection> {
    match parser.parse(rest, true)? {
        Chunk::Parsed { consumed, payload } => Ok((consumed, payload)),
        Chunk::NeedMoreData(_) => Err(Rejection::Invalid("it ends too early".to_owned())),
    }
}
