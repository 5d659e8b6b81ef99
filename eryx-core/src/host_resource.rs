//! What a sandbox needs of the machine, and errors that say what is missing.

use std::fmt;
use std::io;

/// A resource of the machine or of this process that sandboxes need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostResource {
    /// Open files: `ulimit -n`, or the number the machine allows in all.
    FileDescriptors,
    /// Address space or memory: `ulimit -v`, `ulimit -d`, `vm.max_map_count`, or memory itself.
    Memory,
    /// Threads: `ulimit -u`, or `pids.max` of a control group.
    Threads,
    /// The size of a file: `ulimit -f`.
    FileSize,
    /// Room on a disk.
    DiskSpace,
    /// Handlers of signals, which another part of this process has changed.
    SignalHandlers,
}

impl HostResource {
    /// Returns the name of the resource: `file descriptors`, `memory`, `threads`, `file size`, `disk space` or
    /// `signal handlers`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FileDescriptors => "file descriptors",
            Self::Memory => "memory",
            Self::Threads => "threads",
            Self::FileSize => "file size",
            Self::DiskSpace => "disk space",
            Self::SignalHandlers => "signal handlers",
        }
    }
}

impl fmt::Display for HostResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The machine or this process lacks what a sandbox needs. The text names the resource and the limits in force.
///
/// What was possible before still is: once the resource is to be had again, the same call succeeds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this machine lacks {resource} for what was asked: {reason}")]
pub struct HostResourceError {
    resource: HostResource,
    reason: String,
}

impl HostResourceError {
    pub(crate) fn new(resource: HostResource, reason: impl Into<String>) -> Self {
        Self {
            resource,
            reason: reason.into(),
        }
    }

    /// Returns what is missing.
    pub fn resource(&self) -> HostResource {
        self.resource
    }

    /// Returns the error for what failed with `error`, if a resource is why.
    pub(crate) fn of_wasmtime(error: &wasmtime::Error) -> Option<Self> {
        error.chain().find_map(|cause| {
            if let Some(found) = cause.downcast_ref::<Self>() {
                return Some(found.clone());
            }
            Self::of_code(code(cause)?, &format_args!("{error:#}"))
        })
    }

    /// Returns the error for a thread that could not be started.
    pub(crate) fn of_thread(error: &io::Error) -> Self {
        Self::new(
            HostResource::Threads,
            format!("{error}{}", limits(HostResource::Threads)),
        )
    }

    #[cfg(target_os = "linux")]
    fn of_code(code: i32, reason: &dyn fmt::Display) -> Option<Self> {
        let resource = match code {
            libc::EMFILE | libc::ENFILE => HostResource::FileDescriptors,
            libc::ENOMEM => HostResource::Memory,
            libc::EFBIG => HostResource::FileSize,
            libc::ENOSPC | libc::EDQUOT => HostResource::DiskSpace,
            _ => return None,
        };
        Some(Self::new(resource, format!("{reason}{}", limits(resource))))
    }

    #[cfg(not(target_os = "linux"))]
    fn of_code(_code: i32, _reason: &dyn fmt::Display) -> Option<Self> {
        None
    }
}

/// Returns the number of the system's error.
fn code(cause: &(dyn std::error::Error + 'static)) -> Option<i32> {
    if let Some(error) = cause.downcast_ref::<io::Error>() {
        return error.raw_os_error();
    }
    #[cfg(target_os = "linux")]
    if let Some(error) = cause.downcast_ref::<rustix::io::Errno>() {
        return Some(error.raw_os_error());
    }
    None
}

/// Returns the limits of this process that concern `resource`, as the end of a sentence.
#[cfg(target_os = "linux")]
fn limits(resource: HostResource) -> String {
    use rustix::process::{Resource, getrlimit};

    let limit = |name: &str, resource| {
        let current = getrlimit(resource).current?;
        Some(format!("`{name}` is {current}"))
    };
    let mut found = Vec::new();
    match resource {
        HostResource::FileDescriptors => found.extend(limit("ulimit -n", Resource::Nofile)),
        HostResource::Memory => {
            // The shell counts these in KiB.
            let kib = |name: &str, resource| {
                let current = getrlimit(resource).current?;
                Some(format!("`{name}` is {}", current / 1024))
            };
            found.extend(kib("ulimit -v", Resource::As));
            found.extend(kib("ulimit -d", Resource::Data));
            found.extend(mappings());
            found.push(
                "a sandbox reserves 4 GiB of address space, and uses little of it".to_owned(),
            );
        }
        HostResource::Threads => {
            found.extend(limit("ulimit -u", Resource::Nproc));
            found.push("a control group may have `pids.max`".to_owned());
        }
        HostResource::FileSize => {
            found.extend(limit("RLIMIT_FSIZE (ulimit -f)", Resource::Fsize));
            found.push("files in memory count, too".to_owned());
        }
        HostResource::DiskSpace | HostResource::SignalHandlers => {}
    }
    if found.is_empty() {
        return String::new();
    }
    format!(" ({})", found.join("; "))
}

#[cfg(not(target_os = "linux"))]
fn limits(_resource: HostResource) -> String {
    String::new()
}

/// Returns how many mappings this process has and may have, if the one is near the other.
#[cfg(target_os = "linux")]
fn mappings() -> Option<String> {
    let most = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?;
    let most: usize = most.trim().parse().ok()?;
    let used = std::fs::read_to_string("/proc/self/maps")
        .ok()?
        .lines()
        .count();
    (used + used / 8 >= most).then(|| format!("vm.max_map_count is {most}, and {used} are in use"))
}

/// Fails where a file of `size` bytes would be larger than this process may write. The kernel would not only refuse it,
/// but send a signal that ends the process.
#[cfg(target_os = "linux")]
pub(crate) fn check_file_size(size: usize) -> Result<(), HostResourceError> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    match limit {
        Some(limit) if limit < size as u64 => Err(HostResourceError::new(
            HostResource::FileSize,
            format!(
                "a file of {size} bytes is needed for the machine code{}",
                limits(HostResource::FileSize)
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn check_file_size(_size: usize) -> Result<(), HostResourceError> {
    Ok(())
}
