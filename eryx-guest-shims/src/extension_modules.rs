//! The hand-written core modules that the image links as Python extension modules.

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
pub const EXTENSION_MODULES: [ExtensionModule; 5] = [
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
        name: "_eryx_working_directory",
        file: "working_directory.wat",
        world: "package eryx:working-directory; world working-directory {}",
    },
    ExtensionModule {
        name: "_eryx_output",
        file: "output.wat",
        world: "package eryx:output; world output {}",
    },
    ExtensionModule {
        name: "_eryx_bindings",
        file: "fast_bindings.wat",
        world: "package eryx:bindings; world bindings { import eryx:host/functions@0.1.0; import eryx:net/poll@0.1.0; import eryx:net/tcp@0.1.0; import eryx:net/tls@0.1.0; import eryx:net/udp@0.1.0; }",
    },
];
