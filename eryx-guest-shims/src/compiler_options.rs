//! The options of the C compiler for code that runs in a sandbox.

/// The options of every C file, of the image and of packages. Code of a module is
/// position-independent: the linker decides where it lies.
pub const COMPILER_OPTIONS: [&str; 11] = [
    "-target",
    "wasm32-wasi",
    "-O2",
    "-g0",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-sanitize=undefined",
    "-DNDEBUG",
    "-mbulk-memory",
    "-msign-ext",
    "-mnontrapping-fptoint",
];
