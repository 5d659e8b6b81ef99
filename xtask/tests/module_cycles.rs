//! Checks that the modules of `eryx-core` and `eryx-net-host` depend on each other in one
//! direction.
//!
//! Modules with the same parent are *siblings*. What a module imports counts for its ancestors too:
//! `crate::tcp::stream` that imports `crate::dns::resolver` makes `tcp` depend on `dns`. Imports
//! between a module and its own ancestors do not count, and code of tests does not count.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The path of a module in its crate. The path of the crate root is empty.
type Module = Vec<String>;

/// The imports of one crate, as the importing module and the path that it imports.
#[derive(Default)]
struct Imports {
    paths: Vec<(Module, Module)>,
    /// The names that a module re-exports or imports, and where each is from.
    names: BTreeMap<(Module, String), Module>,
    /// The modules of tests.
    tests: BTreeSet<Module>,
}

#[test]
fn no_siblings_in_eryx_core_and_eryx_net_host_import_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for name in ["eryx-core", "eryx-net-host"] {
        let mut sources = BTreeMap::new();
        read_sources(&root.join(name).join("src"), &Module::new(), &mut sources);
        assert!(sources.len() > 50, "the sources of {name} were not found");
        let cycles = cycles(&sources);
        assert!(
            cycles.is_empty(),
            "modules of {name} import each other; move what both need to a module of its own:\n{}",
            cycles.join("\n")
        );
    }
}

#[test]
fn a_cycle_of_siblings_is_reported_with_its_modules_and_imports() {
    let sources = |sources: &[(&str, &str)]| {
        let sources = sources.iter();
        let sources = sources.map(|(module, text)| (path(module), (*text).to_owned()));
        cycles(&sources.collect())
    };
    // Through a tree of imports and a path in an expression, in modules below the siblings.
    let found = sources(&[
        ("", "mod a; mod b;"),
        ("a", "pub mod deep;"),
        ("a::deep", "use {std::fmt, crate::b::{self, B as Other}};"),
        ("b", "mod deep;"),
        ("b::deep", "fn f() { vec![super::super::a::deep::value()] }"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    for part in [
        "a -> b -> a",
        "a::deep imports b",
        "b::deep imports a::deep::value",
    ] {
        assert!(found[0].contains(part), "{part}: {found:?}");
    }
    // Of three modules, and through a name that their parent re-exports.
    let found = sources(&[
        ("", "mod p;"),
        ("p", "mod a; mod b; mod c; pub use a::A;"),
        ("p::a", "use super::b::B;"),
        ("p::b", "use crate::p::c::C;"),
        ("p::c", "use crate::p::A;"),
    ]);
    assert!(
        found[0].contains("p::a -> p::b -> p::c -> p::a"),
        "{found:?}"
    );
    // Imports between a parent and its child, and those of tests, are no cycle.
    let found = sources(&[
        ("", "mod a; mod b;"),
        (
            "a",
            "mod child; #[cfg(test)] mod cases; use child::C; #[cfg(test)] mod tests { use crate::b; }",
        ),
        (
            "a::child",
            "use crate::a::A; /* crate::b::B */ const TEXT: &str = \"crate::b::B\";",
        ),
        ("a::cases", "use crate::b::B;"),
        ("b", "use crate::a::A;"),
    ]);
    assert_eq!(found, Vec::<String>::new());
}

/// Reads the modules in a directory: `name.rs`, and those below `name/`.
fn read_sources(directory: &Path, parent: &Module, sources: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(directory).expect("a directory of sources") {
        let file = entry.expect("an entry").path();
        let name = file
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let mut module = parent.clone();
        if file.is_dir() {
            module.push(name);
            read_sources(&file, &module, sources);
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            if name != "lib" {
                module.push(name);
            }
            sources.insert(module, fs::read_to_string(&file).expect("a source"));
        }
    }
}

/// Returns the shortest cycle of each group of siblings that has one.
fn cycles(sources: &BTreeMap<Module, String>) -> Vec<String> {
    let mut imports = Imports::default();
    for (module, text) in sources {
        let tokens = text.parse().expect("Rust source");
        imports.read(module, tokens);
    }
    // By parent: from sibling to sibling, with one import as an example.
    let mut graphs: BTreeMap<Module, BTreeMap<Module, BTreeMap<Module, String>>> = BTreeMap::new();
    for (module, imported) in &imports.paths {
        let target = imports.resolve(module, imported, sources);
        let is_test = |module: &Module| imports.tests.iter().any(|test| module.starts_with(test));
        let common = module
            .iter()
            .zip(&target)
            .take_while(|(a, b)| a == b)
            .count();
        if is_test(module) || common == module.len() || common == target.len() {
            continue;
        }
        let (from, to) = (module[..=common].to_vec(), target[..=common].to_vec());
        let graph = graphs.entry(module[..common].to_vec()).or_default();
        let example = format!("{} imports {}", module.join("::"), imported.join("::"));
        graph.entry(from).or_default().entry(to).or_insert(example);
    }
    graphs.values().filter_map(shortest_cycle).collect()
}

fn shortest_cycle(graph: &BTreeMap<Module, BTreeMap<Module, String>>) -> Option<String> {
    let cycles = graph.keys().filter_map(|start| {
        let mut queue = VecDeque::from([vec![start]]);
        let mut seen = BTreeSet::new();
        while let Some(path) = queue.pop_front() {
            for next in graph
                .get(path[path.len() - 1])
                .into_iter()
                .flat_map(BTreeMap::keys)
            {
                let longer = [&path[..], &[next]].concat();
                if next == start {
                    return Some(longer);
                }
                if seen.insert(next) {
                    queue.push_back(longer);
                }
            }
        }
        None
    });
    let cycle = cycles.min_by_key(Vec::len)?;
    let names: Vec<_> = cycle.iter().map(|module| module.join("::")).collect();
    let examples: Vec<_> = cycle
        .windows(2)
        .map(|pair| &*graph[pair[0]][pair[1]])
        .collect();
    Some(format!("{}: {}", names.join(" -> "), examples.join("; ")))
}

impl Imports {
    /// Reads the source of a module, or of a part of it.
    fn read(&mut self, module: &Module, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Punct(punct)
                    if punct.as_char() == '#' && is_cfg_test(tokens.get(at)) =>
                {
                    let rest = &tokens[at..];
                    let end = rest.iter().position(is_end_of_item).unwrap_or(rest.len());
                    let mut names = rest[..end]
                        .iter()
                        .skip_while(|token| token.to_string() != "mod");
                    if let Some(name) = names.nth(1) {
                        self.tests
                            .insert([&module[..], &[name.to_string()]].concat());
                    }
                    at += end + 1;
                }
                TokenTree::Ident(ident) if ident == "mod" => {
                    let name = tokens.get(at).map(ToString::to_string).unwrap_or_default();
                    if let Some(TokenTree::Group(body)) = tokens.get(at + 1) {
                        self.read(&[&module[..], &[name]].concat(), body.stream());
                        at += 2;
                    }
                }
                TokenTree::Ident(ident) if ident == "use" => {
                    let rest = &tokens[at..];
                    let end = rest.iter().position(is_end_of_item).unwrap_or(rest.len());
                    // The group of a tree ends it, too.
                    let end = (end + 1).min(rest.len());
                    self.read_tree(module, &Module::new(), &rest[..end]);
                    at += end;
                }
                TokenTree::Ident(ident) if ident == "crate" || ident == "super" => {
                    let end = at
                        + tokens[at..]
                            .iter()
                            .take_while(|token| is_path(token))
                            .count();
                    let path = tokens[at - 1..end].iter().map(ToString::to_string);
                    let path = path.filter(|name| name != ":").collect();
                    self.paths.push((module.clone(), absolute(module, &path)));
                    at = end;
                }
                TokenTree::Group(group) => self.read(module, group.stream()),
                _ => {}
            }
        }
    }

    /// Reads a tree of imports below `prefix`.
    fn read_tree(&mut self, module: &Module, prefix: &Module, tokens: &[TokenTree]) {
        let mut imported = prefix.clone();
        let mut name = None;
        let mut tokens = tokens.iter();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(ident) if ident == "as" => {
                    name = tokens.next().map(ToString::to_string);
                }
                TokenTree::Ident(ident) if ident == "self" && !imported.is_empty() => {}
                TokenTree::Ident(ident) => imported.push(ident.to_string()),
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    let branches: Vec<_> = group.stream().into_iter().collect();
                    for branch in branches.split(|token| token.to_string() == ",") {
                        if !branch.is_empty() {
                            self.read_tree(module, &imported, branch);
                        }
                    }
                    return;
                }
                _ => {}
            }
        }
        let target = absolute(module, &imported);
        if let Some(name) = name.or_else(|| imported.last().cloned()) {
            self.names.insert((module.clone(), name), target.clone());
        }
        self.paths.push((module.clone(), target));
    }

    /// Returns the module that `path` leads to, also if an ancestor of `module` has the name from
    /// it.
    fn resolve(
        &self,
        module: &Module,
        path: &Module,
        sources: &BTreeMap<Module, String>,
    ) -> Module {
        let is_module = |length: &usize| sources.contains_key(&path[..*length]);
        let length = (0..=path.len()).rev().find(is_module).unwrap_or(0);
        let found = path[..length].to_vec();
        let name = path.get(length).map(|name| (found.clone(), name.clone()));
        match name.and_then(|name| self.names.get(&name)) {
            Some(target) if module.starts_with(&found) && target != path => {
                self.resolve(module, target, sources)
            }
            _ => found,
        }
    }
}

/// Returns `imported` as seen from the crate root. A path without a keyword is below `module`.
fn absolute(module: &Module, imported: &Module) -> Module {
    let supers = imported.iter().take_while(|name| *name == "super").count();
    match imported.first().map(String::as_str) {
        Some("crate") => imported[1..].to_vec(),
        Some("super") => {
            let ancestor = &module[..module.len().saturating_sub(supers)];
            [ancestor, &imported[supers..]].concat()
        }
        Some("self") => [module, &imported[1..]].concat(),
        _ => [module, &imported[..]].concat(),
    }
}

fn is_cfg_test(token: Option<&TokenTree>) -> bool {
    token.is_some_and(|token| {
        let text = token.to_string().replace(' ', "");
        text.starts_with("[cfg(test)") || text.starts_with("[cfg(all(test")
    })
}

fn is_end_of_item(token: &TokenTree) -> bool {
    match token {
        TokenTree::Punct(punct) => punct.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    }
}

fn is_path(token: &TokenTree) -> bool {
    match token {
        TokenTree::Punct(punct) => punct.as_char() == ':',
        TokenTree::Ident(_) => true,
        _ => false,
    }
}

fn path(module: &str) -> Module {
    let names = module.split("::").filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}
