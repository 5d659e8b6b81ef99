//! Encodes the merged module.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use eryx_guest_linker::symbols::SymbolTable;
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    CodeSection, DataCountSection, DataSection, ElementSection, EntityType, ExportSection,
    FunctionSection, GlobalSection, ImportSection, Instruction, MemorySection, TableSection,
    TypeSection,
};
use wasmparser::Operator;

use super::index_layout::IndexLayout;
use super::item::{ItemRef, Kind};
use super::link_graph::LinkGraph;
use super::module::Module;
use super::reachability::Reachability;
use super::symbols::Symbols;

/// The module name of the merged module's imports. Their own names are numbers.
pub(super) const HOST: &str = "host";

/// All mergeable modules of a component as one.
pub(super) struct MergedModule {
    pub(super) bytes: Vec<u8>,
    /// The canonical functions it imports, in the order of the imports' names.
    pub(super) imports: Vec<u32>,
    /// The names of its exports, by the item of the component that each one is.
    pub(super) exports: BTreeMap<ItemRef, String>,
    /// The index of the global that is the C stack pointer.
    pub(super) stack_pointer: Option<u32>,
    /// The symbols that native modules may use, if the image has a function that starts them.
    pub(super) symbols: Option<SymbolTable>,
}

impl MergedModule {
    pub(super) fn build(graph: &LinkGraph<'_>) -> Result<Self> {
        let exports = graph.exports_of_merged()?;
        let symbols = Symbols::find(graph)?;
        let symbol_functions = symbols.iter().flat_map(Symbols::functions);
        let reachability = Reachability::from_exports(graph, &exports, symbol_functions)?;
        let layout = IndexLayout::new(&reachability, &exports)?;
        encode(layout, &reachability, &exports, symbols.as_ref())
    }
}

fn encode(
    layout: IndexLayout,
    reachability: &Reachability<'_, '_>,
    exports: &BTreeSet<ItemRef>,
    symbols: Option<&Symbols<'_>>,
) -> Result<MergedModule> {
    let graph = reachability.graph;
    let mut sections = Sections::default();
    for &ty in layout.host_functions.values() {
        let name = sections.imports.len().to_string();
        sections
            .imports
            .import(HOST, &name, EntityType::Function(ty));
    }
    let mut data_count = 0;
    for (&instance, module) in &graph.merged {
        let mut part = ModulePart {
            reachability,
            layout: &layout,
            module,
            instance,
            first_data: data_count,
        };
        part.encode(&mut sections)
            .with_context(|| format!("instance {instance}"))?;
        data_count += u32::try_from(module.data.len())?;
    }
    let mut types = TypeSection::new();
    for ty in &layout.types {
        types
            .ty()
            .func_type(&wasm_encoder::FuncType::try_from(ty.clone()).map_err(anyhow_error)?);
    }
    let mut export_names = BTreeMap::new();
    for &item in exports {
        let (kind, _) = item;
        let index = layout.indices[&(kind, graph.definition(item)?)];
        let name = format!("{kind:?}{index}");
        // The component may have several indices for one item.
        if !export_names.values().any(|exported| *exported == name) {
            sections.exports.export(&name, kind.into(), index);
        }
        export_names.insert(item, name);
    }
    let stack_pointer = graph
        .stack_pointer()?
        .and_then(|definition| layout.indices.get(&(Kind::Global, definition)).copied());
    let symbols = symbols
        .zip(stack_pointer)
        .map(|(symbols, stack_pointer)| symbols.table(reachability, &layout, stack_pointer))
        .transpose()?;
    Ok(MergedModule {
        stack_pointer,
        symbols,
        bytes: sections.finish(&types, data_count),
        imports: layout.host_functions.into_keys().collect(),
        exports: export_names,
    })
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
    fn finish(self, types: &TypeSection, data_count: u32) -> Vec<u8> {
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
            .section(&DataCountSection { count: data_count })
            .section(&self.code)
            .section(&self.data);
        module.finish()
    }
}

/// One of the merged modules, while it is encoded into the sections of the whole.
struct ModulePart<'p, 'g, 'a> {
    reachability: &'p Reachability<'g, 'a>,
    layout: &'p IndexLayout,
    module: &'g Module<'a>,
    instance: u32,
    /// The index of the module's first data segment in the merged module.
    first_data: u32,
}

impl ModulePart<'_, '_, '_> {
    fn encode(&mut self, sections: &mut Sections) -> Result<()> {
        let module = self.module;
        let imported = module.imports(Kind::Function).len();
        for (index, body) in (imported..).zip(&module.bodies) {
            let index = u32::try_from(index)?;
            if self.index(Kind::Function, index).is_ok() {
                let ty = module.function_types[index as usize];
                sections
                    .functions
                    .function(self.type_index(ty).map_err(anyhow_error)?);
                self.parse_function_body(&mut sections.code, body.clone())
                    .map_err(anyhow_error)?;
            }
        }
        for table in &module.tables {
            self.parse_table(&mut sections.tables, table.clone())
                .map_err(anyhow_error)?;
        }
        for memory in &module.memories {
            sections
                .memories
                .memory(self.memory_type(*memory).map_err(anyhow_error)?);
        }
        let imported = module.imports(Kind::Global).len();
        for (index, global) in (imported..).zip(&module.globals) {
            if self.index(Kind::Global, u32::try_from(index)?).is_ok() {
                self.parse_global(&mut sections.globals, global.clone())
                    .map_err(anyhow_error)?;
            }
        }
        for element in &module.elements {
            self.parse_element(&mut sections.elements, element.clone())
                .map_err(anyhow_error)?;
        }
        for data in &module.data {
            self.parse_data(&mut sections.data, data.clone())
                .map_err(anyhow_error)?;
        }
        Ok(())
    }

    fn index(&self, kind: Kind, index: u32) -> Result<u32, Error> {
        let definition = self.reachability.definition(self.instance, kind, index);
        self.layout
            .indices
            .get(&(kind, definition))
            .copied()
            .ok_or(reencode::Error::UserError(UnreachableItem(kind, index)))
    }
}

/// An item that is used although it was left out as unreachable.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} {1} is used and was left out")]
struct UnreachableItem(Kind, u32);

type Error = reencode::Error<UnreachableItem>;

fn anyhow_error<E>(error: reencode::Error<E>) -> anyhow::Error
where
    E: std::error::Error + Send + Sync + 'static,
{
    error.into()
}

impl Reencode for ModulePart<'_, '_, '_> {
    type Error = UnreachableItem;

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
            let global = self
                .reachability
                .definition(self.instance, Kind::Global, global_index);
            if let Some(constant) = self.layout.constants.get(&global) {
                return Ok(constant.clone());
            }
        }
        utils::instruction(self, operator)
    }
}
