//! The files of programs.

use crate::support::{expect_stdout, sandbox};

#[tokio::test(flavor = "multi_thread")]
async fn the_modules_of_the_standard_library_work_on_files() {
    let result = sandbox(None)
        .execute(include_str!("programs/files_modules.py"))
        .await;
    let expected = "check_open\ncheck_large_reads\ncheck_os\ncheck_pathlib\ncheck_tempfile\ncheck_shutil\n\
                    check_archives\ncheck_sqlite\ncheck_imports\ncheck_formats\nthrough the device\n\
                    check_devices\n";
    assert_eq!(expect_stdout(result), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_uses_up_a_budget_gets_an_error_and_goes_on() {
    let result = sandbox(None)
        .execute(include_str!("programs/files_budget.py"))
        .await;
    assert_eq!(expect_stdout(result), "bytes\nfiles\nopen\nalive\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_last_as_long_as_the_session_and_no_other_sandbox_sees_them() {
    let sandbox = sandbox(None);
    let write = "with open('/tmp/note', 'w') as file: print(file.write('mine'))";
    let look = "import os\nprint(os.path.exists('/tmp/note'), os.listdir('/tmp'))";
    assert_eq!(expect_stdout(sandbox.execute(write).await), "4\n");
    assert_eq!(expect_stdout(sandbox.execute(look).await), "False []\n");
    let mut session = sandbox.session().await.expect("started");
    let mut other = sandbox.session().await.expect("started");
    assert_eq!(expect_stdout(session.execute(write).await), "4\n");
    let expected = "True ['note']\n";
    assert_eq!(expect_stdout(session.execute(look).await), expected);
    assert_eq!(expect_stdout(other.execute(look).await), "False []\n");
    // A file that is open stays open.
    let open = "file = open('/tmp/note', 'r+')\nprint(file.seek(0, 2), file.write(' still'))";
    assert_eq!(expect_stdout(session.execute(open).await), "4 6\n");
    let read = "file.seek(0)\nprint(file.read())";
    assert_eq!(expect_stdout(session.execute(read).await), "mine still\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_and_written_at_its_position_also_when_it_is_open_for_appending() {
    let program = include_str!("programs/stdlib/positions.py");
    assert_eq!(expect_stdout(sandbox(None).execute(program).await), "ok\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_empty_path_leads_nowhere_and_the_working_directory_has_its_own_path() {
    let program = include_str!("programs/stdlib/paths.py");
    assert_eq!(expect_stdout(sandbox(None).execute(program).await), "ok\n");
}
