//! The component part: the exports that lift the functions of the merged module.

use anyhow::Result;
use wasm_encoder::reencode::{self, ReencodeComponent};
use wasm_encoder::{
    Alias, CanonicalFunctionSection, CanonicalOption, Component, ComponentAliasSection,
    ComponentExportKind, ComponentExportSection, ComponentTypeSection, ComponentValType,
    ExportKind, PrimitiveValType,
};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentTypeRef, Parser, Payload,
};

use super::{ComponentValue, EXPORTED, MEMORY, Parameter, REALLOC, REALLOC_PARTS};

/// Returns `component` with the exports. `instance` is the core instance of the merged module.
///
/// # Errors
///
/// Fails when the component is malformed.
pub(in crate::passes) fn add_exports(component: &[u8], instance: u32) -> Result<Vec<u8>> {
    let counts = ComponentCounts::of(component)?;
    let mut output = Component::new();
    reencode::RoundtripReencoder
        .parse_component(&mut output, Parser::new(0), component)
        .map_err(anyhow::Error::from)?;
    let mut aliases = ComponentAliasSection::new();
    let mut alias = |kind, name| {
        aliases.alias(Alias::CoreInstanceExport {
            instance,
            kind,
            name,
        });
    };
    alias(ExportKind::Memory, MEMORY);
    let reallocs = [REALLOC, REALLOC_PARTS];
    for name in reallocs {
        alias(ExportKind::Func, name);
    }
    for exported in &EXPORTED {
        alias(ExportKind::Func, exported.name);
    }
    let (memory, functions) = (counts.core_memories, counts.core_functions);
    let mut types = ComponentTypeSection::new();
    let bytes = counts.types;
    types.defined_type().list(PrimitiveValType::U8);
    let words = bytes + 1;
    types.defined_type().list(PrimitiveValType::U64);
    let part = words + 1;
    types.defined_type().tuple([
        ComponentValType::Primitive(PrimitiveValType::U32),
        ComponentValType::Type(words),
    ]);
    let parts = part + 1;
    types.defined_type().list(ComponentValType::Type(part));
    for exported in &EXPORTED {
        let number = ComponentValType::Primitive(PrimitiveValType::U32);
        let parameter = exported.parameter.as_ref().map(|(name, parameter)| {
            let ty = match parameter {
                Parameter::Number => number,
                Parameter::Bytes => ComponentValType::Type(bytes),
                Parameter::Parts => ComponentValType::Type(parts),
            };
            (*name, ty)
        });
        let result = exported.result.as_ref().map(|result| match result {
            ComponentValue::Number => number,
            ComponentValue::Bytes => ComponentValType::Type(bytes),
        });
        types.function().params(parameter).result(result);
    }
    let mut lifts = CanonicalFunctionSection::new();
    let mut exports = ComponentExportSection::new();
    for (position, exported) in (0..).zip(&EXPORTED) {
        let parameter = exported.parameter.as_ref();
        let realloc = parameter.map_or(REALLOC, |(_, parameter)| parameter.realloc());
        let realloc = (functions..)
            .zip(reallocs)
            .find(|(_, name)| *name == realloc);
        let options = [
            CanonicalOption::Memory(memory),
            CanonicalOption::Realloc(realloc.map_or(functions, |(index, _)| index)),
        ];
        let function = functions + reallocs.len() as u32 + position;
        lifts.lift(function, parts + 1 + position, options);
        // Each export takes an index of its own, after all lifts.
        exports.export(
            exported.name,
            ComponentExportKind::Func,
            counts.functions + position,
            None,
        );
    }
    output
        .section(&aliases)
        .section(&types)
        .section(&lifts)
        .section(&exports);
    Ok(output.finish())
}

/// The numbers of entries of the outermost component.
#[derive(Default)]
struct ComponentCounts {
    core_functions: u32,
    core_memories: u32,
    functions: u32,
    types: u32,
}

impl ComponentCounts {
    fn of(component: &[u8]) -> Result<Self> {
        let mut counts = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                payload if depth == 0 => counts.read(payload)?,
                _ => {}
            }
        }
        Ok(counts)
    }

    fn read(&mut self, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::ComponentTypeSection(section) => self.types += section.count(),
            Payload::ComponentImportSection(section) => {
                for import in section {
                    match import?.ty {
                        ComponentTypeRef::Func(_) => self.functions += 1,
                        ComponentTypeRef::Type(_) => self.types += 1,
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.count(export?.kind);
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    match alias? {
                        ComponentAlias::InstanceExport { kind, .. } => self.count(kind),
                        ComponentAlias::CoreInstanceExport { kind, .. } => match kind {
                            wasmparser::ExternalKind::Func => self.core_functions += 1,
                            wasmparser::ExternalKind::Memory => self.core_memories += 1,
                            _ => {}
                        },
                        ComponentAlias::Outer { kind, .. } => {
                            if matches!(kind, wasmparser::ComponentOuterAliasKind::Type) {
                                self.types += 1;
                            }
                        }
                    }
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    match function? {
                        CanonicalFunction::Lift { .. } => self.functions += 1,
                        _ => self.core_functions += 1,
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn count(&mut self, kind: ComponentExternalKind) {
        match kind {
            ComponentExternalKind::Func => self.functions += 1,
            ComponentExternalKind::Type => self.types += 1,
            _ => {}
        }
    }
}
