//! Whether all code of an image yields to the host: whether it has the shape that `xtask/src/rewrite/pauses.rs` gives it.

use std::collections::HashSet;

use wasmparser::{
    BinaryReaderError, BlockType, ElementItems, ElementKind, Encoding, ExternalKind, FunctionBody,
    Operator, Parser, Payload, TypeRef,
};

/// The most that is counted between two looks at the clock.
const BUDGET: i32 = 1 << 16;

/// The most that functions count together that the host calls while they may not call it.
const GRACE: i32 = 1 << 21;

/// As a power of two, the most bytes that count one.
const BYTES: i32 = 6;

/// The bytes that are filled or copied in one step.
const PIECE: i32 = 1 << 20;

/// What to do about it.
const MADE_BY: &str = "Images are made by `cargo xtask build-guest`";

/// Why an image is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Uncounted {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] BinaryReaderError),
    #[error(
        "its code does not yield to the host: function {function} of a module {what}. {MADE_BY}"
    )]
    Function { function: u32, what: &'static str },
    #[error("its code does not yield to the host: a module {0}. {MADE_BY}")]
    Module(&'static str),
}

/// Checks every core module of a component, those of components inside it included.
///
/// In each, one function calls an import, and then begins the count anew. Turns of loops, calls that may lead in a circle,
/// and operations on memory count, and call that function when the count is up; every call of an import, and of a table that
/// others fill, is followed by a call of it. Nothing else changes the count. The time this takes grows with the size of the
/// component and no faster.
pub(super) fn check(component: &[u8]) -> Result<(), Uncounted> {
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

/// What matters of a core module.
#[derive(Default)]
struct Module<'a> {
    /// How many functions are imported.
    imported: u32,
    /// Functions that a table may hold.
    named: HashSet<u32>,
    /// Tables that others put functions into.
    open_tables: HashSet<u32>,
    open_globals: HashSet<u32>,
    bodies: Vec<FunctionBody<'a>>,
    tables_imported: bool,
    /// Functions that fill or copy memory in pieces. They call nothing but the one that looks at the clock.
    in_pieces: HashSet<u32>,
}

/// How a module counts.
struct Counting {
    /// The function that looks at the clock and begins the count anew.
    look: u32,
    /// What it calls to look.
    pause: u32,
    counter: u32,
    grace: u32,
}

/// What a function calls.
#[derive(Default)]
struct Calls {
    direct: Vec<u32>,
    any: bool,
    /// It counts before anything else.
    enters: bool,
}

impl<'a> Module<'a> {
    fn read(&mut self, payload: Payload<'a>) -> Result<(), Uncounted> {
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => self.imported += 1,
                        TypeRef::Table(_) => self.tables_imported = true,
                        TypeRef::Memory(_) | TypeRef::Global(_) => {}
                        TypeRef::Tag(_) => return Err(Uncounted::Module("throws exceptions")),
                    }
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    match export.kind {
                        ExternalKind::Table => self.open_tables.insert(export.index),
                        ExternalKind::Global => self.open_globals.insert(export.index),
                        _ => false,
                    };
                }
            }
            Payload::StartSection { .. } => {
                return Err(Uncounted::Module("has a start function"));
            }
            Payload::TagSection(_) => return Err(Uncounted::Module("throws exceptions")),
            Payload::ElementSection(section) => {
                for element in section {
                    let element = element?;
                    match (element.kind, element.items) {
                        (ElementKind::Active { .. }, ElementItems::Functions(functions)) => {
                            for function in functions {
                                self.named.insert(function?);
                            }
                        }
                        _ => return Err(Uncounted::Module("has elements that are no functions")),
                    }
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            _ => {}
        }
        Ok(())
    }

    fn check(mut self) -> Result<(), Uncounted> {
        if self.bodies.is_empty() {
            return Ok(());
        }
        if self.tables_imported {
            return Err(Uncounted::Module("calls functions of a table of others"));
        }
        let counting = self.counting()?;
        let in_pieces = [counting.fill(), counting.copy()];
        for (function, body) in (self.imported..).zip(&self.bodies) {
            // An instruction has a byte at least.
            if body.range().len() < 512 {
                let operators: Vec<Operator<'_>> = operators(body)?;
                if in_pieces.contains(&operators) {
                    self.in_pieces.insert(function);
                }
            }
        }
        let mut calls = Vec::with_capacity(self.bodies.len());
        for (function, body) in (self.imported..).zip(std::mem::take(&mut self.bodies)) {
            let operators = operators(&body)?;
            if function == counting.look || self.in_pieces.contains(&function) {
                calls.push(Calls::default());
                continue;
            }
            let found = if counting.is_shield(&operators) {
                Ok(Calls::default())
            } else {
                self.walk(&counting, &operators)
            };
            calls.push(found.map_err(|what| Uncounted::Function { function, what })?);
        }
        self.check_circles(&calls)
    }

    /// The one function that looks at the clock.
    fn counting(&self) -> Result<Counting, Uncounted> {
        let mut found = None;
        for (function, body) in (self.imported..).zip(&self.bodies) {
            let mut operators = body.get_operators_reader()?.into_iter();
            let mut next = || operators.next().transpose();
            if let (
                Some(Operator::Call { function_index }),
                Some(Operator::I32Const { value: budget }),
                Some(Operator::GlobalSet {
                    global_index: counter,
                }),
                Some(Operator::I32Const { value: grace_value }),
                Some(Operator::GlobalSet {
                    global_index: grace,
                }),
                Some(Operator::End),
                None,
            ) = (
                next()?,
                next()?,
                next()?,
                next()?,
                next()?,
                next()?,
                next()?,
            ) && function_index < self.imported
                && budget <= BUDGET
                && grace_value <= GRACE
                && counter != grace
                && found.is_none()
            {
                found = Some(Counting {
                    look: function,
                    pause: function_index,
                    counter,
                    grace,
                });
            }
        }
        let Some(counting) = found else {
            return Err(Uncounted::Module("has no function that looks at the clock"));
        };
        let open = [counting.counter, counting.grace];
        if open.iter().any(|global| self.open_globals.contains(global)) {
            return Err(Uncounted::Module("lets others change its count"));
        }
        Ok(counting)
    }

    /// What a function calls, or what it does without counting.
    fn walk(
        &mut self,
        counting: &Counting,
        operators: &[Operator<'_>],
    ) -> Result<Calls, &'static str> {
        let mut calls = Calls {
            enters: counting.count(operators, 0).is_some(),
            ..Calls::default()
        };
        // Behind the last count.
        let mut counted = 0;
        let mut at = 0;
        while at < operators.len() {
            if let Some(count) = counting.count(operators, at) {
                at = count.end;
                counted = at;
                continue;
            }
            let followed = matches!(operators.get(at + 1),
                Some(Operator::Call { function_index }) if *function_index == counting.look);
            match &operators[at] {
                Operator::GlobalSet { global_index }
                    if [counting.counter, counting.grace].contains(global_index) =>
                {
                    return Err("changes the count");
                }
                Operator::Loop { .. } if counting.count(operators, at + 1).is_none() => {
                    return Err("has a loop that does not count");
                }
                Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } => {
                    return Err("fills or copies memory in one step");
                }
                Operator::MemoryInit { .. } => {
                    let size = match at.checked_sub(1).map(|before| &operators[before]) {
                        Some(Operator::LocalTee { local_index }) => Some(*local_index),
                        _ => None,
                    };
                    let count = counting.count(operators, at + 1);
                    if size.is_none() || count.is_none_or(|count| count.by != size) {
                        return Err("initialises memory without counting it");
                    }
                }
                Operator::MemoryGrow { .. } if counted != at => {
                    return Err("grows memory without counting it");
                }
                Operator::Call { function_index }
                    if *function_index == counting.look
                        || self.in_pieces.contains(function_index) => {}
                Operator::Call { function_index } => {
                    calls.any = true;
                    calls.direct.push(*function_index);
                    let looks = *function_index == counting.pause;
                    if *function_index < self.imported && !looks && !followed {
                        return Err("calls the host without a look at the clock");
                    }
                }
                Operator::CallIndirect { table_index, .. } => {
                    calls.any = true;
                    if self.open_tables.contains(table_index) && !followed {
                        return Err("calls the host without a look at the clock");
                    }
                }
                Operator::ReturnCall { function_index } => {
                    calls.any = true;
                    calls.direct.push(*function_index);
                    if *function_index < self.imported {
                        return Err("calls the host in the place of returning");
                    }
                }
                Operator::ReturnCallIndirect { table_index, .. } => {
                    calls.any = true;
                    if self.open_tables.contains(table_index) {
                        return Err("calls the host in the place of returning");
                    }
                }
                Operator::RefFunc { function_index } => {
                    self.named.insert(*function_index);
                }
                Operator::CallRef { .. } | Operator::ReturnCallRef { .. } => {
                    return Err("calls functions that are in no table");
                }
                Operator::TableSet { .. }
                | Operator::TableFill { .. }
                | Operator::TableGrow { .. }
                | Operator::TableInit { .. }
                | Operator::TableCopy { .. } => return Err("changes a table"),
                _ => {}
            }
            at += 1;
        }
        calls.direct.sort_unstable();
        calls.direct.dedup();
        Ok(calls)
    }

    /// Of every circle of calls, one function has to count when it is called: all that a table may hold and that call
    /// something, and one of each circle of direct calls.
    fn check_circles(&self, calls: &[Calls]) -> Result<(), Uncounted> {
        let defined = |function: u32| function.checked_sub(self.imported).map(|at| at as usize);
        for &function in &self.named {
            if defined(function)
                .and_then(|at| calls.get(at))
                .is_some_and(|calls| calls.any && !calls.enters)
            {
                let what = "can be called through a table, calls others and does not count";
                return Err(Uncounted::Function { function, what });
            }
        }
        // In depth, and without recursion: what is met again while it is still open closes a circle.
        let mut states = vec![State::New; calls.len()];
        for start in 0..calls.len() {
            let mut open = vec![(start, 0)];
            while let Some((at, next)) = open.pop() {
                if next == 0 {
                    if states[at] != State::New {
                        continue;
                    }
                    states[at] = State::Open;
                }
                let Some(&callee) = calls[at].direct.get(next) else {
                    states[at] = State::Done;
                    continue;
                };
                open.push((at, next + 1));
                let Some(callee_at) = defined(callee).filter(|at| *at < calls.len()) else {
                    continue;
                };
                match states[callee_at] {
                    _ if calls[callee_at].enters => {}
                    State::New => open.push((callee_at, 0)),
                    State::Open => {
                        return Err(Uncounted::Function {
                            function: callee,
                            what: "can call itself without counting",
                        });
                    }
                    State::Done => {}
                }
            }
        }
        Ok(())
    }
}

fn operators<'a>(body: &FunctionBody<'a>) -> Result<Vec<Operator<'a>>, BinaryReaderError> {
    body.get_operators_reader()?.into_iter().collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    Done,
}

/// A place where a function counts.
struct Count {
    /// Behind it.
    end: usize,
    /// The local that has the size it counts.
    by: Option<u32>,
}

impl Counting {
    /// The count that begins at `at`, if one does.
    fn count(&self, operators: &[Operator<'_>], at: usize) -> Option<Count> {
        let rest = operators.get(at..)?;
        let [Operator::GlobalGet { global_index }, rest @ ..] = rest else {
            return None;
        };
        if *global_index != self.counter {
            return None;
        }
        let (by, rest) = match rest {
            [Operator::I32Const { value }, rest @ ..] if *value > 0 => (None, rest),
            [
                Operator::LocalGet { local_index },
                Operator::I32Const { value },
                Operator::I32ShrU,
                rest @ ..,
            ] if (0..=BYTES).contains(value) => (Some(*local_index), rest),
            _ => return None,
        };
        let [
            Operator::I32Sub,
            Operator::GlobalSet { global_index: set },
            Operator::GlobalGet { global_index: get },
            Operator::I32Const { value: 0 },
            Operator::I32LtS,
            Operator::If {
                blockty: BlockType::Empty,
            },
            Operator::Call { function_index },
            Operator::End,
            rest @ ..,
        ] = rest
        else {
            return None;
        };
        let own = *set == self.counter && *get == self.counter && *function_index == self.look;
        own.then_some(Count {
            end: operators.len() - rest.len(),
            by,
        })
    }

    /// A function that fills memory in pieces.
    fn fill(&self) -> Vec<Operator<'static>> {
        let fill = Operator::MemoryFill { mem: 0 };
        let mut operators = self.forwards(&fill, &[0]);
        operators.extend(self.rest(fill));
        operators
    }

    /// A function that copies memory in pieces.
    fn copy(&self) -> Vec<Operator<'static>> {
        let copy = Operator::MemoryCopy {
            dst_mem: 0,
            src_mem: 0,
        };
        let mut operators = vec![
            Operator::LocalGet { local_index: 0 },
            Operator::LocalGet { local_index: 1 },
            Operator::I32GtU,
            Operator::If {
                blockty: BlockType::Empty,
            },
        ];
        let mut backwards = SHORTEN.to_vec();
        for local_index in [0, 1] {
            backwards.extend([
                Operator::LocalGet { local_index },
                Operator::LocalGet { local_index: 2 },
                Operator::I32Add,
            ]);
        }
        backwards.extend([Operator::I32Const { value: PIECE }, copy.clone()]);
        operators.extend(self.pieces(backwards));
        operators.push(Operator::Else);
        operators.extend(self.forwards(&copy, &[0, 1]));
        operators.push(Operator::End);
        operators.extend(self.rest(copy));
        operators
    }

    fn forwards(&self, operation: &Operator<'static>, places: &[u32]) -> Vec<Operator<'static>> {
        let mut piece = vec![
            Operator::LocalGet { local_index: 0 },
            Operator::LocalGet { local_index: 1 },
            Operator::I32Const { value: PIECE },
            operation.clone(),
        ];
        for &local_index in places {
            piece.extend([
                Operator::LocalGet { local_index },
                Operator::I32Const { value: PIECE },
                Operator::I32Add,
                Operator::LocalSet { local_index },
            ]);
        }
        piece.extend(SHORTEN);
        self.pieces(piece)
    }

    /// A loop over pieces.
    fn pieces(&self, piece: Vec<Operator<'static>>) -> Vec<Operator<'static>> {
        let mut operators = vec![Operator::Loop {
            blockty: BlockType::Empty,
        }];
        operators.extend(self.counts(&[Operator::I32Const { value: 1 }]));
        operators.extend([
            Operator::LocalGet { local_index: 2 },
            Operator::I32Const { value: PIECE },
            Operator::I32GtU,
            Operator::If {
                blockty: BlockType::Empty,
            },
        ]);
        operators.extend(piece);
        let value = PIECE >> BYTES;
        operators.extend(self.counts(&[Operator::I32Const { value }]));
        operators.extend([
            Operator::Br { relative_depth: 1 },
            Operator::End,
            Operator::End,
        ]);
        operators
    }

    fn rest(&self, operation: Operator<'static>) -> Vec<Operator<'static>> {
        let mut operators = vec![
            Operator::LocalGet { local_index: 0 },
            Operator::LocalGet { local_index: 1 },
            Operator::LocalGet { local_index: 2 },
            operation,
        ];
        operators.extend(self.counts(&[
            Operator::LocalGet { local_index: 2 },
            Operator::I32Const { value: BYTES },
            Operator::I32ShrU,
        ]));
        operators.push(Operator::End);
        operators
    }

    fn counts(&self, amount: &[Operator<'static>]) -> Vec<Operator<'static>> {
        let global_index = self.counter;
        let mut operators = vec![Operator::GlobalGet { global_index }];
        operators.extend_from_slice(amount);
        operators.extend([
            Operator::I32Sub,
            Operator::GlobalSet { global_index },
            Operator::GlobalGet { global_index },
            Operator::I32Const { value: 0 },
            Operator::I32LtS,
            Operator::If {
                blockty: BlockType::Empty,
            },
            Operator::Call {
                function_index: self.look,
            },
            Operator::End,
        ]);
        operators
    }

    /// Whether a function only stands before one that the host calls while it may not be called, whose count is what is
    /// left of the grace.
    fn is_shield(&self, operators: &[Operator<'_>]) -> bool {
        let (counter, grace) = (self.counter, self.grace);
        let get = |operator: &Operator<'_>, global| matches!(operator, Operator::GlobalGet { global_index } if *global_index == global);
        let set = |operator: &Operator<'_>, global| matches!(operator, Operator::GlobalSet { global_index } if *global_index == global);
        let [
            first,
            Operator::LocalSet { local_index: kept },
            second,
            third,
            parameters @ ..,
            Operator::Call { .. },
            fourth,
            fifth,
            Operator::LocalGet { local_index },
            sixth,
            Operator::End,
        ] = operators
        else {
            return false;
        };
        get(first, counter)
            && get(second, grace)
            && set(third, counter)
            && parameters
                .iter()
                .all(|parameter| matches!(parameter, Operator::LocalGet { .. }))
            && get(fourth, counter)
            && set(fifth, grace)
            && kept == local_index
            && set(sixth, counter)
    }
}

/// Takes a piece from what is left.
const SHORTEN: [Operator<'static>; 4] = [
    Operator::LocalGet { local_index: 2 },
    Operator::I32Const { value: PIECE },
    Operator::I32Sub,
    Operator::LocalSet { local_index: 2 },
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with a module that does everything that counts, and counts it.
    fn counted() -> String {
        let count = |amount: &str| {
            format!(
                "(global.set $c (i32.sub (global.get $c) {amount}))
                 (if (i32.lt_s (global.get $c) (i32.const 0)) (then (call $look)))"
            )
        };
        let one = count("(i32.const 1)");
        let sized = count("(i32.shr_u (local.get 2) (i32.const 6))");
        let piece = count("(i32.const 16384)");
        format!(
            r#"(component (core module
                (import "host" "0" (func $pause))
                (import "host" "1" (func $other))
                (memory 1)
                (table 1 funcref)
                (table (export "open") 1 funcref)
                (elem (table 0) (i32.const 0) func $through)
                (global $c (mut i32) (i32.const 65536))
                (global $g (mut i32) (i32.const 2097152))
                (func $look (call $pause) (global.set $c (i32.const 65536)) (global.set $g (i32.const 2097152)))
                (func $circle {one} (call $back))
                (func $back (call $circle))
                (func $through {one} (call $back))
                (func (param $n i32)
                    (loop {one} (br_if 0 (local.get $n)))
                    (call $fill (i32.const 0) (i32.const 0) (i32.const 9))
                    (drop (i32.const 9) {one} (memory.grow))
                    (call $other) (call $look)
                    (call_indirect 1 (i32.const 0)) (call $look))
                (func $fill (param i32 i32 i32)
                    (loop {one}
                        (if (i32.gt_u (local.get 2) (i32.const 1048576)) (then
                            (memory.fill (local.get 0) (local.get 1) (i32.const 1048576))
                            (local.set 0 (i32.add (local.get 0) (i32.const 1048576)))
                            (local.set 2 (i32.sub (local.get 2) (i32.const 1048576)))
                            {piece} (br 1))))
                    (memory.fill (local.get 0) (local.get 1) (local.get 2)) {sized})
                (func $room (param i32) (result i32) (local.get 0))
                (func (export "realloc") (param i32) (result i32) (local i32)
                    (local.set 1 (global.get $c)) (global.set $c (global.get $g))
                    (call $room (local.get 0))
                    (global.set $g (global.get $c)) (global.set $c (local.get 1)))))"#
        )
    }

    fn verdict(text: &str) -> Result<(), String> {
        let component = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        check(&component).map_err(|refused| refused.to_string())
    }

    #[test]
    fn a_module_that_counts_everything_is_accepted() {
        verdict(&counted()).expect("accepted");
        verdict("(component)").expect("there is nothing to count");
    }

    #[test]
    fn whatever_does_not_count_is_refused() {
        let count = "(global.set $c (i32.sub (global.get $c) (i32.const 1)))
                 (if (i32.lt_s (global.get $c) (i32.const 0)) (then (call $look)))";
        for (counts, does_not, why) in [
            (format!("(loop {count}"), "(loop", "has a loop"),
            (format!("$circle {count}"), "$circle", "can call itself"),
            (format!("$through {count}"), "$through", "through a table"),
            (
                format!("(i32.const 9) {count}"),
                "(i32.const 9)",
                "grows memory",
            ),
            (
                "(call $fill (".to_owned(),
                "(memory.fill (",
                "fills or copies memory in one step",
            ),
            (
                "(i32.gt_u (local.get 2) (i32.const 1048576))".to_owned(),
                "(i32.gt_u (local.get 2) (i32.const 2147483647))",
                "fills or copies memory in one step",
            ),
            (
                "(call $other) (call $look)".to_owned(),
                "(call $other)",
                "calls the host",
            ),
            (
                "(call_indirect 1 (i32.const 0)) (call $look)".to_owned(),
                "(call_indirect 1 (i32.const 0))",
                "calls the host",
            ),
            (
                "(call $other) (call $look)".to_owned(),
                "(return_call $other)",
                "returning",
            ),
            (
                "(call $other) (call $look)".to_owned(),
                "(global.set $c (i32.const 5))",
                "changes the count",
            ),
            (
                "(call $other) (call $look)".to_owned(),
                "(table.set 0 (i32.const 0) (ref.null func))",
                "changes a table",
            ),
            (
                "(global.set $g (global.get $c)) ".to_owned(),
                "",
                "changes the count",
            ),
            (
                "(call $pause) (global.set $c (i32.const 65536))".to_owned(),
                "(call $pause) (global.set $c (i32.const 2147483647))",
                "no function that looks",
            ),
            (
                "(global $c ".to_owned(),
                r#"(global $c (export "c") "#,
                "lets others",
            ),
            (
                "(memory 1)".to_owned(),
                "(memory 1) (start $look)",
                "a start function",
            ),
        ] {
            let text = counted();
            assert!(text.contains(&counts), "{counts}");
            let refused = verdict(&text.replacen(&counts, does_not, 1)).expect_err(why);
            assert!(refused.contains(why), "{why}: {refused}");
        }
    }

    #[test]
    fn a_module_of_a_component_inside_is_checked_too() {
        let loops = "(core module (func (loop (br 0))))";
        let refused = verdict(&format!("(component (component {loops}))")).expect_err("it loops");
        assert!(refused.contains("no function that looks"), "{refused}");
    }

    #[cfg(feature = "embedded-image")]
    #[test]
    fn the_image_of_this_program_counts_everything() {
        check(crate::image::EMBEDDED_COMPONENT).expect("it does");
    }
}
