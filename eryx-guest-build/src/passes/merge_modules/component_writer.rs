//! Writes the component again, with the merged module in place of the modules it replaces.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};
use wasm_encoder::reencode::{self, Reencode, ReencodeComponent, component_utils};
use wasm_encoder::{
    Alias, Component, ComponentAliasSection, ComponentSectionId, ExportKind, InstanceSection,
    ModuleArg, RawSection,
};
use wasmparser::{ComponentAlias, CustomSectionReader, KnownCustom, Parser, Payload};

use super::item::{ItemRef, Kind};
use super::link_graph::{Instance, LinkGraph};
use super::merged_module::{HOST, MergedModule};

/// Returns `component` with `merged` in place of the modules it replaces, and the index of the core
/// instance of `merged`.
pub(super) fn write(
    component: &[u8],
    graph: &LinkGraph<'_>,
    merged: MergedModule,
) -> Result<(Vec<u8>, u32)> {
    let anchor = graph
        .instances_before_use
        .context("the component uses no module")?;
    let mut writer = ComponentWriter {
        graph,
        merged,
        remaining: graph.remaining_instances(),
        anchor: u32::try_from(anchor)?,
        depth: 0,
        read: Counts::default(),
        written: Counts::default(),
        indices: HashMap::new(),
        instances: HashMap::new(),
        modules: HashMap::new(),
        merged_instance: None,
    };
    let mut output = Component::new();
    writer
        .parse_component(&mut output, Parser::new(0), component)
        .map_err(anyhow::Error::from)?;
    ensure!(
        anchor > 0,
        "the component uses a function before there is any module"
    );
    let instance = writer
        .merged_instance
        .context("the merged module is not instantiated")?;
    Ok((output.finish(), instance))
}

struct ComponentWriter<'g, 'a> {
    graph: &'g LinkGraph<'a>,
    merged: MergedModule,
    /// The instances that stay.
    remaining: BTreeSet<u32>,
    /// The number of instances read when the merged module is instantiated.
    anchor: u32,
    /// The number of components around the section that is being read.
    depth: u32,
    /// The numbers of entries read from the outermost component.
    read: Counts,
    /// The numbers of entries written to it.
    written: Counts,
    /// The new indices of items.
    indices: HashMap<ItemRef, u32>,
    instances: HashMap<u32, u32>,
    modules: HashMap<u32, u32>,
    /// The instance of the merged module, once it is written.
    merged_instance: Option<u32>,
}

#[derive(Default)]
struct Counts {
    modules: u32,
    instances: u32,
    items: HashMap<Kind, u32>,
}

impl Counts {
    fn next_item(&mut self, kind: Kind) -> u32 {
        next_index(self.items.entry(kind).or_default())
    }
}

fn next_index(count: &mut u32) -> u32 {
    *count += 1;
    *count - 1
}

/// The error of a component that uses an entry of a merged module before the merged module is
/// instantiated.
#[derive(Debug, thiserror::Error)]
#[error("{0} is used before the merged module is there")]
struct UsedTooEarly(String);

type Error = reencode::Error<UsedTooEarly>;

fn used_too_early(entry: impl std::fmt::Debug) -> Error {
    reencode::Error::UserError(UsedTooEarly(format!("{entry:?}")))
}

impl ComponentWriter<'_, '_> {
    /// Records that the next item of `kind` was written.
    fn keep_item(&mut self, kind: Kind) {
        let index = self.read.next_item(kind);
        let written = self.written.next_item(kind);
        self.indices.insert((kind, index), written);
    }

    fn index(&self, kind: Kind, index: u32) -> Result<u32, Error> {
        if self.depth > 0 {
            return Ok(index);
        }
        let new_index = self.indices.get(&(kind, index)).copied();
        new_index.ok_or_else(|| used_too_early((kind, index)))
    }

    fn write_instance(&mut self, component: &mut Component) -> Result<(), Error> {
        let index = next_index(&mut self.read.instances);
        if self.remaining.contains(&index) {
            let mut section = InstanceSection::new();
            match &self.graph.instances[index as usize] {
                Instance::Instantiated { module, args } => {
                    let mut new_args = Vec::new();
                    for (name, instance) in args {
                        let instance = self.instances.get(instance);
                        let instance = instance.ok_or_else(|| used_too_early(name))?;
                        new_args.push((*name, ModuleArg::Instance(*instance)));
                    }
                    let new_module = self.modules.get(module);
                    let new_module = new_module.ok_or_else(|| used_too_early(module))?;
                    section.instantiate(*new_module, new_args);
                }
                Instance::FromExports(items) => {
                    let mut exports = Vec::new();
                    for (name, kind, index) in items {
                        let item_kind = Kind::try_from(*kind).map_err(|_| used_too_early(name))?;
                        let index = self.index(item_kind, *index)?;
                        exports.push((*name, ExportKind::from(*kind), index));
                    }
                    section.export_items(exports);
                }
            }
            component.section(&section);
            let written = next_index(&mut self.written.instances);
            self.instances.insert(index, written);
        }
        if self.read.instances == self.anchor {
            self.write_merged(component)?;
        }
        Ok(())
    }

    /// Writes the merged module, its instance, and an alias for each of its exports.
    fn write_merged(&mut self, component: &mut Component) -> Result<(), Error> {
        component.section(&RawSection {
            id: ComponentSectionId::CoreModule.into(),
            data: &self.merged.bytes,
        });
        let module = next_index(&mut self.written.modules);
        let mut functions = Vec::new();
        for (name, function) in self.merged.imports.iter().enumerate() {
            let index = self.index(Kind::Function, *function)?;
            functions.push((name.to_string(), ExportKind::Func, index));
        }
        let mut section = InstanceSection::new();
        section.export_items(functions);
        let host = next_index(&mut self.written.instances);
        section.instantiate(module, [(HOST, ModuleArg::Instance(host))]);
        component.section(&section);
        let instance = next_index(&mut self.written.instances);
        self.merged_instance = Some(instance);
        let mut aliases = ComponentAliasSection::new();
        for ((kind, index), name) in &self.merged.exports {
            aliases.alias(Alias::CoreInstanceExport {
                instance,
                kind: (*kind).into(),
                name,
            });
            let written = self.written.next_item(*kind);
            self.indices.insert((*kind, *index), written);
        }
        component.section(&aliases);
        Ok(())
    }

    fn write_alias(
        &mut self,
        component: &mut Component,
        alias: ComponentAlias<'_>,
    ) -> Result<(), Error> {
        if let ComponentAlias::CoreInstanceExport {
            kind,
            instance_index,
            name,
        } = alias
        {
            let kind = Kind::try_from(kind).map_err(|_| used_too_early(name))?;
            if !self.instances.contains_key(&instance_index) {
                // The instance was merged; `write_merged` has written the aliases that are used.
                self.read.next_item(kind);
                return Ok(());
            }
            self.keep_item(kind);
        }
        let mut section = ComponentAliasSection::new();
        section.alias(self.component_alias(alias)?);
        component.section(&section);
        Ok(())
    }
}

impl Reencode for ComponentWriter<'_, '_> {
    type Error = UsedTooEarly;

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

impl ReencodeComponent for ComponentWriter<'_, '_> {
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
                    self.write_instance(component)?;
                }
                Ok(())
            }
            Payload::ComponentAliasSection(section) if self.depth == 0 => {
                for alias in section {
                    self.write_alias(component, alias?)?;
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
        let is_lift = matches!(function, wasmparser::CanonicalFunction::Lift { .. });
        component_utils::parse_component_canonical(self, section, function)?;
        if self.depth == 0 && !is_lift {
            self.keep_item(Kind::Function);
        }
        Ok(())
    }

    fn parse_component_submodule(
        &mut self,
        component: &mut Component,
        _parser: Parser,
        module: &[u8],
    ) -> Result<(), Error> {
        let mut keep = true;
        if self.depth == 0 {
            let index = next_index(&mut self.read.modules);
            keep = self.remaining.iter().any(|instance| {
                matches!(&self.graph.instances[*instance as usize],
                    Instance::Instantiated { module, .. } if *module == index)
            });
            if keep {
                let written = next_index(&mut self.written.modules);
                self.modules.insert(index, written);
            }
        }
        if keep {
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
        // The name section is left out: it names items by indices that are no longer valid.
        if matches!(section.as_known(), KnownCustom::ComponentName(_)) {
            return Ok(());
        }
        component_utils::parse_component_custom_section(self, component, section)
    }
}
