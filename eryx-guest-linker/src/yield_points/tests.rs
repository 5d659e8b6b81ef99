//! Tests of yield points: modules that run for long, and how often they yield.

use std::collections::BTreeSet;

use wasmparser::{Operator, Parser, Payload};
use wasmtime::{Engine, Linker, Store, bail};

use super::bulk_memory::CHUNK;
use super::writer::ALLOWANCE;
use super::{BUDGET, Inputs, add_yield_points};

/// Returns an instance of the module in `text`, which traps when it yields more than `max_yields`
/// times.
fn instantiate(text: &str, max_yields: usize) -> (Store<usize>, wasmtime::Instance) {
    let module = wat::parse_str(text).expect("assembles");
    let inputs = Inputs {
        yield_import: 0,
        non_yielding: BTreeSet::from(["non-yielding"]),
    };
    let (module, _) = add_yield_points(&module, &inputs).expect("rewritten");
    instantiate_module(&module, max_yields)
}

/// Returns an instance of a module with yield points, which traps when it yields more than
/// `max_yields` times.
pub(crate) fn instantiate_module(
    module: &[u8],
    max_yields: usize,
) -> (Store<usize>, wasmtime::Instance) {
    let engine = Engine::default();
    let module = wasmtime::Module::new(&engine, module).expect("valid");
    let mut linker = Linker::<usize>::new(&engine);
    let yield_now = move |mut caller: wasmtime::Caller<'_, usize>| {
        *caller.data_mut() += 1;
        if *caller.data() > max_yields {
            bail!("too many yields");
        }
        Ok(())
    };
    linker
        .func_wrap("host", "yield", yield_now)
        .expect("defined");
    linker.func_wrap("host", "other", || ()).expect("defined");
    let mut store = Store::new(&engine, 0);
    let instance = linker
        .instantiate(&mut store, &module)
        .expect("instantiated");
    (store, instance)
}

/// Returns how often the module in `text` yields until its functions return, or an error when it
/// yields more than `max_yields` times.
fn count_yields(text: &str, max_yields: usize) -> wasmtime::Result<usize> {
    let (mut store, instance) = instantiate(text, max_yields);
    for name in ["run", "non-yielding"] {
        if let Ok(run) = instance.get_typed_func::<(), ()>(&mut store, name) {
            run.call(&mut store, ())?;
        }
    }
    Ok(*store.data())
}

/// Returns the text of a module that has everything the tests use, with `body` as function `run`.
fn module(body: &str) -> String {
    format!(
        r#"(module
            (import "host" "yield" (func $yield))
            (import "host" "other" (func $other))
            (memory 1024)
            (table 2 funcref)
            (table (export "open") 1 funcref)
            (elem (table 0) (i32.const 0) func $indirect)
            (elem (table 1) (i32.const 0) func $other)
            (type $unit (func))
            (type $bulk (func (param i32 i32 i32)))
            (type $recursive (func (param i32)))
            (global $sp (mut i32) (i32.const 0))
            (func $forth (type $recursive)
                (if (local.get 0) (then
                    (call $back (i32.sub (local.get 0) (i32.const 1)))
                    (call $back (i32.sub (local.get 0) (i32.const 1))))))
            (func $back (type $recursive) (call $forth (local.get 0)))
            (func $indirect (type $recursive)
                (if (local.get 0) (then
                    (call_indirect (type $recursive) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))
                    (call_indirect (type $recursive) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))
            (func (export "run") (type $unit) (local $n i32) {body}))"#
    )
}

/// Returns a loop that runs `body` `count` times.
fn repeat(count: u32, body: &str) -> String {
    format!(
        "(local.set $n (i32.const {count}))
         (loop $again {body}
            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
    )
}

#[test]
fn short_code_does_not_yield() {
    assert_eq!(count_yields(&module("nop"), 0).expect("returned"), 0);
    assert_eq!(
        count_yields(&module(&repeat(1000, "")), 0).expect("returned"),
        0
    );
}

#[test]
fn endless_loop_yields_repeatedly() {
    let error = count_yields(&module("(loop (br 0))"), 100).expect_err("ended");
    assert_eq!(error.root_cause().to_string(), "too many yields");
}

#[test]
fn loop_yields_once_per_budget_of_iterations() {
    let budget = u32::try_from(BUDGET).expect("positive");
    let body = repeat(10 * budget, "");
    assert_eq!(count_yields(&module(&body), 10).expect("returned"), 9);
}

#[test]
fn code_that_yields_by_itself_starts_the_counter_anew() {
    let budget = u32::try_from(BUDGET).expect("positive");
    let part = repeat(budget - 1, "");
    let body = format!("{part} (call $yield) {part}");
    assert_eq!(count_yields(&module(&body), 10).expect("returned"), 1);
}

#[test]
fn recursive_calls_yield_without_a_loop() {
    for call in [
        "(call $forth (i32.const 20))",
        "(call $back (i32.const 20))",
        "(call_indirect (type $recursive) (i32.const 20) (i32.const 0))",
    ] {
        let count = count_yields(&module(call), usize::MAX).expect("returned");
        assert!((10..=40).contains(&count), "{call}: {count}");
    }
}

#[test]
fn filling_and_copying_memory_decrement_the_counter_by_size() {
    for operation in [
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0x4000000))",
        "(memory.copy (i32.const 0) (i32.const 0) (i32.const 0x4000000))",
    ] {
        // Each decrements the counter by 1 Mi (64 bytes each), which makes 16 yields.
        let count = count_yields(&module(&repeat(4, operation)), 100).expect("returned");
        assert!((60..=65).contains(&count), "{operation}: {count}");
    }
}

#[test]
fn chunked_fill_and_copy_match_the_instructions() {
    let chunk = usize::try_from(CHUNK).expect("positive");
    let pattern: Vec<u8> = (0..8 * chunk)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect();
    for (to, from, size) in [
        (0, 3 * chunk, chunk),
        (3 * chunk, 0, chunk + 1),
        (100, 0, 3 * chunk + 5),
        (0, 100, 3 * chunk + 5),
        (chunk, 0, 4 * chunk),
        (0, chunk, 4 * chunk),
        (7, 7, 2 * chunk),
        (5, 9, 0),
    ] {
        for (operation, fills) in [("copy", false), ("fill", true)] {
            let text = module(&format!(
                "(memory.{operation} (i32.const {to}) (i32.const {from}) (i32.const {size}))"
            ));
            let text = text.replace("(memory 1024)", r#"(memory (export "memory") 1024)"#);
            let (mut store, instance) = instantiate(&text, usize::MAX);
            let memory = instance.get_memory(&mut store, "memory").expect("exported");
            memory.data_mut(&mut store)[..pattern.len()].copy_from_slice(&pattern);
            let run = instance.get_typed_func::<(), ()>(&mut store, "run");
            run.expect("exported")
                .call(&mut store, ())
                .expect("returned");
            let mut expected = pattern.clone();
            if fills {
                expected[to..to + size].fill(from as u8);
            } else {
                expected.copy_within(from..from + size, to);
            }
            let same = memory.data(&store)[..pattern.len()] == expected[..];
            assert!(same, "{operation} {to} {from} {size}");
        }
    }
}

#[test]
fn every_host_call_is_followed_by_a_yield() {
    for call in [
        "(call $other)",
        "(call_indirect 1 (type $unit) (i32.const 0))",
    ] {
        let count = count_yields(&module(&repeat(7, call)), 7).expect("returned");
        assert_eq!(count, 7, "{call}");
    }
}

#[test]
fn growing_memory_costs_more_than_an_iteration() {
    let grow = repeat(320, "(drop (memory.grow (i32.const 0)))");
    let count = count_yields(&module(&grow), 20).expect("returned");
    assert!((9..=10).contains(&count), "{count}");
}

/// A call of the host would end the program there, by the canonical ABI.
#[test]
fn non_yielding_function_yields_only_when_its_allowance_is_used_up() {
    let budget = u32::try_from(BUDGET).expect("positive");
    let non_yielding = |body: &str| {
        let text = module(&repeat(budget / 2 + 1, ""));
        let text = text.strip_suffix(')').expect("its end");
        format!(r#"{text} (func (export "non-yielding") (local $n i32) {body}))"#)
    };
    // It does not decrement the counter of other functions.
    let within = count_yields(&non_yielding(&repeat(3 * budget, "")), 0);
    assert_eq!(within.expect("returned"), 0);
    let error = count_yields(&non_yielding("(loop (br 0))"), 0).expect_err("ended");
    assert_eq!(error.root_cause().to_string(), "too many yields");
}

/// A call of the host may allocate thousands of values one by one.
#[test]
fn non_yielding_calls_between_two_yields_share_the_allowance() {
    let allowance = u32::try_from(ALLOWANCE).expect("positive");
    let one_tenth = repeat(allowance / 10, "");
    let text = module("(call $other)");
    let text = text.strip_suffix(')').expect("its end");
    let text = format!(r#"{text} (func (export "non-yielding") (local $n i32) {one_tenth}))"#);
    let (mut store, instance) = instantiate(&text, usize::MAX);
    let function = |store: &mut Store<usize>, name| {
        instance
            .get_typed_func::<(), ()>(store, name)
            .expect("exported")
    };
    let (run, non_yielding) = (
        function(&mut store, "run"),
        function(&mut store, "non-yielding"),
    );
    for _ in 0..3 {
        for _ in 0..9 {
            non_yielding.call(&mut store, ()).expect("within it");
        }
        assert_eq!(*store.data(), 0);
        run.call(&mut store, ()).expect("returned");
        *store.data_mut() = 0;
    }
    for _ in 0..11 {
        non_yielding.call(&mut store, ()).expect("returned");
    }
    assert!(
        *store.data() > 0,
        "the last call yields, for which the host would end the program"
    );
}

#[test]
fn every_check_of_the_counter_has_a_branch_hint() {
    let text = module(
        "(loop (br_if 0 (i32.const 0))) (memory.fill (i32.const 0) (i32.const 0) (i32.const 9))",
    );
    let inputs = Inputs {
        yield_import: 0,
        non_yielding: BTreeSet::new(),
    };
    let module = wat::parse_str(text).expect("assembles");
    let (module, _) = add_yield_points(&module, &inputs).expect("rewritten");
    let (mut checks, mut hints) = (0, 0);
    for payload in Parser::new(0).parse_all(&module) {
        match payload.expect("readable") {
            Payload::CodeSectionEntry(body) => {
                let operators = body.get_operators_reader().expect("readable");
                let ifs = operators.into_iter().filter(|operator| {
                    matches!(
                        operator,
                        Ok(Operator::If {
                            blockty: wasmparser::BlockType::Empty
                        })
                    )
                });
                checks += ifs.count();
            }
            Payload::CustomSection(section) => {
                if let wasmparser::KnownCustom::BranchHints(section) = section.as_known() {
                    for function in section {
                        hints += function.expect("readable").hints.count();
                    }
                }
            }
            _ => {}
        }
    }
    // Two ifs are the module's own, and four ask whether another chunk follows.
    assert_eq!(checks, hints as usize + 2 + 4);
    assert_eq!(
        hints, 11,
        "a loop, two recursive functions, three of filling, five of copying"
    );
}

#[test]
fn modules_that_cannot_be_analysed_are_rejected() {
    let assert_rejected = |text: &str, yield_import: u32, reason: &str| {
        let module = wat::parse_str(text).expect("assembles");
        let inputs = Inputs {
            yield_import,
            non_yielding: BTreeSet::new(),
        };
        let error = add_yield_points(&module, &inputs).expect_err("rejected");
        let error = format!("{error:#}");
        assert!(error.contains(reason), "{error}");
    };
    let import = r#"(import "host" "yield" (func $yield)) (global (mut i32) (i32.const 0))"#;
    assert_rejected(
        &format!("(module {import} (func))"),
        1,
        "does not import the function that yields",
    );
    assert_rejected(
        &format!("(module {import} (func (return_call $yield)))"),
        0,
        "tail-calls the host",
    );
    assert_rejected(
        &format!(
            "(module {import} (table 1 funcref) (func (table.set (i32.const 0) (ref.null func))))"
        ),
        0,
        "into its table while it runs",
    );
    assert_rejected(
        &format!(r#"(module (import "a" "b" (table 1 funcref)) {import})"#),
        0,
        "imports a table",
    );
}
