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

// A limit of the C library, which `docs/files.md` names: WASI knows no position of a file, and libc
// takes the end of a file that is open for appending for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_open_for_reading_and_appending_can_be_read_only_at_absolute_positions() {
    let program = r#"
import os
with open("log", "w") as file:
    file.write("one two")
with open("log", "a+") as file:
    print(file.seek(0), repr(file.read()), file.write(" three"))
    file.flush()
    descriptor = file.fileno()
    print(os.pread(descriptor, 3, 4))
    print(os.lseek(descriptor, 4, os.SEEK_SET), os.read(descriptor, 3))
print(open("log").read())
"#;
    let expected = "0 '' 6\nb'two'\n4 b'two'\none two three\n";
    assert_eq!(
        expect_stdout(sandbox(None).execute(program).await),
        expected
    );
}
