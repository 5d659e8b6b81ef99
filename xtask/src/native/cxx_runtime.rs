//! The runtime library of modules in C++: parts of the libc++ that is part of Zig, and
//! `xtask/native/cxx_runtime.cpp`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::native::builtins::library_folder;
use crate::native::static_library::StaticLibrary;

/// The files of libc++.
const FILES: [&str; 12] = [
    "libcxx/src/functional.cpp",
    "libcxx/src/hash.cpp",
    "libcxx/src/memory.cpp",
    "libcxx/src/stdexcept.cpp",
    "libcxx/src/verbose_abort.cpp",
    "libcxxabi/src/abort_message.cpp",
    "libcxxabi/src/cxa_aux_runtime.cpp",
    "libcxxabi/src/cxa_virtual.cpp",
    "libcxxabi/src/private_typeinfo.cpp",
    "libcxxabi/src/stdlib_exception.cpp",
    "libcxxabi/src/stdlib_stdexcept.cpp",
    "libcxxabi/src/stdlib_typeinfo.cpp",
];

/// The options of the compiler for a module in C++, besides those for C. Code that throws or
/// catches exceptions is compiled, but nothing is ever caught.
pub(crate) const COMPILER: [&str; 3] = [
    "-Xclang",
    "-fignore-exceptions",
    "-fvisibility-global-new-delete=force-hidden",
];

/// The options of the compiler for the library itself.
const OWN_COMPILER: [&str; 8] = [
    "-std=c++23",
    "-fno-exceptions",
    "-fvisibility-global-new-delete=force-hidden",
    "-D_LIBCPP_BUILDING_LIBRARY",
    "-D_LIBCXXABI_BUILDING_LIBRARY",
    "-DLIBCXX_BUILDING_LIBCXXABI",
    "-D_LIBCXXABI_DISABLE_VISIBILITY_ANNOTATIONS",
    "-D_LIBCPP_DISABLE_VISIBILITY_ANNOTATIONS",
];

/// Compiles the library to a static library in the folder `dir`. `own` is the file of Eryx. The
/// linker takes what a module needs of it.
pub(crate) fn compile(own: &Path, zig: &Path, dir: &Path) -> Result<PathBuf> {
    let of_zig = library_folder(zig)?;
    let sources: Vec<_> = FILES.iter().map(|file| of_zig.join(file)).collect();
    let include = ["libcxx/src", "libcxxabi/include", "libcxxabi/src"].map(|dir| of_zig.join(dir));
    let library = StaticLibrary {
        language: "c++",
        options: &OWN_COMPILER,
        sources: sources.iter().map(PathBuf::as_path).chain([own]).collect(),
        include: include.iter().map(PathBuf::as_path).collect(),
    };
    let path = dir.join("libcxx.a");
    library.compile(zig, &path)?;
    Ok(path)
}

/// Returns the licence of libc++.
pub(crate) fn licence(zig: &Path) -> Result<PathBuf> {
    Ok(library_folder(zig)?.join("libcxx/LICENSE.TXT"))
}
