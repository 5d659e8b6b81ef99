//! Files that the embedder gives to programs, and those that it gets from them.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use eryx::files::{ChangeKind, ChangedFiles, Entry, FileError, FilesError, ReadError};
use eryx::{
    CancelHandle, ConfigError, Error, Files, Function, FunctionError, Limit, MountAccess, Program,
    ResourceLimits, Sandbox, SandboxFactory,
};
use eryx_sync::Mutex;
use tokio::runtime::Handle;

use crate::support::{expect_stdout, timeout_of};

pub(crate) fn sandbox(files: Files) -> Sandbox {
    let sandbox = Sandbox::embedded().with_files(files).build();
    sandbox.expect("valid files")
}

/// Returns a line for each change: `+` for created, `~` for modified, `-` for removed.
pub(crate) fn lines(files: &ChangedFiles) -> Vec<String> {
    let line = |change: eryx::files::Change| {
        let sign = match change.kind {
            ChangeKind::Created(_) => '+',
            ChangeKind::Modified(_) => '~',
            _ => '-',
        };
        format!("{sign}{}", change.path)
    };
    files.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_reads_its_inputs_with_any_module_and_its_outputs_come_back() {
    let files = Files::new()
        .with_file("/data/in.csv", "name,age\nAda,36\nGrace,45\n")
        .with_file("/data/untouched", "x")
        .with_directory("/work");
    let sandbox = sandbox(files);
    let result = sandbox
        .execute(include_str!("programs/files_in_and_out.py"))
        .await;
    let result = result.expect("the program succeeds");
    assert_eq!(result.stdout, "81 2\n");
    let expected = [
        "~/data/in.csv",
        "+/home/user/out.zip",
        "+/home/user/people.db",
        "+/home/user/report.txt",
        "+/work/link",
    ];
    assert_eq!(lines(&result.files), expected);
    let files = &result.files;
    let report = files.read("/home/user/report.txt").expect("a file");
    assert_eq!(report, b"mean: 40.5\n");
    let archive = files.read("/home/user/out.zip").expect("a file");
    let mut archive = zip::ZipArchive::new(io::Cursor::new(archive)).expect("an archive");
    let member = archive.by_name("report.txt").expect("a member");
    assert_eq!(io::read_to_string(member).expect("text"), "mean: 40.5\n");
    let database = files.read("/home/user/people.db").expect("a file");
    assert!(database.starts_with(b"SQLite format 3\0"));
    for missing in [
        "/data/untouched",
        "/work/link",
        "/work",
        "/nothing",
        "report.txt",
    ] {
        let error = files.read(missing).expect_err(missing);
        assert_eq!(error, ReadError::NotChanged(missing.to_owned()));
    }
    assert!(matches!(
        files.get("/work/link"),
        Some(ChangeKind::Created(Entry::Symlink(target))) if &*target == "/etc/passwd"
    ));

    let folder = tempfile::tempdir().expect("a folder");
    let saved = files.save(folder.path()).expect("saved");
    assert_eq!((saved.files, saved.skipped_links.len()), (4, 1));
    let report = fs::read(folder.path().join("home/user/report.txt"));
    assert_eq!(report.expect("saved"), b"mean: 40.5\n");
    assert!(!folder.path().join("work/link").is_symlink());

    // The next execution starts with the files as they were given.
    let look =
        "import os\nprint(open('/data/in.csv').read()[:4], os.listdir(), os.listdir('/work'))";
    let result = sandbox.execute(look).await.expect("succeeds");
    assert_eq!(result.stdout, "name [] []\n");
    assert!(result.files.is_empty());
}

#[tokio::test]
async fn files_of_a_program_that_did_not_run_to_its_end_come_back_too() {
    let with_timeout = |seconds| {
        Sandbox::embedded()
            .with_resource_limits(timeout_of(seconds))
            .build()
            .expect("valid")
    };
    let sandbox = with_timeout(60);
    let write = "open('so-far', 'w').write('kept')\n";
    let cases = [
        ("1 / 0", "an exception"),
        ("raise SystemExit(3)", "an exit"),
        ("while True: pass", "a timeout"),
        ("x = bytearray(2**30)", "memory"),
        ("import os; os.abort()", "a crash"),
    ];
    for (end, name) in cases {
        let sandbox = with_timeout(if name == "a timeout" { 3 } else { 60 });
        let result = sandbox.execute(format!("{write}{end}")).await;
        let error = result.expect_err(name);
        let files = error.files().expect(name);
        let kept = files.read("/home/user/so-far");
        assert_eq!(kept.as_deref(), Ok(&b"kept"[..]), "{name}: {error}");
        assert_eq!(lines(files), ["+/home/user/so-far"], "{name}");
    }
    let cancel = CancelHandle::new();
    cancel.cancel();
    let error = sandbox.execute_cancellable(write, &cancel).await;
    let error = error.expect_err("cancelled");
    assert!(error.files().is_some_and(ChangedFiles::is_empty));
    // An execution that did not begin has none.
    let mut session = sandbox.session().await.expect("started");
    session
        .execute("import os; os._exit(0)")
        .await
        .expect("ends");
    let error = session.execute("pass").await.expect_err("closed");
    assert!(error.files().is_none());
    assert!(matches!(session.files(), Err(Error::SessionClosed { .. })));
}

#[tokio::test]
async fn provided_content_is_waited_for_without_holding_up_anything_else() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let files = Files::new()
        .with_source("/data/slow", None, move || {
            counted.fetch_add(1, Ordering::Relaxed);
            // Until the test ends, if it fails.
            let _ = wait.lock().recv();
            Ok("slow")
        })
        .with_source("/data/sized", Some(5), || Ok("sized"))
        .with_source("/data/other-size", Some(5), || Ok("four"))
        .with_source("/data/panics", None, || -> io::Result<Vec<u8>> {
            panic!("a mistake of the embedder")
        })
        .with_source("/data/broken", None, || -> io::Result<Vec<u8>> {
            Err(io::Error::other("no connection"))
        });
    let with_timeout = |seconds| {
        let sandbox = Sandbox::embedded().with_files(files.clone());
        let sandbox = sandbox.with_resource_limits(timeout_of(seconds));
        sandbox.build().expect("valid")
    };
    let sandbox = with_timeout(3);
    // On one thread: a program that waits holds up neither others nor its own timeout.
    let waiting = sandbox.execute("import os\nos.stat('/data/slow')");
    let other = sandbox.execute("print(open('/data/sized').read())");
    let (waited, other) = tokio::join!(waiting, other);
    assert_eq!(expect_stdout(other), "sized\n");
    assert!(matches!(
        waited,
        Err(Error::Limit {
            limit: Limit::ExecutionTime(_),
            ..
        })
    ));
    release.send(()).expect("the function waits");
    let read = "
import errno, os
print(os.stat('/data/slow').st_size, open('/data/slow').read(), os.stat('/data/sized').st_size)
for name in ('other-size', 'panics', 'broken'):
    for _ in range(2):
        try:
            open('/data/' + name).read()
        except OSError as error:
            print(name, errno.errorcode[error.errno])
open('/data/slow', 'a').write('er')
";
    // The backtrace of a panic can take seconds.
    let result = with_timeout(60).execute(read).await.expect("succeeds");
    let expected = "4 slow 5\nother-size EIO\nother-size EIO\npanics EIO\npanics EIO\nbroken EIO\nbroken EIO\n";
    assert_eq!(result.stdout, expected);
    assert_eq!(lines(&result.files), ["~/data/slow"]);
    assert_eq!(
        result.files.read("/data/slow").as_deref(),
        Ok(&b"slower"[..])
    );
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

/// Runs programs in a sandbox that is built later.
#[derive(Clone)]
struct LaterSandbox {
    sandbox: Arc<OnceLock<Sandbox>>,
    runtime: Handle,
}

impl LaterSandbox {
    /// Returns the standard output of a program. Blocks.
    fn run(&self, program: impl Into<Program>) -> Result<String, Error> {
        let sandbox = self.sandbox.get().expect("built");
        let result = self.runtime.block_on(sandbox.execute(program));
        result.map(|result| result.stdout)
    }

    /// Returns a function that provides the output of a program.
    fn provide(
        &self,
        program: String,
    ) -> impl Fn() -> io::Result<String> + Send + Sync + 'static + use<> {
        let this = self.clone();
        move || this.run(program.as_str()).map_err(io::Error::other)
    }
}

/// Returns a program that prints the value of an expression, or the error code.
fn print_or_error(expression: &str) -> String {
    format!(
        "import errno, os, tools\ntry:\n    print({expression}, end='')\nexcept OSError as error:\n    \
         print(errno.errorcode[error.errno], end='')"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_provides_a_file_for_which_it_waits_gets_an_error_at_once() {
    let later = LaterSandbox {
        sandbox: Arc::default(),
        runtime: Handle::current(),
    };
    let called = later.clone();
    let read_called = Function::blocking(move |_| {
        let read = called.run(print_or_error("open('/data/called').read()"));
        read.map_err(|error| FunctionError::new("RuntimeError", error.to_string()))
    });
    let mut files = Files::new().with_file("/data/plain", "plain");
    for (path, expression) in [
        ("itself", "open('/data/itself').read()"),
        ("size", "os.stat('/data/size')"),
        ("a", "open('/data/b').read()"),
        ("b", "open('/data/a').read()"),
        ("called", "tools.read_called()"),
        ("other", "open('/data/plain').read()"),
        ("embedder", "open('/data/embedder').read()"),
        ("saved", "open('/data/saved').read()"),
        ("panics", "[].pop()"),
    ] {
        let provide = later.provide(print_or_error(expression));
        files = files.with_source(format!("/data/{path}"), None, provide);
    }
    let sandbox = Sandbox::embedded()
        .with_files(files)
        .with_function("read_called", read_called)
        .with_resource_limits(timeout_of(10))
        .build()
        .expect("valid");
    later.sandbox.set(sandbox.clone()).expect("set once");
    for (path, expected) in [
        ("itself", "EDEADLK"),
        ("size", "EDEADLK"),
        ("a", "EDEADLK"),
        ("b", "EDEADLK"),
        ("called", "EDEADLK"),
        ("other", "plain"),
    ] {
        let program = format!("print(open('/data/{path}').read(), end='')");
        assert_eq!(
            expect_stdout(sandbox.execute(program).await),
            expected,
            "{path}"
        );
    }
    let mut session = sandbox.session().await.expect("started");
    // Also if a snapshot needs the content. It waits for it as for all else, and fails with it.
    let rename = "import os; os.rename('/data/{}', '/data/renamed')";
    for (path, is_saved) in [("saved", true), ("panics", false)] {
        let rename = rename.replace("{}", path);
        session.execute(rename).await.expect("renamed");
        let snapshot = session.snapshot().await;
        assert_eq!(snapshot.is_ok(), is_saved, "{path}");
        if let Ok(snapshot) = snapshot {
            let mut restored = sandbox.restore(&snapshot).await.expect("restored");
            let files = restored.files().expect("open");
            let content = files.read("/data/renamed");
            assert_eq!(content.as_deref(), Ok(&b"EDEADLK"[..]));
        }
    }
    // Also if the embedder reads the file.
    let read = tokio::task::spawn_blocking(move || {
        let files = session.files().expect("open");
        files.read("/data/embedder")
    });
    assert_eq!(
        read.await.expect("no panic").as_deref(),
        Ok(&b"EDEADLK"[..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_provide_files_nest_as_deeply_as_others() {
    /// Returns a program whose file a further program provides, and so on.
    fn program(sandbox: &LaterSandbox, errors: &Arc<Mutex<Vec<Error>>>) -> Program {
        let (sandbox, errors) = (sandbox.clone(), Arc::clone(errors));
        let provide = move || {
            let inner = program(&sandbox, &errors);
            sandbox.run(inner).map_err(|error| {
                errors.lock().push(error);
                io::Error::other("the program failed")
            })
        };
        let files = Files::new().with_source("/data/x", None, provide);
        Program::new("open('/data/x').read()").with_files(files)
    }

    let sandbox = sandbox(Files::new());
    let later = LaterSandbox {
        sandbox: Arc::new(OnceLock::from(sandbox.clone())),
        runtime: Handle::current(),
    };
    let errors = Arc::default();
    let outer = sandbox.execute(program(&later, &errors)).await;
    assert!(matches!(outer, Err(Error::Exception(_))));
    let errors = errors.lock();
    assert_eq!(errors.len(), 8);
    assert!(matches!(errors[0], Error::NestedTooDeep { max: 8, .. }));
    assert!(
        errors[1..]
            .iter()
            .all(|error| matches!(error, Error::Exception(_)))
    );
}

#[tokio::test]
async fn files_of_the_machine_that_change_while_a_program_reads_them_have_a_clear_end() {
    let machine = tempfile::tempdir().expect("a folder");
    let path = |name: &str| machine.path().join(name);
    fs::create_dir(path("mount")).expect("created");
    for name in ["given", "mount/mounted"] {
        fs::write(path(name), "12345").expect("written");
    }
    let files = Files::new()
        .with_machine_file("/given", path("given"))
        .with_mount("/mount", path("mount"), MountAccess::ReadOnly);
    let (given, mounted) = (path("given"), path("mount/mounted"));
    let change = Function::immediate(move |arguments| {
        let [content]: [String; 1] = arguments.to()?;
        fs::write(&given, &content).expect("written");
        fs::write(&mounted, &content).expect("written");
        Ok(())
    });
    let sandbox = Sandbox::embedded()
        .with_files(files)
        .with_function("change", change)
        .build()
        .expect("valid");
    let program = "
import errno, os, tools
opened = [open('/given', 'rb', 0), open('/mount/mounted', 'rb', 0)]
def show():
    for path, file in zip(['/given', '/mount/mounted'], opened):
        file.seek(0)
        for read in (file.read, lambda: open(path, 'rb').read()):
            try:
                print(os.stat(path).st_size, read(), end='; ')
            except OSError as error:
                print(errno.errorcode[error.errno], end='; ')
    print()
show()
for content in ('123456789', '123', ''):
    tools.change(content)
    show()
";
    // A file that is given has the size that it had, and one that is mounted has the current one.
    let expected = "\
        5 b'12345'; 5 b'12345'; 5 b'12345'; 5 b'12345'; \n\
        5 b'12345'; 5 b'12345'; 9 b'123456789'; 9 b'123456789'; \n\
        EIO; EIO; 3 b'123'; 3 b'123'; \n\
        EIO; EIO; 0 b''; 0 b''; \n";
    assert_eq!(expect_stdout(sandbox.execute(program).await), expected);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_that_the_kernel_makes_have_their_content_though_their_size_is_0() {
    let version = fs::read_to_string("/proc/version").expect("a file");
    let files = Files::new()
        .with_machine_file("/version", "/proc/version")
        .with_mount("/proc", "/proc", MountAccess::ReadOnly);
    let sandbox = sandbox(files);
    let program = "
import shutil
shutil.copy('/proc/version', 'copy')
for path in ('/version', '/proc/version', 'copy'):
    print(open(path).read(), end='')
";
    assert_eq!(
        expect_stdout(sandbox.execute(program).await),
        version.repeat(3)
    );
    let mut session = sandbox.session().await.expect("started");
    let files = session.files().expect("open");
    for path in ["/version", "/proc/version"] {
        assert_eq!(
            files.read(path).as_deref(),
            Ok(version.as_bytes()),
            "{path}"
        );
    }
    // Eight bytes for each page of the address space.
    let error = files.read("/proc/self/pagemap").expect_err("too large");
    assert!(matches!(
        error.reason,
        FileError::FileTooLarge | FileError::Loop
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_and_large_files_go_in_and_out() {
    let machine = tempfile::tempdir().expect("a folder");
    let large = machine.path().join("large");
    let content: Vec<u8> = (0..60 << 20).map(|n: u32| (n >> 12) as u8).collect();
    fs::write(&large, &content).expect("written");
    let files = (0..10_000).fold(Files::new(), |files, number| {
        files.with_file(
            format!("/data/{:02}/{number}", number % 50),
            number.to_string(),
        )
    });
    let limits = ResourceLimits::default()
        .with_max_file_bytes(64 << 20)
        .with_max_files(10_000);
    let sandbox = Sandbox::embedded()
        .with_files(files.with_machine_file("/data/large", &large))
        .with_resource_limits(limits)
        .build()
        .expect("valid");
    let program = "
import hashlib, os
total = sum(int(open(f'/data/{n % 50:02}/{n}').read()) for n in range(10_000))
with open('/data/large', 'rb') as file:
    print(total, hashlib.file_digest(file, 'sha256').hexdigest())
    file.seek(2**62)
    print(file.read())
os.mkdir('out')
for n in range(9_000):
    with open(f'out/{n}', 'w') as file:
        file.write(str(n))
with open('/data/large', 'rb') as file, open('copy', 'wb') as copy:
    while piece := file.read(1 << 20):
        copy.write(piece)
";
    let result = sandbox.execute(program).await.expect("succeeds");
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(&content);
    assert_eq!(result.stdout, format!("49995000 {digest:x}\nb''\n"));
    assert_eq!(result.files.iter().count(), 9_002);
    assert!(result.files.read("/home/user/copy").expect("a file") == content);
    let folder = tempfile::tempdir().expect("a folder");
    let saved = result.files.save(folder.path()).expect("saved");
    assert_eq!(saved.files, 9_001);
    let last = fs::read_to_string(folder.path().join("home/user/out/8999"));
    assert_eq!(last.expect("saved"), "8999");
}

#[tokio::test]
async fn names_that_a_program_chooses_do_not_lead_out_of_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("inner");
    fs::create_dir_all(inner.join("home")).expect("created");
    // Links that were in the folder before are not followed.
    std::os::unix::fs::symlink(folder.path(), inner.join("home/user")).expect("linked");
    std::os::unix::fs::symlink(folder.path(), inner.join("tmp")).expect("linked");
    let program = "
import os
names = ['..\\\\up', '-rf', '~', '$HOME', 'a\\nb', '\\x1b[31m', 'C:', '...', ' ', '\\u202egpj.exe']
os.mkdir('/x')
for name in names:
    open('/x/' + name, 'w').write(name)
os.symlink('..', '/x/link')
print(len(os.listdir('/x')))
";
    let sandbox = sandbox(Files::new());
    let result = sandbox.execute(program).await.expect("succeeds");
    assert_eq!(result.stdout, "11\n");
    let saved = result.files.save(&inner).expect("saved");
    assert_eq!(
        (saved.files, saved.skipped_links),
        (10, vec!["/x/link".to_owned()])
    );
    assert_eq!(fs::read_dir(inner.join("x")).expect("read").count(), 10);
    for source in [
        "open('out', 'w').write('x')",
        "open('/tmp/out', 'w').write('x')",
    ] {
        let result = sandbox.execute(source).await.expect("succeeds");
        result.files.save(&inner).expect_err("a link is in the way");
        assert!(!folder.path().join("out").exists());
    }
    assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
    let error = result.files.save(folder.path().join("missing"));
    let text = error.expect_err("no folder").to_string();
    assert!(
        text.contains("missing") && text.contains("name one that exists"),
        "{text}"
    );
}

#[tokio::test]
async fn files_that_cannot_be_given_are_refused_when_the_sandbox_is_made() {
    let build = |files| Sandbox::embedded().with_files(files).build();
    for files in [
        Files::new().with_file("data", "x"),
        Files::new().with_file("/packages/six.py", "x"),
        Files::new().with_mount("/packages", "/tmp", MountAccess::ReadOnly),
        Files::new().with_machine_file("/data", "/does/not/exist"),
    ] {
        let error = build(files).map(drop).expect_err("refused");
        let Error::Config(ConfigError::Files(reason)) = &error else {
            panic!("{error:?}");
        };
        assert!(reason.to_string().starts_with("files: "), "{reason}");
        assert!(!matches!(reason, FilesError::Invalid { reason, .. } if reason.is_empty()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_of_a_factory_has_its_files_and_its_packages() {
    let folder = tempfile::tempdir().expect("a folder");
    let package = folder.path().join("greeting");
    fs::create_dir(&package).expect("created");
    fs::write(package.join("__init__.py"), "WHO = 'package'\n").expect("written");
    fs::write(package.join("late.py"), "WHO = 'late'\n").expect("written");
    let factory = SandboxFactory::builder()
        .with_package(&package)
        .with_import("greeting")
        .with_setup_code(
            "try:\n    import mine\nexcept ImportError:\n    pass\nimport os\nSETUP = os.getcwd()",
        )
        .without_cache()
        .build()
        .await
        .expect("built");
    // Neither module of the working directory replaces a package or the standard library.
    let files = Files::new()
        .with_file("/home/user/mine.py", "WHO = 'mine'")
        .with_file("/home/user/greeting/late.py", "WHO = 'shadow'")
        .with_file("/home/user/json.py", "WHO = 'shadow'")
        .with_file("/data/x", "x");
    let sandbox = factory.sandbox().with_files(files).build().expect("valid");
    let program = "
import greeting, greeting.late, json, mine, os, sys
print(greeting.WHO, greeting.late.WHO, hasattr(json, 'WHO'), mine.WHO, SETUP, sys.path)
print(open('/data/x').read(), sorted(os.listdir('/packages')), sorted(os.listdir()))
";
    let result = sandbox.execute(program).await.expect("succeeds");
    assert_eq!(
        result.stdout,
        "package late False mine /home/user ['/packages', '/home/user']\n\
         x ['greeting'] ['greeting', 'json.py', 'mine.py']\n"
    );
    assert!(result.files.is_empty(), "{:?}", result.files);
}

#[tokio::test]
async fn programs_start_in_their_home_directory_and_import_their_own_modules() {
    let program = "
import os, pathlib, sys, tempfile
print(os.getcwd(), pathlib.Path.home(), os.path.expanduser('~/x'), os.environ['HOME'])
print(pathlib.Path('a').absolute(), os.path.realpath('.'), tempfile.gettempdir(), sys.path)
try:
    import own
except ImportError:
    print('missing')
pathlib.Path('own.py').write_text('import own_too\\nVALUE = own_too.VALUE')
pathlib.Path('own_too.py').write_text('VALUE = 7')
import own
print(own.VALUE, own.__file__)
os.chdir('/tmp')
print(os.getcwd(), os.listdir('.'), own.VALUE)
os.chdir('/')
print(os.getcwd())
";
    let mut session = sandbox(Files::new()).session().await.expect("started");
    let result = session.execute(program).await.expect("succeeds");
    assert_eq!(
        result.stdout,
        "/home/user /home/user /home/user/x /home/user\n\
         /home/user/a /home/user /tmp ['/home/user']\n\
         missing\n\
         7 /home/user/own.py\n\
         /tmp [] 7\n\
         /\n"
    );
    // No bytecode is written beside the modules.
    let expected = ["+/home/user/own.py", "+/home/user/own_too.py"];
    assert_eq!(lines(&result.files), expected);
    // A session stays where its program went.
    let printed = session.execute("print(os.getcwd())").await;
    assert_eq!(expect_stdout(printed), "/\n");
    let sandbox = Sandbox::embedded().with_env([("HOME", "/tmp")]).build();
    let print = "import os, pathlib; print(os.getcwd(), pathlib.Path.home())";
    let result = sandbox.expect("valid").execute(print).await;
    assert_eq!(expect_stdout(result), "/home/user /tmp\n");
}

/// Regression: `import app` returned a module of the image.
#[tokio::test]
async fn a_program_imports_its_own_app() {
    let files = Files::new().with_file("/home/user/app.py", "NAME = 'own'");
    let program = "import app; print(app.NAME, app.__file__)";
    let result = sandbox(files).execute(program).await;
    assert_eq!(expect_stdout(result), "own /home/user/app.py\n");
}

#[tokio::test]
async fn a_maze_of_links_and_a_budget_that_is_filled_byte_by_byte_are_harmless() {
    let limits = ResourceLimits::default()
        .with_max_file_bytes(1 << 20)
        .with_execution_timeout(Duration::from_secs(60));
    let sandbox = Sandbox::embedded()
        .with_resource_limits(limits)
        .build()
        .expect("valid");
    let program = "
import errno, os
os.mkdir('/m')
for n in range(100):
    os.symlink(f'/m/{(n + 1) % 100}', f'/m/{n}')
os.symlink('.', '/m/self')
path = '/m' + '/self' * 500
for path in ('/m/0', '/m' + '/self' * 39 + '/0', '/m' + '/self' * 500):
    try:
        open(path)
    except OSError as error:
        print(errno.errorcode[error.errno])
with open('bytes', 'wb', buffering=0) as file:
    try:
        while True:
            file.write(b'x')
    except OSError as error:
        print(errno.errorcode[error.errno])
print(os.path.getsize('bytes') > 2**20 - 1000)
";
    let result = sandbox.execute(program).await.expect("succeeds");
    assert_eq!(result.stdout, "ELOOP\nELOOP\nELOOP\nEIO\nTrue\n");
    let bytes = result.files.read("/home/user/bytes").expect("a file");
    assert!(bytes.len() > (1 << 20) - 1000 && bytes.iter().all(|byte| *byte == b'x'));
}
