//! A small image to link to, for tests and fuzzing.

use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::{Component, ComponentSectionId, RawSection};

use crate::symbols::SymbolTable;
use crate::yield_points::{Inputs, add_yield_points};

/// The core module of an image. Its table has `in-table`, and `seven` is in no table.
const IMAGE: &str = r#"(module
    (import "host" "yield" (func $yield))
    (import "host" "other" (func $other))
    (type $bulk (func (param i32 i32 i32)))
    (type $setter (func (param i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (table 4 funcref)
    (elem (i32.const 1) func $in-table)
    (global $sp (mut i32) (i32.const 65536))
    (data (i32.const 1024) "image")
    (func $start)
    (func $set-libraries (param i32) (i32.store (i32.const 16) (local.get 0)))
    (func $in-table (result i32) (call $seven))
    (func $seven (result i32) (i32.const 7))
    (func $add (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func $call (param i32) (result i32) (call_indirect (result i32) (local.get 0)))
    (func $nothing)
    (func (export "start") (call $start))
    (func (export "run") (param i32) (result i32) (call $call (local.get 0)))
    (func (export "host") (call $other)))"#;

/// Returns the image as a component.
pub(crate) fn image() -> Vec<u8> {
    let module = wat::parse_str(IMAGE).expect("assembles");
    let inputs = Inputs {
        yield_import: 0,
        non_yielding: BTreeSet::new(),
    };
    let (module, yield_points) = add_yield_points(&module, &inputs).expect("rewritten");
    let function = |name: &str, index| (name.to_owned(), index);
    let symbols = SymbolTable {
        functions: BTreeMap::from([
            function("in_table", 4),
            function("seven", 5),
            function("add", 6),
            function("call", 7),
            function("nothing", 2),
        ]),
        preview1: BTreeMap::from([function("random_get", 5)]),
        data: BTreeMap::from([function("text", 1024)]),
        stack_pointer: 0,
        table: 0,
        start: 2,
        set_libraries: 3,
        yield_points,
    };
    let module = symbols.append_to(&module);
    let mut component = Component::new();
    component.section(&RawSection {
        id: ComponentSectionId::CoreModule.into(),
        data: &module,
    });
    component.finish()
}
