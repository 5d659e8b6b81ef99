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

/// The most local variables of all functions. A few bytes declare as many as a function may have,
/// and the compiler needs time for each. This many are a hundred for each function.
pub(crate) const LOCALS: u64 = 10_000_000;

/// The most blocks and branches of a function. The compiler's time grows with their square: this
/// many take some seconds. The most in known packages are 3,763, and in the image 4,584.
pub(crate) const FUNCTION_BLOCKS: u32 = 16_384;

/// The most of a function's blocks and branches times its local variables. The compiler's memory
/// grows with it: 10 million take 300 MB. The most in known packages is 368,634.
pub(crate) const FUNCTION_BLOCK_LOCALS: u64 = 4_000_000;

/// The highest sum of the squares of the blocks and branches of all functions: ten times that of
/// all known packages together, which is 197 million.
pub(crate) const BLOCK_PAIRS: u64 = 2_000_000_000;

/// The most blocks and branches of all functions, times their local variables: ten times those of
/// all known packages together, which are 12 million.
pub(crate) const BLOCK_LOCALS: u64 = 120_000_000;

/// The most parameters of a function or a block: C guarantees 127. A branch or a call of two bytes
/// moves them all, which takes time in validation and in the compiler.
pub(crate) const PARAMETERS: usize = 127;

/// The most results of a function or a block. Compilers of C and Rust make one at most, and a few
/// if they return structures so.
pub(crate) const RESULTS: usize = 16;

/// The most bytes of an expression that computes the value of a global or the place of a segment,
/// which is evaluated for every import of its symbol. Linkers make two constants and a sum, which
/// have 14 bytes, and the longest single constant has 19.
pub(crate) const EXPRESSION_BYTES: usize = 64;

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
