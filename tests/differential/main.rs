//! Generated programs, run natively and in a sandbox against the same servers: both have to see the
//! same, except for the documented differences in `known.txt`.
//!
//! A run is deterministic in its programs: ERYX_DIFFERENTIAL_SEEDS is the number of seeds,
//! ERYX_DIFFERENTIAL_FIRST the first one. `cargo xtask differential` sets them.

#![allow(clippy::disallowed_methods, reason = "reads its own settings")]

mod interpreters;
mod known_differences;
mod program;
mod servers;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use interpreters::{Outcomes, run_in_sandbox, run_natively};
use known_differences::KnownDifference;
use program::{Program, generate};
use serde_json::Value;
use servers::Servers;
use tokio::task::JoinSet;

/// The number of seeds of a test run.
const SEEDS: u64 = 60;

/// How many programs run at a time. Most of their time is spent waiting.
const PARALLEL: usize = 4;

/// The times to wait until a peer has acted. A difference counts if it appears with each of them: a
/// busy machine may take longer.
const SETTLE: [Duration; 3] = [
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(400),
];

/// The first difference between the interpreters.
#[derive(Clone, Debug, PartialEq)]
enum Difference {
    /// The position of an operation, and its outcomes natively and in the sandbox.
    Outcome(usize, Value, Value),
    /// A side did not run the program to its end.
    Failure(String),
}

fn compare(native: Outcomes, sandbox: Outcomes) -> Option<Difference> {
    let (native, sandbox) = match (native, sandbox) {
        (Ok(native), Ok(sandbox)) => (native, sandbox),
        (Err(error), _) => return Some(Difference::Failure(format!("natively: {error}"))),
        (_, Err(error)) => return Some(Difference::Failure(format!("in the sandbox: {error}"))),
    };
    let mut pairs = native.into_iter().zip(sandbox).enumerate();
    pairs.find_map(|(position, (native, sandbox))| {
        (native != sandbox).then_some(Difference::Outcome(position, native, sandbox))
    })
}

/// Returns the difference of a program that appears in every attempt.
async fn difference(program: &Program, servers: &Servers) -> Option<Difference> {
    let mut last = None;
    for settle in SETTLE {
        let (native, sandbox) = tokio::join!(
            run_natively(program, servers, settle),
            run_in_sandbox(program, servers, settle)
        );
        last = Some(compare(native, sandbox)?);
    }
    last
}

/// Returns the documented difference that `found` is, if any.
fn explanation<'a>(
    program: &Program,
    found: &Difference,
    known: &'a [KnownDifference],
) -> Option<&'a KnownDifference> {
    let Difference::Outcome(position, native, sandbox) = found else {
        return None;
    };
    let operation = &program.operations[*position];
    known
        .iter()
        .find(|known| known.covers(operation, native, sandbox))
}

/// Removes the operations without which the program still has an undocumented difference.
async fn shrink(
    mut program: Program,
    mut found: Difference,
    servers: &Servers,
    known: &[KnownDifference],
) -> (Program, Difference) {
    if let Difference::Outcome(position, ..) = &found {
        program.operations.truncate(position + 1);
    }
    let mut position = program.operations.len();
    while position > 0 {
        position -= 1;
        let mut smaller = program.clone();
        smaller.operations.remove(position);
        if let Some(still) = difference(&smaller, servers).await
            && explanation(&smaller, &still, known).is_none()
            && !is_mistake(&still)
        {
            (program, found) = (smaller, still);
            position = position.min(program.operations.len());
        }
    }
    (program, found)
}

/// Returns whether a program is at fault: it uses a slot that was never filled.
fn is_mistake(found: &Difference) -> bool {
    let text = format!("{found:?}");
    text.contains("KeyError") || text.contains("AttributeError")
}

/// What became of a seed.
enum Verdict {
    Same,
    Known(&'static str),
    Different(String),
}

async fn classify(seed: u64, servers: &Servers, known: &[KnownDifference]) -> Verdict {
    classify_program(&format!("seed {seed}"), generate(seed), servers, known).await
}

async fn classify_program(
    name: &str,
    program: Program,
    servers: &Servers,
    known: &[KnownDifference],
) -> Verdict {
    let Some(found) = difference(&program, servers).await else {
        return Verdict::Same;
    };
    if let Some(known) = explanation(&program, &found, known) {
        return Verdict::Known(known.reason);
    }
    let (program, found) = shrink(program, found, servers, known).await;
    let mut text = format!("{name}, {} program:\n", program.family);
    for operation in &program.operations {
        let _ = writeln!(text, "  {operation}");
    }
    match found {
        Difference::Outcome(_, native, sandbox) => {
            let _ = writeln!(
                text,
                "  natively:       {native}\n  in a sandbox:   {sandbox}"
            );
        }
        Difference::Failure(error) => {
            let _ = writeln!(text, "  {error}");
        }
    }
    Verdict::Different(text)
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| {
        let parsed = value.parse();
        parsed.unwrap_or_else(|_| panic!("{variable} is not a number: {value}"))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_saw_a_removed_difference_see_the_same_on_both_sides() {
    let servers = Servers::start().await.expect("servers on loopback");
    let known = known_differences::known_differences();
    for (number, program) in program::regressions().into_iter().enumerate() {
        let name = format!("regression {number}");
        match classify_program(&name, program, &servers, &known).await {
            Verdict::Same => {}
            Verdict::Known(reason) => panic!("{name} is listed as a known difference: {reason}"),
            Verdict::Different(text) => panic!("{text}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_programs_see_the_same_natively_and_in_a_sandbox() {
    let first = number("ERYX_DIFFERENTIAL_FIRST", 0);
    let seeds = number("ERYX_DIFFERENTIAL_SEEDS", SEEDS);
    let servers = Arc::new(Servers::start().await.expect("servers on loopback"));
    let known: Arc<[KnownDifference]> = known_differences::known_differences().into();
    let mut next = first;
    let mut running = JoinSet::new();
    let mut explained = BTreeMap::<_, u64>::new();
    let mut different = Vec::new();
    let mut compared = 0;
    loop {
        while running.len() < PARALLEL && next < first + seeds {
            let (servers, known, seed) = (Arc::clone(&servers), Arc::clone(&known), next);
            running.spawn(async move { classify(seed, &servers, &known).await });
            next += 1;
        }
        let Some(verdict) = running.join_next().await else {
            break;
        };
        compared += 1;
        match verdict.expect("no panic") {
            Verdict::Same => {}
            Verdict::Known(reason) => *explained.entry(reason).or_default() += 1,
            Verdict::Different(text) => {
                eprintln!("{text}");
                different.push(text);
            }
        }
    }
    eprintln!("{compared} programs; documented differences: {explained:#?}");
    assert_eq!(compared, seeds);
    assert!(
        different.is_empty(),
        "{} of {seeds} programs differ:\n{}",
        different.len(),
        different.join("\n")
    );
}
