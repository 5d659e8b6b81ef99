//! The modules of packages, split into parts.

use crate::factory::package_files::PackageFiles;

/// The most bytes of source in a part, unless it is one module. A processor takes some seconds to
/// compile them. What a process that ends early has compiled of a part is lost.
const MAX_PART: u64 = 4 << 20;

/// The smallest source that is compiled, in bytes. To read bytecode in its place saves nothing.
const MIN_SOURCE: u64 = 64;

/// The largest source that is compiled, in bytes.
const MAX_SOURCE: u64 = 8 << 20;

/// A module to compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module {
    /// The name of its source, below the directory of all packages.
    pub(super) source: String,
    /// The size of its source, in bytes.
    pub(super) size: u64,
}

impl Module {
    /// Returns the name of its bytecode (PEP 3147).
    pub(super) fn bytecode(&self) -> String {
        let (directory, file) = match self.source.rsplit_once('/') {
            Some((directory, file)) => (format!("{directory}/"), file),
            None => (String::new(), self.source.as_str()),
        };
        let stem = file.strip_suffix(".py").unwrap_or(file);
        format!("{directory}__pycache__/{stem}.cpython-314.pyc")
    }
}

/// Returns the modules, in parts: the same ones for the same packages. Modules of tests come last,
/// as programs seldom import them.
pub(super) fn split(files: &PackageFiles) -> Vec<Vec<Module>> {
    let mut modules: Vec<(bool, Module)> = files
        .entries()
        .filter(|(name, source)| {
            is_importable(name) && (MIN_SOURCE..=MAX_SOURCE).contains(&source.size())
        })
        .map(|(name, source)| {
            let module = Module {
                source: name.to_owned(),
                size: source.size(),
            };
            (is_test(name), module)
        })
        .collect();
    modules.sort_by_key(|(is_test, _)| *is_test);
    let mut parts: Vec<Vec<Module>> = Vec::new();
    let mut left = 0;
    for (_, module) in modules {
        match parts.last_mut() {
            Some(part) if module.size <= left => {
                left -= module.size;
                part.push(module);
            }
            _ => {
                left = MAX_PART.saturating_sub(module.size);
                parts.push(vec![module]);
            }
        }
    }
    parts
}

/// Returns whether an import statement can name the file.
fn is_importable(name: &str) -> bool {
    let Some(module) = name.strip_suffix(".py") else {
        return false;
    };
    module.split('/').all(|part| {
        !part.is_empty()
            && part.chars().all(|c| c == '_' || c.is_alphanumeric())
            && !part.starts_with(|c: char| c.is_ascii_digit())
    })
}

fn is_test(name: &str) -> bool {
    let mut directories = name.split('/').rev().skip(1);
    directories.any(|directory| matches!(directory, "test" | "tests"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::factory::package_limits::PackageLimits;

    fn files(files: &[(&str, usize)]) -> PackageFiles {
        let mut found = PackageFiles::new(PackageLimits::default());
        let package: Arc<Path> = Path::new("package").into();
        for (name, size) in files {
            let source = vec![b'#'; *size];
            found
                .add(&package, (*name).to_owned(), source)
                .expect("added");
        }
        found
    }

    fn names(part: &[Module]) -> Vec<&str> {
        part.iter().map(|module| module.source.as_str()).collect()
    }

    #[test]
    fn modules_are_importable_sources_that_are_worth_it_and_tests_come_last() {
        let parts = split(&files(&[
            ("a/__init__.py", 63),
            ("a/big.py", (8 << 20) + 1),
            ("a/data.txt", 100),
            ("a/tests/test_b.py", 100),
            ("a/tests.py", 64),
            ("a-1.0.dist-info/x.py", 100),
            ("a/2to3.py", 100),
            ("top.py", 100),
            (".py", 100),
        ]));
        assert_eq!(parts.len(), 1);
        assert_eq!(
            names(&parts[0]),
            ["a/tests.py", "top.py", "a/tests/test_b.py"]
        );
        let bytecode: Vec<_> = parts[0].iter().map(Module::bytecode).collect();
        assert_eq!(
            bytecode,
            [
                "a/__pycache__/tests.cpython-314.pyc",
                "__pycache__/top.cpython-314.pyc",
                "a/tests/__pycache__/test_b.cpython-314.pyc"
            ]
        );
        assert!(split(&files(&[])).is_empty());
    }

    #[test]
    fn a_part_has_at_most_4_mib_of_source_or_one_module() {
        let size = 3 << 19;
        let parts = split(&files(&[
            ("a.py", size),
            ("b.py", size),
            ("c.py", size),
            ("d.py", 100),
            ("e.py", 8 << 20),
            ("f.py", 100),
        ]));
        let names: Vec<_> = parts.iter().map(|part| names(part)).collect();
        assert_eq!(
            names,
            [
                vec!["a.py", "b.py"],
                vec!["c.py", "d.py"],
                vec!["e.py"],
                vec!["f.py"]
            ]
        );
    }
}
