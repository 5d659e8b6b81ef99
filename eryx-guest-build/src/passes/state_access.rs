//! Adds exports through which the host reads and writes the memory of an instance, so that a
//! session can be copied to another instance of the same image.
//!
//! The core part adds functions to the merged module, the component part lifts them:
//!
//! - `memory-view: func() -> list<u8>` returns all memory. The engine does not copy it.
//! - `memory-stack: func() -> u32` returns the C stack pointer. All memory below is unused between
//!   two calls of the guest.
//! - `memory-target: func(address: u32)` sets where the next list is placed.
//! - `memory-place: func(bytes: list<u8>)` takes a list. Its `realloc` returns the target, so the
//!   engine itself checks the bounds and copies the bytes to their place.
//! - `memory-place-all: func(parts: list<tuple<u32, list<u64>>>)` takes addresses and what is
//!   placed there, in one call. The list itself is placed at the end of the C stack. It then yields
//!   to the host, so that what counts the work until the next yield starts anew (pass
//!   `yield_points`).
//! - `memory-grow: func(pages: u32) -> u32` grows the memory by pages of 64 KiB, as `memory.grow`.
//! - `drop-nothing: func(on: u32)` makes every `[resource-drop]` do nothing, or something again. A
//!   copy of a session knows handles that are not valid in its own instance, and dropping one would
//!   trap.

mod component_exports;
mod core_functions;
#[cfg(test)]
mod tests;

pub(super) use component_exports::add_exports;
pub(super) use core_functions::add_functions;

/// The name of the memory among the exports of the module.
const MEMORY: &str = "state-memory";

/// The name of the `realloc` of `memory-place`.
const REALLOC: &str = "state-realloc";

/// The name of the `realloc` of `memory-place-all`.
const REALLOC_PARTS: &str = "state-realloc-parts";

/// A function that is exported: its name, its parameters (name and core type), whether it returns
/// a number, and its part of the component's type.
struct Exported {
    name: &'static str,
    parameter: Option<(&'static str, Parameter)>,
    result: Option<ComponentValue>,
}

enum Parameter {
    Number,
    Bytes,
    Parts,
}

impl Parameter {
    /// Returns the name of the function that allocates memory for it.
    fn realloc(&self) -> &'static str {
        match self {
            Self::Number | Self::Bytes => REALLOC,
            Self::Parts => REALLOC_PARTS,
        }
    }
}

enum ComponentValue {
    Number,
    Bytes,
}

const EXPORTED: [Exported; 7] = [
    Exported {
        name: "memory-view",
        parameter: None,
        result: Some(ComponentValue::Bytes),
    },
    Exported {
        name: "memory-stack",
        parameter: None,
        result: Some(ComponentValue::Number),
    },
    Exported {
        name: "memory-target",
        parameter: Some(("address", Parameter::Number)),
        result: None,
    },
    Exported {
        name: "memory-place",
        parameter: Some(("bytes", Parameter::Bytes)),
        result: None,
    },
    Exported {
        name: "memory-place-all",
        parameter: Some(("parts", Parameter::Parts)),
        result: None,
    },
    Exported {
        name: "memory-grow",
        parameter: Some(("pages", Parameter::Number)),
        result: Some(ComponentValue::Number),
    },
    Exported {
        name: "drop-nothing",
        parameter: Some(("on", Parameter::Number)),
        result: None,
    },
];
