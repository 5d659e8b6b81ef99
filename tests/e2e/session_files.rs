//! The files of a session, between its executions and in their results.

use eryx::files::{Entry, FileError};
use eryx::{Files, ResourceLimits, Sandbox};

use crate::files_in_and_out::{lines, sandbox};
use crate::support::expect_stdout;

#[tokio::test]
async fn an_execution_of_a_session_has_its_own_changes_alone() {
    let sandbox = sandbox(Files::new().with_file("/data/a", "1"));
    let mut session = sandbox.session().await.expect("started");
    let mut execute = async |source: &str| {
        let result = session.execute(source).await.expect("succeeds");
        lines(&result.files)
    };
    assert_eq!(
        execute("open('x', 'w').write('x')").await,
        ["+/home/user/x"]
    );
    assert_eq!(execute("print(open('x').read())").await, [""; 0]);
    let change = "open('x', 'a').write('y'); open('y', 'w').write('y')";
    assert_eq!(execute(change).await, ["~/home/user/x", "+/home/user/y"]);
    let remove = "import os; os.remove('x'); os.remove('/data/a')";
    assert_eq!(execute(remove).await, ["-/data/a", "-/home/user/x"]);
    // What the embedder changes between two executions is not the program's.
    let mut session = sandbox.session().await.expect("started");
    let files = session.files().expect("open");
    files.write("/data/b", b"2").expect("written");
    let result = session.execute("open('/data/b', 'a').write('3')").await;
    let result = result.expect("succeeds");
    assert_eq!(lines(&result.files), ["~/data/b"]);
    assert_eq!(result.files.read("/data/b").as_deref(), Ok(&b"23"[..]));
    // A result does not change any more.
    session
        .execute("open('/data/b', 'w').write('later')")
        .await
        .expect("succeeds");
    assert_eq!(result.files.read("/data/b").as_deref(), Ok(&b"23"[..]));
}

#[tokio::test]
async fn the_embedder_uses_the_files_of_a_session_between_executions() {
    let limits = ResourceLimits::default()
        .with_max_file_bytes(100_000)
        .with_max_files(20);
    let sandbox = Sandbox::embedded()
        .with_resource_limits(limits)
        .with_files(Files::new().with_file("/data/given", "given"))
        .build()
        .expect("valid");
    let mut session = sandbox.session().await.expect("started");
    let files = session.files().expect("open");
    assert_eq!(files.read("/data/given").expect("read"), b"given");
    files.write("/in/deep/er/x.txt", b"hello").expect("written");
    files.create_directory("/in/dir").expect("created");
    files.create_directory("/in/dir").expect("it exists");
    let names: Vec<_> = files
        .list("/in")
        .expect("listed")
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["deep", "dir"]);
    let all: Vec<_> = files.all().into_iter().map(|(path, _)| path).collect();
    assert!(all.contains(&"/in/deep/er/x.txt".to_owned()) && !all.iter().any(|p| p == "/"));
    // A part of them, and one.
    let first = files.with_all(|entries| entries.next());
    assert_eq!(first.map(|(path, _)| path), all.first().cloned());
    let Some(Entry::File(content)) = files.get("/in/deep/er/x.txt") else {
        panic!("it is a file");
    };
    assert_eq!(content.size(), 5);
    for path in ["/", "/in", "/in/deep/"] {
        assert_eq!(files.get(path), Some(Entry::Directory), "{path}");
    }
    for path in ["/nothing", "/in/deep/er/x.txt/y", "/packages/x"] {
        assert_eq!(files.get(path), None, "{path}");
    }
    for (path, reason) in [
        ("/nothing", FileError::NoEntry),
        ("/in", FileError::IsADirectory),
        ("/in/deep/er/x.txt/y", FileError::NotADirectory),
        ("/../x", FileError::NoEntry),
        ("relative", FileError::Invalid),
        ("/a\0", FileError::Invalid),
    ] {
        let error = files.read(path).expect_err(path);
        assert_eq!((error.reason, error.path.as_str()), (reason, path));
        assert!(error.to_string().contains(&format!("{path:?}")), "{error}");
    }
    let error = files.remove("/in").expect_err("not empty");
    assert_eq!(error.reason, FileError::NotEmpty);
    files.remove("/in/dir").expect("removed");

    // The budget is that of the session.
    let error = files
        .write("/big", &vec![1; 100_001])
        .expect_err("too large");
    assert_eq!(error.reason, FileError::NoSpace);
    assert!(error.to_string().contains("raise the limit"), "{error}");
    files.remove("/big").expect("removed");
    let program = "
import errno, os
print(open('/in/deep/er/x.txt').read())
os.symlink('/in/deep', '/link')
try:
    with open('rest', 'wb', buffering=0) as file:
        while file.write(bytes(1000)):
            pass
except OSError as error:
    print(errno.errorcode[error.errno], os.path.getsize('rest'))
held = []
try:
    while True:
        held.append(open('rest'))
except OSError:
    print(len(held) > 200)
";
    let printed = expect_stdout(session.execute(program).await);
    assert_eq!(printed, "hello\nEIO 99987\nTrue\n");
    // The program holds as many files open as it may, and the embedder can still read.
    let files = session.files().expect("open");
    assert_eq!(files.read("/link/er/x.txt").expect("read"), b"hello");
    files.remove("/home/user/rest").expect("removed");
    assert_eq!(files.list("/home/user").expect("listed"), []);
}

#[tokio::test]
async fn a_link_of_a_program_to_a_device_is_not_read_or_written_as_a_file() {
    let mut session = Sandbox::embedded()
        .build()
        .expect("valid")
        .session()
        .await
        .expect("started");
    let program = "
import os
os.symlink('/dev/zero', 'zero')
os.symlink('/dev/urandom', 'random')
os.symlink('/dev', 'd')
os.symlink('report', 'link')
open('report', 'w').write('text')
";
    session.execute(program).await.expect("succeeds");
    let files = session.files().expect("open");
    for path in ["zero", "random", "d/zero", "d/null"] {
        let path = format!("/home/user/{path}");
        for error in [
            files.read(&path).expect_err("a device"),
            files.write(&path, b"x").expect_err("a device"),
        ] {
            assert_eq!(error.reason, FileError::NotAFile, "{path}");
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
    }
    let error = files.read("/home/user/d").expect_err("a directory");
    assert_eq!(error.reason, FileError::IsADirectory);
    files.write("/home/user/link", b"more").expect("a file");
    assert_eq!(files.read("/home/user/link").expect("a file"), b"more");
}
