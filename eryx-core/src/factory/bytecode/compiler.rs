//! Compilation of modules to bytecode, in sandboxes.
//!
//! A sandbox compiles a batch of sources, and runs none of them. It has the packages and nothing
//! else. If a source that exploits the compiler exists, the bytecode of its batch is what it
//! chooses: no more than it could do in the sandboxes of the factory, which are the only ones that
//! load the bytecode.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use eryx_files::Layout;
use eryx_sync::Mutex;
use tokio::runtime::Runtime;

use crate::error::Error;
use crate::factory::bytecode::parts::Module;
use crate::files::PACKAGES;
use crate::image::guest_image::GuestImage;
use crate::limits::ResourceLimits;
use crate::program::Program;
use crate::sandbox::{Sandbox, SandboxBuilder};
use crate::template::Template;

/// The program that the sandboxes run.
const PROGRAM: &str = include_str!("../../../python/compile_modules.py");

/// The most sources of a batch, and their most bytes unless there is only one.
const MAX_BATCH: usize = 64;
const MAX_BATCH_BYTES: u64 = 512 << 10;

/// How often sandboxes may fail before the rest is not compiled: a package may have been made for
/// that.
const MAX_FAILURES: usize = 8;

/// The memory of a sandbox, in bytes.
const MAX_MEMORY: u64 = 512 << 20;

/// The first bytes of bytecode, after the two that the version of Python determines: `\r\n`, and
/// the flags of bytecode whose source is not checked (PEP 552).
const HEADER: &[u8] = b"\r\n\x01\0\0\0";

/// The length of the header, in bytes.
const HEADER_SIZE: usize = 16;

/// The importance of a compilation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    /// A build waits for it: all processors.
    Foreground,
    /// One thread, when processors are idle.
    Background,
}

impl Priority {
    fn threads(self) -> usize {
        match self {
            Self::Foreground => thread::available_parallelism().map_or(1, NonZero::get),
            Self::Background => 1,
        }
    }

    /// Returns the longest time that a batch may take: a hundred times what it does.
    fn timeout(self) -> Duration {
        match self {
            Self::Foreground => Duration::from_secs(20),
            // Other work of the machine may take most of it.
            Self::Background => Duration::from_secs(200),
        }
    }
}

/// Returns the most bytes of the bytecode of a module.
pub(super) fn max_bytecode(module: &Module) -> u64 {
    module.size * 32 + (64 << 10)
}

/// Compiles the modules that are in `files`, below [`PACKAGES`]. Returns the bytecode by name.
/// Modules that do not compile are left out. Returns `None` once `stops` does.
///
/// Blocks the thread.
///
/// # Errors
///
/// When no sandbox can be started.
pub(super) fn compile(
    image: &GuestImage,
    files: &Layout,
    modules: &[Module],
    priority: Priority,
    stops: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Vec<(String, Bytes)>>, Error> {
    let batches = batches(modules);
    let work = Work {
        sandbox: sandbox(image, files, priority)?,
        next: AtomicUsize::new(0),
        failures: AtomicUsize::new(0),
        is_stopped: AtomicBool::new(false),
        compiled: Mutex::new(Vec::new()),
        stops,
    };
    let compile = || {
        let compiled = work.compile(&batches);
        if compiled.is_err() {
            work.is_stopped.store(true, Ordering::Relaxed);
        }
        compiled
    };
    let threads = priority.threads().min(batches.len());
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .filter_map(|_| {
                let thread = thread::Builder::new().name("eryx-bytecode".to_owned());
                // Without another thread, this one compiles everything.
                thread.spawn_scoped(scope, compile).ok()
            })
            .collect();
        let own = compile();
        others
            .into_iter()
            .map(|other| {
                other
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .fold(own, Result::and)
    })?;
    if stops() {
        return Ok(None);
    }
    let mut compiled = work.compiled.into_inner();
    compiled.sort_by(|(name, _), (other, _)| name.cmp(other));
    Ok(Some(compiled))
}

/// Returns the sandbox that compiles. It has neither the imports nor the set-up code of the
/// factory.
fn sandbox(image: &GuestImage, files: &Layout, priority: Priority) -> Result<Sandbox, Error> {
    let template = Template::new(image.load()?, files.clone());
    let limits = ResourceLimits::default()
        .with_execution_timeout(priority.timeout())
        .with_max_memory(MAX_MEMORY);
    SandboxBuilder::from_template(template)
        .with_resource_limits(limits)
        .build()
}

fn batches(modules: &[Module]) -> Vec<&[Module]> {
    let mut batches = Vec::new();
    let mut rest = modules;
    while !rest.is_empty() {
        let mut bytes = 0;
        let length = rest
            .iter()
            .take(MAX_BATCH)
            .take_while(|module| {
                bytes += module.size;
                bytes <= MAX_BATCH_BYTES
            })
            .count();
        let (batch, after) = rest.split_at(length.max(1));
        batches.push(batch);
        rest = after;
    }
    batches
}

/// What the threads of a compilation share.
struct Work<'a> {
    sandbox: Sandbox,
    /// The next batch to compile.
    next: AtomicUsize,
    failures: AtomicUsize,
    is_stopped: AtomicBool,
    compiled: Mutex<Vec<(String, Bytes)>>,
    stops: &'a (dyn Fn() -> bool + Sync),
}

impl Work<'_> {
    /// Compiles batches until none is left.
    fn compile(&self, batches: &[&[Module]]) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::image("its bytecode cannot be compiled", error.into()))?;
        while !self.is_over()
            && let Some(batch) = batches.get(self.next.fetch_add(1, Ordering::Relaxed))
        {
            if self.compile_batch(&runtime, batch)? || batch.len() == 1 {
                continue;
            }
            // Finds the source that the sandbox failed for.
            for module in *batch {
                if self.is_over() {
                    break;
                }
                self.compile_batch(&runtime, std::slice::from_ref(module))?;
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
            || self.failures.load(Ordering::Relaxed) >= MAX_FAILURES
            || (self.stops)()
    }

    /// Compiles a batch in an interpreter of its own. Returns whether that succeeded.
    fn compile_batch(&self, runtime: &Runtime, batch: &[Module]) -> Result<bool, Error> {
        let paths = batch
            .iter()
            .map(|module| format!("{PACKAGES}/{}", module.source));
        let arguments = ["compile_modules.py".to_owned()].into_iter().chain(paths);
        let program = Program::new(PROGRAM).with_arguments(arguments);
        let result = match runtime.block_on(self.sandbox.execute(program)) {
            Ok(result) => result,
            Err(
                error @ (Error::Exception(_)
                | Error::Limit { .. }
                | Error::InterpreterCrashed { .. }),
            ) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                let modules = batch.len();
                tracing::debug!(
                    target: "eryx::image",
                    reason = %error,
                    modules,
                    first = batch[0].source,
                    "modules cannot be compiled"
                );
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let mut compiled = Vec::with_capacity(batch.len());
        for (number, module) in batch.iter().enumerate() {
            // There is none of a source that does not compile.
            if let Ok(bytecode) = result.files.read(&format!("/tmp/{number}"))
                && is_valid(&bytecode, module)
            {
                compiled.push((module.bytecode(), bytecode.into()));
            }
        }
        self.compiled.lock().append(&mut compiled);
        Ok(true)
    }
}

/// Returns whether an import takes the bytes for the bytecode of `module`.
fn is_valid(bytecode: &[u8], module: &Module) -> bool {
    let header = bytecode.get(2..2 + HEADER.len());
    bytecode.len() > HEADER_SIZE
        && bytecode.len() as u64 <= max_bytecode(module)
        && header == Some(HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(source: &str, size: u64) -> Module {
        Module {
            source: source.to_owned(),
            size,
        }
    }

    #[test]
    fn batches_are_bounded_in_number_and_bytes_and_a_large_source_is_alone() {
        let modules: Vec<_> = (0..130).map(|_| module("a.py", 100)).collect();
        let lengths = |modules: &[Module]| -> Vec<usize> {
            batches(modules).iter().map(|batch| batch.len()).collect()
        };
        assert_eq!(lengths(&modules), [64, 64, 2]);
        let large = [
            module("a.py", 1),
            module("b.py", 1 << 20),
            module("c.py", 300 << 10),
            module("d.py", 212 << 10),
            module("e.py", 1),
        ];
        assert_eq!(lengths(&large), [1, 1, 2, 1]);
        assert!(batches(&[]).is_empty());
    }

    #[test]
    fn only_unchecked_bytecode_of_a_plausible_size_is_valid() {
        let module = module("a.py", 100);
        let valid = [&b"\x2b\x0e\r\n\x01\0\0\0"[..], &[0; 9]].concat();
        assert!(is_valid(&valid, &module));
        assert!(!is_valid(&valid[..16], &module));
        assert!(!is_valid(b"", &module));
        let mut checked = valid.clone();
        checked[4] = 3;
        assert!(!is_valid(&checked, &module));
        let mut large = valid;
        large.resize(100 * 32 + (64 << 10) + 1, 0);
        assert!(!is_valid(&large, &module));
    }
}
