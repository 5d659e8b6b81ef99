//! The files of packages as sandboxes find them, with the bytecode that exists so far.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use eryx_files::{Layer, LayerBuilder, LayerError, Layout, Source};
use eryx_sync::ProcessLock;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::factory::bytecode::Bytecode;
use crate::factory::bytecode::archive;
use crate::factory::bytecode::compiler::{self, Priority};
use crate::factory::bytecode::parts::{self, Module};
use crate::factory::package_files::PackageFiles;
use crate::files::{MODIFIED, with_packages};
use crate::image::cache::{Cache, CacheName};
use crate::image::guest_image::GuestImage;
use crate::package_error::PackageError;
use crate::thread as work_thread;

/// The longest time that a build waits for a part. What is missing then is compiled in the
/// background.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The time after which the background thread begins: a short process would not complete what it
/// begins.
const START_DELAY: Duration = Duration::from_secs(1);

/// The priority of the background thread (`nice`). With the lowest one, the end of the process
/// would wait seconds for the thread on a busy machine.
#[cfg(target_os = "linux")]
const LOW_PRIORITY: i32 = 10;

/// The packages of a factory.
pub(in crate::factory) struct PackageLayer {
    /// The image whose sandboxes compile.
    image: GuestImage,
    parts: Vec<Part>,
    /// What sandboxes found at the start, and after each part that was added. Readers wait for no
    /// lock, which another thread might hold during a fork.
    versions: Vec<OnceLock<Version>>,
    /// Held while a version is added.
    adding: ProcessLock,
    /// The process in which a thread compiles the missing parts, or 0.
    compiling: AtomicU32,
}

/// Modules that are compiled together.
struct Part {
    modules: Vec<Module>,
    name: CacheName,
}

/// What sandboxes find.
struct Version {
    packages: Arc<Layer>,
    layout: Layout,
    /// The positions of the parts without bytecode.
    missing: Vec<usize>,
}

/// The content of bytecode: in memory, or in a file of the cache.
enum Content {
    Bytes(Bytes),
    Source(Arc<dyn Source>),
}

impl PackageLayer {
    /// Returns the layer of `files`, with the bytecode for `image` that is in the cache.
    pub(in crate::factory) fn new(
        files: &PackageFiles,
        image: GuestImage,
        cache: &Cache,
    ) -> Result<Self, PackageError> {
        let mut packages = files.layer()?;
        let mut key = Sha256::new_with_prefix(image.sha256());
        key.update(files.digest());
        let key = HEXLOWER.encode(&key.finalize());
        let mut parts = Vec::new();
        let mut missing = Vec::new();
        for (number, modules) in parts::split(files).into_iter().enumerate() {
            let part = Part {
                modules,
                name: CacheName::bytecode(&format!("{key}-{number}")),
            };
            match part.find(cache) {
                Some(found) => add(&mut packages, found),
                None => missing.push(number),
            }
            parts.push(part);
        }
        let mut versions: Vec<_> = missing.iter().map(|_| OnceLock::new()).collect();
        versions.insert(0, OnceLock::from(Version::new(packages.build(), missing)));
        Ok(Self {
            image,
            parts,
            versions,
            adding: ProcessLock::new(),
            compiling: AtomicU32::new(0),
        })
    }

    /// Returns the last version.
    fn last(&self) -> &Version {
        let versions = self.versions.iter().map_while(OnceLock::get);
        versions.last().expect("there is a first version")
    }

    /// Returns the files that a sandbox finds from now on.
    pub(in crate::factory) fn layout(&self) -> Layout {
        self.last().layout.clone()
    }

    /// Returns whether a build waits for bytecode that is missing.
    pub(in crate::factory) fn has_to_wait(&self, bytecode: Bytecode) -> bool {
        let modules = self.parts.iter().flat_map(|part| &part.modules);
        bytecode.waits_for(modules.map(|module| module.size).sum())
            && !self.last().missing.is_empty()
    }

    /// Compiles what is missing, if a build waits for that. Stops when it is dropped.
    pub(in crate::factory) async fn compile(
        &self,
        bytecode: Bytecode,
        cache: &Cache,
    ) -> Result<(), Error> {
        let is_dropped = CancellationToken::new();
        let _guard = is_dropped.clone().drop_guard();
        while self.has_to_wait(bytecode)
            && let Some(number) = self.first_missing()
        {
            let began = Instant::now();
            let is_dropped = is_dropped.clone();
            let stops = move || is_dropped.is_cancelled() || began.elapsed() > MAX_WAIT;
            if !self.compile_part(number, cache, stops).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Begins to compile in the background what is still missing.
    pub(in crate::factory) fn compile_in_background(
        self: &Arc<Self>,
        bytecode: Bytecode,
        cache: &Cache,
    ) {
        if bytecode == Bytecode::Never || self.last().missing.is_empty() {
            return;
        }
        // In a forked process, the thread does not exist.
        let process = process::id();
        if self.compiling.swap(process, Ordering::Relaxed) == process {
            return;
        }
        let layer = Arc::downgrade(self);
        let cache = cache.clone();
        let thread = thread::Builder::new().name("eryx-bytecode".to_owned());
        if let Err(reason) = thread.spawn(move || compile_missing(&layer, &cache)) {
            self.compiling.store(0, Ordering::Relaxed);
            tracing::debug!(target: "eryx::image", %reason, "modules are not compiled");
        }
    }

    fn first_missing(&self) -> Option<usize> {
        self.last().missing.first().copied()
    }

    /// Compiles a part, unless another process has. Returns whether it is complete: `stops` ends
    /// the compilation.
    async fn compile_part(
        &self,
        number: usize,
        cache: &Cache,
        stops: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<bool, Error> {
        let part = &self.parts[number];
        let pending = cache.begin(&part.name).await;
        if let Some(found) = part.find(cache) {
            self.add(number, found);
            return Ok(true);
        }
        let (modules, files) = (part.modules.clone(), self.layout());
        let image = self.image.clone();
        let compile =
            move || compiler::compile(&image, &files, &modules, Priority::Foreground, &stops);
        let Some(compiled) = work_thread::run(compile).await?? else {
            return Ok(false);
        };
        cache.store(&part.name, &archive::write(&compiled), pending);
        self.add(number, in_memory(compiled));
        Ok(true)
    }

    /// Adds the bytecode of a part. Sandboxes that exist keep the files that they have.
    fn add(&self, number: usize, modules: Vec<(String, Content)>) {
        let _guard = self.adding.lock();
        let last = self.last();
        if !last.missing.contains(&number) {
            return;
        }
        let mut packages = LayerBuilder::extend(&last.packages, MODIFIED, 0);
        add(&mut packages, modules);
        let mut missing = last.missing.clone();
        missing.retain(|missing| *missing != number);
        let next = self
            .versions
            .iter()
            .find(|version| version.get().is_none())
            .expect("there is a version for each missing part");
        let _ = next.set(Version::new(packages.build(), missing));
    }
}

impl Version {
    fn new(packages: Arc<Layer>, missing: Vec<usize>) -> Self {
        Self {
            layout: with_packages(Arc::clone(&packages)),
            packages,
            missing,
        }
    }
}

impl Part {
    fn find(&self, cache: &Cache) -> Option<Vec<(String, Content)>> {
        let file = cache.open_file(&self.name)?;
        let found = archive::read(file, &self.modules)?;
        let found = found.into_iter();
        Some(
            found
                .map(|(name, source)| (name, Content::Source(source)))
                .collect(),
        )
    }
}

/// Adds bytecode to the files of packages.
fn add(packages: &mut LayerBuilder, modules: Vec<(String, Content)>) {
    // Modules, whose number is limited, have at most one file and one directory each.
    packages.set_max_nodes(usize::MAX);
    for (name, content) in modules {
        let added = match content {
            Content::Bytes(content) => packages.file(&name, content),
            Content::Source(content) => packages.source(&name, content),
        };
        match added {
            // A package has its own bytecode, or something else at its place.
            Ok(()) | Err(LayerError::Taken(_)) => {}
            Err(reason) => {
                tracing::debug!(target: "eryx::image", %reason, "a module has no bytecode");
            }
        }
    }
}

fn in_memory(compiled: Vec<(String, Bytes)>) -> Vec<(String, Content)> {
    let compiled = compiled.into_iter();
    compiled
        .map(|(name, content)| (name, Content::Bytes(content)))
        .collect()
}

/// Compiles the missing parts one after another, until the factory no longer exists.
fn compile_missing(layer: &Weak<PackageLayer>, cache: &Cache) {
    thread::sleep(START_DELAY);
    #[cfg(target_os = "linux")]
    if let Err(reason) = rustix::process::setpriority_process(None, LOW_PRIORITY) {
        tracing::debug!(target: "eryx::image", %reason, "a thread keeps its priority");
    }
    while let Some(number) = layer.upgrade().and_then(|layer| layer.first_missing()) {
        if let Err(reason) = compile_missing_part(layer, number, cache) {
            tracing::debug!(target: "eryx::image", %reason, "modules are not compiled");
            break;
        }
    }
    if let Some(layer) = layer.upgrade() {
        layer.compiling.store(0, Ordering::Relaxed);
    }
}

/// Compiles a part, unless another process has or does.
fn compile_missing_part(
    layer: &Weak<PackageLayer>,
    number: usize,
    cache: &Cache,
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::image("its bytecode cannot be compiled", error.into()))?;
    let Some((image, name, modules, files)) = layer.upgrade().map(|layer| {
        let part = &layer.parts[number];
        let (name, modules) = (part.name.clone(), part.modules.clone());
        (layer.image.clone(), name, modules, layer.layout())
    }) else {
        return Ok(());
    };
    let pending = runtime.block_on(cache.begin(&name));
    let found = layer
        .upgrade()
        .and_then(|layer| layer.parts[number].find(cache));
    let added = match found {
        Some(found) => found,
        None => {
            let stops = || layer.strong_count() == 0;
            let compiled =
                compiler::compile(&image, &files, &modules, Priority::Background, &stops)?;
            let Some(compiled) = compiled else {
                return Ok(());
            };
            cache.store(&name, &archive::write(&compiled), pending);
            in_memory(compiled)
        }
    };
    if let Some(layer) = layer.upgrade() {
        layer.add(number, added);
    }
    Ok(())
}
