//! The symbols of the merged modules, for the symbol table of the image (`eryx-guest-linker`).

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use eryx_guest_linker::symbols::SymbolTable;
use eryx_guest_linker::yield_points::YieldPoints;
use wasm_encoder::Instruction;

use super::index_layout::IndexLayout;
use super::item::{Definition, Kind};
use super::link_graph::LinkGraph;
use super::reachability::Reachability;

/// The function that starts native modules: see `native_modules.wat` in `eryx-guest-shims`.
const START: &str = "start_native_modules";

/// The function of the `dl` library that sets what `dlopen` finds.
const SET_LIBRARIES: &str = "__wasm_set_libraries";

/// The prefix of exports that are functions of WASI preview 1: see `native_modules.wat`.
const PREVIEW1: &str = "preview1_";

/// The symbols of the merged modules.
pub(super) struct Symbols<'a> {
    functions: BTreeMap<&'a str, Definition>,
    preview1: BTreeMap<&'a str, Definition>,
    /// The instance, and the index of the global that has the address relative to its memory.
    data: BTreeMap<&'a str, (u32, u32)>,
    start: Definition,
    set_libraries: Definition,
}

impl<'a> Symbols<'a> {
    /// Finds the symbols, if a module starts native modules.
    pub(super) fn find(graph: &LinkGraph<'a>) -> Result<Option<Self>> {
        let Some(start) = graph.exported_definition(START) else {
            return Ok(None);
        };
        let mut symbols = Self {
            functions: BTreeMap::new(),
            preview1: BTreeMap::new(),
            data: BTreeMap::new(),
            start,
            set_libraries: graph
                .exported_definition(SET_LIBRARIES)
                .with_context(|| format!("no module exports {SET_LIBRARIES}"))?,
        };
        symbols.add_preview1(graph)?;
        for (&instance, module) in &graph.merged {
            // The module with the memory passes calls on to those that define the functions.
            if module.memories.is_empty() {
                symbols.add_library(graph, instance)?;
            }
        }
        Ok(Some(symbols))
    }

    fn add_library(&mut self, graph: &LinkGraph<'a>, instance: u32) -> Result<()> {
        for &(kind, name) in graph.merged[&instance].exports.keys() {
            if !is_symbol(name) {
                continue;
            }
            let definition = match (kind, graph.replacement_of(name)) {
                (Kind::Function, Some(replacement)) => replacement,
                _ => graph.export(instance, kind, name)?,
            };
            match (kind, definition) {
                // The first library that exports a name defines it, as for a dynamic linker.
                (Kind::Function, Definition::Module { .. }) => {
                    self.functions.entry(name).or_insert(definition);
                }
                (
                    Kind::Global,
                    Definition::Module {
                        instance: owner,
                        index,
                    },
                ) if owner == instance => {
                    self.data.entry(name).or_insert((instance, index));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn add_preview1(&mut self, graph: &LinkGraph<'a>) -> Result<()> {
        for (&instance, module) in &graph.merged {
            for &(kind, export) in module.exports.keys() {
                if let (Kind::Function, Some(name)) = (kind, export.strip_prefix(PREVIEW1)) {
                    let definition = graph.export(instance, kind, export)?;
                    self.preview1.insert(name, definition);
                }
            }
        }
        Ok(())
    }

    /// Returns the functions, which stay in the image.
    pub(super) fn functions(&self) -> impl Iterator<Item = Definition> {
        let own = [self.start, self.set_libraries];
        let functions = self.functions.values().chain(self.preview1.values());
        functions.copied().chain(own)
    }

    /// Returns the symbol table of the merged module.
    pub(super) fn table(
        &self,
        reachability: &Reachability<'_, '_>,
        layout: &IndexLayout,
        stack_pointer: u32,
    ) -> Result<SymbolTable> {
        let index = |definition: &Definition| {
            layout
                .indices
                .get(&(Kind::Function, *definition))
                .copied()
                .context("a symbol was left out")
        };
        let indices = |functions: &BTreeMap<&str, Definition>| {
            functions
                .iter()
                .map(|(name, definition)| Ok(((*name).to_owned(), index(definition)?)))
                .collect::<Result<BTreeMap<_, _>>>()
        };
        let mut data = BTreeMap::new();
        let mut table = 0;
        for (name, &(instance, index)) in &self.data {
            let address = Definition::Module { instance, index };
            let base = reachability.imported(instance, Kind::Global, ("env", "__memory_base"));
            if let Some(base) = base
                && let Some(Instruction::I32Const(base)) = reachability.constant(base)?
                && let Some(Instruction::I32Const(offset)) = reachability.constant(address)?
            {
                let address = base.wrapping_add(offset).cast_unsigned();
                data.insert((*name).to_owned(), address);
            }
            let import = ("env", "__indirect_function_table");
            if let Some(definition) = reachability.imported(instance, Kind::Table, import)
                && let Some(index) = layout.indices.get(&(Kind::Table, definition))
            {
                table = *index;
            }
        }
        Ok(SymbolTable {
            functions: indices(&self.functions)?,
            preview1: indices(&self.preview1)?,
            data,
            stack_pointer,
            table,
            start: index(&self.start)?,
            set_libraries: index(&self.set_libraries)?,
            // The pass that adds yield points knows them.
            yield_points: YieldPoints::default(),
        })
    }
}

/// Returns whether an export is a symbol in C that a library defines for others: not a name of the
/// component model, nor one of the linker or of the module itself.
fn is_symbol(name: &str) -> bool {
    // The functions that pass calls on to the host have numbers as names.
    let is_identifier = !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_own = ["__wasm_", "cabi_", "PyInit_", "eryx_", PREVIEW1]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    // A native module that calls `START` would call itself, and nothing would count the calls.
    is_identifier && !is_own && !["_initialize", "_start", START].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::is_symbol;

    #[test]
    fn only_names_of_c_are_symbols() {
        for name in [
            "malloc",
            "_Py_NoneStruct",
            "wasi_string_from_c",
            "PyErr_Occurred",
        ] {
            assert!(is_symbol(name), "{name}");
        }
        // Functions of the host, of the component model, of the linker, and of the module itself.
        for name in [
            "0",
            "147",
            "wasi:io/poll@0.2.0#poll",
            "cabi_realloc",
            "__wasm_call_ctors",
            "_initialize",
            "start_native_modules",
            "preview1_random_get",
            "eryx_file_read",
            "PyInit_zlib",
        ] {
            assert!(!is_symbol(name), "{name}");
        }
    }
}
