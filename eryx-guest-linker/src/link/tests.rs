//! Tests of linking: modules assembled from text, linked to a small image and run.

use wasmtime::{Instance, Store, Trap};

use super::test_image::image;
use super::{LinkError, NativeModule, link};
use crate::component::ImageParts;
use crate::error::Rejection;
use crate::limits;
use crate::yield_points::tests::instantiate_module;

/// Returns a module with everything that libraries import, and `definitions`.
fn library(definitions: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (@dylink.0 (mem-info (memory 32 4) (table 2 0)))
            (import "env" "memory" (memory 0))
            (import "env" "__indirect_function_table" (table 0 funcref))
            (import "env" "__stack_pointer" (global $sp (mut i32)))
            (import "env" "__memory_base" (global $base i32))
            (import "env" "__table_base" (global $table i32))
            (import "env" "add" (func $add (param i32 i32) (result i32)))
            (import "env" "call" (func $call (param i32) (result i32)))
            {definitions})"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn link_one(content: &[u8]) -> Result<Vec<u8>, LinkError> {
    let path = "/packages/hello.so";
    link(&image(), &[NativeModule { path, content }])
}

/// A linked image that runs, and ends when it yields too often.
struct Running {
    store: Store<usize>,
    instance: Instance,
}

impl Running {
    fn new(linked: &[u8]) -> Self {
        let parts = ImageParts::find(linked).expect("an image");
        let (store, instance) = instantiate_module(parts.module(), 20);
        Self { store, instance }
    }

    fn start(&mut self) -> wasmtime::Result<()> {
        let start = self
            .instance
            .get_typed_func::<(), ()>(&mut self.store, "start")?;
        start.call(&mut self.store, ())
    }

    fn word(&mut self, address: u32) -> u32 {
        let memory = self.instance.get_memory(&mut self.store, "memory");
        let data = memory.expect("exported").data(&self.store);
        let bytes = data[address as usize..][..4].try_into();
        u32::from_le_bytes(bytes.expect("four bytes"))
    }

    fn text(&mut self, address: u32) -> String {
        let (length, at) = (self.word(address) as usize, self.word(address + 4) as usize);
        let memory = self.instance.get_memory(&mut self.store, "memory");
        let data = memory.expect("exported").data(&self.store);
        String::from_utf8(data[at..at + length].to_vec()).expect("text")
    }

    /// Calls the only function of the only library that `dlopen` finds.
    fn run(&mut self) -> wasmtime::Result<i32> {
        let root = self.word(16);
        assert_eq!(self.word(root), 1);
        let library = self.word(root + 4);
        assert_eq!(self.text(library), "/packages/hello.so");
        assert_eq!(self.word(library + 8), 1);
        let symbol = self.word(library + 12);
        assert_eq!(self.text(symbol), "PyInit_hello");
        let slot = self.word(symbol + 8);
        let run = self
            .instance
            .get_typed_func::<u32, i32>(&mut self.store, "run")?;
        run.call(&mut self.store, slot)
    }
}

/// Links, starts and runs a module.
fn run(definitions: &str) -> wasmtime::Result<i32> {
    let linked = link_one(&library(definitions)).unwrap_or_else(|error| panic!("{error}"));
    let mut running = Running::new(&linked);
    running.start()?;
    running.run()
}

#[test]
fn a_module_uses_functions_data_and_tables_of_the_image_and_its_own() {
    let result = run(r#"
        (import "GOT.mem" "text" (global $text (mut i32)))
        (import "GOT.mem" "own" (global $own-address (mut i32)))
        (import "GOT.func" "in_table" (global $in-table (mut i32)))
        (import "GOT.func" "seven" (global $seven (mut i32)))
        (import "GOT.func" "own_function" (global $own-function (mut i32)))
        (global (export "own") i32 (i32.const 8))
        (data (global.get $base) "\05\00\00\00")
        (data (i32.add (global.get $base) (i32.const 8)) "\06\00\00\00")
        (data (i32.add (global.get $base) (i32.const 16)) "\64\00\00\00")
        (elem (global.get $table) func $entry)
        (func $entry (result i32) (i32.const 1000))
        (func (export "own_function") (result i32) (i32.const 10000))
        (start $begin)
        (func $begin (i32.store offset=12 (global.get $base) (i32.const 77)))
        (func (export "__wasm_apply_data_relocs")
            (if (i32.ne (i32.load offset=12 (global.get $base)) (i32.const 77))
                (then (unreachable)))
            (i32.store offset=12 (global.get $base) (global.get $table)))
        (func (export "__wasm_call_ctors")
            (i32.store offset=16 (global.get $base)
                (i32.add (i32.load offset=16 (global.get $base)) (i32.const 100))))
        (func $sum (param i32 i32) (result i32) (call $add (local.get 0) (local.get 1)))
        (func (export "PyInit_hello") (result i32)
            (i32.load offset=16 (global.get $base))
            (call $sum (i32.load (global.get $base)))
            (call $sum (i32.load (global.get $own-address)))
            (call $sum (i32.load8_u (global.get $text)))
            (call $sum (call $call (global.get $in-table)))
            (call $sum (call $call (global.get $seven)))
            (call $sum (call $call (i32.load offset=12 (global.get $base))))
            (call $sum (call $call (global.get $own-function)))
            (call $sum (i32.eq (global.get $in-table) (i32.const 1)))
            (call $sum (i32.gt_u (global.get $sp) (i32.const 0))))"#);
    let expected = 200 + 5 + 6 + i32::from(b'i') + 7 + 7 + 1000 + 10000 + 1 + 1;
    assert_eq!(result.expect("returned"), expected);
}

#[test]
fn no_index_of_the_image_changes() {
    let linked = link_one(&library(
        r#"(func (export "PyInit_hello") (result i32) (i32.const 1))"#,
    ))
    .expect("linked");
    let bodies = |component: &[u8]| {
        let parts = ImageParts::find(component).expect("an image");
        let mut bodies = Vec::new();
        for payload in wasmparser::Parser::new(0).parse_all(parts.module()) {
            if let wasmparser::Payload::CodeSectionEntry(body) = payload.expect("readable") {
                bodies.push(body.as_bytes().to_vec());
            }
        }
        bodies
    };
    let (before, after) = (bodies(&image()), bodies(&linked));
    assert_eq!(after.len(), before.len() + 1);
    for (index, body) in before.iter().enumerate() {
        // The first function, `start`, has another body.
        assert_eq!(after[index] == *body, index != 0, "{index}");
    }
    assert_eq!(
        linked,
        link_one(&library(
            r#"(func (export "PyInit_hello") (result i32) (i32.const 1))"#,
        ))
        .expect("linked")
    );
}

#[test]
fn several_modules_have_memory_and_tables_of_their_own() {
    let module = |text: &str| {
        library(&format!(
            r#"(data (global.get $base) "{text}") (elem (global.get $table) func 2)
               (func (export "PyInit_{text}") (result i32) (i32.load8_u (global.get $base)))"#
        ))
    };
    let (a, b) = (module("a"), module("b"));
    let modules = [("/packages/a.so", &a), ("/packages/b.so", &b)];
    let modules = modules.map(|(path, content)| NativeModule { path, content });
    let linked = link(&image(), &modules).expect("linked");
    let mut running = Running::new(&linked);
    running.start().expect("started");
    let root = running.word(16);
    assert_eq!(running.word(root), 2);
    let list = running.word(root + 4);
    for (entry, expected) in [(list, b'a'), (list + 16, b'b')] {
        let symbols = running.word(entry + 12);
        let slot = running.word(symbols + 8);
        let run = running
            .instance
            .get_typed_func::<u32, i32>(&mut running.store, "run")
            .expect("exported");
        let result = run.call(&mut running.store, slot).expect("returned");
        assert_eq!(result, i32::from(expected));
    }
}

#[test]
fn code_that_runs_for_ever_yields() {
    let ring: String = (0..10_000)
        .map(|index| {
            let next = (index + 1) % 10_000;
            format!("(func $ring{index} (result i32) (return_call $ring{next}))")
        })
        .collect();
    let init = |body: &str| format!(r#"(func (export "PyInit_hello") (result i32) {body})"#);
    for definitions in [
        init("(loop (br 0)) unreachable"),
        init("(loop (block (br_table 0 1 (i32.const 1)))  (br 0)) unreachable"),
        init("(loop (result i32) (br_if 0 (i32.const 1)) (br 0))"),
        init(
            "(loop (memory.fill (i32.const 4096) (i32.const 1) (i32.const 65536)) (br 0)) unreachable",
        ),
        init(
            "(loop (memory.copy (i32.const 4096) (i32.const 0) (i32.const 65536)) (br 0)) unreachable",
        ),
        init("(loop (drop (memory.grow (i32.const 0))) (br 0)) unreachable"),
        // Through a table, and through the image.
        format!(
            "(elem (global.get $table) func $self)
             (func $self (result i32) (return_call_indirect (result i32) (global.get $table)))
             {}",
            init("(return_call $self)")
        ),
        format!("{ring} {}", init("(return_call $ring0)")),
        format!(
            r#"(import "env" "again" (func $again (result i32)))
               (func (export "again") (result i32) (return_call $again))
               {}"#,
            init("(return_call $again)")
        ),
        format!(
            "{} (func $begin (loop (br 0))) (start $begin)",
            init("(i32.const 1)")
        ),
        format!(
            r#"{} (func (export "__wasm_call_ctors") (loop (br 0)))"#,
            init("(i32.const 1)")
        ),
    ] {
        let error = run(&definitions).expect_err("ended");
        let short: String = definitions.chars().take(100).collect();
        assert_eq!(error.root_cause().to_string(), "too many yields", "{short}");
    }
}

/// Without a yield point in the caller of `call_back`, this would take hours.
#[test]
fn a_function_of_the_image_that_was_in_no_table_yields_when_it_is_called_through_one() {
    let error = run(r#"
        (import "GOT.func" "call" (global $call-back (mut i32)))
        (elem (global.get $table) func $twice)
        (func $twice (result i32) (local $depth i32)
            (drop (call $call (global.get $table)))
            (call $call (global.get $table)))
        (func (export "PyInit_hello") (result i32)
            (drop (i32.load (global.get $call-back))) (call $twice))"#)
    .expect_err("ended");
    assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow));
}

/// The functions of the tests of tables, and what calls a function that is stored at an address.
const SHORT_FUNCTIONS: &str = r#"
    (@dylink.0 (mem-info (memory 512 4) (table 5 0)))
    (elem (global.get $table) func $none $one $two $three $other)
    (func $none (result i32) (i32.const 10))
    (func $one (param i32) (result i32) (i32.add (local.get 0) (i32.const 20)))
    (func $two (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func $three (param i32 i32 i32) (result i32)
        (i32.add (local.get 0) (i32.add (local.get 1) (local.get 2))))
    (func $other (param i32 f64) (result i32) (i32.const 0))
    (func $with-one (param $at i32) (result i32)
        (call_indirect (param i32) (result i32)
            (i32.const 1) (i32.load (i32.add (global.get $base) (local.get $at)))))
    (func $with-two (param $at i32) (result i32)
        (call_indirect (param i32 i32) (result i32)
            (i32.const 1) (i32.const 2)
            (i32.load (i32.add (global.get $base) (local.get $at)))))
    (func $with-three (param $at i32) (result i32)
        (call_indirect (param i32 i32 i32) (result i32)
            (i32.const 1) (i32.const 2) (i32.const 3)
            (i32.load (i32.add (global.get $base) (local.get $at)))))
    (data (i32.add (global.get $base) (i32.const 500)) "name\00")"#;

/// Returns the function that stores addresses, as `wasm-ld` makes it. Each entry has where an
/// address is stored, and the name of the global that another number is added to.
fn relocations(entries: &[(u32, &str, u32)]) -> String {
    let stores: String = entries
        .iter()
        .map(|(at, base, number)| {
            format!(
                "(i32.store (i32.add (global.get $base) (i32.const {at}))
                    (i32.add (global.get {base}) (i32.const {number})))\n"
            )
        })
        .collect();
    format!(r#"(func (export "__wasm_apply_data_relocs") {stores})"#)
}

/// Where the name of a method is.
const NAME: (&str, u32) = ("$base", 500);

/// Returns data: a word at an address.
fn word(at: u32, value: u32) -> String {
    let [a, b, c, d] = value.to_le_bytes();
    format!(
        r#"(data (i32.add (global.get $base) (i32.const {at})) "\{a:02x}\{b:02x}\{c:02x}\{d:02x}")"#
    )
}

#[test]
fn methods_are_called_with_more_parameters_than_they_have() {
    let init = r#"(func (export "PyInit_hello") (result i32)
        (call $add (call $with-two (i32.const 68)) (call $with-two (i32.const 84)))
        (call $add (call $with-two (i32.const 100)))
        (call $add (call $with-three (i32.const 116))))"#;
    let methods = [(64, 4), (80, 0x18), (96, 1), (112, 3)];
    let flags: String = methods.map(|(at, flags)| word(at + 8, flags)).concat();
    let functions = (0..).zip(methods).flat_map(|(index, (at, _))| {
        let (base, name) = NAME;
        // The last one has no documentation.
        let documentation = (index < 3).then_some((at + 12, base, name));
        [(at, base, name), (at + 4, "$table", index.min(2))]
            .into_iter()
            .chain(documentation)
    });
    let functions: Vec<_> = functions.collect();
    for (table, definition) in [
        // A module: its reference count, its name and its size.
        (
            [(20, NAME.0, NAME.1), (32, "$base", 64)],
            word(0, 1) + &word(28, u32::MAX),
        ),
        // A slot of a type.
        ([(20, NAME.0, NAME.1), (36, "$base", 64)], word(32, 64)),
        // A type object.
        (
            [(236, NAME.0, NAME.1), (340, "$base", 64)],
            word(224, 1) + &word(240, 16),
        ),
    ] {
        let relocations = relocations(&[&table[..], &functions].concat());
        let result = run(&format!(
            "{SHORT_FUNCTIONS} {flags} {definition} {relocations} {init}"
        ));
        let expected = 10 + (1 + 20) + (1 + 2) + (1 + 2);
        assert_eq!(result.expect("returned"), expected, "{definition}");
    }
}

/// The code of a module assigns such a table to a type: no data has its address.
#[test]
fn methods_in_a_table_without_a_reference_are_called_with_more_parameters_than_they_have() {
    let (base, name) = NAME;
    let init = r#"(func (export "PyInit_hello") (result i32)
        (call $add (call $with-two (i32.const 68)) (call $with-two (i32.const 84))))"#;
    let relocations = relocations(&[
        (64, base, name),
        (68, "$table", 1),
        (76, base, name),
        (80, base, name),
        (84, "$table", 2),
    ]);
    let flags = word(72, 4) + &word(88, 8);
    let result = run(&format!("{SHORT_FUNCTIONS} {flags} {relocations} {init}"));
    assert_eq!(result.expect("returned"), (1 + 20) + (1 + 2));
}

#[test]
fn getters_and_setters_are_called_with_more_parameters_than_they_have() {
    let init = r#"(func (export "PyInit_hello") (result i32)
        (call $add (call $with-two (i32.const 68)) (call $with-three (i32.const 72)))
        (call $add (call $with-two (i32.const 88)))
        (call $add (call $with-three (i32.const 92))))"#;
    let (base, name) = NAME;
    let attributes = [
        (64, base, name),
        (68, "$table", 1),
        (72, "$table", 2),
        (84, base, name),
        (88, "$table", 2),
        (92, "$table", 3),
    ];
    for (table, definition) in [
        ([(20, base, name), (36, "$base", 64)], word(32, 73)),
        ([(236, base, name), (348, "$base", 64)], word(224, 1)),
    ] {
        let relocations = relocations(&[&table[..], &attributes].concat());
        let result = run(&format!(
            "{SHORT_FUNCTIONS} {definition} {relocations} {init}"
        ));
        let expected = (1 + 20) + (1 + 2) + (1 + 2) + (1 + 2 + 3);
        assert_eq!(result.expect("returned"), expected, "{definition}");
    }
}

#[test]
fn functions_that_cpython_does_not_find_in_a_table_keep_their_parameters() {
    let (base, name) = NAME;
    let method = [(64, base, name), (68, "$table", 1)];
    let slot = (36, "$base", 64);
    // With all parameters of its flags (METH_O).
    let full = [(80, base, name), (84, "$table", 2)];
    let init = r#"(func (export "PyInit_hello") (result i32) (call $with-one (i32.const 68)))"#;
    let entries = |first: &[(u32, &'static str, u32)], second: &[(u32, &'static str, u32)]| {
        relocations(&[first, second].concat())
    };
    for (case, definitions) in [
        ("in no table", entries(&method, &[]) + &word(72, 4)),
        (
            "a table without an end",
            entries(&method, &full) + &word(72, 4) + &word(88, 8) + &word(100, 1),
        ),
        (
            "more parameters than CPython passes",
            entries(&method, &[(80, base, name), (84, "$table", 3)]) + &word(72, 4) + &word(88, 8),
        ),
        (
            "a function of a type that no method has",
            entries(&method, &[(80, base, name), (84, "$table", 4)]) + &word(72, 4) + &word(88, 8),
        ),
        (
            "a function in place of the documentation",
            entries(&[method[0], method[1], (76, "$table", 1)], &full)
                + &word(72, 4)
                + &word(88, 8),
        ),
        (
            "a slot of another number",
            entries(&method, &[slot]) + &word(72, 4) + &word(32, 65),
        ),
        (
            "an address in place of the flags",
            entries(&method, &[slot, (72, base, 4)]) + &word(32, 64),
        ),
        (
            "unknown flags",
            entries(&method, &[slot]) + &word(72, 5) + &word(32, 64),
        ),
        (
            "no name",
            entries(&[(64, base, 400), (68, "$table", 1)], &[slot]) + &word(72, 4) + &word(32, 64),
        ),
        (
            "a branch in the function that stores",
            entries(&method, &[slot]).replacen("(i32.store", "(block (br 0)) (i32.store", 1)
                + &word(72, 4)
                + &word(32, 64),
        ),
    ] {
        let result = run(&format!("{SHORT_FUNCTIONS} {definitions} {init}"));
        assert_eq!(result.expect(case), 21, "{case}");
    }
}

#[test]
fn tables_lie_in_the_memory_of_their_module_and_are_limited() {
    let (base, name) = NAME;
    let outside = [(36, base, 508), (508, base, name), (512, "$table", 1)];
    let reason = rejection(&library(&format!(
        "{SHORT_FUNCTIONS} {} {}",
        word(32, 73),
        relocations(&outside)
    )));
    assert_eq!(reason, Rejection::OutOfBounds("the address of a function"));

    let count = limits::REPLACED_WORDS as u32 + 1;
    let entries = (0..count).flat_map(|index| {
        let at = 512 + 16 * index;
        [(at, base, name), (at + 4, "$table", 1)]
    });
    let entries: Vec<_> = [(36, base, 512)].into_iter().chain(entries).collect();
    let flags = r"\00\00\00\00\00\00\00\00\04\00\00\00\00\00\00\00".repeat(count as usize);
    let reason = rejection(&library(&format!(
        r#"{SHORT_FUNCTIONS} (@dylink.0 (mem-info (memory {} 4) (table 5 0)))
           (data (i32.add (global.get $base) (i32.const 512)) "{flags}") {} {}"#,
        512 + 16 * (count + 1),
        word(32, 64),
        relocations(&entries)
    )));
    let expected = "functions with fewer parameters than CPython passes is at most 20000";
    assert!(reason.to_string().contains(expected), "{reason}");
}

#[test]
fn endless_recursion_ends_with_the_native_stack() {
    for body in [
        "(call $again (local.get 0))",
        "(i32.add (call $again (local.get 0)) (call $again (local.get 0)))",
    ] {
        let error = run(&format!(
            r#"(func $again (param i32) (result i32) {body})
               (func (export "PyInit_hello") (result i32) (call $again (i32.const 1)))"#
        ))
        .expect_err("ended");
        assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow));
    }
}

#[test]
fn missing_weak_symbols_are_null_and_trap_when_they_are_called() {
    let module = |call: &str| {
        format!(
            r#"(@dylink.0 (mem-info (memory 32 4) (table 2 0))
                (import-info "env" "maybe" binding-weak undefined))
               (import "GOT.func" "maybe" (global $maybe (mut i32)))
               (import "env" "maybe" (func $call-maybe (result i32)))
               (func (export "PyInit_hello") (result i32) {call})"#
        )
    };
    // `library` has a section of its own, and the last one counts.
    assert_eq!(run(&module("(global.get $maybe)")).expect("returned"), 0);
    let error = run(&module("(call $call-maybe)")).expect_err("trapped");
    assert_eq!(error.downcast_ref(), Some(&Trap::UnreachableCodeReached));
}

fn rejection(content: &[u8]) -> Rejection {
    let error = link_one(content).map(drop).expect_err("rejected");
    assert_eq!(error.module, "/packages/hello.so");
    error.reason
}

#[test]
fn imports_that_the_image_does_not_have_are_rejected_by_name() {
    for row in [
        r#"(import "env" "fork" (func (result i32))) (import "GOT.mem" "environ" (global (mut i32)))
               (import "GOT.func" "execve" (global (mut i32)))
           | needs symbols that sandboxes do not have: fork, environ, execve"#,
        r#"(import "wasi_snapshot_preview1" "sock_open" (func (result i32)))
           | imports the function sock_open from wasi_snapshot_preview1"#,
        r#"(import "$root" "yield-now" (func)) | imports the function yield-now from $root"#,
        r#"(import "host" "0" (func)) | imports the function 0 from host"#,
        r#"(import "env" "counter" (global (mut i32))) | imports the global counter from env"#,
        r#"(import "env" "other" (table 1 funcref)) | imports the table other from env"#,
        r#"(import "GOT.mem" "text" (global (mut i64))) | imports the global text from GOT.mem"#,
        r#"(import "env" "__stack_pointer" (global i32))
           | imports the global __stack_pointer from env"#,
        r#"(import "env" "seven" (func (result i64)))
           | calls seven with the type (func (result i64)), but its type is (func (result i32))"#,
    ] {
        let (definitions, expected) = row.split_once("| ").expect(row);
        let reason = rejection(&library(definitions)).to_string();
        assert!(reason.starts_with(expected), "{reason}");
    }
    let many: String = (0..20)
        .map(|index| format!(r#"(import "env" "f{index}" (func))"#))
        .collect();
    let reason = rejection(&library(&many)).to_string();
    assert!(reason.ends_with("f6, f7 and 12 more"), "{reason}");
}

#[test]
fn modules_that_are_no_libraries_are_rejected_with_the_reason() {
    let text = |text: &str| wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let check = |content: &[u8], expected: &str| {
        let reason = rejection(content).to_string();
        assert!(reason.contains(expected), "{expected}: {reason}");
    };
    check(b"\x7fELF", "is not valid WebAssembly");
    check(&text("(component)"), "is a component");
    check(&text("(module)"), "is no shared library");
    check(&text("(module (memory 1))"), "has a memory of its own");
    for row in [
        r#"(import "env" "nothing" (func $nothing)) (start $nothing)
           | starts with an imported function"#,
        "(tag) | throws exceptions",
        "(global (mut i32) (i32.const 0)) | has a mutable global",
        "(table 1 funcref) | has a table of its own",
        r#"(data "passive") | has a passive data segment"#,
        "(func $f) (elem func $f) | has a passive element segment",
        "(func $f) (elem (global.get $table) funcref (ref.func $f)) \
         | has elements that are not functions",
        "(elem (global.get $table) func $add) | puts imported functions into its table",
        "(func (table.set (i32.const 0) (ref.null func))) | changes a table",
        r#"(import "GOT.mem" "text" (global $text (mut i32)))
           (func (global.set $text (i32.const 1))) | changes the address of a symbol"#,
        r#"(func (export "__wasm_call_ctors") (param i32)) | has a constructor with parameters"#,
        r#"(data (i32.const 0) "image") | has a data segment outside the space"#,
        r#"(data (i32.add (global.get $base) (i32.const 30)) "image")
           | has a data segment outside the space"#,
        r#"(data (i32.sub (global.get $base) (i32.const 1)) "image")
           | has a data segment outside the space"#,
        "(func $f) (elem (i32.const 1) func $f) | has an element segment outside the space",
        "(func $f) (elem (global.get $table) func $f $f $f) \
         | has an element segment outside the space",
        "(func (drop (i32.atomic.load (i32.const 0)))) | is not valid WebAssembly",
        "(func (result i32) (i64.const 1)) | is not valid WebAssembly",
    ] {
        let (definitions, expected) = row.split_once("| ").expect(row);
        check(&library(definitions), expected);
    }
}

#[test]
fn modules_that_exceed_a_limit_are_rejected_with_the_limit() {
    let sized = |dylink: &str| library(&format!("(@dylink.0 (mem-info {dylink})) (func)"));
    let mut oversized = b"\0asm\x01\0\0\0".to_vec();
    oversized.resize(200 << 20, 0);
    let locals = format!(
        "(func (local {}))",
        "i32 ".repeat(limits::FUNCTION_LOCALS as usize + 1)
    );
    let long = format!(
        "(func {})",
        "(drop (i32.const 1))".repeat(limits::FUNCTION_BYTES / 3 + 1)
    );
    let function = |locals: usize, blocks: usize| {
        let (locals, blocks) = ("i32 ".repeat(locals), "(block)".repeat(blocks));
        format!("(func (local {locals}) {blocks})")
    };
    let most_blocks = limits::FUNCTION_BLOCKS as usize;
    let branches = format!("(br_table {} (i32.const 0))", "0 ".repeat(most_blocks + 1));
    let sum = "i32.const 0 ".to_owned() + &"i32.const 0 i32.add ".repeat(21);
    let parameters = "i32 ".repeat(limits::PARAMETERS + 1);
    let results = "i32 ".repeat(limits::RESULTS + 1);
    let names = format!(
        r#"(import "env" "{}" (func)) (import "env" "{}" (func))"#,
        "a".repeat(99_999),
        "b".repeat(limits::NAME_BYTES / 100)
    );
    assert!(matches!(
        rejection(&library(&names)),
        Rejection::UnknownSymbols(_)
    ));
    for (content, expected) in [
        (oversized, "the size of a module in bytes"),
        (
            sized("(memory 4294967295 0) (table 0 0)"),
            "memory of the data",
        ),
        (sized("(memory 0 31) (table 0 0)"), "an alignment"),
        (
            sized("(memory 0 0) (table 4294967295 0)"),
            "entries of the function table",
        ),
        (sized("(memory 0 0) (table 0 20)"), "an alignment"),
        (library(&locals), "local variables"),
        (library(&long), "the size of a function"),
        (
            library(&function(0, most_blocks + 1)),
            "blocks and branches of a function",
        ),
        (
            library(&format!("(func {branches})")),
            "blocks and branches of a function",
        ),
        (
            library(&function(4_001, 1_000)),
            "the product of the blocks and the local variables of a function",
        ),
        (
            library(&function(0, most_blocks).repeat(8)),
            "the sum of the squares of the blocks of all functions",
        ),
        (
            library(&function(2_000, 2_000).repeat(31)),
            "the sum of the products",
        ),
        (library(&"(func)".repeat(100_001)), "functions"),
        (
            library(&"(global i32 (i32.const 0))".repeat(50_001)),
            "entries of a section",
        ),
        (
            library(&format!("(global i32 {sum})")),
            "the size of a constant expression",
        ),
        (
            library(&format!("(data (offset {sum}) \"\")")),
            "the size of a constant expression",
        ),
        (
            library(&format!("(func $f) (elem (offset {sum}) func $f)")),
            "the size of a constant expression",
        ),
        (
            library(&format!("(type (func (param {parameters})))")),
            "parameters of a function",
        ),
        (
            library(&format!("(type (func (result {results})))")),
            "results of a function",
        ),
    ] {
        let reason = rejection(&content).to_string();
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
    let hello = library(r#"(func (export "PyInit_hello") (result i32) (i32.const 1))"#);
    let modules = vec![
        NativeModule {
            path: "/packages/hello.so",
            content: &hello
        };
        limits::MODULES + 1
    ];
    let error = link(&image(), &modules).map(drop).expect_err("rejected");
    assert!(
        error.to_string().contains("modules is at most 256"),
        "{error}"
    );
    let half = with_locals(limits::LOCALS / 2 + 1);
    let modules = ["/packages/a.so", "/packages/b.so"].map(|path| NativeModule {
        path,
        content: &half,
    });
    link(&image(), &modules[..1]).expect("within the limit");
    let error = link(&image(), &modules).map(drop).expect_err("rejected");
    assert_eq!(error.module, "/packages/b.so");
    assert!(
        error.to_string().contains("variables of all functions"),
        "{error}"
    );
}

/// Returns a library with as many local variables, in functions with as many as one may have.
fn with_locals(count: u64) -> Vec<u8> {
    let mut module = wasm_encoder::Module::new();
    // No memory, and no entries of the table.
    module.section(&wasm_encoder::CustomSection {
        name: "dylink.0".into(),
        data: vec![1, 4, 0, 0, 0, 0].into(),
    });
    let mut types = wasm_encoder::TypeSection::new();
    types.ty().function([], []);
    let mut functions = wasm_encoder::FunctionSection::new();
    let mut code = wasm_encoder::CodeSection::new();
    for _ in 0..count.div_ceil(limits::FUNCTION_LOCALS.into()) {
        functions.function(0);
        let locals = [(limits::FUNCTION_LOCALS, wasm_encoder::ValType::I32)];
        let mut function = wasm_encoder::Function::new(locals);
        function.instruction(&wasm_encoder::Instruction::End);
        code.function(&function);
    }
    module.section(&types);
    module.section(&functions);
    module.section(&code);
    module.finish()
}

#[test]
fn a_component_without_symbols_is_rejected() {
    let component = wat::parse_str("(component (core module))").expect("assembles");
    let error = link(&component, &[]).map(drop).expect_err("rejected");
    assert!(error.to_string().contains("has no symbol table"), "{error}");
}

/// Changes bytes of a module by a fixed sequence. What is accepted has to be valid.
#[test]
fn a_changed_module_is_rejected_or_gives_a_valid_image() {
    let module = library(
        r#"(import "GOT.func" "seven" (global $seven (mut i32)))
           (data (global.get $base) "\05\00\00\00")
           (elem (global.get $table) func $entry)
           (func $entry (result i32) (i32.const 1000))
           (func (export "__wasm_call_ctors") (loop (br_if 0 (i32.const 0))))
           (func (export "PyInit_hello") (result i32) (call $call (global.get $seven)))"#,
    );
    let image = image();
    let mut state = 1_u64;
    let mut next = |limit: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % limit
    };
    let mut accepted = 0;
    for _ in 0..1_000 {
        let mut changed = module.clone();
        for _ in 0..=next(2) {
            let at = 8 + next(changed.len() - 8);
            changed[at] = changed[at].wrapping_add(1 + next(255) as u8);
        }
        let path = "/packages/hello.so";
        let modules = [NativeModule {
            path,
            content: &changed,
        }];
        if let Ok(linked) = link(&image, &modules) {
            accepted += 1;
            wasmparser::Validator::new()
                .validate_all(&linked)
                .expect("valid");
        }
    }
    assert!(accepted > 20, "{accepted}");
}
