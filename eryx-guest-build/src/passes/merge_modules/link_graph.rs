//! The link graph of a component: its core modules, their instances, and the items they share.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentOuterAliasKind, ExternalKind,
    InstantiationArgKind, Parser, Payload,
};

use super::item::{Definition, Item, ItemRef, Kind};
use super::module::Module;

/// Imports of functions, without the version of an interface, and the export that takes their place
/// in all modules but its own: see `file_reads.wat` in `eryx-guest-shims`.
const REPLACEMENTS: [((&str, &str), &str); 2] = [
    (("env", "read"), "eryx_file_read"),
    (
        ("wasi:io/streams", "[method]input-stream.read"),
        "eryx_stream_read",
    ),
];

/// Libraries may import several versions of an interface, which are linked as one.
fn without_version<'a>((module, name): (&'a str, &'a str)) -> (&'a str, &'a str) {
    (
        module.split_once('@').map_or(module, |(module, _)| module),
        name,
    )
}

/// The core index spaces of a component.
#[derive(Default)]
pub(super) struct LinkGraph<'a> {
    /// The bytes of each module.
    pub(super) modules: Vec<&'a [u8]>,
    pub(super) instances: Vec<Instance<'a>>,
    functions: Vec<Item<'a>>,
    tables: Vec<Item<'a>>,
    memories: Vec<Item<'a>>,
    globals: Vec<Item<'a>>,
    /// The items that the component itself uses.
    used: BTreeSet<ItemRef>,
    /// The functions that run while the guest may not call the host (canonical ABI, `may_leave`).
    pub(super) non_yielding: BTreeSet<ItemRef>,
    /// The canonical functions that drop a handle.
    pub(super) drops: BTreeSet<u32>,
    /// The number of instances before the component first uses an item of one.
    pub(super) instances_before_use: Option<usize>,
    /// The modules to merge, by their instance.
    pub(super) merged: BTreeMap<u32, Module<'a>>,
    /// The functions that modules get in place of those that they import, by name: see
    /// [`REPLACEMENT_PREFIX`].
    replacements: BTreeMap<&'a str, Definition>,
}

/// A module that exports a function with this prefix replaces the function of the C library that
/// has the rest as its name, in all modules but its own.
const REPLACEMENT_PREFIX: &str = "eryx_";

/// A core instance.
pub(super) enum Instance<'a> {
    Instantiated {
        module: u32,
        args: Vec<(&'a str, u32)>,
    },
    FromExports(Vec<(&'a str, ExternalKind, u32)>),
}

impl<'a> LinkGraph<'a> {
    pub(super) fn parse(component: &'a [u8]) -> Result<Self> {
        let mut graph = Self::default();
        let mut parser = Parser::new(0);
        let mut position = 0;
        loop {
            let rest = &component[position..];
            let wasmparser::Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
                bail!("it ends too early");
            };
            position += consumed;
            match payload {
                Payload::End(_) => break,
                Payload::ModuleSection {
                    unchecked_range, ..
                } => {
                    position += unchecked_range.len();
                    graph.modules.push(&component[unchecked_range]);
                }
                Payload::ComponentSection {
                    unchecked_range, ..
                } => {
                    position += unchecked_range.len();
                }
                payload => graph.read(payload)?,
            }
        }
        for index in 0..graph.instances.len() {
            let index = u32::try_from(index)?;
            if let Instance::Instantiated { module, .. } = graph.instance(index)?
                && graph.is_mergeable(index)?
            {
                let module = graph.parse_module(*module)?;
                for (&(kind, name), &function) in &module.exports {
                    if kind == Kind::Function
                        && let Some(replaced) = name.strip_prefix(REPLACEMENT_PREFIX)
                    {
                        let replacement = Definition::Module {
                            instance: index,
                            index: function,
                        };
                        graph.replacements.insert(replaced, replacement);
                    }
                }
                graph.merged.insert(index, module);
            }
        }
        Ok(graph)
    }

    fn parse_module(&self, module: u32) -> Result<Module<'a>> {
        let bytes = self.modules.get(module as usize);
        Module::parse(bytes.context("an instance of no module")?)
    }

    fn read(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.instances.push(instance?.into());
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    match alias? {
                        ComponentAlias::CoreInstanceExport {
                            kind,
                            instance_index: instance,
                            name,
                        } => self
                            .items_mut(kind.try_into()?)
                            .push(Item::Exported { instance, name }),
                        ComponentAlias::Outer {
                            kind: ComponentOuterAliasKind::CoreModule,
                            ..
                        } => bail!("it uses a module of a component around it"),
                        _ => {}
                    }
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    self.read_canonical(function?)?;
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    ensure!(
                        !matches!(import?.ty, wasmparser::ComponentTypeRef::Module(_)),
                        "it imports a module"
                    );
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn read_canonical(&mut self, function: CanonicalFunction) -> Result<()> {
        let options = match function {
            CanonicalFunction::Lift {
                core_func_index,
                options,
                ..
            } => {
                self.mark_used((Kind::Function, core_func_index));
                self.read_options(&options);
                return Ok(());
            }
            CanonicalFunction::Lower { options, .. } => options,
            CanonicalFunction::ResourceDrop { .. } => {
                self.drops.insert(u32::try_from(self.functions.len())?);
                Box::default()
            }
            CanonicalFunction::ResourceNew { .. } | CanonicalFunction::ResourceRep { .. } => {
                Box::default()
            }
            other => bail!("it uses {other:?}"),
        };
        let needs_instance = self.read_options(&options);
        self.functions.push(Item::Canonical { needs_instance });
        Ok(())
    }

    /// Marks the items that `options` name as used. Returns whether they name any.
    fn read_options(&mut self, options: &[CanonicalOption]) -> bool {
        let mut any = false;
        for option in options {
            let item = match *option {
                CanonicalOption::Memory(index) => (Kind::Memory, index),
                CanonicalOption::Realloc(index)
                | CanonicalOption::PostReturn(index)
                | CanonicalOption::Callback(index) => (Kind::Function, index),
                _ => continue,
            };
            any = true;
            self.mark_used(item);
            if matches!(
                option,
                CanonicalOption::Realloc(_) | CanonicalOption::PostReturn(_)
            ) {
                self.non_yielding.insert(item);
            }
        }
        any
    }

    fn mark_used(&mut self, item: ItemRef) {
        self.instances_before_use
            .get_or_insert(self.instances.len());
        self.used.insert(item);
    }

    pub(super) fn instance(&self, index: u32) -> Result<&Instance<'a>> {
        self.instances
            .get(index as usize)
            .with_context(|| format!("there is no instance {index}"))
    }

    fn items_mut(&mut self, kind: Kind) -> &mut Vec<Item<'a>> {
        match kind {
            Kind::Function => &mut self.functions,
            Kind::Table => &mut self.tables,
            Kind::Memory => &mut self.memories,
            Kind::Global => &mut self.globals,
        }
    }

    pub(super) fn item(&self, (kind, index): ItemRef) -> Result<Item<'a>> {
        let items = match kind {
            Kind::Function => &self.functions,
            Kind::Table => &self.tables,
            Kind::Memory => &self.memories,
            Kind::Global => &self.globals,
        };
        items
            .get(index as usize)
            .copied()
            .with_context(|| format!("there is no {kind:?} {index}"))
    }

    /// Returns whether instance `index` depends on merged modules and on canonical functions that
    /// need no instance only.
    fn is_mergeable(&self, index: u32) -> Result<bool> {
        match self.instance(index)? {
            Instance::Instantiated { args, .. } => {
                for (_, instance) in args {
                    let mergeable = match self.instance(*instance)? {
                        Instance::Instantiated { .. } => self.merged.contains_key(instance),
                        Instance::FromExports(_) => self.is_mergeable(*instance)?,
                    };
                    if !mergeable {
                        return Ok(false);
                    }
                }
            }
            Instance::FromExports(items) => {
                for (_, kind, index) in items {
                    let mergeable = match self.item(((*kind).try_into()?, *index))? {
                        Item::Canonical { needs_instance } => !needs_instance,
                        Item::Exported { instance, .. } => self.merged.contains_key(&instance),
                    };
                    if !mergeable {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// Resolves the import `name` from `module` of the instance `importer`.
    pub(super) fn import(
        &self,
        importer: u32,
        kind: Kind,
        (module, name): (&str, &str),
    ) -> Result<Definition> {
        if kind == Kind::Function
            && let Some(replacement) = self.replacement(importer, (module, name))
        {
            return Ok(replacement);
        }
        let Instance::Instantiated { args, .. } = self.instance(importer)? else {
            bail!("instance {importer} has no module");
        };
        if kind == Kind::Function
            && module == "env"
            && let Some(&replacement) = self.replacements.get(name)
            && !matches!(replacement, Definition::Module { instance, .. } if instance == importer)
        {
            return Ok(replacement);
        }
        let (_, instance) = args
            .iter()
            .find(|(arg, _)| *arg == module)
            .with_context(|| format!("nothing is given as {module}"))?;
        self.export(*instance, kind, name)
    }

    /// Returns the function that takes the place of an import. The module that defines it imports
    /// the original.
    fn replacement(&self, importer: u32, import: (&str, &str)) -> Option<Definition> {
        let (_, export) = REPLACEMENTS
            .iter()
            .find(|(replaced, _)| *replaced == without_version(import))?;
        let replacement = self.exported_function(export)?;
        (replacement.0 != importer).then_some(Definition::Module {
            instance: replacement.0,
            index: replacement.1,
        })
    }

    /// Returns the instance and the index of the function that a merged module exports as `name`.
    fn exported_function(&self, name: &str) -> Option<(u32, u32)> {
        self.merged.iter().find_map(|(&instance, module)| {
            let index = module.exports.get(&(Kind::Function, name))?;
            Some((instance, *index))
        })
    }

    /// Returns what a merged module exports as the function `name`.
    pub(super) fn exported_definition(&self, name: &str) -> Option<Definition> {
        let (instance, index) = self.exported_function(name)?;
        Some(Definition::Module { instance, index })
    }

    /// Returns the function that takes the place of a function of the C library, for modules that
    /// do not define it.
    pub(super) fn replacement_of(&self, name: &str) -> Option<Definition> {
        self.replacement(u32::MAX, ("env", name))
            .or_else(|| self.replacements.get(name).copied())
    }

    /// Checks that every replacement replaces something: the name of an import may change.
    pub(super) fn check_replacements(&self) -> Result<()> {
        for (replaced, export) in REPLACEMENTS {
            let Some((owner, _)) = self.exported_function(export) else {
                continue;
            };
            let is_used = self.merged.iter().any(|(&instance, module)| {
                let mut imports = module.imports(Kind::Function).iter();
                instance != owner && imports.any(|import| without_version(*import) == replaced)
            });
            ensure!(
                is_used,
                "{export} replaces {replaced:?}, which no module imports"
            );
        }
        Ok(())
    }

    /// Returns the canonical function that a merged module imports as `import`.
    pub(super) fn host_function(&self, import: (&str, &str)) -> Result<u32> {
        for (&instance, module) in &self.merged {
            if module.imports(Kind::Function).contains(&import)
                && let Definition::Host(index) = self.import(instance, Kind::Function, import)?
            {
                return Ok(index);
            }
        }
        bail!("no module imports {} from {}", import.1, import.0)
    }

    /// Returns the C stack pointer, which the modules of dynamic libraries import.
    pub(super) fn stack_pointer(&self) -> Result<Option<Definition>> {
        const IMPORT: (&str, &str) = ("env", "__stack_pointer");
        for (&instance, module) in &self.merged {
            if module.imports(Kind::Global).contains(&IMPORT) {
                return self.import(instance, Kind::Global, IMPORT).map(Some);
            }
        }
        Ok(None)
    }

    /// Returns whether a module that is not merged defines functions.
    pub(super) fn has_code_outside_merged(&self) -> Result<bool> {
        for index in self.remaining_instances() {
            if let Instance::Instantiated { module, .. } = self.instance(index)?
                && !self.parse_module(*module)?.bodies.is_empty()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Resolves the export `name` of an instance.
    pub(super) fn export(&self, instance: u32, kind: Kind, name: &str) -> Result<Definition> {
        match self.instance(instance)? {
            Instance::FromExports(items) => {
                for (export, export_kind, index) in items {
                    if *export == name && Kind::try_from(*export_kind)? == kind {
                        return self.definition((kind, *index));
                    }
                }
            }
            Instance::Instantiated { .. } => {
                let module = self.merged.get(&instance);
                let module =
                    module.with_context(|| format!("instance {instance} is not merged"))?;
                if let Some(&index) = module.exports.get(&(kind, name)) {
                    let imports = module.imports(kind);
                    return match imports.get(index as usize) {
                        Some(&import) => self.import(instance, kind, import),
                        None => Ok(Definition::Module { instance, index }),
                    };
                }
            }
        }
        bail!("instance {instance} has no {kind:?} {name}")
    }

    pub(super) fn definition(&self, item: ItemRef) -> Result<Definition> {
        match self.item(item)? {
            Item::Canonical { .. } => Ok(Definition::Host(item.1)),
            Item::Exported { instance, name } => self.export(instance, item.0, name),
        }
    }

    /// Returns the items of merged modules that the component or a remaining instance uses.
    pub(super) fn exports_of_merged(&self) -> Result<BTreeSet<ItemRef>> {
        let mut all = self.used.clone();
        for index in self.remaining_instances() {
            if let Instance::FromExports(items) = self.instance(index)? {
                for (_, kind, index) in items {
                    all.insert(((*kind).try_into()?, *index));
                }
            }
        }
        let mut exports = BTreeSet::new();
        for item in all {
            if let Item::Exported { instance, .. } = self.item(item)?
                && self.merged.contains_key(&instance)
            {
                exports.insert(item);
            }
        }
        Ok(exports)
    }

    /// Returns the instances that remain beside the merged one.
    pub(super) fn remaining_instances(&self) -> BTreeSet<u32> {
        let mut remaining = BTreeSet::new();
        for (index, instance) in (0..).zip(&self.instances) {
            if let Instance::Instantiated { args, .. } = instance
                && !self.merged.contains_key(&index)
            {
                remaining.insert(index);
                remaining.extend(args.iter().map(|(_, instance)| *instance));
            }
        }
        remaining
    }
}

impl<'a> From<wasmparser::Instance<'a>> for Instance<'a> {
    fn from(instance: wasmparser::Instance<'a>) -> Self {
        match instance {
            wasmparser::Instance::Instantiate { module_index, args } => Self::Instantiated {
                module: module_index,
                args: args
                    .iter()
                    .map(|arg| {
                        let InstantiationArgKind::Instance = arg.kind;
                        (arg.name, arg.index)
                    })
                    .collect(),
            },
            wasmparser::Instance::FromExports(exports) => Self::FromExports(
                exports
                    .iter()
                    .map(|export| (export.name, export.kind, export.index))
                    .collect(),
            ),
        }
    }
}
