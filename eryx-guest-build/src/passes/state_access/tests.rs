//! Tests of the core functions.

use wasmtime::{Engine, Instance, Linker, Module, Store};

use super::{MEMORY, REALLOC, REALLOC_PARTS, add_functions};

/// What a call of the function that yields records.
const YIELDED: i32 = -1;

/// Drops handle 7 through a direct call and through a table.
const MODULE: &str = r#"(module
    (import "host" "0" (func $other))
    (import "host" "1" (func $drop (param i32)))
    (memory 1)
    (table 1 funcref)
    (elem (i32.const 0) func $drop)
    (global (mut i32) (i32.const 0))
    (global $stack (mut i32) (i32.const 1024))
    (func (export "drop")
        (call $drop (i32.const 7))
        (call_indirect (param i32) (i32.const 8) (i32.const 0))))"#;

fn instance() -> (Store<Vec<i32>>, Instance) {
    let module = wat::parse_str(MODULE).expect("a module");
    let module = add_functions(&module, &[1], 1, Some(0)).expect("added");
    let engine = Engine::default();
    let mut linker: Linker<Vec<i32>> = Linker::new(&engine);
    linker
        .func_wrap("host", "0", |mut caller: wasmtime::Caller<'_, Vec<i32>>| {
            caller.data_mut().push(YIELDED)
        })
        .expect("linked");
    linker
        .func_wrap(
            "host",
            "1",
            |mut caller: wasmtime::Caller<'_, Vec<i32>>, handle: i32| {
                caller.data_mut().push(handle);
            },
        )
        .expect("linked");
    let mut store = Store::new(&engine, Vec::new());
    let module = Module::new(&engine, module).expect("valid");
    let instance = linker.instantiate(&mut store, &module).expect("started");
    (store, instance)
}

fn call(store: &mut Store<Vec<i32>>, instance: &Instance, name: &str, argument: i32) {
    let function = instance.get_typed_func::<i32, ()>(&mut *store, name);
    function
        .and_then(|function| function.call(&mut *store, argument))
        .expect("called");
}

#[test]
fn a_drop_does_nothing_while_that_is_on() {
    let (mut store, instance) = instance();
    let drop = instance
        .get_typed_func::<(), ()>(&mut store, "drop")
        .expect("exported");
    call(&mut store, &instance, "drop-nothing", 1);
    drop.call(&mut store, ()).expect("called");
    assert!(store.data().is_empty(), "{:?}", store.data());
    call(&mut store, &instance, "drop-nothing", 0);
    drop.call(&mut store, ()).expect("called");
    assert_eq!(*store.data(), [7, 8]);
}

#[test]
fn the_host_reads_all_memory_and_chooses_where_bytes_are_placed() {
    let (mut store, instance) = instance();
    let number = |store: &mut Store<Vec<i32>>, name| {
        let function = instance.get_typed_func::<(), i32>(&mut *store, name);
        function
            .and_then(|function| function.call(&mut *store, ()))
            .expect("called")
    };
    assert_eq!(number(&mut store, "memory-stack"), 1024);
    let grow = instance.get_typed_func::<i32, i32>(&mut store, "memory-grow");
    let before = grow.expect("exported").call(&mut store, 2).expect("called");
    assert_eq!(before, 1);
    let result = number(&mut store, "memory-view") as usize;
    let memory = instance.get_memory(&mut store, MEMORY).expect("exported");
    let words = &memory.data(&store)[result..result + 8];
    assert_eq!(words, [[0; 4], (3_u32 << 16).to_le_bytes()].concat());
    call(&mut store, &instance, "memory-target", 4096);
    let realloc = instance
        .get_typed_func::<(i32, i32, i32, i32), i32>(&mut store, REALLOC)
        .expect("exported");
    let target = realloc.call(&mut store, (0, 0, 1, 100)).expect("called");
    assert_eq!(target, 4096);
}

/// As the engine calls it: the list, then the content of each entry, whose address it has written.
#[test]
fn the_parts_of_a_list_are_placed_at_their_addresses_and_the_counter_starts_anew() {
    let (mut store, instance) = instance();
    let memory = instance.get_memory(&mut store, MEMORY).expect("exported");
    let realloc = instance
        .get_typed_func::<(i32, i32, i32, i32), i32>(&mut store, REALLOC_PARTS)
        .expect("exported");
    let place_all = instance
        .get_typed_func::<(i32, i32), ()>(&mut store, "memory-place-all")
        .expect("exported");
    for _ in 0..2 {
        let list = realloc.call(&mut store, (0, 0, 4, 24)).expect("called");
        for (index, address) in [8192_i32, 4096].into_iter().enumerate() {
            let entry = list as usize + 12 * index;
            memory
                .write(&mut store, entry, &address.to_le_bytes())
                .expect("written");
            let content = realloc.call(&mut store, (0, 0, 8, 64)).expect("called");
            assert_eq!(content, address);
        }
        assert!(store.data().is_empty(), "{:?}", store.data());
        place_all.call(&mut store, (list, 2)).expect("called");
        assert_eq!(std::mem::take(store.data_mut()), [YIELDED]);
    }
}
