//! Writes the component again, with one module in the place of many.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};
use wasm_encoder::reencode::{self, Reencode, ReencodeComponent, component_utils};
use wasm_encoder::{
    Alias, Component, ComponentAliasSection, ComponentSectionId, ExportKind, InstanceSection,
    ModuleArg, RawSection,
};
use wasmparser::{ComponentAlias, CustomSectionReader, KnownCustom, Parser, Payload};

use super::merged::{HOST, Merged};
use super::shape::{Instance, Kind, Place, Shape};

/// `component` with `merged` in the place of what was merged.
pub(super) fn rewrite(component: &[u8], shape: &Shape<'_>, merged: Merged) -> Result<Vec<u8>> {
    let anchor = shape.before_use.context("the component uses no module")?;
    let mut rewriter = Rewriter {
        shape,
        merged,
        remaining: shape.remaining(),
        anchor: u32::try_from(anchor)?,
        depth: 0,
        seen: Counts::default(),
        written: Counts::default(),
        indices: HashMap::new(),
        instances: HashMap::new(),
        modules: HashMap::new(),
    };
    let mut rewritten = Component::new();
    rewriter
        .parse_component(&mut rewritten, Parser::new(0), component)
        .map_err(anyhow::Error::from)?;
    ensure!(
        anchor > 0,
        "the component uses a function before there is any module"
    );
    Ok(rewritten.finish())
}

struct Rewriter<'s, 'a> {
    shape: &'s Shape<'a>,
    merged: Merged,
    /// The instances that stay.
    remaining: BTreeSet<u32>,
    /// After how many instances the merged module is instantiated.
    anchor: u32,
    /// How many components are around what is being read.
    depth: u32,
    /// What was read of the outermost component.
    seen: Counts,
    /// What was written of it.
    written: Counts,
    /// Where items are now.
    indices: HashMap<Place, u32>,
    instances: HashMap<u32, u32>,
    modules: HashMap<u32, u32>,
}

#[derive(Default)]
struct Counts {
    modules: u32,
    instances: u32,
    items: HashMap<Kind, u32>,
}

impl Counts {
    fn next(&mut self, kind: Kind) -> u32 {
        let count = self.items.entry(kind).or_default();
        *count += 1;
        *count - 1
    }
}

fn next(count: &mut u32) -> u32 {
    *count += 1;
    *count - 1
}

/// Something that was merged is used where it is not there yet.
#[derive(Debug, thiserror::Error)]
#[error("{0} is used before the merged module is there")]
struct TooEarly(String);

type Error = reencode::Error<TooEarly>;

fn too_early(what: impl std::fmt::Debug) -> Error {
    reencode::Error::UserError(TooEarly(format!("{what:?}")))
}

impl Rewriter<'_, '_> {
    /// Note that the next item of `kind` is written too.
    fn keep(&mut self, kind: Kind) {
        let index = self.seen.next(kind);
        let written = self.written.next(kind);
        self.indices.insert((kind, index), written);
    }

    fn index(&self, kind: Kind, index: u32) -> Result<u32, Error> {
        if self.depth > 0 {
            return Ok(index);
        }
        let place = self.indices.get(&(kind, index)).copied();
        place.ok_or_else(|| too_early((kind, index)))
    }

    fn instance(&mut self, component: &mut Component) -> Result<(), Error> {
        let index = next(&mut self.seen.instances);
        if self.remaining.contains(&index) {
            let mut section = InstanceSection::new();
            match &self.shape.instances[index as usize] {
                Instance::Instantiated { module, with } => {
                    let mut args = Vec::new();
                    for (name, instance) in with {
                        let instance = self.instances.get(instance);
                        let instance = instance.ok_or_else(|| too_early(name))?;
                        args.push((*name, ModuleArg::Instance(*instance)));
                    }
                    let module = self.modules.get(module).ok_or_else(|| too_early(module))?;
                    section.instantiate(*module, args);
                }
                Instance::Gathered(items) => {
                    let mut exports = Vec::new();
                    for (name, kind, index) in items {
                        let of = Kind::of(*kind).map_err(|_| too_early(name))?;
                        exports.push((*name, ExportKind::from(*kind), self.index(of, *index)?));
                    }
                    section.export_items(exports);
                }
            }
            component.section(&section);
            let written = next(&mut self.written.instances);
            self.instances.insert(index, written);
        }
        if self.seen.instances == self.anchor {
            self.write_merged(component)?;
        }
        Ok(())
    }

    /// The module, its instance, and everything that is used of it.
    fn write_merged(&mut self, component: &mut Component) -> Result<(), Error> {
        component.section(&RawSection {
            id: ComponentSectionId::CoreModule.into(),
            data: &self.merged.module,
        });
        let module = next(&mut self.written.modules);
        let mut functions = Vec::new();
        for (name, host) in self.merged.imports.iter().enumerate() {
            let index = self.index(Kind::Function, *host)?;
            functions.push((name.to_string(), ExportKind::Func, index));
        }
        let mut section = InstanceSection::new();
        section.export_items(functions);
        let host = next(&mut self.written.instances);
        section.instantiate(module, [(HOST, ModuleArg::Instance(host))]);
        component.section(&section);
        let instance = next(&mut self.written.instances);
        let mut aliases = ComponentAliasSection::new();
        for ((kind, index), name) in &self.merged.exports {
            aliases.alias(Alias::CoreInstanceExport {
                instance,
                kind: (*kind).into(),
                name,
            });
            let written = self.written.next(*kind);
            self.indices.insert((*kind, *index), written);
        }
        component.section(&aliases);
        Ok(())
    }

    fn alias(&mut self, component: &mut Component, alias: ComponentAlias<'_>) -> Result<(), Error> {
        if let ComponentAlias::CoreInstanceExport {
            kind,
            instance_index,
            name,
        } = alias
        {
            let kind = Kind::of(kind).map_err(|_| too_early(name))?;
            if !self.instances.contains_key(&instance_index) {
                // What is used of it has an alias beside the merged module.
                self.seen.next(kind);
                return Ok(());
            }
            self.keep(kind);
        }
        let mut section = ComponentAliasSection::new();
        section.alias(self.component_alias(alias)?);
        component.section(&section);
        Ok(())
    }
}

impl Reencode for Rewriter<'_, '_> {
    type Error = TooEarly;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        self.index(Kind::Function, function)
    }

    fn table_index(&mut self, table: u32) -> Result<u32, Error> {
        self.index(Kind::Table, table)
    }

    fn memory_index(&mut self, memory: u32) -> Result<u32, Error> {
        self.index(Kind::Memory, memory)
    }

    fn global_index(&mut self, global: u32) -> Result<u32, Error> {
        self.index(Kind::Global, global)
    }
}

impl ReencodeComponent for Rewriter<'_, '_> {
    fn push_depth(&mut self) {
        self.depth += 1;
    }

    fn pop_depth(&mut self) {
        self.depth -= 1;
    }

    fn instance_index(&mut self, instance: u32) -> u32 {
        if self.depth > 0 {
            return instance;
        }
        self.instances.get(&instance).copied().unwrap_or(instance)
    }

    fn parse_component_payload(
        &mut self,
        component: &mut Component,
        payload: Payload<'_>,
        whole: &[u8],
    ) -> Result<(), Error> {
        match payload {
            Payload::InstanceSection(section) if self.depth == 0 => {
                for instance in section {
                    instance?;
                    self.instance(component)?;
                }
                Ok(())
            }
            Payload::ComponentAliasSection(section) if self.depth == 0 => {
                for alias in section {
                    self.alias(component, alias?)?;
                }
                Ok(())
            }
            other => component_utils::parse_component_payload(self, component, other, whole),
        }
    }

    fn parse_component_canonical(
        &mut self,
        section: &mut wasm_encoder::CanonicalFunctionSection,
        function: wasmparser::CanonicalFunction,
    ) -> Result<(), Error> {
        let lifted = matches!(function, wasmparser::CanonicalFunction::Lift { .. });
        component_utils::parse_component_canonical(self, section, function)?;
        if self.depth == 0 && !lifted {
            self.keep(Kind::Function);
        }
        Ok(())
    }

    fn parse_component_submodule(
        &mut self,
        component: &mut Component,
        _parser: Parser,
        module: &[u8],
    ) -> Result<(), Error> {
        let mut wanted = true;
        if self.depth == 0 {
            let index = next(&mut self.seen.modules);
            wanted = self.remaining.iter().any(|instance| {
                matches!(&self.shape.instances[*instance as usize],
                    Instance::Instantiated { module, .. } if *module == index)
            });
            if wanted {
                let written = next(&mut self.written.modules);
                self.modules.insert(index, written);
            }
        }
        if wanted {
            component.section(&RawSection {
                id: ComponentSectionId::CoreModule.into(),
                data: module,
            });
        }
        Ok(())
    }

    fn parse_component_custom_section(
        &mut self,
        component: &mut Component,
        section: CustomSectionReader<'_>,
    ) -> Result<(), Error> {
        // The names are of what is not there any more.
        if matches!(section.as_known(), KnownCustom::ComponentName(_)) {
            return Ok(());
        }
        component_utils::parse_component_custom_section(self, component, section)
    }
}
