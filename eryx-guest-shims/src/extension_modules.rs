//! The core modules that the image links as Python extension modules.

/// A hand-written core module, linked as a Python extension module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionModule {
    /// The name of the Python module.
    pub name: &'static str,
    /// The text file beside the Python sources.
    pub file: &'static str,
    /// The WIT world of its imports and exports.
    pub world: &'static str,
}

/// The extension modules of an image.
pub const EXTENSION_MODULES: [ExtensionModule; 10] = [
    ExtensionModule {
        name: "reset_preopens",
        file: "reset_preopens.wat",
        world: "package eryx:reset-preopens; world reset-preopens { export reset-preopens: func(); }",
    },
    ExtensionModule {
        name: "_eryx_heap",
        file: "heap.wat",
        world: "package eryx:heap; world heap {}",
    },
    ExtensionModule {
        name: "_eryx_native_modules",
        file: "native_modules.wat",
        world: "package eryx:native-modules; world native-modules {}",
    },
    ExtensionModule {
        name: "_eryx_working_directory",
        file: "working_directory.wat",
        world: "package eryx:working-directory; world working-directory {}",
    },
    ExtensionModule {
        name: "_eryx_local_time",
        file: "local_time.wat",
        world: "package eryx:local-time; world local-time {}",
    },
    ExtensionModule {
        name: "_eryx_threads",
        file: "threads.wat",
        world: "package eryx:threads; world threads {}",
    },
    ExtensionModule {
        name: "_eryx_output",
        file: "output.wat",
        world: "package eryx:output; world output {}",
    },
    ExtensionModule {
        name: "_eryx_file_modes",
        file: "file_modes.wat",
        world: "package eryx:file-modes; world file-modes {}",
    },
    ExtensionModule {
        name: "_eryx_file_reads",
        file: "file_reads.wat",
        world: include_str!("../file_reads.wit"),
    },
    ExtensionModule {
        name: "_eryx_bindings",
        file: "fast_bindings.wat",
        world: "package eryx:bindings; world bindings { import eryx:host/functions@0.1.0; import eryx:net/poll@0.1.0; import eryx:net/tcp@0.1.0; import eryx:net/tls@0.1.0; import eryx:net/udp@0.1.0; }",
    },
];

/// An extension module that is compiled from C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeModule {
    /// The name of the Python module.
    pub name: &'static str,
    /// The folder of its sources, beside the Python sources.
    pub dir: &'static str,
    /// The WIT world of its imports and exports.
    pub world: &'static str,
}

/// The module over the libraries for compression, with the hash functions that CPython has only
/// with OpenSSL.
pub const NATIVE_MODULE: NativeModule = NativeModule {
    name: "_eryx_native",
    dir: "native",
    world: "package eryx:native; world native { import eryx:host/key-derivation@0.1.0; }",
};
