//! The resources that a sandbox needs of the machine, and the error when one is missing.

use std::fmt;
use std::io;

use crate::result::PartialResult;

/// A resource of the machine or of this process that sandboxes need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostResource {
    /// Open files: `ulimit -n`, or the number the machine allows in total.
    FileDescriptors,
    /// Address space or memory: `ulimit -v`, `ulimit -d`, `vm.max_map_count`, or memory itself.
    Memory,
    /// Threads: `ulimit -u`, or `pids.max` of a control group.
    Threads,
    /// The size of a file: `ulimit -f`.
    FileSize,
    /// Space on a disk.
    DiskSpace,
    /// Signal handlers, which another part of this process has changed.
    SignalHandlers,
}

impl HostResource {
    /// Returns the name of the resource: `file descriptors`, `memory`, `threads`, `file size`,
    /// `disk space` or `signal handlers`.
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

/// The machine or this process lacks a resource that a sandbox needs. The message names the
/// resource and the limits in force.
///
/// In most cases no program had started. Then the failure has no effect: once the resource is
/// available, the same call succeeds. If a program had started, it has ended, and its session with
/// it; [`Error::output`](crate::Error::output) and [`Error::usage`](crate::Error::usage) have what
/// it did until then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this machine lacks {resource} for a sandbox: {reason}")]
pub struct HostResourceError {
    resource: HostResource,
    reason: String,
    /// The output and the usage of the program that it ended.
    partial_result: Option<Box<PartialResult>>,
}

impl HostResourceError {
    pub(crate) fn new(resource: HostResource, reason: impl Into<String>) -> Self {
        Self {
            resource,
            reason: reason.into(),
            partial_result: None,
        }
    }

    /// Sets the output and the usage of the program that it ended.
    pub(crate) fn with_partial_result(mut self, result: PartialResult) -> Self {
        self.partial_result = Some(Box::new(result));
        self
    }

    pub(crate) fn partial_result(&self) -> Option<&PartialResult> {
        self.partial_result.as_deref()
    }

    /// Returns the resource that is missing.
    pub fn resource(&self) -> HostResource {
        self.resource
    }

    /// Returns the error for a failure of the engine, if a missing resource is among its causes.
    pub(crate) fn from_wasmtime(error: &wasmtime::Error) -> Option<Self> {
        error.chain().find_map(|cause| {
            if let Some(found) = cause.downcast_ref::<Self>() {
                return Some(found.clone());
            }
            Self::from_errno(code(cause)?, &format_args!("{error:#}"))
        })
    }

    /// Returns the error for a thread that could not be started.
    pub(crate) fn from_spawn_error(error: &io::Error) -> Self {
        Self::new(
            HostResource::Threads,
            format!("{error}{}", limits(HostResource::Threads)),
        )
    }

    #[cfg(target_os = "linux")]
    fn from_errno(code: i32, reason: &dyn fmt::Display) -> Option<Self> {
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
    fn from_errno(_code: i32, _reason: &dyn fmt::Display) -> Option<Self> {
        None
    }
}

/// Returns the error number of the operating system.
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

/// Returns the limits of this process for `resource`, as the end of a message.
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
            // The shell counts these limits in KiB.
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

/// Returns how many memory mappings this process has and may have, if it is near the limit.
#[cfg(target_os = "linux")]
fn mappings() -> Option<String> {
    let max = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?;
    let max: usize = max.trim().parse().ok()?;
    let used = std::fs::read_to_string("/proc/self/maps")
        .ok()?
        .lines()
        .count();
    (used + used / 8 >= max).then(|| format!("vm.max_map_count is {max}, and {used} are in use"))
}

/// Checks that this process may write a file of `size` bytes. Past the limit, the kernel would not
/// only refuse the write, but send SIGXFSZ, which ends the process.
///
/// # Errors
///
/// When the file would be too large.
#[cfg(target_os = "linux")]
pub(crate) fn check_file_size(size: usize) -> Result<(), HostResourceError> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    match limit {
        Some(limit) if limit < size as u64 => Err(HostResourceError::new(
            HostResource::FileSize,
            format!(
                "a file of {size} bytes is needed{}",
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
