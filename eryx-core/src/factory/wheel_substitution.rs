//! Wheels of other platforms for which there is a build for sandboxes.

use std::fs;
use std::path::{Path, PathBuf};

use crate::factory::native_wheels;
use crate::factory::package_reader::PackageSource;
use crate::factory::wheel_name::WheelName;
use crate::package_error::PackageError;

/// Returns the package to read in place of `package`: if that is a wheel for other platforms, the
/// build of the same version for sandboxes, from `directories`, its own directory, or the native
/// wheels of this installation.
pub(super) fn source(
    package: &Path,
    directories: &[PathBuf],
) -> Result<PackageSource, PackageError> {
    if let Some(build) = find(package, directories) {
        return Ok(PackageSource::Path(build));
    }
    let file = package.file_name().and_then(|file| file.to_str());
    let wanted = file.and_then(WheelName::parse);
    if let Some(wanted) = wanted.filter(WheelName::is_for_other_platforms) {
        let available = native_wheels::available()?;
        if let Some(wheel) = available.iter().find(|wheel| wheel.is_of(&wanted)) {
            return Ok(PackageSource::Wheel(wheel.file.into(), wheel.read()?));
        }
    }
    Ok(PackageSource::Path(package.to_path_buf()))
}

/// Returns the wheel of the same version that is built for sandboxes, if `wheel` is for other
/// platforms: from `directories`, or else from its own directory.
fn find(wheel: &Path, directories: &[PathBuf]) -> Option<PathBuf> {
    let file = wheel.file_name()?.to_str()?;
    let wanted = WheelName::parse(file).filter(WheelName::is_for_other_platforms)?;
    let own = match wheel.parent()? {
        directory if directory.as_os_str().is_empty() => Path::new("."),
        directory => directory,
    };
    directories
        .iter()
        .map(PathBuf::as_path)
        .chain([own])
        .find_map(|directory| {
            let mut files: Vec<_> = fs::read_dir(directory)
                .ok()?
                .filter_map(Result::ok)
                .map(|entry| entry.path())
                .filter(|path| is_build(path, &wanted))
                .collect();
            // The choice does not depend on the file system.
            files.sort();
            files.pop()
        })
}

/// Returns whether a file is the build for sandboxes of a wheel.
fn is_build(path: &Path, wanted: &WheelName<'_>) -> bool {
    let file = path.file_name().and_then(|file| file.to_str());
    file.and_then(WheelName::parse).is_some_and(|found| {
        found.is_for_sandboxes()
            && found.project == wanted.project
            && found.version == wanted.version
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_of_another_platform_is_replaced_by_the_build_of_the_same_version() {
        let dir = tempfile::tempdir().expect("created");
        let links = dir.path().join("links");
        fs::create_dir(&links).expect("created");
        let write = |path: PathBuf| {
            fs::write(&path, "").expect("written");
            path
        };
        let native = write(
            dir.path()
                .join("a_b-1.0-cp314-cp314-manylinux_2_28_x86_64.whl"),
        );
        let directories = [links.clone()];
        write(links.join("a_b-1.1-cp314-cp314-wasm32_wasi.whl"));
        assert_eq!(find(&native, &directories), None, "of another version");
        let beside = write(dir.path().join("A.b-1.0-cp314-cp314-wasm32_wasi.whl"));
        assert_eq!(find(&native, &directories), Some(beside.clone()));
        let linked = write(links.join("a_b-1.0-cp314-cp314-wasm32_wasi.whl"));
        assert_eq!(find(&native, &directories), Some(linked));
        assert_eq!(find(&beside, &directories), None, "it is one already");
        let pure = dir.path().join("a_b-1.0-py3-none-any.whl");
        assert_eq!(find(&pure, &directories), None, "it has no native code");
    }
}
