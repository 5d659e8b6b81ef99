//! Limits of the modules that are linked into an image, for all of them together unless stated
//! otherwise.

/// The most modules.
pub(crate) const MODULES: usize = 256;

/// The most bytes of one module. The largest of known packages has 30 MB.
pub(crate) const MODULE_BYTES: usize = 64 << 20;

/// The most bytes of memory that the data takes.
pub(crate) const MEMORY_BYTES: u32 = 64 << 20;

/// The most bytes of the body of a function. The compiler needs more than linear time for one.
pub(crate) const FUNCTION_BYTES: usize = 1 << 20;

/// The most local variables of a function.
pub(crate) const FUNCTION_LOCALS: u32 = 20_000;

/// The most functions.
pub(crate) const FUNCTIONS: u32 = 100_000;

/// The most entries of the function table.
pub(crate) const TABLE_ENTRIES: u32 = 100_000;

/// The most words that get the address of another function: one with more parameters.
pub(crate) const REPLACED_WORDS: usize = 20_000;

/// The most types, globals, data segments, element segments, and entries of `dylink.0`.
pub(crate) const ENTRIES: u32 = 50_000;

/// The highest alignment, as a power of two: a page.
pub(crate) const ALIGNMENT: u32 = 16;

/// The most bytes of all names of symbols that a module imports or exports.
pub(crate) const NAME_BYTES: usize = 8 << 20;

/// The most unknown symbols that an error names.
pub(crate) const NAMED_SYMBOLS: usize = 8;
