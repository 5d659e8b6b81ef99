//! Attempts to escape through the bindings, the interpreter and the file system. Isolated tests
//! with one program each are in `isolated/escape_attempts.rs`.

use std::net::TcpListener;

use eryx::net::NetConfig;

use crate::support::{expect_exception, expect_stdout, loopback, sandbox};

/// Runs `program` without a network and with the default policy, and checks that it does not
/// connect to the listener on loopback whose port is `PORT`. Returns the output of the last run.
async fn run_without_connection(program: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    listener.set_nonblocking(true).expect("set");
    let port = listener.local_addr().expect("bound").port();
    let program = format!("PORT = {port}\n{program}");
    let mut printed = String::new();
    for config in [None, Some(NetConfig::default())] {
        printed = expect_stdout(sandbox(config).execute(&program).await);
    }
    let accepted = listener.accept();
    assert!(accepted.is_err(), "it connected: {accepted:?}");
    printed
}

/// Proves that the listener of [`run_without_connection`] would notice a connection.
#[tokio::test]
async fn the_listener_notices_a_permitted_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let program = format!("import socket\nsocket.create_connection(('127.0.0.1', {port}))");
    expect_stdout(sandbox(Some(loopback())).execute(program).await);
    listener.set_nonblocking(true).expect("set");
    listener.accept().expect("noticed");
}

#[tokio::test]
async fn the_built_in_socket_module_cannot_connect() {
    let program = "
import sys
for name in [name for name in sys.modules if name.startswith('eryx_net') or name in ('_socket', 'socket', 'select', '_ssl')]:
    del sys.modules[name]
import _imp, importlib.machinery
spec = importlib.machinery.BuiltinImporter.find_spec('_socket')
_socket = _imp.create_builtin(spec)
_imp.exec_builtin(_socket)
print(_socket.__spec__.origin if _socket.__spec__ else 'built-in')
for family in (_socket.AF_INET, _socket.AF_INET6):
    for kind in (_socket.SOCK_STREAM, _socket.SOCK_DGRAM):
        try:
            s = _socket.socket(family, kind)
            s.connect(('127.0.0.1' if family == _socket.AF_INET else '::1', PORT))
        except OSError as error:
            print('refused')
        else:
            print('CONNECTED')
for call in (lambda: _socket.getaddrinfo('localhost', PORT), lambda: _socket.gethostbyname('localhost')):
    try:
        print('RESOLVED', call())
    except OSError:
        print('refused')
";
    let printed = run_without_connection(program).await;
    assert!(
        !printed.contains("CONNECTED") && !printed.contains("RESOLVED"),
        "{printed}"
    );
    assert_eq!(printed.matches("refused").count(), 6, "{printed}");
}

#[tokio::test]
async fn the_policy_applies_to_direct_calls_of_the_bindings() {
    let program = "
from wit_world.imports import resolver, tcp
from componentize_py_types import Err
for host in ('127.0.0.1', 'localhost', '::1', '0.0.0.0', '2130706433', '127.0.0.1\\0.example.com', ''):
    for call in (
        lambda: tcp.Connection.connect(host, PORT).finish_connect(None),
        lambda: resolver.Lookup.start(host, PORT, resolver.Family.ANY).finish(None),
        lambda: resolver.resolve(host, PORT, resolver.Family.ANY),
    ):
        try:
            call()
        except Err as error:
            print(type(error.value).__name__)
        else:
            print('CONNECTED')
";
    let printed = run_without_connection(program).await;
    for line in printed.lines() {
        assert_eq!(line, "Error_Denied", "{printed}");
    }
    assert_eq!(printed.lines().count(), 21);
}

#[tokio::test]
async fn hostile_arguments_to_the_bindings_are_harmless() {
    let program = "
from wit_world.imports import poll, resolver, tcp, tls
from componentize_py_types import Err
big = 2**32 - 1
calls = [
    lambda: tcp.Connection.connect('x' * 1_000_000, 80),
    lambda: tcp.Connection.connect('\\u0000' * 300, 0),
    lambda: resolver.Lookup.start('a.' * 1000, 65535, resolver.Family.ANY),
    lambda: resolver.Lookup.start('', None, resolver.Family.IPV6),
    lambda: resolver.resolve('a.' * 1000, 65535, resolver.Family.ANY),
    lambda: resolver.resolve('x' * 1_000_000, None, resolver.Family.IPV6),
    lambda: poll.poll([], [], [], [], [], [], 0),
    lambda: tls.Session.client(tls.ClientConfig('x' * 1_000_000, ['y' * 70000] * 40, True, True, ['z'] * 5000, True, None, ['z'] * 5000, None, None, None, [65535] * 5000, [0] * 5000)),
    lambda: tls.Session.client(tls.ClientConfig('example.com', ['\\u0000' * 300], True, True, ['AA=='] * 2000, False, None, [], tls.Identity(['AA=='] * 100, '!'), None, None, [], [])),
]
for call in calls:
    try:
        call()
    except Err as error:
        pass
print('survived')
";
    assert_eq!(
        expect_stdout(sandbox(Some(NetConfig::default())).execute(program).await),
        "survived\n"
    );
}

#[tokio::test]
async fn too_much_data_in_one_call_ends_the_program_not_the_host() {
    let program = "
from wit_world.imports import tcp
tcp.Connection.connect('x' * 30_000_000, 80)
";
    let result = sandbox(Some(NetConfig::default())).execute(program).await;
    assert!(
        matches!(
            result,
            Err(eryx::Error::InterpreterCrashed { .. } | eryx::Error::Exception(_))
        ),
        "{result:?}"
    );
}

#[tokio::test]
async fn polling_one_connection_in_a_hundred_thousand_items_ends_the_program() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let program = format!(
        "
from wit_world.imports import poll, tcp
c = tcp.Connection.connect('127.0.0.1', {port})
poll.poll([c] * 100_000, [], [], [], [], [], 0)
"
    );
    let result = sandbox(Some(loopback())).execute(program).await;
    assert!(
        matches!(result, Err(eryx::Error::InterpreterCrashed { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn using_a_dropped_handle_ends_the_program_not_the_host() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("bound").port();
    let program = format!(
        "
from wit_world.imports import tcp
c = tcp.Connection.connect('127.0.0.1', {port})
c.finish_connect(None)
handle = c.handle
c.__exit__(None, None, None)
c.handle = handle
c.read(1, 0)
"
    );
    let result = sandbox(Some(loopback())).execute(program).await;
    assert!(result.is_err(), "{result:?}");
    assert_eq!(
        expect_stdout(sandbox(None).execute("print('alive')").await),
        "alive\n"
    );
}

#[tokio::test]
async fn files_of_the_machine_processes_and_libraries_are_unavailable() {
    let program = "
import os, subprocess
for name in ('/etc/passwd', '/proc/self/environ', '/', '.', '..', '/python/os.py', '/dev/mem', '/dev/fd/0', '//etc/passwd', '../../etc/passwd'):
    try:
        open(name).read()
    except OSError:
        print('refused')
    else:
        print('OPENED', name)
os.symlink('/etc', 'x')
os.symlink('../../..', '/tmp/x')
for call in (lambda: open('x/passwd'), lambda: open('/tmp/x/etc/passwd'), lambda: os.listdir('/dev/shm'), lambda: os.link('/etc/passwd', 'y')):
    try:
        call()
    except OSError:
        print('refused')
    else:
        print('DONE')
for call in (lambda: subprocess.run(['true']), lambda: os.fork(), lambda: os.execv('/bin/true', ['true']), lambda: os.system('true')):
    try:
        call()
    except (OSError, AttributeError, NotImplementedError):
        print('refused')
    else:
        print('RAN')
try:
    import ctypes
    ctypes.CDLL('libc.so.6')
except OSError:
    print('refused')
else:
    print('LOADED')
print(dict(os.environ))
";
    let printed = expect_stdout(sandbox(None).execute(program).await);
    assert_eq!(
        printed.lines().filter(|line| *line == "refused").count(),
        19,
        "{printed}"
    );
    let environment = "{'HOME': '/home/user'}";
    assert_eq!(printed.lines().last(), Some(environment), "{printed}");
}

#[tokio::test]
async fn without_a_network_every_socket_call_raises_that_networking_is_off() {
    for call in [
        "socket.create_connection(('example.com', 80))",
        "socket.create_connection(('127.0.0.1', 80))",
        "socket.getaddrinfo('example.com', 80)",
        "socket.gethostbyname('example.com')",
        "socket.socket().connect(('1.1.1.1', 80))",
    ] {
        let error = expect_exception(
            sandbox(None)
                .execute(format!("import socket\n{call}"))
                .await,
        );
        assert_eq!(error.exception_type, "PermissionError", "{call}: {error}");
        assert!(
            error.message.contains("networking is off"),
            "{call}: {error}"
        );
    }
    let program = "import errno, socket\ntry: socket.create_connection(('example.com', 80))\nexcept OSError as e: print(e.errno == errno.EACCES)";
    assert_eq!(
        expect_stdout(sandbox(None).execute(program).await),
        "True\n"
    );
}

#[tokio::test]
async fn every_supported_standard_library_module_can_be_imported() {
    let program = "
import pkgutil, sys
left_out = {'antigravity', 'this', 'idlelib', 'tkinter', 'turtle', 'turtledemo', 'ensurepip', 'venv', 'test'}
missing = []
tried = 0
for name in sorted(sys.stdlib_module_names - left_out):
    if name.startswith('_'):
        continue
    tried += 1
    try:
        __import__(name)
    except ImportError as error:
        missing.append(f'{name}: {error}')
    except Exception as error:
        missing.append(f'{name}: {error!r}')
print(tried > 150)
for line in missing: print(line)
";
    let printed = expect_stdout(sandbox(None).execute(program).await);
    let mut lines = printed.lines();
    assert_eq!(lines.next(), Some("True"));
    // Modules that need a library or an operating system this interpreter is not built for. Nothing
    // may be added to this list.
    let unsupported = [
        "bz2",
        "compression",
        "dbm",
        "lzma",
        "msvcrt",
        "nt",
        "winreg",
        "winsound",
    ];
    for line in lines {
        let name = line.split(':').next().unwrap_or_default();
        assert!(unsupported.contains(&name), "{line}");
    }
}
