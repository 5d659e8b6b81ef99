//! The index layout of the merged module: the index of every type, function, table, memory and
//! global.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, ensure};
use wasm_encoder::Instruction;
use wasmparser::FuncType;

use super::item::{Definition, ItemRef, Kind};
use super::reachability::Reachability;

/// The index of every item in the merged module.
#[derive(Default)]
pub(super) struct IndexLayout {
    pub(super) types: Vec<FuncType>,
    pub(super) type_indices: HashMap<FuncType, u32>,
    /// The canonical functions that are imported, and their types.
    pub(super) host_functions: BTreeMap<u32, u32>,
    pub(super) indices: HashMap<(Kind, Definition), u32>,
    /// The globals that became constants.
    pub(super) constants: HashMap<Definition, Instruction<'static>>,
}

impl IndexLayout {
    pub(super) fn new(
        reachability: &Reachability<'_, '_>,
        exports: &BTreeSet<ItemRef>,
    ) -> Result<Self> {
        let graph = reachability.graph;
        let mut layout = Self::default();
        for (&instance, module) in &graph.merged {
            let imports = module.imports(Kind::Function).len();
            for index in 0..u32::try_from(imports)? {
                let definition = reachability.definition(instance, Kind::Function, index);
                if let Definition::Host(function) = definition
                    && reachability.functions.contains(&definition)
                {
                    let ty = layout.add_type(module.function_type(index)?)?;
                    let previous = layout.host_functions.insert(function, ty);
                    ensure!(
                        previous.is_none_or(|previous| previous == ty),
                        "modules do not agree on the type of a function of the component"
                    );
                }
            }
            for ty in &module.types {
                layout.add_type(ty)?;
            }
        }
        // Host functions are imports and take the first indices: they sort first, too.
        for (index, definition) in (0..).zip(&reachability.functions) {
            layout.indices.insert((Kind::Function, *definition), index);
        }
        let exported_globals: BTreeSet<Definition> = exports
            .iter()
            .filter(|(kind, _)| *kind == Kind::Global)
            .map(|item| graph.definition(*item))
            .collect::<Result<_>>()?;
        let (mut tables, mut memories, mut globals) = (0.., 0.., 0..);
        for (&instance, module) in &graph.merged {
            for (kind, defined, indices) in [
                (Kind::Table, module.tables.len(), &mut tables),
                (Kind::Memory, module.memories.len(), &mut memories),
                (Kind::Global, module.globals.len(), &mut globals),
            ] {
                let first = module.imports(kind).len();
                for index in first..first + defined {
                    let index = u32::try_from(index)?;
                    let definition = Definition::Module { instance, index };
                    if kind == Kind::Global
                        && !exported_globals.contains(&definition)
                        && let Some(constant) = reachability.constant(definition)?
                    {
                        layout.constants.insert(definition, constant);
                        continue;
                    }
                    let index = indices.next().context("too many")?;
                    layout.indices.insert((kind, definition), index);
                }
            }
        }
        Ok(layout)
    }

    fn add_type(&mut self, ty: &FuncType) -> Result<u32> {
        if let Some(index) = self.type_indices.get(ty) {
            return Ok(*index);
        }
        let index = u32::try_from(self.types.len())?;
        self.types.push(ty.clone());
        self.type_indices.insert(ty.clone(), index);
        Ok(index)
    }
}
