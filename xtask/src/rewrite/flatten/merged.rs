//! The one module.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, bail, ensure};
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    CodeSection, DataCountSection, DataSection, ElementSection, EntityType, ExportSection,
    FunctionSection, GlobalSection, ImportSection, Instruction, MemorySection, TableSection,
    TypeSection,
};
use wasmparser::{Element, ElementItems, ElementKind, FuncType, Operator, OperatorsReader};

use super::module::Module;
use super::shape::{Kind, Place, Shape, Target};

/// What the merged module imports from; the names are numbers.
pub(super) const HOST: &str = "host";

/// All free modules of a component as one.
pub(super) struct Merged {
    pub(super) module: Vec<u8>,
    /// The component's functions it imports, in the order of their names.
    pub(super) imports: Vec<u32>,
    /// What it exports of what the component uses.
    pub(super) exports: BTreeMap<Place, String>,
}

impl Merged {
    pub(super) fn of(shape: &Shape<'_>) -> Result<Self> {
        let wanted = shape.wanted()?;
        let mut reach = Reach::of(shape)?;
        reach.follow(&wanted)?;
        let layout = Layout::of(&reach, &wanted)?;
        layout.encode(&reach, &wanted)
    }
}

/// What can be reached, and what is set.
struct Reach<'s, 'a> {
    shape: &'s Shape<'a>,
    /// What imports are, by instance and kind.
    links: HashMap<(u32, Kind), Vec<Target>>,
    functions: BTreeSet<Target>,
    set: BTreeSet<Target>,
}

impl<'s, 'a> Reach<'s, 'a> {
    fn of(shape: &'s Shape<'a>) -> Result<Self> {
        let mut links = HashMap::new();
        for (&instance, module) in &shape.merged {
            for kind in [Kind::Function, Kind::Table, Kind::Memory, Kind::Global] {
                let imports = module.imports(kind).iter();
                let targets = imports.map(|import| shape.import(instance, kind, *import));
                links.insert((instance, kind), targets.collect::<Result<_>>()?);
            }
        }
        Ok(Self {
            shape,
            links,
            functions: BTreeSet::new(),
            set: BTreeSet::new(),
        })
    }

    fn module(&self, instance: u32) -> &'s Module<'a> {
        &self.shape.merged[&instance]
    }

    /// What the module of `instance` knows by this index.
    fn target(&self, instance: u32, kind: Kind, index: u32) -> Target {
        self.links[&(instance, kind)]
            .get(index as usize)
            .copied()
            .unwrap_or(Target::Inside { instance, index })
    }

    fn follow(&mut self, wanted: &BTreeSet<Place>) -> Result<()> {
        let mut pending = Vec::new();
        for &place in wanted {
            if place.0 == Kind::Function {
                pending.push(self.shape.target(place)?);
            }
        }
        for (&instance, module) in &self.shape.merged {
            for element in &module.elements {
                self.elements(instance, element, &mut pending)?;
            }
            for global in &module.globals {
                self.operators(
                    instance,
                    global.init_expr.get_operators_reader(),
                    &mut pending,
                )?;
            }
        }
        while let Some(target) = pending.pop() {
            if self.functions.insert(target)
                && let Target::Inside { instance, index } = target
            {
                let body = self.module(instance).body(index)?;
                self.operators(instance, body.get_operators_reader()?, &mut pending)?;
            }
        }
        Ok(())
    }

    fn elements(
        &mut self,
        instance: u32,
        element: &Element<'_>,
        pending: &mut Vec<Target>,
    ) -> Result<()> {
        ensure!(
            matches!(element.kind, ElementKind::Active { .. }),
            "a module puts functions into its table while it runs"
        );
        match element.items.clone() {
            ElementItems::Functions(functions) => {
                for function in functions {
                    pending.push(self.target(instance, Kind::Function, function?));
                }
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    let operators = expression?.get_operators_reader();
                    self.operators(instance, operators, pending)?;
                }
            }
        }
        Ok(())
    }

    fn operators(
        &mut self,
        instance: u32,
        operators: OperatorsReader<'_>,
        pending: &mut Vec<Target>,
    ) -> Result<()> {
        for operator in operators {
            match operator? {
                Operator::Call { function_index }
                | Operator::ReturnCall { function_index }
                | Operator::RefFunc { function_index } => {
                    pending.push(self.target(instance, Kind::Function, function_index));
                }
                Operator::GlobalSet { global_index } => {
                    self.set
                        .insert(self.target(instance, Kind::Global, global_index));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What a global always is, if it is a number that nothing can change.
    fn constant(&self, target: Target) -> Result<Option<Instruction<'static>>> {
        let Target::Inside { instance, index } = target else {
            bail!("a component makes no globals");
        };
        if self.set.contains(&target) {
            return Ok(None);
        }
        let imported = self.links[&(instance, Kind::Global)].len();
        let global = &self.module(instance).globals[index as usize - imported];
        let mut operators = global.init_expr.get_operators_reader();
        let constant = match operators.read()? {
            Operator::I32Const { value } => Instruction::I32Const(value),
            Operator::I64Const { value } => Instruction::I64Const(value),
            Operator::F32Const { value } => Instruction::F32Const(value.into()),
            Operator::F64Const { value } => Instruction::F64Const(value.into()),
            Operator::GlobalGet { global_index } => {
                match self.constant(self.target(instance, Kind::Global, global_index))? {
                    Some(constant) => constant,
                    None => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        Ok(operators.is_end_then_eof().then_some(constant))
    }
}

/// Where everything is in the merged module.
#[derive(Default)]
struct Layout {
    types: Vec<FuncType>,
    type_indices: HashMap<FuncType, u32>,
    /// The component's functions that are imported, and the types they have.
    hosts: BTreeMap<u32, u32>,
    indices: HashMap<(Kind, Target), u32>,
    constants: HashMap<Target, Instruction<'static>>,
}

impl Layout {
    fn of(reach: &Reach<'_, '_>, wanted: &BTreeSet<Place>) -> Result<Self> {
        let mut layout = Self::default();
        for (&instance, module) in &reach.shape.merged {
            let imports = module.imports(Kind::Function).len();
            for index in 0..u32::try_from(imports)? {
                let target = reach.target(instance, Kind::Function, index);
                if let Target::Host(host) = target
                    && reach.functions.contains(&target)
                {
                    let ty = layout.type_index(module.function_type(index)?)?;
                    let before = layout.hosts.insert(host, ty);
                    ensure!(
                        before.is_none_or(|before| before == ty),
                        "modules do not agree on the type of a function of the component"
                    );
                }
            }
            for ty in &module.types {
                layout.type_index(ty)?;
            }
        }
        // Those of the component come first, as they do in the order of targets.
        for (index, target) in (0..).zip(&reach.functions) {
            layout.indices.insert((Kind::Function, *target), index);
        }
        let exported: BTreeSet<Target> = wanted
            .iter()
            .filter(|(kind, _)| *kind == Kind::Global)
            .map(|place| reach.shape.target(*place))
            .collect::<Result<_>>()?;
        let (mut tables, mut memories, mut globals) = (0.., 0.., 0..);
        for (&instance, module) in &reach.shape.merged {
            for (kind, defined, indices) in [
                (Kind::Table, module.tables.len(), &mut tables),
                (Kind::Memory, module.memories.len(), &mut memories),
                (Kind::Global, module.globals.len(), &mut globals),
            ] {
                let first = module.imports(kind).len();
                for index in first..first + defined {
                    let index = u32::try_from(index)?;
                    let target = Target::Inside { instance, index };
                    if kind == Kind::Global
                        && !exported.contains(&target)
                        && let Some(constant) = reach.constant(target)?
                    {
                        layout.constants.insert(target, constant);
                        continue;
                    }
                    let index = indices.next().context("too many")?;
                    layout.indices.insert((kind, target), index);
                }
            }
        }
        Ok(layout)
    }

    fn type_index(&mut self, ty: &FuncType) -> Result<u32> {
        if let Some(index) = self.type_indices.get(ty) {
            return Ok(*index);
        }
        let index = u32::try_from(self.types.len())?;
        self.types.push(ty.clone());
        self.type_indices.insert(ty.clone(), index);
        Ok(index)
    }

    fn encode(self, reach: &Reach<'_, '_>, wanted: &BTreeSet<Place>) -> Result<Merged> {
        let mut sections = Sections::default();
        for &ty in self.hosts.values() {
            let name = sections.imports.len().to_string();
            sections
                .imports
                .import(HOST, &name, EntityType::Function(ty));
        }
        let mut datas = 0;
        for (&instance, module) in &reach.shape.merged {
            let mut part = Part {
                reach,
                layout: &self,
                module,
                instance,
                first_data: datas,
            };
            part.encode(&mut sections)
                .with_context(|| format!("instance {instance}"))?;
            datas += u32::try_from(module.data.len())?;
        }
        let mut types = TypeSection::new();
        for ty in &self.types {
            types
                .ty()
                .func_type(&wasm_encoder::FuncType::try_from(ty.clone()).map_err(plain)?);
        }
        let mut exports = BTreeMap::new();
        for &place in wanted {
            let (kind, _) = place;
            let index = self.indices[&(kind, reach.shape.target(place)?)];
            let name = format!("{kind:?}{index}");
            // The component may know one thing by several indices.
            if !exports.values().any(|given| *given == name) {
                sections.exports.export(&name, kind.into(), index);
            }
            exports.insert(place, name);
        }
        Ok(Merged {
            module: sections.finish(&types, datas).finish(),
            imports: self.hosts.into_keys().collect(),
            exports,
        })
    }
}

#[derive(Default)]
struct Sections {
    imports: ImportSection,
    functions: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    exports: ExportSection,
    elements: ElementSection,
    code: CodeSection,
    data: DataSection,
}

impl Sections {
    fn finish(self, types: &TypeSection, datas: u32) -> wasm_encoder::Module {
        let mut module = wasm_encoder::Module::new();
        module
            .section(types)
            .section(&self.imports)
            .section(&self.functions)
            .section(&self.tables)
            .section(&self.memories)
            .section(&self.globals)
            .section(&self.exports)
            .section(&self.elements)
            .section(&DataCountSection { count: datas })
            .section(&self.code)
            .section(&self.data);
        module
    }
}

/// One of the modules, as it is written into the merged one.
struct Part<'p, 's, 'a> {
    reach: &'p Reach<'s, 'a>,
    layout: &'p Layout,
    module: &'s Module<'a>,
    instance: u32,
    first_data: u32,
}

impl Part<'_, '_, '_> {
    fn encode(&mut self, sections: &mut Sections) -> Result<()> {
        let module = self.module;
        let imported = module.imports(Kind::Function).len();
        for (index, body) in (imported..).zip(&module.bodies) {
            let index = u32::try_from(index)?;
            if self.index(Kind::Function, index).is_ok() {
                let ty = module.function_types[index as usize];
                sections
                    .functions
                    .function(self.type_index(ty).map_err(plain)?);
                self.parse_function_body(&mut sections.code, body.clone())
                    .map_err(plain)?;
            }
        }
        for table in &module.tables {
            self.parse_table(&mut sections.tables, table.clone())
                .map_err(plain)?;
        }
        for memory in &module.memories {
            sections
                .memories
                .memory(self.memory_type(*memory).map_err(plain)?);
        }
        let imported = module.imports(Kind::Global).len();
        for (index, global) in (imported..).zip(&module.globals) {
            if self.index(Kind::Global, u32::try_from(index)?).is_ok() {
                self.parse_global(&mut sections.globals, global.clone())
                    .map_err(plain)?;
            }
        }
        for element in &module.elements {
            self.parse_element(&mut sections.elements, element.clone())
                .map_err(plain)?;
        }
        for data in &module.data {
            self.parse_data(&mut sections.data, data.clone())
                .map_err(plain)?;
        }
        Ok(())
    }

    fn index(&self, kind: Kind, index: u32) -> Result<u32, Error> {
        let target = self.reach.target(self.instance, kind, index);
        self.layout
            .indices
            .get(&(kind, target))
            .copied()
            .ok_or(reencode::Error::UserError(Unplaced(kind, index)))
    }
}

/// What was left out, and is used.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} {1} is used and was left out")]
struct Unplaced(Kind, u32);

type Error = reencode::Error<Unplaced>;

fn plain<E: std::error::Error + Send + Sync + 'static>(error: reencode::Error<E>) -> anyhow::Error {
    error.into()
}

impl Reencode for Part<'_, '_, '_> {
    type Error = Unplaced;

    fn type_index(&mut self, ty: u32) -> Result<u32, Error> {
        let ty = self.module.types.get(ty as usize);
        ty.and_then(|ty| self.layout.type_indices.get(ty))
            .copied()
            .ok_or(reencode::Error::InvalidConstExpr)
    }

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

    fn data_index(&mut self, data: u32) -> Result<u32, Error> {
        Ok(self.first_data + data)
    }

    fn instruction<'a>(&mut self, operator: Operator<'a>) -> Result<Instruction<'a>, Error> {
        if let Operator::GlobalGet { global_index } = operator {
            let target = self.reach.target(self.instance, Kind::Global, global_index);
            if let Some(constant) = self.layout.constants.get(&target) {
                return Ok(constant.clone());
            }
        }
        utils::instruction(self, operator)
    }
}
