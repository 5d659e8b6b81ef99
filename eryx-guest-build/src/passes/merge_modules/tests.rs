//! Tests of merging: components linked at run time, compared with their merged form.

use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};

use super::merge_modules;
use crate::passes::merge_modules::link_graph::LinkGraph;

/// Two modules that share items of every kind, linked as wit-component links them: functions of the
/// component that need a memory are called through a table, which the last module fills.
const LINKED: &str = r#"(component
    (import "add" (func $add (param "a" u32) (param "b" u32) (result u32)))
    (import "say" (func $say (param "text" string)))
    (core module $shim
        (table (export "$imports") 1 funcref)
        (func (export "0") (param i32 i32)
            (call_indirect (param i32 i32) (local.get 0) (local.get 1) (i32.const 0))))
    (core module $main
        (memory (export "memory") 1)
        (table (export "table") 4 funcref)
        (global (export "sp") (mut i32) (i32.const 1024))
        (global (export "base") i32 (i32.const 64))
        (global (export "first") i32 (i32.const 2))
        (global (export "never-set") (mut i32) (i32.const 3))
        (data (i32.const 64) "hello"))
    (core module $library
        (import "env" "memory" (memory 1))
        (import "env" "table" (table 4 funcref))
        (import "env" "sp" (global $sp (mut i32)))
        (import "env" "base" (global $base i32))
        (import "env" "first" (global $first i32))
        (import "env" "never-set" (global $never-set (mut i32)))
        (import "host" "add" (func $add (param i32 i32) (result i32)))
        (import "host" "say" (func $say (param i32 i32)))
        (type $number (func (result i32)))
        (elem (global.get $first) func $seven $sp)
        (func $seven (type $number) (i32.const 7))
        (func $sp (type $number) (global.get $sp))
        (func $unreachable (call $unreachable))
        (func (export "run") (type $number)
            (global.set $sp (i32.sub (global.get $sp) (i32.const 16)))
            (call $say (global.get $base) (i32.const 5))
            (call $add
                (i32.mul (call_indirect (type $number) (global.get $first)) (global.get $never-set))
                (call_indirect (type $number) (i32.const 3)))))
    (core module $fixup
        (import "" "$imports" (table 1 funcref))
        (import "" "0" (func (param i32 i32)))
        (elem (i32.const 0) func 0))
    (core instance $shim (instantiate $shim))
    (core instance $main (instantiate $main))
    (core func $add (canon lower (func $add)))
    (core instance $host
        (export "add" (func $add))
        (export "say" (func $shim "0")))
    (core instance $library (instantiate $library
        (with "env" (instance $main))
        (with "host" (instance $host))))
    (core func $say (canon lower (func $say) (memory $main "memory")))
    (core instance $late (export "$imports" (table $shim "$imports")) (export "0" (func $say)))
    (core instance (instantiate $fixup (with "" (instance $late))))
    (func (export "run") (result u32) (canon lift (core func $library "run"))))"#;

fn module_count(component: &[u8]) -> usize {
    LinkGraph::parse(component)
        .expect("a component")
        .modules
        .len()
}

/// Returns the result of `run` and the text passed to `say`.
fn run(component: &[u8]) -> (u32, String) {
    let engine = Engine::new(Config::new().concurrency_support(false)).expect("an engine");
    let component = Component::new(&engine, component).expect("valid");
    let mut linker = Linker::<String>::new(&engine);
    let mut root = linker.root();
    root.func_wrap("add", |_, (a, b): (u32, u32)| Ok((a + b,)))
        .expect("defined");
    root.func_wrap("say", |mut store, (text,): (String,)| {
        store.data_mut().push_str(&text);
        Ok(())
    })
    .expect("defined");
    let mut store = Store::new(&engine, String::new());
    let instance = linker
        .instantiate(&mut store, &component)
        .expect("instantiated");
    let run = instance
        .get_typed_func::<(), (u32,)>(&mut store, "run")
        .expect("exported");
    let (result,) = run.call(&mut store, ()).expect("no trap");
    (result, store.into_data())
}

#[test]
fn merged_component_behaves_like_the_linked_one() {
    let linked = wat::parse_str(LINKED).expect("assembles");
    assert_eq!(module_count(&linked), 4);
    let merged = merge_modules(&linked, None).expect("merged");
    // The shim that passes `say` on remains.
    assert_eq!(module_count(&merged), 2);
    assert_eq!(run(&linked), (7 * 3 + 1008, "hello".to_owned()));
    assert_eq!(run(&merged), run(&linked));
}

#[test]
fn unwritten_globals_become_constants_and_unreachable_functions_are_left_out() {
    let linked = wat::parse_str(LINKED).expect("assembles");
    let merged = merge_modules(&linked, None).expect("merged");
    let graph = LinkGraph::parse(&merged).expect("a component");
    let module = graph.merged.values().next().expect("one");
    // Only the stack pointer is written.
    assert_eq!(module.globals.len(), 1);
    // `run`, the two functions it calls through the table, and the trampoline to `say`.
    assert_eq!(module.bodies.len(), 4);
}

/// A module that imports a function of libc, and one that replaces that function.
const REPLACED: &str = r#"(component
    (core module $libc
        (func (export "read") (param i32 i32 i32) (result i32) (i32.const 1)))
    (core module $replacing
        (import "env" "read" (func $read (param i32 i32 i32) (result i32)))
        (func (export "eryx_file_read") (param i32 i32 i32) (result i32)
            (i32.add
                (i32.const 10)
                (call $read (local.get 0) (local.get 1) (local.get 2)))))
    (core module $user
        (import "env" "read" (func $first (param i32 i32 i32) (result i32)))
        (func (export "run") (result i32)
            (call $first (i32.const 0) (i32.const 0) (i32.const 0))))
    (core instance $libc (instantiate $libc))
    (core instance $replacing (instantiate $replacing (with "env" (instance $libc))))
    (core instance $user (instantiate $user (with "env" (instance $libc))))
    (func (export "run") (result u32) (canon lift (core func $user "run"))))"#;

#[test]
fn a_replacement_is_called_by_other_modules_and_calls_the_original() {
    let linked = wat::parse_str(REPLACED).expect("assembles");
    assert_eq!(run(&linked).0, 1);
    let merged = merge_modules(&linked, None).expect("merged");
    assert_eq!(run(&merged).0, 11);
}

#[test]
fn components_that_cannot_be_merged_are_rejected() {
    for (text, reason) in [
        (
            LINKED.replace(
                "(data (i32.const 64) \"hello\")",
                "(func $begin) (start $begin)",
            ),
            "start function",
        ),
        (
            LINKED.replace(
                "(func $unreachable",
                "(elem func $seven) (func $unreachable",
            ),
            "while it runs",
        ),
        (
            REPLACED
                .replace("\"read\" (func $first", "\"write\" (func $first")
                .replace("(export \"read\")", "(export \"read\") (export \"write\")"),
            "which no module imports",
        ),
        ("(component)".to_owned(), "there are none"),
    ] {
        let component = wat::parse_str(&text).expect("assembles");
        let error = format!(
            "{:#}",
            merge_modules(&component, None).expect_err("rejected")
        );
        assert!(error.contains(reason), "{error}");
    }
}
