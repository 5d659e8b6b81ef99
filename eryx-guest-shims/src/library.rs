/// A library for the guest that Python cannot be: a core module in text form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Library {
    /// The name of the Python extension module it is linked as.
    pub module: &'static str,
    /// Its file beside the Python sources.
    pub file: &'static str,
    /// The world of what it imports and exports.
    pub world: &'static str,
}

/// The libraries an image is linked with.
pub const LIBRARIES: [Library; 4] = [
    Library {
        module: "seal",
        file: "seal.wat",
        world: "package eryx:seal; world seal { export seal: func(); }",
    },
    Library {
        module: "_eryx_heap",
        file: "heap.wat",
        world: "package eryx:heap; world heap {}",
    },
    Library {
        module: "_eryx_output",
        file: "output.wat",
        world: "package eryx:output; world output {}",
    },
    Library {
        module: "_eryx_wire",
        file: "wire.wat",
        world: "package eryx:wire; world wire { import eryx:net/poll@0.1.0; import eryx:net/tcp@0.1.0; import eryx:net/tls@0.1.0; import eryx:net/udp@0.1.0; }",
    },
];
