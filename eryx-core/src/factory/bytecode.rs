//! The bytecode of the modules of packages: compiled once, and found by the imports of programs.
//!
//! Each module `x.py` gets `__pycache__/x.cpython-314.pyc`, as it has on any machine. The modules
//! are split into *parts*, in the same way for the same packages. A part is compiled as a whole, in
//! sandboxes, and is a file of the cache.

mod archive;
mod compiler;
mod package_layer;
mod parts;

pub(super) use package_layer::PackageLayer;

/// When a factory compiles the modules of its packages to bytecode. A module without bytecode is
/// compiled by each program that imports it.
///
/// The bytecode is kept in the cache. It depends only on the packages: factories with other imports
/// share it, and it is compiled once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bytecode {
    /// As [`AtBuild`](Self::AtBuild) if all modules together have at most 16 MiB of source, which
    /// takes ten seconds, and else as [`InBackground`](Self::InBackground).
    #[default]
    Automatic,
    /// Before [`build`](super::FactoryBuilder::build) returns, on all processors.
    AtBuild,
    /// After [`build`](super::FactoryBuilder::build) has returned, on a thread of low priority, as
    /// long as the factory or a sandbox of it exists. Sandboxes that are built later find what is
    /// compiled by then.
    InBackground,
    /// Never. Bytecode that is in the cache already is used.
    Never,
}

/// The most bytes of source for which [`Bytecode::Automatic`] waits.
const MAX_AT_BUILD: u64 = 16 << 20;

impl Bytecode {
    /// Returns whether the build waits for the bytecode of modules with this many bytes of source.
    fn waits_for(self, bytes: u64) -> bool {
        match self {
            Self::Automatic => bytes <= MAX_AT_BUILD,
            Self::AtBuild => true,
            Self::InBackground | Self::Never => false,
        }
    }
}
