//! A guest image that sandboxes and factories start from: the embedded one, a file, or bytes.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use data_encoding::HEXLOWER;
use eryx_sync::ProcessLock;
use sha2::{Digest as _, Sha256};
use wasmparser::Parser;
use wasmtime::CacheStore;

use crate::error::{Error, ImageError};
use crate::image::cache::entry::ReadMode;
use crate::image::cache::pending_entry::PendingEntry;
use crate::image::cache::{Cache, CacheName};
use crate::image::function_cache::{FunctionRecorder, PrecompiledFunctions};
use crate::image::machine_code::MachineCode;
use crate::image::{Image, compile, embedded, yield_verifier};

/// A guest image: CPython with Eryx's modules, as a WebAssembly component.
///
/// Sandboxes and factories of one image share its machine code. The image is compiled at the first
/// use by this user and this version of Eryx, which takes some seconds, and the machine code is
/// stored in the user's cache (`$ERYX_CACHE_DIR`, else `$XDG_CACHE_HOME/eryx`, else
/// `~/.cache/eryx`). An embedded image may come with its machine code.
///
/// A clone is the same image. Keep one value for each image of a process: another value of the same
/// bytes loads the machine code again.
///
/// ```no_run
/// # async fn example() -> Result<(), eryx_core::Error> {
/// use eryx_core::{GuestImage, Sandbox, SandboxFactory};
///
/// let image = GuestImage::from_file("eryx-guest.wasm")?;
/// let sandbox = Sandbox::from_image(&image).build()?;
/// let factory = SandboxFactory::builder().with_image(&image).build().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct GuestImage {
    inner: Arc<Inner>,
}

struct Inner {
    wasm: Cow<'static, [u8]>,
    /// The SHA-256 of `wasm`, in hexadecimal.
    sha256: String,
    /// Whether this is the image embedded in the program.
    is_embedded: bool,
    /// Whether the embedder knows the digest.
    is_verified: AtomicBool,
    image: OnceLock<Image>,
    loading: ProcessLock,
}

/// The largest file that is read as an image, in bytes. The image has about 40 MB.
const MAX_SIZE: u64 = 512 << 20;

impl GuestImage {
    /// Returns the image embedded in this program.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] when this program has none: it was built without the feature
    /// `embedded-image`.
    pub fn embedded() -> Result<Self, Error> {
        static IMAGE: OnceLock<GuestImage> = OnceLock::new();
        if let Some(image) = IMAGE.get() {
            return Ok(image.clone());
        }
        let (wasm, sha256) = embedded::component().ok_or_else(|| {
            ImageError::new(
                "this program has none: build it with the feature `embedded-image`, or load one \
                 with `GuestImage::from_file`",
            )
        })?;
        let image = Self::new(Cow::Borrowed(wasm), sha256.to_owned(), true);
        Ok(IMAGE.get_or_init(|| image).clone())
    }

    /// Reads an image from a file, such as the `eryx-guest.wasm` of a release or of
    /// `cargo xtask build-guest`. It is compiled by the first sandbox or factory that is built.
    ///
    /// The file decides what programs are, not what they can do: an image from an untrusted source
    /// runs in the sandbox as programs do. Use [`verify`](Self::verify) to accept only the image
    /// that you expect.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] when the file cannot be read, is larger than 512 MiB, or is no component.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let unreadable = |error| ImageError::unreadable(path, error);
        let file = File::open(path).map_err(unreadable)?;
        let mut wasm = Vec::new();
        file.take(MAX_SIZE + 1)
            .read_to_end(&mut wasm)
            .map_err(unreadable)?;
        if wasm.len() as u64 > MAX_SIZE {
            return Err(ImageError::new(format!(
                "{} is larger than {MAX_SIZE} bytes, the most that are read",
                path.display()
            ))
            .into());
        }
        Self::from_bytes(wasm)
    }

    /// Returns the image in `wasm`, as [`from_file`](Self::from_file) does.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] when the bytes are no component.
    pub fn from_bytes(wasm: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let wasm = wasm.into();
        if !Parser::is_component(&wasm) {
            return Err(ImageError::new("it is no WebAssembly component").into());
        }
        let sha256 = HEXLOWER.encode(&Sha256::digest(&wasm));
        Ok(Self::new(Cow::Owned(wasm), sha256, false))
    }

    /// Returns this image if its SHA-256 is `sha256`, in hexadecimal. Sandboxes of a verified image
    /// start faster: an instance of it is reset and used again, which relies on the image.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] when the image has another SHA-256.
    pub fn verify(self, sha256: &str) -> Result<Self, Error> {
        if self.sha256().eq_ignore_ascii_case(sha256) {
            self.inner.is_verified.store(true, Ordering::Relaxed);
            return Ok(self);
        }
        Err(ImageError::new(format!(
            "its SHA-256 is {}, and {sha256} is expected",
            self.sha256()
        ))
        .into())
    }

    /// Returns the SHA-256 of the image, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.inner.sha256
    }

    /// Returns whether the image is the embedded one, or one whose digest the embedder knows.
    fn is_known(&self) -> bool {
        self.inner.is_embedded
            || self.inner.is_verified.load(Ordering::Relaxed)
            || embedded::component().is_some_and(|(_, sha256)| sha256 == self.sha256())
    }

    /// Returns the component.
    pub(crate) fn wasm(&self) -> &[u8] {
        &self.inner.wasm
    }

    fn new(wasm: Cow<'static, [u8]>, sha256: String, is_embedded: bool) -> Self {
        Self {
            inner: Arc::new(Inner {
                wasm,
                sha256,
                is_embedded,
                is_verified: AtomicBool::new(false),
                image: OnceLock::new(),
                loading: ProcessLock::new(),
            }),
        }
    }

    /// Returns the loaded image. The first call loads it.
    pub(crate) fn load(&self) -> Result<Image, Error> {
        self.load_with(|| Cache::open(None))
    }

    /// Returns the loaded image. The first call loads it, with the cache that `open` opens.
    fn load_with(&self, open: impl FnOnce() -> Cache) -> Result<Image, Error> {
        let loaded = &self.inner.image;
        if let Some(image) = loaded.get() {
            return Ok(image.clone());
        }
        let _guard = self.inner.loading.lock();
        if let Some(image) = loaded.get() {
            return Ok(image.clone());
        }
        // After a failure the next call tries again: descriptors or memory may have been missing.
        let image = self.load_anew(open)?;
        Ok(loaded.get_or_init(|| image).clone())
    }

    /// Loads the machine code that the program comes with. If there is none, or this machine or
    /// engine does not accept it, compiles the component and caches the result.
    fn load_anew(&self, open: impl FnOnce() -> Cache) -> Result<Image, Error> {
        let mut unused = None;
        if self.inner.is_embedded
            && let Some(code) = embedded::machine_code()
        {
            match code.and_then(|code| self.base_image(code)) {
                Ok(image) => return Ok(image),
                // Compiling takes longer, and needs more of the missing resource.
                Err(missing @ Error::HostResource(_)) => return Err(missing),
                Err(reason) => {
                    tracing::warn!(target: "eryx::image", %reason, "the machine code is not used");
                    unused = Some(reason);
                }
            }
        }
        let cache = open();
        let key = format!("image-{}", self.sha256());
        let code = self.find_or_compile(&cache, &key, unused.as_ref())?;
        self.load_or_copy(&cache, &key, code, Self::base_image)
    }

    /// Returns the machine code of the component that `cache` has under `key`, or compiles it and
    /// stores it there. Of several processes that need it, one compiles, and the others wait. The
    /// machine code that the program comes with is not used for the reason `unused`, if it has any.
    fn find_or_compile(
        &self,
        cache: &Cache,
        key: &str,
        unused: Option<&Error>,
    ) -> Result<MachineCode, Error> {
        if let Some(code) = cache.find(key, ReadMode::InPlace)? {
            return Ok(code);
        }
        if !self.inner.is_embedded {
            yield_verifier::verify(self.wasm())
                .map_err(|error| ImageError::new(error.to_string()))?;
        }
        // Before the wait for another process, which takes as long as the compilation.
        announce_compilation(unused);
        let pending = cache.begin_blocking(key)?;
        match cache.find(key, ReadMode::InPlace)? {
            Some(code) => Ok(code),
            None => self.compile(cache, key, pending),
        }
    }

    /// Compiles the component, and stores its machine code in `cache` under `key`, in the entry
    /// that was begun for it, if one was.
    fn compile(
        &self,
        cache: &Cache,
        key: &str,
        pending: Option<PendingEntry>,
    ) -> Result<MachineCode, Error> {
        let (_, instrumented) = compile::instrument(self.wasm())?;
        if self.own_functions().is_some() || cache.is_disabled() {
            return cache.compile(key, &instrumented, None, pending);
        }
        let functions = Arc::new(FunctionRecorder::default());
        let code = cache.compile(
            key,
            &instrumented,
            Some(Arc::clone(&functions) as _),
            pending,
        )?;
        cache.store(&self.functions_name()?, &functions.to_bytes(), None);
        Ok(code)
    }

    /// Returns the snapshot of this image that `cache` has under `key`.
    pub(crate) fn load_cached_snapshot(
        &self,
        cache: &Cache,
        key: &str,
    ) -> Result<Option<Image>, Error> {
        match cache.find(key, ReadMode::InPlace)? {
            Some(code) => self
                .load_or_copy(cache, key, code, Self::snapshot)
                .map(Some),
            None => Ok(None),
        }
    }

    /// Compiles `wasm`, a snapshot of this image made by this process, and caches it under `key`,
    /// in the entry that was begun for it, if one was. What `functions` has is not compiled again.
    pub(crate) fn compile_snapshot(
        &self,
        cache: &Cache,
        key: &str,
        wasm: &[u8],
        pending: Option<PendingEntry>,
        functions: Option<Arc<dyn CacheStore>>,
    ) -> Result<Image, Error> {
        let code = cache.compile(key, wasm, functions, pending)?;
        self.load_or_copy(cache, key, code, Self::snapshot)
    }

    /// Returns the machine code of single functions that is embedded with the image.
    fn own_functions(&self) -> Option<&'static [u8]> {
        embedded::functions().filter(|_| self.inner.is_embedded)
    }

    /// Returns the name under which the cache has the machine code of single functions.
    fn functions_name(&self) -> Result<CacheName, Error> {
        CacheName::machine_code(&format!("functions-{}", self.sha256()))
    }

    /// Returns the functions of the image that need not be compiled again for a snapshot.
    pub(crate) fn functions(&self, cache: &Cache) -> Result<Option<Arc<dyn CacheStore>>, Error> {
        let bytes = match self.own_functions() {
            Some(bytes) => Cow::Borrowed(bytes),
            None => match cache.read(&self.functions_name()?) {
                Some(bytes) => Cow::Owned(bytes),
                None => return Ok(None),
            },
        };
        match PrecompiledFunctions::from_bytes(&bytes) {
            Ok(functions) => Ok(Some(Arc::new(functions))),
            Err(reason) => {
                tracing::warn!(target: "eryx::image", %reason, "compiling every function anew");
                Ok(None)
            }
        }
    }

    /// Loads the machine code of this image.
    fn base_image(&self, code: MachineCode) -> Result<Image, Error> {
        Image::load(code, Sha256::digest(self.sha256()).into(), self.is_known())
    }

    /// Loads the machine code of a snapshot of this image. Two equal factories that were built
    /// separately may differ in their memory, which is part of the code that is hashed.
    fn snapshot(&self, code: MachineCode) -> Result<Image, Error> {
        let Some(digest) = code.digest() else {
            return Err(ImageError::new("its machine code has no digest").into());
        };
        let mut hash = Sha256::new_with_prefix(self.sha256());
        hash.update(digest);
        Image::load(code, hash.finalize().into(), self.is_known())
    }

    /// Loads `code` with `load`. If that fails, loads a copy in memory of the entry that `cache`
    /// has under `key`: not every reason for which a system refuses to run code from a file can be
    /// checked in advance.
    fn load_or_copy(
        &self,
        cache: &Cache,
        key: &str,
        code: MachineCode,
        load: fn(&Self, MachineCode) -> Result<Image, Error>,
    ) -> Result<Image, Error> {
        load(self, code).or_else(|reason| match cache.find(key, ReadMode::Copy)? {
            Some(copy) => {
                tracing::warn!(
                    target: "eryx::image",
                    %reason,
                    "the cached machine code cannot be mapped, and is copied"
                );
                load(self, copy)
            }
            None => Err(reason),
        })
    }
}

/// Two images are equal when they have the same bytes.
impl PartialEq for GuestImage {
    fn eq(&self, other: &Self) -> bool {
        self.sha256() == other.sha256()
    }
}

impl Eq for GuestImage {}

impl fmt::Debug for GuestImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestImage")
            .field("sha256", &self.sha256())
            .finish_non_exhaustive()
    }
}

/// Explains the seconds that follow: in an event, and on standard error in a program that collects
/// no events. The machine code that the program comes with is not used for the reason `unused`, if
/// it has any.
fn announce_compilation(unused: Option<&Error>) {
    tracing::info!(target: "eryx::image", "compiling the guest image, once for this user");
    if tracing::dispatcher::has_been_set() {
        return;
    }
    if let Some(reason) = unused {
        eprintln!("eryx: the machine code that this program comes with is not used: {reason}");
    }
    eprintln!(
        "eryx: compiling the guest image for this machine, once for this user (some seconds)"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest component.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn message(result: Result<GuestImage, Error>) -> String {
        result.expect_err("rejected").to_string()
    }

    #[test]
    fn an_image_is_accepted_only_with_its_own_digest() {
        let image = GuestImage::from_bytes(EMPTY).expect("a component");
        let sha256 = image.sha256().to_owned();
        assert_eq!(sha256, HEXLOWER.encode(&Sha256::digest(EMPTY)));
        assert!(!image.is_known());
        let image = image.verify(&sha256.to_uppercase()).expect("the same");
        assert!(image.is_known());
        let other = "0".repeat(64);
        let text = message(image.verify(&other));
        assert!(text.contains(&sha256) && text.contains(&other), "{text}");
    }

    #[test]
    fn bytes_that_are_no_component_are_rejected_and_a_missing_file_is_named() {
        for bytes in [&b""[..], b"garbage", b"\0asm\x01\0\0\0"] {
            let text = message(GuestImage::from_bytes(bytes));
            assert!(text.contains("no WebAssembly component"), "{text}");
        }
        let text = message(GuestImage::from_file("missing/image.wasm"));
        assert!(text.contains("missing/image.wasm"), "{text}");
    }

    #[test]
    fn an_image_without_yield_points_is_not_compiled() {
        let wasm = wat::parse_str("(component (core module (func (loop (br 0)))))");
        let image = GuestImage::from_bytes(wasm.expect("valid")).expect("a component");
        let Err(error) = image.find_or_compile(&Cache::disabled(), "key", None) else {
            panic!("an image that does not yield is compiled");
        };
        assert!(error.to_string().contains("yield"), "{error}");
    }

    #[test]
    fn an_image_that_another_process_compiles_is_waited_for() {
        use std::thread;
        use std::time::Duration;

        let dir = tempfile::tempdir().expect("made");
        let cache = Cache::open(Some(dir.path()));
        let name = CacheName::machine_code("key").expect("named");
        let other = cache.begin_blocking("key").expect("named").expect("begun");
        let waiting = thread::spawn({
            let cache = cache.clone();
            move || {
                let image = GuestImage::from_bytes(EMPTY).expect("a component");
                image.find_or_compile(&cache, "key", None).expect("found")
            }
        });
        // Compiling the smallest component takes a few milliseconds.
        thread::sleep(Duration::from_millis(500));
        assert!(!waiting.is_finished());
        cache.store(&name, b"of the other process", Some(other));
        let code = waiting.join().expect("no panic");
        assert!(code.bytes().starts_with(b"of the other process"));
    }

    #[cfg(feature = "embedded-image")]
    #[tokio::test]
    async fn an_image_is_compiled_once_for_a_cache_and_used_by_sandboxes_and_factories() {
        use crate::factory::SandboxFactory;
        use crate::sandbox::Sandbox;

        let dir = tempfile::tempdir().expect("made");
        let entries = || {
            let mut names: Vec<_> = std::fs::read_dir(dir.path())
                .expect("readable")
                .map(|entry| entry.expect("readable").file_name())
                .collect();
            names.sort();
            names
        };
        let load = || {
            let (wasm, _) = embedded::component().expect("embedded");
            let image = GuestImage::from_bytes(wasm).expect("a component");
            let loaded = image.load_with(|| Cache::open(Some(dir.path())));
            (image, loaded.expect("loaded"))
        };
        let (image, first) = load();
        let compiled = entries();
        assert_eq!(
            compiled.len(),
            2,
            "the image and its functions: {compiled:?}"
        );
        let (_, second) = load();
        assert_eq!(entries(), compiled);
        assert_eq!(first.digest(), second.digest());
        let embedded = GuestImage::embedded().expect("embedded");
        assert_eq!(image, embedded);
        let embedded = embedded.load().expect("loaded");
        assert_eq!(first.digest(), embedded.digest());
        assert_eq!(first.pooled().is_some(), embedded.pooled().is_some());

        let sandbox = Sandbox::from_image(&image).build().expect("built");
        let result = sandbox.execute("print(6 * 7)").await.expect("run");
        assert_eq!(result.stdout, "42\n");
        let factory = SandboxFactory::builder()
            .with_image(&image)
            .with_setup_code("x = 1")
            .with_cache_dir(dir.path())
            .build()
            .await
            .expect("built");
        let sandbox = factory.sandbox().build().expect("built");
        let result = sandbox.execute("print(x)").await.expect("run");
        assert_eq!(result.stdout, "1\n");
        assert_eq!(entries().len(), 3);
    }

    /// The image is another one, although its programs cannot see a difference but this.
    #[cfg(feature = "embedded-image")]
    #[tokio::test]
    async fn a_snapshot_is_refused_on_an_image_with_one_changed_byte() {
        use crate::sandbox::Sandbox;
        use crate::snapshot_error::SnapshotError;

        // In the memory of the interpreter, where a string ends with a zero.
        let text = b"can't start new thread: \0";
        let (wasm, _) = embedded::component().expect("embedded");
        let mut wasm = wasm.to_vec();
        let places: Vec<_> = (0..wasm.len() - text.len())
            .filter(|at| wasm[*at..].starts_with(text))
            .collect();
        let [place] = places[..] else {
            panic!("the text is at {places:?}");
        };
        wasm[place] = b'C';
        let dir = tempfile::tempdir().expect("made");
        let changed = GuestImage::from_bytes(wasm).expect("a component");
        let loaded = changed.load_with(|| Cache::open(Some(dir.path())));
        loaded.expect("loaded");
        let changed = Sandbox::from_image(&changed).build().expect("built");
        let embedded = Sandbox::embedded().build().expect("built");
        let program = "
from eryx_guest.threads import scheduler
print(*(each for each in scheduler.start.__code__.co_consts if 'new thread' in str(each)))
";
        for (sandbox, other, first) in [(&embedded, &changed, 'c'), (&changed, &embedded, 'C')] {
            let mut session = sandbox.session().await.expect("started");
            let result = session.execute(program).await.expect("run");
            assert!(result.stdout.starts_with(first), "{}", result.stdout);
            let snapshot = session.snapshot().await.expect("taken");
            sandbox.restore(&snapshot).await.expect("restored");
            let error = other.restore(&snapshot).await.err();
            let is_refused = matches!(error, Some(Error::Snapshot(SnapshotError::OtherImage)));
            assert!(is_refused, "{error:?}");
        }
    }

    #[cfg(feature = "embedded-image")]
    #[test]
    fn the_embedded_image_is_loaded_once() {
        let first = GuestImage::embedded().expect("embedded");
        let identity = first.load().expect("loaded").identity();
        let second = GuestImage::embedded().expect("embedded");
        assert_eq!(second.load().expect("loaded").identity(), identity);
        assert_eq!(first, second);
    }
}
