//! The standard library that programs expect: what a WASI build of CPython lacks.

use eryx::{ResourceLimits, Sandbox};

use crate::support::{expect_stdout, sandbox};

/// The memory limit of the sandboxes of these tests.
const MEMORY: u64 = 96 << 20;

async fn run(program: &str) {
    let limits = ResourceLimits::default().with_max_memory(MEMORY);
    let sandbox = Sandbox::embedded()
        .with_resource_limits(limits)
        .with_env([("TZ", "America/New_York")])
        .build()
        .expect("valid settings");
    let program = format!("MEMORY = {MEMORY}\n{program}");
    assert_eq!(expect_stdout(sandbox.execute(program).await), "ok\n");
}

#[tokio::test]
async fn a_program_has_one_process_and_cannot_start_others() {
    run(include_str!("programs/stdlib/processes.py")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipes_connect_threads_tasks_and_functions_of_one_program() {
    run(include_str!("programs/stdlib/pipes.py")).await;
}

#[tokio::test]
async fn a_program_has_a_user_who_owns_its_files() {
    run(include_str!("programs/stdlib/users.py")).await;
}

#[tokio::test]
async fn modules_for_terminals_and_displays_refuse_when_they_are_used() {
    run(include_str!("programs/stdlib/terminals.py")).await;
}

#[tokio::test]
async fn memory_maps_write_to_files_and_locks_exclude_open_files() {
    run(include_str!("programs/stdlib/memory_maps.py")).await;
}

#[tokio::test]
async fn duplicates_of_descriptors_share_a_position_and_replace_standard_output() {
    run(include_str!("programs/stdlib/duplicates.py")).await;
}

#[tokio::test]
async fn connections_to_a_database_lock_each_other_out_as_on_linux() {
    run(include_str!("programs/stdlib/databases.py")).await;
}

#[tokio::test]
async fn types_of_ctypes_work_and_libraries_are_refused() {
    run(include_str!("programs/stdlib/data_types.py")).await;
}

#[tokio::test]
async fn functions_in_the_place_of_c_code_look_like_it() {
    run(include_str!("programs/stdlib/replaced_functions.py")).await;
}

#[tokio::test]
async fn wrong_arguments_raise_the_exceptions_of_cpython() {
    run(include_str!("programs/stdlib/errors_of_arguments.py")).await;
}

#[tokio::test]
async fn clocks_signals_and_numbers_of_devices_are_those_of_linux() {
    run(include_str!("programs/stdlib/clocks.py")).await;
}

#[tokio::test]
async fn packages_of_the_library_have_their_files_as_resources() {
    run(include_str!("programs/stdlib/resources.py")).await;
}

#[tokio::test]
async fn a_program_that_opens_too_many_files_gets_emfile() {
    run(include_str!("programs/stdlib/open_files.py")).await;
}

#[tokio::test]
async fn time_zones_are_in_the_image_and_local_time_is_that_of_tz() {
    run(include_str!("programs/stdlib/time_zones.py")).await;
}

#[tokio::test]
async fn local_time_is_utc_without_tz_and_in_the_next_execution() {
    let program = "
import time
print(time.tzname, time.localtime(0).tm_hour, time.mktime((1970, 1, 2, 0, 0, 0, 0, 0, 0)))
";
    let printed = expect_stdout(sandbox(None).execute(program).await);
    assert_eq!(printed, "('UTC', 'UTC') 0 86400.0\n");
}

/// Libraries compare the process ID with an earlier one, and then make new random state.
#[tokio::test]
async fn every_sandbox_and_every_fork_has_a_process_id_of_its_own() {
    let program = "import os\nprint(os.getpid())";
    let sandbox = sandbox(None);
    let mut session = sandbox.session().await.expect("started");
    let first = expect_stdout(session.execute(program).await);
    assert_eq!(expect_stdout(session.execute(program).await), first);
    let mut fork = session.fork().await.expect("forked");
    let second = expect_stdout(fork.execute(program).await);
    let third = expect_stdout(sandbox.execute(program).await);
    assert!(
        first != second && second != third && first != third,
        "{first} {second} {third}"
    );
    assert_eq!(expect_stdout(session.execute(program).await), first);
}
