//! Reachability: which functions of the modules to merge are live, and which globals are written.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Result, bail, ensure};
use wasm_encoder::Instruction;
use wasmparser::{Element, ElementItems, ElementKind, Operator, OperatorsReader};

use super::item::{Definition, ItemRef, Kind};
use super::link_graph::LinkGraph;
use super::module::Module;

/// The live functions and the written globals.
pub(super) struct Reachability<'g, 'a> {
    pub(super) graph: &'g LinkGraph<'a>,
    /// The definitions of imports, by instance and kind.
    imports: HashMap<(u32, Kind), Vec<Definition>>,
    pub(super) functions: BTreeSet<Definition>,
    written_globals: BTreeSet<Definition>,
}

impl<'g, 'a> Reachability<'g, 'a> {
    /// Follows calls and references from `exports`, `symbols`, tables and initialisers.
    pub(super) fn from_exports(
        graph: &'g LinkGraph<'a>,
        exports: &BTreeSet<ItemRef>,
        symbols: impl IntoIterator<Item = Definition>,
    ) -> Result<Self> {
        let mut imports = HashMap::new();
        for (&instance, module) in &graph.merged {
            for kind in Kind::ALL {
                let definitions = module
                    .imports(kind)
                    .iter()
                    .map(|import| graph.import(instance, kind, *import));
                imports.insert((instance, kind), definitions.collect::<Result<_>>()?);
            }
        }
        let mut reachability = Self {
            graph,
            imports,
            functions: BTreeSet::new(),
            written_globals: BTreeSet::new(),
        };
        let mut pending: Vec<_> = symbols.into_iter().collect();
        for &item in exports {
            if item.0 == Kind::Function {
                pending.push(graph.definition(item)?);
            }
        }
        reachability.follow(pending)?;
        Ok(reachability)
    }

    fn module(&self, instance: u32) -> &'g Module<'a> {
        &self.graph.merged[&instance]
    }

    /// Returns the definition of an item, by its index in the module of `instance`.
    pub(super) fn definition(&self, instance: u32, kind: Kind, index: u32) -> Definition {
        self.imports[&(instance, kind)]
            .get(index as usize)
            .copied()
            .unwrap_or(Definition::Module { instance, index })
    }

    /// Returns what a module imports as `import`.
    pub(super) fn imported(
        &self,
        instance: u32,
        kind: Kind,
        import: (&str, &str),
    ) -> Option<Definition> {
        let imports = self.graph.merged[&instance].imports(kind);
        let index = imports.iter().position(|imported| *imported == import)?;
        self.imports[&(instance, kind)].get(index).copied()
    }

    fn follow(&mut self, mut pending: Vec<Definition>) -> Result<()> {
        for (&instance, module) in &self.graph.merged {
            for element in &module.elements {
                self.follow_element(instance, element, &mut pending)?;
            }
            for global in &module.globals {
                self.follow_operators(
                    instance,
                    global.init_expr.get_operators_reader(),
                    &mut pending,
                )?;
            }
        }
        while let Some(definition) = pending.pop() {
            if self.functions.insert(definition)
                && let Definition::Module { instance, index } = definition
            {
                let body = self.module(instance).body(index)?;
                self.follow_operators(instance, body.get_operators_reader()?, &mut pending)?;
            }
        }
        Ok(())
    }

    fn follow_element(
        &mut self,
        instance: u32,
        element: &Element<'_>,
        pending: &mut Vec<Definition>,
    ) -> Result<()> {
        ensure!(
            matches!(element.kind, ElementKind::Active { .. }),
            "a module puts functions into its table while it runs"
        );
        match element.items.clone() {
            ElementItems::Functions(functions) => {
                for function in functions {
                    pending.push(self.definition(instance, Kind::Function, function?));
                }
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    let operators = expression?.get_operators_reader();
                    self.follow_operators(instance, operators, pending)?;
                }
            }
        }
        Ok(())
    }

    fn follow_operators(
        &mut self,
        instance: u32,
        operators: OperatorsReader<'_>,
        pending: &mut Vec<Definition>,
    ) -> Result<()> {
        for operator in operators {
            match operator? {
                Operator::Call { function_index }
                | Operator::ReturnCall { function_index }
                | Operator::RefFunc { function_index } => {
                    pending.push(self.definition(instance, Kind::Function, function_index));
                }
                Operator::GlobalSet { global_index } => {
                    self.written_globals.insert(self.definition(
                        instance,
                        Kind::Global,
                        global_index,
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the value of a global that is a number and is never written.
    pub(super) fn constant(&self, global: Definition) -> Result<Option<Instruction<'static>>> {
        let Definition::Module { instance, index } = global else {
            bail!("a component makes no globals");
        };
        if self.written_globals.contains(&global) {
            return Ok(None);
        }
        let imported = self.imports[&(instance, Kind::Global)].len();
        let global = &self.module(instance).globals[index as usize - imported];
        let mut operators = global.init_expr.get_operators_reader();
        let constant = match operators.read()? {
            Operator::I32Const { value } => Instruction::I32Const(value),
            Operator::I64Const { value } => Instruction::I64Const(value),
            Operator::F32Const { value } => Instruction::F32Const(value.into()),
            Operator::F64Const { value } => Instruction::F64Const(value.into()),
            Operator::GlobalGet { global_index } => {
                match self.constant(self.definition(instance, Kind::Global, global_index))? {
                    Some(constant) => constant,
                    None => return Ok(None),
                }
            }
            _ => return Ok(None),
        };
        Ok(operators.is_end_then_eof().then_some(constant))
    }
}
