//! Native code in packages: which files have it, and which of them a sandbox can import. A package
//! with machine code of another platform is refused.

use std::path::Path;

use eryx_guest_linker::is_webassembly;

use crate::factory::native_wheels;
use crate::factory::wheel_name::{WheelName, normalized};
use crate::package_error::PackageError;

/// Endings of files that contain machine code.
const NATIVE_EXTENSIONS: [&str; 4] = ["so", "pyd", "dylib", "dll"];

/// The endings by which the interpreter finds an extension module.
const ENDINGS: [&str; 3] = [".cpython-314-wasm32-wasi.so", ".abi3.so", ".so"];

/// Checks a file of a package: native code must be WebAssembly that the interpreter can import.
pub(super) fn check(package: &Path, name: &str, content: &[u8]) -> Result<(), PackageError> {
    if is_native(name) && !is_importable(name, content) {
        return Err(native_code_error(package, name));
    }
    Ok(())
}

/// Checks the name of a file whose content is not read yet, as [`check`] does.
pub(super) fn check_name(package: &Path, name: &str) -> Result<(), PackageError> {
    if is_native(name) && !has_importable_name(name) {
        return Err(native_code_error(package, name));
    }
    Ok(())
}

fn native_code_error(package: &Path, file: &str) -> PackageError {
    let wheel = package.file_name().unwrap_or_default().to_string_lossy();
    let project = match WheelName::parse(&wheel) {
        Some(name) => name.project,
        // In a directory of packages, most have the name of their project.
        None => normalized(file.split('/').next().unwrap_or_default()),
    };
    PackageError::NativeCode {
        path: package.to_path_buf(),
        file: file.to_owned(),
        advice: native_wheels::advice(&project),
    }
}

/// Returns whether a file of this name contains machine code.
pub(super) fn is_native(name: &str) -> bool {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    NATIVE_EXTENSIONS.contains(&extension)
}

/// Returns whether the interpreter can import a file of this name, if it is WebAssembly.
pub(super) fn has_importable_name(name: &str) -> bool {
    let file = name.rsplit_once('/').map_or(name, |(_, file)| file);
    let module = ENDINGS.iter().find_map(|ending| file.strip_suffix(ending));
    module.is_some_and(|module| !module.is_empty() && !module.contains('.'))
}

/// Returns whether the interpreter can import a file of this name and content.
pub(super) fn is_importable(name: &str, content: &[u8]) -> bool {
    is_webassembly(content) && has_importable_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_webassembly_with_a_name_that_the_interpreter_finds_is_importable() {
        let module = b"\0asm\x01\0\0\0";
        for (name, expected) in [
            ("package/_speed.cpython-314-wasm32-wasi.so", true),
            ("_speed.abi3.so", true),
            ("package/_speed.so", true),
            ("package/_speed.cpython-313-wasm32-wasi.so", false),
            ("package/_speed.cpython-314-x86_64-linux-gnu.so", false),
            ("package/.so", false),
            ("package/_speed.pyd", false),
        ] {
            assert_eq!(is_importable(name, module), expected, "{name}");
            assert!(!is_importable(name, b"\x7fELF"), "{name}");
        }
    }
}
