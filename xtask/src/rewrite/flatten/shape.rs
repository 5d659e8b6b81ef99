//! What a component says of core modules: which there are, and how they are linked.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use wasm_encoder::ExportKind;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentOuterAliasKind, ExternalKind,
    InstantiationArgKind, Parser, Payload,
};

use super::module::Module;

/// The core index spaces of a component.
#[derive(Default)]
pub(super) struct Shape<'a> {
    /// The modules as they are written.
    pub(super) modules: Vec<&'a [u8]>,
    pub(super) instances: Vec<Instance<'a>>,
    functions: Vec<Item<'a>>,
    tables: Vec<Item<'a>>,
    memories: Vec<Item<'a>>,
    globals: Vec<Item<'a>>,
    /// What the component itself uses.
    used: BTreeSet<Place>,
    /// The functions it calls while the host must not be called: canonical ABI, `may_leave`.
    pub(super) shielded: BTreeSet<Place>,
    /// How many instances there are before the component uses anything of one.
    pub(super) before_use: Option<usize>,
    /// By the instance they are of, what the modules to merge contain.
    pub(super) merged: BTreeMap<u32, Module<'a>>,
}

/// A core instance.
pub(super) enum Instance<'a> {
    Instantiated {
        module: u32,
        with: Vec<(&'a str, u32)>,
    },
    Gathered(Vec<(&'a str, ExternalKind, u32)>),
}

/// Where a core function, table, memory or global comes from.
#[derive(Clone, Copy)]
pub(super) enum Item<'a> {
    /// Made by the component; bound if it needs memory or functions of an instance.
    Canonical { bound: bool },
    /// Exported by a core instance.
    Exported { instance: u32, name: &'a str },
}

/// The kind of an item and its index.
pub(super) type Place = (Kind, u32);

/// Kinds of items, in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Function,
    Table,
    Memory,
    Global,
}

impl Kind {
    pub(super) fn of(kind: ExternalKind) -> Result<Self> {
        Ok(match kind {
            ExternalKind::Func | ExternalKind::FuncExact => Self::Function,
            ExternalKind::Table => Self::Table,
            ExternalKind::Memory => Self::Memory,
            ExternalKind::Global => Self::Global,
            ExternalKind::Tag => bail!("an exception is shared between modules"),
        })
    }
}

impl From<Kind> for ExportKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Function => Self::Func,
            Kind::Table => Self::Table,
            Kind::Memory => Self::Memory,
            Kind::Global => Self::Global,
        }
    }
}

/// What an import of a merged module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Target {
    /// A function of the component, by its index there.
    Host(u32),
    /// What the module of an instance defines, by its index there.
    Inside { instance: u32, index: u32 },
}

impl<'a> Shape<'a> {
    pub(super) fn of(component: &'a [u8]) -> Result<Self> {
        let mut shape = Self::default();
        let mut parser = Parser::new(0);
        let mut at = 0;
        loop {
            let rest = &component[at..];
            let wasmparser::Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? else {
                bail!("it ends too early");
            };
            at += consumed;
            match payload {
                Payload::End(_) => break,
                Payload::ModuleSection {
                    unchecked_range, ..
                } => {
                    at += unchecked_range.len();
                    shape.modules.push(&component[unchecked_range]);
                }
                Payload::ComponentSection {
                    unchecked_range, ..
                } => {
                    at += unchecked_range.len();
                }
                payload => shape.take(payload)?,
            }
        }
        for index in 0..shape.instances.len() {
            let index = u32::try_from(index)?;
            if let Instance::Instantiated { module, .. } = shape.instance(index)?
                && shape.is_free(index)?
            {
                let bytes = shape.modules.get(*module as usize);
                let module = Module::of(bytes.context("an instance of no module")?)?;
                shape.merged.insert(index, module);
            }
        }
        Ok(shape)
    }

    fn take(&mut self, payload: Payload<'a>) -> Result<()> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.instances.push(read(instance?)?);
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
                            .space_mut(Kind::of(kind)?)
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
                    self.canonical(function?)?;
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

    fn canonical(&mut self, function: CanonicalFunction) -> Result<()> {
        let options = match function {
            CanonicalFunction::Lift {
                core_func_index,
                options,
                ..
            } => {
                self.used((Kind::Function, core_func_index));
                self.use_options(&options);
                return Ok(());
            }
            CanonicalFunction::Lower { options, .. } => options,
            CanonicalFunction::ResourceDrop { .. }
            | CanonicalFunction::ResourceNew { .. }
            | CanonicalFunction::ResourceRep { .. } => Box::default(),
            other => bail!("it uses {other:?}"),
        };
        let bound = self.use_options(&options);
        self.functions.push(Item::Canonical { bound });
        Ok(())
    }

    /// Note what `options` need of instances, and tell whether there is anything.
    fn use_options(&mut self, options: &[CanonicalOption]) -> bool {
        let mut any = false;
        for option in options {
            let place = match *option {
                CanonicalOption::Memory(index) => (Kind::Memory, index),
                CanonicalOption::Realloc(index)
                | CanonicalOption::PostReturn(index)
                | CanonicalOption::Callback(index) => (Kind::Function, index),
                _ => continue,
            };
            any = true;
            self.used(place);
            if matches!(
                option,
                CanonicalOption::Realloc(_) | CanonicalOption::PostReturn(_)
            ) {
                self.shielded.insert(place);
            }
        }
        any
    }

    fn used(&mut self, place: Place) {
        self.before_use.get_or_insert(self.instances.len());
        self.used.insert(place);
    }

    pub(super) fn instance(&self, index: u32) -> Result<&Instance<'a>> {
        self.instances
            .get(index as usize)
            .with_context(|| format!("there is no instance {index}"))
    }

    fn space_mut(&mut self, kind: Kind) -> &mut Vec<Item<'a>> {
        match kind {
            Kind::Function => &mut self.functions,
            Kind::Table => &mut self.tables,
            Kind::Memory => &mut self.memories,
            Kind::Global => &mut self.globals,
        }
    }

    pub(super) fn item(&self, (kind, index): Place) -> Result<Item<'a>> {
        let space = match kind {
            Kind::Function => &self.functions,
            Kind::Table => &self.tables,
            Kind::Memory => &self.memories,
            Kind::Global => &self.globals,
        };
        space
            .get(index as usize)
            .copied()
            .with_context(|| format!("there is no {kind:?} {index}"))
    }

    /// Whether all that instance `index` is made of can be there before any bound function.
    fn is_free(&self, index: u32) -> Result<bool> {
        match self.instance(index)? {
            Instance::Instantiated { with, .. } => {
                for (_, instance) in with {
                    let free = match self.instance(*instance)? {
                        Instance::Instantiated { .. } => self.merged.contains_key(instance),
                        Instance::Gathered(_) => self.is_free(*instance)?,
                    };
                    if !free {
                        return Ok(false);
                    }
                }
            }
            Instance::Gathered(items) => {
                for (_, kind, index) in items {
                    let free = match self.item((Kind::of(*kind)?, *index))? {
                        Item::Canonical { bound } => !bound,
                        Item::Exported { instance, .. } => self.merged.contains_key(&instance),
                    };
                    if !free {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// What `module` means by its import `name` from `from`.
    pub(super) fn import(
        &self,
        importer: u32,
        kind: Kind,
        (from, name): (&str, &str),
    ) -> Result<Target> {
        let Instance::Instantiated { with, .. } = self.instance(importer)? else {
            bail!("instance {importer} has no module");
        };
        let (_, instance) = with
            .iter()
            .find(|(given, _)| *given == from)
            .with_context(|| format!("nothing is given as {from}"))?;
        self.export(*instance, kind, name)
    }

    /// The function of the component that a merged module imports as `import`.
    pub(super) fn host(&self, import: (&str, &str)) -> Result<u32> {
        for (&instance, module) in &self.merged {
            if module.imports(Kind::Function).contains(&import)
                && let Target::Host(index) = self.import(instance, Kind::Function, import)?
            {
                return Ok(index);
            }
        }
        bail!("no module imports {} from {}", import.1, import.0)
    }

    /// Whether a module that is not merged has functions of its own.
    pub(super) fn has_code_besides(&self) -> Result<bool> {
        for index in self.remaining() {
            if let Instance::Instantiated { module, .. } = self.instance(index)? {
                let bytes = self.modules.get(*module as usize);
                let module = Module::of(bytes.context("an instance of no module")?)?;
                if !module.bodies.is_empty() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What an instance calls `name`.
    pub(super) fn export(&self, instance: u32, kind: Kind, name: &str) -> Result<Target> {
        match self.instance(instance)? {
            Instance::Gathered(items) => {
                for (given, of, index) in items {
                    if *given == name && Kind::of(*of)? == kind {
                        return self.target((kind, *index));
                    }
                }
            }
            Instance::Instantiated { .. } => {
                let module = &self.merged.get(&instance);
                let module = module.with_context(|| format!("instance {instance} is not free"))?;
                if let Some(&index) = module.exports.get(&(kind, name)) {
                    let imports = module.imports(kind);
                    return match imports.get(index as usize) {
                        Some(&import) => self.import(instance, kind, import),
                        None => Ok(Target::Inside { instance, index }),
                    };
                }
            }
        }
        bail!("instance {instance} has no {kind:?} {name}")
    }

    pub(super) fn target(&self, place: Place) -> Result<Target> {
        match self.item(place)? {
            Item::Canonical { .. } => Ok(Target::Host(place.1)),
            Item::Exported { instance, name } => self.export(instance, place.0, name),
        }
    }

    /// What is used of merged modules by what remains.
    pub(super) fn wanted(&self) -> Result<BTreeSet<Place>> {
        let mut all = self.used.clone();
        for index in self.remaining() {
            if let Instance::Gathered(items) = self.instance(index)? {
                for (_, kind, index) in items {
                    all.insert((Kind::of(*kind)?, *index));
                }
            }
        }
        let mut wanted = BTreeSet::new();
        for place in all {
            if let Item::Exported { instance, .. } = self.item(place)?
                && self.merged.contains_key(&instance)
            {
                wanted.insert(place);
            }
        }
        Ok(wanted)
    }

    /// The instances there are besides the merged one.
    pub(super) fn remaining(&self) -> BTreeSet<u32> {
        let mut remaining = BTreeSet::new();
        for (index, instance) in (0..).zip(&self.instances) {
            if let Instance::Instantiated { with, .. } = instance
                && !self.merged.contains_key(&index)
            {
                remaining.insert(index);
                remaining.extend(with.iter().map(|(_, instance)| *instance));
            }
        }
        remaining
    }
}

fn read(instance: wasmparser::Instance<'_>) -> Result<Instance<'_>> {
    Ok(match instance {
        wasmparser::Instance::Instantiate { module_index, args } => Instance::Instantiated {
            module: module_index,
            with: args
                .iter()
                .map(|arg| {
                    let InstantiationArgKind::Instance = arg.kind;
                    (arg.name, arg.index)
                })
                .collect(),
        },
        wasmparser::Instance::FromExports(exports) => Instance::Gathered(
            exports
                .iter()
                .map(|export| (export.name, export.kind, export.index))
                .collect(),
        ),
    })
}
