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
}

enum ComponentValue {
    Number,
    Bytes,
}

const EXPORTED: [Exported; 6] = [
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
