//! Directories of the machine that programs see.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use eryx::{Files, MountAccess};

use crate::files_in_and_out::{lines, sandbox};
use crate::support::{expect_exception, expect_stdout};

#[tokio::test]
async fn a_directory_of_the_machine_is_shown_and_changed_as_the_embedder_says() {
    let machine = tempfile::tempdir().expect("a folder");
    let path = |name: &str| machine.path().join(name);
    fs::create_dir_all(path("ref/sub")).expect("created");
    fs::create_dir(path("work")).expect("created");
    fs::write(path("ref/sub/a.txt"), "of the machine").expect("written");
    fs::write(path("secret"), "secret").expect("written");
    std::os::unix::fs::symlink("../secret", path("ref/out")).expect("linked");
    std::os::unix::fs::symlink("/etc/passwd", path("ref/absolute")).expect("linked");
    let growth = MountAccess::ReadWrite { max_growth: 50_000 };
    let files = Files::new()
        .with_mount("/ref", path("ref"), MountAccess::ReadOnly)
        .with_mount("/work", path("work"), growth)
        .with_machine_file("/secret.txt", path("secret"));
    let sandbox = sandbox(files);
    let program = "
import errno, os, pathlib
def error_of(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
print(sorted(os.listdir('/')), sorted(os.listdir('/ref')))
print(pathlib.Path('/ref/sub/a.txt').read_text(), open('/secret.txt').read())
for path in ('/ref/out', '/ref/absolute', '/ref/../../secret', '/work/../ref/out', '/ref/sub/../../../secret'):
    print(error_of(open, path), end=' ')
print()
for function, *arguments in (
    (open, '/ref/new', 'w'), (open, '/ref/sub/a.txt', 'r+'), (os.mkdir, '/ref/d'), (os.remove, '/ref/sub/a.txt'),
    (os.rmdir, '/ref'), (os.rename, '/ref/sub', '/ref/x'), (os.utime, '/ref/sub/a.txt', (1, 1)),
    (os.symlink, 'x', '/ref/l'), (os.symlink, '/etc', '/work/l'), (os.rename, '/work', '/w'),
    (os.link, '/ref/sub/a.txt', '/work/hard'),
):
    print(error_of(function, *arguments), end=' ')
print()
for path in ('/ref', '/ref/sub/a.txt', '/work', '/secret.txt'):
    print(os.access(path, os.R_OK), os.access(path, os.W_OK), end=' ')
print()
open('/secret.txt', 'w').write('mine')
open('/work/out.txt', 'w').write('done')
try:
    with open('/work/big', 'wb', buffering=0) as file:
        while file.write(bytes(1000)):
            pass
except OSError as error:
    print(errno.errorcode[error.errno] in ('EIO', 'ENOSPC'), os.path.getsize('/work/big') <= 50_000)
";
    let result = sandbox.execute(program).await.expect("succeeds");
    assert_eq!(
        result.stdout,
        "['dev', 'home', 'ref', 'secret.txt', 'tmp', 'work'] ['absolute', 'out', 'sub']\n\
         of the machine secret\n\
         ENOENT ENOENT ENOENT ENOENT ENOENT \n\
         EROFS EROFS EROFS EROFS EBUSY EROFS EROFS EPERM EPERM EBUSY EXDEV \n\
         True False True False True True True True \n\
         True True\n"
    );
    assert_eq!(lines(&result.files), ["~/secret.txt"]);
    assert_eq!(fs::read(path("work/out.txt")).expect("written"), b"done");
    assert_eq!(fs::read(path("secret")).expect("read"), b"secret");
    assert_eq!(fs::read_dir(path("ref")).expect("read").count(), 3);
    // The growth counts for all executions together.
    let again = "open('/work/more', 'wb', buffering=0).write(bytes(1000))";
    let error = expect_exception(sandbox.execute(again).await);
    assert_eq!(error.exception_type, "OSError", "{}", error.message);
}

#[tokio::test]
async fn buffers_of_a_session_are_written_when_it_is_copied_and_not_when_it_ends() {
    let machine = tempfile::tempdir().expect("a folder");
    let growth = MountAccess::ReadWrite { max_growth: 50_000 };
    let sandbox = sandbox(Files::new().with_mount("/work", machine.path(), growth));
    let program = "file = open('/work/out.txt', 'w'); file.write('text')";
    let content = || fs::read_to_string(machine.path().join("out.txt")).expect("created");
    // The end of an execution is that of a process.
    expect_stdout(sandbox.execute(program).await);
    assert_eq!(content(), "text");
    let mut session = sandbox.session().await.expect("started");
    expect_stdout(session.execute(program).await);
    drop(session);
    assert_eq!(content(), "");
    let mut session = sandbox.session().await.expect("started");
    expect_stdout(session.execute(program).await);
    drop(session.fork().await.expect("forked"));
    assert_eq!(content(), "text");
}

#[tokio::test]
async fn links_that_another_process_puts_into_a_mount_while_it_is_used_lead_nowhere() {
    let machine = tempfile::tempdir().expect("a folder");
    let root = machine.path().join("root");
    fs::create_dir_all(root.join("d")).expect("created");
    fs::write(root.join("d/f"), "inside").expect("written");
    fs::create_dir(machine.path().join("outside")).expect("created");
    fs::write(machine.path().join("outside/f"), "OUTSIDE").expect("written");
    let sandbox = sandbox(Files::new().with_mount("/m", &root, MountAccess::ReadOnly));
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let outside = machine.path().join("outside");
    let swapper = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            fs::rename(root.join("d"), root.join("kept")).expect("renamed");
            std::os::unix::fs::symlink(&outside, root.join("d")).expect("linked");
            fs::remove_file(root.join("d")).expect("removed");
            fs::rename(root.join("kept"), root.join("d")).expect("renamed");
        }
    });
    let program = "
import os
seen = set()
count = 0
while count < 5000 or 'inside' not in seen:
    count += 1
    for path in ('/m/d/f', '/m/d/../d/f', '/m/kept/../d/f'):
        try:
            seen.add(open(path).read())
        except OSError:
            seen.add('refused')
print('OUTSIDE' in seen, 'inside' in seen)
";
    let printed = sandbox.execute(program).await;
    stop.store(true, Ordering::Relaxed);
    swapper.join().expect("it does not fail");
    assert_eq!(expect_stdout(printed), "False True\n");
}

/// Two sandboxes that use one database do not see each other's locks in memory.
#[tokio::test]
async fn a_database_in_a_directory_of_the_machine_is_locked_for_other_sandboxes_too() {
    let machine = tempfile::tempdir().expect("a folder");
    let growth = MountAccess::ReadWrite {
        max_growth: 1 << 20,
    };
    let sandbox = || sandbox(Files::new().with_mount("/work", machine.path(), growth));
    let begin = "
import sqlite3
connection = sqlite3.connect('/work/a.db')
connection.execute('create table if not exists a (b)')
connection.commit()
connection.execute('insert into a values (1)')
print('begun')
";
    let mut session = sandbox().session().await.expect("started");
    assert_eq!(expect_stdout(session.execute(begin).await), "begun\n");
    let other = "
import sqlite3
connection = sqlite3.connect('/work/a.db', timeout=0)
try:
    connection.execute('insert into a values (2)')
except sqlite3.OperationalError as error:
    print(error)
";
    let printed = expect_stdout(sandbox().execute(other).await);
    assert_eq!(printed, "database is locked\n");
    let end = "connection.commit(); connection.close(); print('ended')";
    assert_eq!(expect_stdout(session.execute(end).await), "ended\n");
    assert_eq!(expect_stdout(sandbox().execute(other).await), "");
}
