//! The image embedded in this program, and the machine code that it comes with.

#[cfg(feature = "embedded-image")]
use std::path::PathBuf;
#[cfg(feature = "embedded-image")]
use std::sync::OnceLock;

use crate::error::Error;
use crate::image::machine_code::MachineCode;

/// The component.
#[cfg(feature = "embedded-image")]
static WASM: &[u8] = include_bytes!(env!("ERYX_GUEST_WASM"));
/// The machine code of the instrumented component.
#[cfg(has_machine_code)]
static CWASM: &[u8] = include_bytes!(env!("ERYX_GUEST_CWASM"));
/// The machine code of each function by itself; empty if the image comes without it.
#[cfg(feature = "embedded-image")]
static FUNCTIONS: &[u8] = include_bytes!(env!("ERYX_GUEST_FUNCTIONS"));

/// The path of the machine code, if it is not embedded in this program.
#[cfg(feature = "embedded-image")]
static PRECOMPILED_PATH: OnceLock<PathBuf> = OnceLock::new();

/// Sets the path of the machine code of the embedded image. The file is mapped, so processes that
/// use the same file share its pages. The call has no effect once the image is loaded or a path was
/// set.
///
/// If the file cannot be read, or was made for another compiler, the image is compiled and cached.
///
/// # Safety
///
/// The file must be the `target/guest/eryx-guest.cwasm` that `cargo xtask build-guest` wrote when
/// this program was built, and must not change while the program runs: it contains code that is
/// executed unchecked. Store it where only users who may replace the program can write.
#[cfg(feature = "embedded-image")]
#[allow(unsafe_code, reason = "the file's content is executed")]
pub unsafe fn set_precompiled_path(path: PathBuf) {
    let _ = PRECOMPILED_PATH.set(path);
}

/// Returns the embedded component and its SHA-256 in hexadecimal, if this program has one.
pub(super) fn component() -> Option<(&'static [u8], &'static str)> {
    #[cfg(feature = "embedded-image")]
    return Some((WASM, env!("ERYX_GUEST_WASM_SHA256")));
    #[cfg(not(feature = "embedded-image"))]
    None
}

/// Returns the machine code of single functions, if the image came with it.
pub(super) fn functions() -> Option<&'static [u8]> {
    #[cfg(feature = "embedded-image")]
    return Some(FUNCTIONS).filter(|functions| !functions.is_empty());
    #[cfg(not(feature = "embedded-image"))]
    None
}

/// Returns the machine code in the file whose path was set, or the embedded one, or `None` if there
/// is neither.
#[allow(unsafe_code, reason = "loading machine code; see the block")]
pub(super) fn machine_code() -> Option<Result<MachineCode, Error>> {
    #[cfg(feature = "embedded-image")]
    if let Some(path) = PRECOMPILED_PATH.get() {
        // SAFETY: the caller of `set_precompiled_path` guarantees what `from_path` requires.
        let code = unsafe { MachineCode::from_path(path) };
        return Some(code.map_err(|error| {
            Error::image(format_args!("{} cannot be read", path.display()), error)
        }));
    }
    #[cfg(has_machine_code)]
    return Some(MachineCode::from_bytes(CWASM));
    #[cfg(not(has_machine_code))]
    None
}

#[cfg(all(test, feature = "embedded-image"))]
mod tests {
    use crate::image::yield_verifier;

    #[test]
    fn all_code_of_the_embedded_image_yields() {
        yield_verifier::verify(super::WASM).expect("it does");
    }

    /// Regression: features of the build machine's processor compiled into the machine code.
    #[cfg(has_machine_code)]
    #[allow(unsafe_code, reason = "loading machine code; see each block")]
    #[test]
    fn the_machine_code_loads_on_the_baseline_processor_of_its_architecture() {
        use wasmtime::Engine;
        use wasmtime::component::Component;

        use crate::engine;

        let mut config = engine::portable_config().expect("a compiler");
        // SAFETY: the loaded code is never run.
        unsafe { config.detect_host_feature(|_| Some(false)) };
        let baseline = Engine::new(&config).expect("an engine");
        // SAFETY: as in `MachineCode::load`.
        unsafe { Component::deserialize(&baseline, super::CWASM) }
            .expect("it needs no special features");
        // Code compiled for this processor is rejected there, if the processor has more features.
        #[cfg(target_arch = "x86_64")]
        if std::is_x86_feature_detected!("avx") {
            let native = engine::on_demand()
                .expect("an engine")
                .precompile_component(b"\0asm\x0d\0\x01\0")
                .expect("compiled");
            // SAFETY: as above.
            let rejected = unsafe { Component::deserialize(&baseline, native) };
            let reason = format!("{:#}", rejected.expect_err("rejected"));
            assert!(reason.contains("not available on the host"), "{reason}");
        }
    }
}
