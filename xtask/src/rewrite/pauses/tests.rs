//! Modules that run for long, and how often they give way.

use wasmparser::{Operator, Payload};
use wasmtime::{Engine, Linker, Store, bail};

use super::pieces::PIECE;
use super::writer::GRACE;
use super::*;

/// An instance of the module of `text`, which fails once it has given way `patience` times.
fn started(text: &str, patience: usize) -> (Store<usize>, wasmtime::Instance) {
    let module = wat::parse_str(text).expect("assembles");
    let known = Known {
        pause: 0,
        shielded: BTreeSet::from(["shielded"]),
    };
    let module = add(&module, &known).expect("rewritten");
    let engine = Engine::default();
    let module = wasmtime::Module::new(&engine, module).expect("valid");
    let mut linker = Linker::<usize>::new(&engine);
    let pause = move |mut caller: wasmtime::Caller<'_, usize>| {
        *caller.data_mut() += 1;
        if *caller.data() > patience {
            bail!("enough");
        }
        Ok(())
    };
    linker.func_wrap("host", "pause", pause).expect("defined");
    linker.func_wrap("host", "other", || ()).expect("defined");
    let mut store = Store::new(&engine, 0);
    let instance = linker
        .instantiate(&mut store, &module)
        .expect("instantiated");
    (store, instance)
}

/// How often the module of `text` gives way until its function `run` returns, or an error once it has `patience` times.
fn pauses(text: &str, patience: usize) -> wasmtime::Result<usize> {
    let (mut store, instance) = started(text, patience);
    for name in ["run", "shielded"] {
        if let Ok(run) = instance.get_typed_func::<(), ()>(&mut store, name) {
            run.call(&mut store, ())?;
        }
    }
    Ok(*store.data())
}

/// A module with what each of these needs; `run` is `body`.
fn module(body: &str) -> String {
    format!(
        r#"(module
            (import "host" "pause" (func $pause))
            (import "host" "other" (func $other))
            (memory 1024)
            (table 2 funcref)
            (table (export "open") 1 funcref)
            (elem (table 0) (i32.const 0) func $through)
            (elem (table 1) (i32.const 0) func $other)
            (type $none (func))
            (type $bulk (func (param i32 i32 i32)))
            (type $deep (func (param i32)))
            (global $sp (mut i32) (i32.const 0))
            (func $circle (type $deep)
                (if (local.get 0) (then
                    (call $back (i32.sub (local.get 0) (i32.const 1)))
                    (call $back (i32.sub (local.get 0) (i32.const 1))))))
            (func $back (type $deep) (call $circle (local.get 0)))
            (func $through (type $deep)
                (if (local.get 0) (then
                    (call_indirect (type $deep) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))
                    (call_indirect (type $deep) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))
            (func (export "run") (type $none) (local $n i32) {body}))"#
    )
}

/// `body` for so many turns.
fn turns(count: u32, body: &str) -> String {
    format!(
        "(local.set $n (i32.const {count}))
         (loop $again {body}
            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
    )
}

#[test]
fn what_is_short_does_not_give_way() {
    assert_eq!(pauses(&module("nop"), 0).expect("returned"), 0);
    assert_eq!(pauses(&module(&turns(1000, "")), 0).expect("returned"), 0);
}

#[test]
fn a_loop_without_an_end_gives_way_again_and_again() {
    let error = pauses(&module("(loop (br 0))"), 100).expect_err("ended");
    assert_eq!(error.root_cause().to_string(), "enough");
}

#[test]
fn so_many_turns_give_way_so_often() {
    let budget = u32::try_from(BUDGET).expect("positive");
    let body = turns(10 * budget, "");
    assert_eq!(pauses(&module(&body), 10).expect("returned"), 9);
}

#[test]
fn calls_in_a_circle_give_way_though_there_is_no_loop() {
    for call in [
        "(call $circle (i32.const 20))",
        "(call $back (i32.const 20))",
        "(call_indirect (type $deep) (i32.const 20) (i32.const 0))",
    ] {
        let count = pauses(&module(call), usize::MAX).expect("returned");
        assert!((10..=40).contains(&count), "{call}: {count}");
    }
}

#[test]
fn what_fills_or_copies_memory_counts_by_its_size() {
    for operation in [
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const 0x4000000))",
        "(memory.copy (i32.const 0) (i32.const 0) (i32.const 0x4000000))",
    ] {
        // A mebi of 64 bytes each, which is 16 times what is counted between two looks.
        let count = pauses(&module(&turns(4, operation)), 100).expect("returned");
        assert!((60..=65).contains(&count), "{operation}: {count}");
    }
}

#[test]
fn what_fills_or_copies_memory_in_pieces_leaves_the_same_as_at_once() {
    let piece = usize::try_from(PIECE).expect("positive");
    let pattern: Vec<u8> = (0..8 * piece)
        .map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8)
        .collect();
    for (to, from, size) in [
        (0, 3 * piece, piece),
        (3 * piece, 0, piece + 1),
        (100, 0, 3 * piece + 5),
        (0, 100, 3 * piece + 5),
        (piece, 0, 4 * piece),
        (0, piece, 4 * piece),
        (7, 7, 2 * piece),
        (5, 9, 0),
    ] {
        for (operation, fills) in [("copy", false), ("fill", true)] {
            let text = module(&format!(
                "(memory.{operation} (i32.const {to}) (i32.const {from}) (i32.const {size}))"
            ));
            let text = text.replace("(memory 1024)", r#"(memory (export "memory") 1024)"#);
            let (mut store, instance) = started(&text, usize::MAX);
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
fn every_call_of_the_host_is_followed_by_a_look_at_the_clock() {
    for call in [
        "(call $other)",
        "(call_indirect 1 (type $none) (i32.const 0))",
    ] {
        let count = pauses(&module(&turns(7, call)), 7).expect("returned");
        assert_eq!(count, 7, "{call}");
    }
}

#[test]
fn growing_memory_counts_for_more_than_a_turn() {
    let grow = turns(320, "(drop (memory.grow (i32.const 0)))");
    let count = pauses(&module(&grow), 20).expect("returned");
    assert!((9..=10).contains(&count), "{count}");
}

/// As the canonical ABI has it: a call of the host would end the program there.
#[test]
fn what_is_shielded_gives_way_only_when_it_would_run_for_ever() {
    let budget = u32::try_from(BUDGET).expect("positive");
    let shielded = |body: &str| {
        let text = module(&turns(budget / 2 + 1, ""));
        let text = text.strip_suffix(')').expect("its end");
        format!(r#"{text} (func (export "shielded") (local $n i32) {body}))"#)
    };
    // It has a count of its own.
    let within = pauses(&shielded(&turns(3 * budget, "")), 0);
    assert_eq!(within.expect("returned"), 0);
    let error = pauses(&shielded("(loop (br 0))"), 0).expect_err("ended");
    assert_eq!(error.root_cause().to_string(), "enough");
}

/// A call of the host may make room for thousands of values, one by one.
#[test]
fn all_shielded_calls_between_two_looks_share_one_allowance() {
    let grace = u32::try_from(GRACE).expect("positive");
    let a_tenth = turns(grace / 10, "");
    let text = module("(call $other)");
    let text = text.strip_suffix(')').expect("its end");
    let text = format!(r#"{text} (func (export "shielded") (local $n i32) {a_tenth}))"#);
    let (mut store, instance) = started(&text, usize::MAX);
    let function = |store: &mut Store<usize>, name| {
        instance
            .get_typed_func::<(), ()>(store, name)
            .expect("exported")
    };
    let (run, shielded) = (
        function(&mut store, "run"),
        function(&mut store, "shielded"),
    );
    for _ in 0..3 {
        for _ in 0..9 {
            shielded.call(&mut store, ()).expect("within it");
        }
        assert_eq!(*store.data(), 0);
        run.call(&mut store, ()).expect("returned");
        *store.data_mut() = 0;
    }
    for _ in 0..11 {
        shielded.call(&mut store, ()).expect("returned");
    }
    assert!(
        *store.data() > 0,
        "the last call gives way, which the host would end"
    );
}

#[test]
fn every_look_is_marked_as_rare() {
    let text = module(
        "(loop (br_if 0 (i32.const 0))) (memory.fill (i32.const 0) (i32.const 0) (i32.const 9))",
    );
    let known = Known {
        pause: 0,
        shielded: BTreeSet::new(),
    };
    let module = add(&wat::parse_str(text).expect("assembles"), &known).expect("rewritten");
    let (mut looks, mut hints) = (0, 0);
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
                looks += ifs.count();
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
    // Those that were there before, of the circles, and those that ask whether there is another piece.
    assert_eq!(looks, hints as usize + 2 + 4);
    assert_eq!(
        hints, 11,
        "a loop, two circles, three of filling, five of copying"
    );
}

#[test]
fn what_cannot_be_known_is_refused() {
    let refused = |text: &str, pause: u32, why: &str| {
        let module = wat::parse_str(text).expect("assembles");
        let known = Known {
            pause,
            shielded: BTreeSet::new(),
        };
        let error = format!("{:#}", add(&module, &known).expect_err("refused"));
        assert!(error.contains(why), "{error}");
    };
    let import = r#"(import "host" "pause" (func $pause)) (global (mut i32) (i32.const 0))"#;
    refused(
        &format!("(module {import} (func))"),
        1,
        "does not import the function that pauses",
    );
    refused(
        &format!("(module {import} (func (return_call $pause)))"),
        0,
        "in the place of returning",
    );
    refused(
        &format!(
            "(module {import} (table 1 funcref) (func (table.set (i32.const 0) (ref.null func))))"
        ),
        0,
        "into its table while it runs",
    );
    refused(
        &format!(r#"(module (import "a" "b" (table 1 funcref)) {import})"#),
        0,
        "imports a table",
    );
}
