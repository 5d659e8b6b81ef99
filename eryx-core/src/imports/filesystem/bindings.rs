//! The host side of `wasi:filesystem`, generated.
#![allow(missing_docs, reason = "WASI documents these")]

wasmtime::component::bindgen!({
    path: "src/imports/filesystem/wasi.wit",
    world: "eryx:files/imports",
    imports: {
        // These wait for content that the embedder provides.
        "wasi:filesystem/types.[method]descriptor.open-at": async | trappable,
        "wasi:filesystem/types.[method]descriptor.stat-at": async | trappable,
        default: trappable,
    },
    // The streams of `wasi:io` require this.
    require_store_data_send: true,
    with: {
        "wasi:io/error": wasmtime_wasi::p2::bindings::io::error,
        "wasi:io/streams": wasmtime_wasi::p2::bindings::io::streams,
        "wasi:clocks/wall-clock": wasmtime_wasi::p2::bindings::clocks::wall_clock,
        "wasi:filesystem/types.descriptor": crate::imports::filesystem::descriptor::Descriptor,
        "wasi:filesystem/types.directory-entry-stream": eryx_files::Listing,
    },
    trappable_error_type: {
        "wasi:filesystem/types.error-code" => crate::trappable_error::TrappableError<eryx_files::Error>,
    },
});
