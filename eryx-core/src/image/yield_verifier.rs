//! The verifier of images: all code of an image has the yield points that `cargo xtask build-guest`
//! adds.
//!
//! In each core module, one function, the *yield function*, calls the import `yield-now` and resets
//! a *counter*. Iterations of loops, calls that may recurse, and operations on memory decrement the
//! counter, and call the yield function once it is negative. Every call of an import, and of a
//! table that other modules fill, is followed by a call of the yield function. No other code
//! changes the counter.

mod bulk_memory;
mod counter;
mod error;
mod function;
mod module;
mod recursion;

use wasmparser::{Encoding, Parser, Payload};

use crate::image::yield_verifier::error::VerifyError;
use crate::image::yield_verifier::module::Module;

/// Verifies every core module of a component, those of nested components included. The time is
/// linear in the size of the component.
pub(super) fn verify(component: &[u8]) -> Result<(), VerifyError> {
    let mut module: Option<Module<'_>> = None;
    for payload in Parser::new(0).parse_all(component) {
        match (payload?, &mut module) {
            (
                Payload::Version {
                    encoding: Encoding::Module,
                    ..
                },
                module,
            ) => *module = Some(Module::default()),
            (Payload::End(_), module) => {
                if let Some(module) = module.take() {
                    module.check()?;
                }
            }
            (payload, Some(module)) => module.read(payload)?,
            (_, None) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a component whose module has every kind of yield point.
    fn yielding() -> String {
        let count = |amount: &str| {
            format!(
                "(global.set $c (i32.sub (global.get $c) {amount}))
                 (if (i32.lt_s (global.get $c) (i32.const 0)) (then (call $yield)))"
            )
        };
        let one = count("(i32.const 1)");
        let sized = count("(i32.shr_u (local.get 2) (i32.const 6))");
        let piece = count("(i32.const 16384)");
        format!(
            r#"(component (core module
                (import "host" "0" (func $yield_now))
                (import "host" "1" (func $other))
                (memory 1)
                (table 1 funcref)
                (table (export "open") 1 funcref)
                (elem (table 0) (i32.const 0) func $through)
                (global $c (mut i32) (i32.const 65536))
                (global $g (mut i32) (i32.const 2097152))
                (func $yield
                    (call $yield_now) (global.set $c (i32.const 65536))
                    (global.set $g (i32.const 2097152)))
                (func $cycle {one} (call $back))
                (func $back (call $cycle))
                (func $through {one} (call $back))
                (func (param $n i32)
                    (loop {one} (br_if 0 (local.get $n)))
                    (call $fill (i32.const 0) (i32.const 0) (i32.const 9))
                    (drop (i32.const 9) {one} (memory.grow))
                    (call $other) (call $yield)
                    (call_indirect 1 (i32.const 0)) (call $yield))
                (func $fill (param i32 i32 i32)
                    (loop {one}
                        (if (i32.gt_u (local.get 2) (i32.const 1048576)) (then
                            (memory.fill (local.get 0) (local.get 1) (i32.const 1048576))
                            (local.set 0 (i32.add (local.get 0) (i32.const 1048576)))
                            (local.set 2 (i32.sub (local.get 2) (i32.const 1048576)))
                            {piece} (br 1))))
                    (memory.fill (local.get 0) (local.get 1) (local.get 2)) {sized})
                (func $inner (param i32) (result i32) (local.get 0))
                (func (export "realloc") (param i32) (result i32) (local i32)
                    (local.set 1 (global.get $c)) (global.set $c (global.get $g))
                    (call $inner (local.get 0))
                    (global.set $g (global.get $c)) (global.set $c (local.get 1)))))"#
        )
    }

    fn check_text(text: &str) -> Result<(), String> {
        let component = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        verify(&component).map_err(|error| error.to_string())
    }

    #[test]
    fn a_module_with_all_yield_points_is_accepted() {
        check_text(&yielding()).expect("accepted");
        check_text("(component)").expect("it has no code");
    }

    #[test]
    fn a_module_without_one_of_its_yield_points_is_rejected() {
        let count = "(global.set $c (i32.sub (global.get $c) (i32.const 1)))
                 (if (i32.lt_s (global.get $c) (i32.const 0)) (then (call $yield)))";
        // Each row has a piece of the module, what replaces it, and a part of the error.
        for row in [
            "(loop COUNT | (loop | has a loop",
            "$cycle COUNT | $cycle | can call itself",
            "$through COUNT | $through | through a table",
            "(i32.const 9) COUNT | (i32.const 9) | grows memory",
            "(call $fill ( | (memory.fill ( | fills or copies memory in one step",
            "(i32.gt_u (local.get 2) (i32.const 1048576)) | \
             (i32.gt_u (local.get 2) (i32.const 2147483647)) | fills or copies memory in one step",
            "(call $other) (call $yield) | (call $other) | calls the host",
            "(call_indirect 1 (i32.const 0)) (call $yield) | (call_indirect 1 (i32.const 0)) | \
             calls the host",
            "(call $other) (call $yield) | (return_call $other) | tail call",
            "(call $other) (call $yield) | (global.set $c (i32.const 5)) | changes the counter",
            "(call $other) (call $yield) | (table.set 0 (i32.const 0) (ref.null func)) | \
             changes a table",
            "(global.set $g (global.get $c))  |  | changes the counter",
            "(call $yield_now) (global.set $c (i32.const 65536)) | \
             (call $yield_now) (global.set $c (i32.const 2147483647)) | no yield function",
            "(global $c  | (global $c (export \"c\")  | lets other modules",
            "(memory 1) | (memory 1) (start $yield) | a start function",
        ] {
            let row = row.replace("COUNT", count);
            let fields: Vec<&str> = row.split(" | ").collect();
            let [with, without, why] = fields[..] else {
                panic!("three fields: {row}");
            };
            let text = yielding();
            assert!(text.contains(with), "{with}");
            let rejected = check_text(&text.replacen(with, without, 1)).expect_err(why);
            assert!(rejected.contains(why), "{why}: {rejected}");
        }
    }

    #[test]
    fn a_module_of_a_nested_component_is_checked_too() {
        let loops = "(core module (func (loop (br 0))))";
        let rejected =
            check_text(&format!("(component (component {loops}))")).expect_err("it loops");
        assert!(rejected.contains("no yield function"), "{rejected}");
    }
}
