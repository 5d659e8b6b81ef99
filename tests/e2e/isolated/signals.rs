//! Signal handlers of the embedder, and guests that trap. Each case runs in a process of its own,
//! this program started again: a handler stays set, and some cases have to end by a signal.
#![cfg(target_os = "linux")]

use std::env;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use eryx::{Error, Sandbox};
use libc::{SIGFPE, SIGILL, SIGSEGV, c_int, c_void, siginfo_t};

/// Set to the name of the case in the process that runs it.
const CASE: &str = "ERYX_SIGNALS_CASE";

/// The exit status of a process whose crash reporter was called.
const REPORTED: c_int = 42;

/// Programs that trap with different signals.
const TRAPS: [&str; 2] = [
    // SIGILL.
    "import os; os.abort()",
    // SIGSEGV: loads a constant far beyond the end of the memory.
    "import opcode\no = opcode.opmap\nfar = bytes([o['RESUME'], 0, o['EXTENDED_ARG'], 15, o['EXTENDED_ARG'], 255, \
     o['EXTENDED_ARG'], 255, o['LOAD_CONST'], 255, o['RETURN_VALUE'], 0])\n\
     def f(): pass\nexec(f.__code__.replace(co_code=far))",
];

type Handler = unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// Sets `handler` for the three signals, and returns the previous actions.
fn set(handler: Handler, flags: c_int) -> [libc::sigaction; 3] {
    [SIGSEGV, SIGILL, SIGFPE].map(|signal| {
        // SAFETY: all zeros are a valid value of the structure.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: as above.
        let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | flags;
        // SAFETY: the handlers of this file only call async-signal-safe functions.
        assert_eq!(unsafe { libc::sigaction(signal, &action, &mut old) }, 0);
        old
    })
}

/// Sets a handler for SIGILL whose action differs from the others by its mask of blocked signals.
fn set_different(nth: c_int) {
    // SAFETY: all zeros are a valid value of the structure.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = report as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the mask is initialized.
    unsafe { libc::sigaddset(&mut action.sa_mask, nth + 1) };
    // SAFETY: as in `set`.
    unsafe { libc::sigaction(SIGILL, &action, std::ptr::null_mut()) };
}

/// Restores previous actions.
fn restore(old: [libc::sigaction; 3]) {
    for (signal, action) in [SIGSEGV, SIGILL, SIGFPE].into_iter().zip(old) {
        // SAFETY: the action was in force before.
        let set = unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
        assert_eq!(set, 0);
    }
}

/// Writes to standard error with an async-signal-safe function.
fn print(text: &str) {
    // SAFETY: the pointer and the length are those of `text`.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

/// A crash reporter that ends the process.
unsafe extern "C" fn report(_: c_int, _: *mut siginfo_t, _: *mut c_void) {
    print("reported\n");
    // SAFETY: `_exit` is async-signal-safe.
    unsafe { libc::_exit(REPORTED) };
}

/// A crash reporter that restores the previous actions, and raises the signal again.
unsafe extern "C" fn report_and_raise(signal: c_int, _: *mut siginfo_t, _: *mut c_void) {
    print("reported\n");
    // SAFETY: `PREVIOUS` is written before this handler can be called.
    if let Some(old) = unsafe { PREVIOUS } {
        restore(old);
    }
    // SAFETY: `raise` is async-signal-safe.
    unsafe { libc::raise(signal) };
}

/// A handler that calls the previous one, as an engine does for faults that are not its own.
unsafe extern "C" fn forward(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    print("forwarded\n");
    // SAFETY: `PREVIOUS` is written before this handler can be called.
    let Some(old) = (unsafe { PREVIOUS }) else {
        return;
    };
    let action = old[[SIGSEGV, SIGILL, SIGFPE]
        .iter()
        .position(|handled| *handled == signal)
        .unwrap_or(0)];
    if action.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: an action with `SA_SIGINFO` has a handler of this type.
        let handler: Handler = unsafe { std::mem::transmute(action.sa_sigaction) };
        // SAFETY: the arguments are the kernel's.
        unsafe { handler(signal, info, context) };
    }
}

/// A handler for one signal, which returns.
unsafe extern "C" fn report_once(_: c_int, _: *mut siginfo_t, _: *mut c_void) {
    print("reported\n");
}

/// The actions before [`set_chained`].
static mut PREVIOUS: Option<[libc::sigaction; 3]> = None;

/// Sets a handler that uses the previous actions.
fn set_chained(handler: Handler) {
    let old = set(handler, libc::SA_NODEFER);
    // SAFETY: handlers only read it when a signal arrives, which is later.
    unsafe { PREVIOUS = Some(old) };
}

/// Crashes as a bug of the host does.
fn crash() {
    // SAFETY: none; the process is meant to end here.
    unsafe { std::ptr::null_mut::<u8>().wrapping_add(8).write_volatile(1) };
}

fn sandbox() -> Sandbox {
    Sandbox::embedded().build().expect("built")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("started").block_on(future)
}

fn trap() {
    for program in TRAPS {
        let ended = block_on(sandbox().execute(program));
        assert!(
            matches!(ended, Err(Error::InterpreterCrashed { .. })),
            "{program}: {ended:?}"
        );
    }
}

/// Runs a program that crashes, and sets a handler meanwhile.
fn set_while_running(program: &str) {
    let sandbox = sandbox();
    let other = thread::spawn(|| {
        thread::sleep(Duration::from_millis(200));
        set(report, 0);
    });
    let ended = block_on(sandbox.execute(program));
    assert!(
        matches!(ended, Err(Error::InterpreterCrashed { .. })),
        "{ended:?}"
    );
    other.join().expect("set");
}

/// A case, which runs in a process of its own.
struct Case {
    name: &'static str,
    run: fn(),
    /// The exit status, or the signal that ends the process.
    status: Result<c_int, c_int>,
    /// The text on standard error.
    stderr: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "no handler is set",
        run: trap,
        status: Ok(0),
        stderr: "",
    },
    Case {
        name: "a handler is set before the first sandbox",
        run: || {
            set(report, 0);
            trap();
        },
        status: Ok(0),
        stderr: "",
    },
    Case {
        name: "a handler is set after the first sandbox",
        run: || {
            trap();
            set(report, 0);
            trap();
        },
        status: Ok(0),
        stderr: "",
    },
    Case {
        name: "a handler is set again and again",
        run: || {
            for _ in 0..40 {
                set(report, 0);
                trap();
                set_chained(report_and_raise);
                trap();
            }
        },
        status: Ok(0),
        stderr: "",
    },
    Case {
        name: "the host crashes, with a handler set before the first sandbox",
        run: || {
            set(report, 0);
            trap();
            crash();
        },
        status: Ok(REPORTED),
        stderr: "reported\n",
    },
    Case {
        name: "the host crashes, with a handler set after the first sandbox",
        run: || {
            trap();
            set(report, 0);
            trap();
            crash();
        },
        status: Ok(REPORTED),
        stderr: "reported\n",
    },
    Case {
        name: "the host crashes, with handlers set before and after",
        run: || {
            set(report, 0);
            trap();
            set_chained(report_and_raise);
            trap();
            crash();
        },
        status: Ok(REPORTED),
        stderr: "reported\nreported\n",
    },
    Case {
        name: "the host crashes, with a handler that restores the default",
        run: || {
            trap();
            set_chained(report_and_raise);
            trap();
            crash();
        },
        status: Err(SIGSEGV),
        stderr: "reported\n",
    },
    Case {
        name: "the host crashes, with another engine's handler that forwards to a crash reporter",
        run: || {
            set(report, 0);
            trap();
            set_chained(forward);
            trap();
            crash();
        },
        status: Ok(REPORTED),
        stderr: "forwarded\nreported\n",
    },
    Case {
        name: "the host crashes, after a handler was removed",
        run: || {
            trap();
            let old = set(report, 0);
            trap();
            restore(old);
            trap();
            crash();
        },
        status: Err(SIGSEGV),
        stderr: "",
    },
    Case {
        name: "the host crashes, with a handler that is set for one signal",
        run: || {
            trap();
            set(report_once, libc::SA_RESETHAND);
            trap();
            crash();
        },
        status: Err(SIGSEGV),
        stderr: "reported\n",
    },
    Case {
        name: "a forwarding handler that is set twice forwards to itself",
        run: || {
            trap();
            set_chained(forward);
            trap();
            set_chained(forward);
            trap();
            crash();
        },
        status: Err(SIGSEGV),
        stderr: "forwarded\n",
    },
    Case {
        name: "a signal is sent to the process",
        run: || {
            trap();
            // SAFETY: the process is meant to end here.
            unsafe { libc::raise(SIGILL) };
        },
        status: Err(SIGILL),
        stderr: "",
    },
    Case {
        name: "a handler is set while a program waits",
        run: || set_while_running("import time, os\ntime.sleep(0.5)\nos.abort()"),
        status: Ok(0),
        stderr: "",
    },
    Case {
        name: "a handler is set while a program computes",
        run: || {
            set_while_running(
                "import time, os\nend = time.monotonic() + 0.5\n\
                 while time.monotonic() < end: pass\nos.abort()",
            );
        },
        status: Ok(0),
        stderr: "",
    },
    Case {
        name: "a handler is set by the output callback",
        run: || {
            let builder = Sandbox::embedded().on_stdout(|_| {
                set(report, 0);
            });
            let sandbox = builder.build().expect("built");
            let ended = block_on(sandbox.execute("import os\nos.write(1, b'x')\nos.abort()"));
            assert!(
                matches!(ended, Err(Error::InterpreterCrashed { .. })),
                "{ended:?}"
            );
        },
        status: Ok(0),
        stderr: "",
    },
    Case {
        name: "a handler is set between two executions of a session",
        run: || {
            block_on(async {
                let mut session = sandbox().session().await.expect("started");
                session.execute("x = 1").await.expect("succeeds");
                set(report, 0);
                let ended = session.execute("import os; os.abort()").await;
                assert!(
                    matches!(ended, Err(Error::InterpreterCrashed { .. })),
                    "{ended:?}"
                );
            });
        },
        status: Ok(0),
        stderr: "",
    },
    Case {
        name: "more handlers are set than Eryx can chain",
        run: || {
            trap();
            for nth in 0..20 {
                set_different(nth);
                match block_on(sandbox().execute("import os; os.abort()")) {
                    Err(Error::InterpreterCrashed { .. }) => assert!(nth < 7),
                    Err(Error::HostResource(missing)) => {
                        assert!(missing.to_string().contains("SIGILL"), "{missing}");
                        assert!(nth >= 7);
                    }
                    other => panic!("{other:?}"),
                }
            }
        },
        status: Ok(0),
        stderr: "",
    },
    Case {
        name: "more handlers are set than Eryx can chain while a program runs, whose output is kept",
        run: || {
            trap();
            let count = AtomicI32::new(0);
            let sandbox = Sandbox::embedded()
                .on_stdout(move |_| set_different(count.fetch_add(1, Ordering::Relaxed)))
                .build()
                .expect("built");
            let program = "for n in range(20): print('line', n, flush=True)";
            let error = block_on(sandbox.execute(program)).expect_err("ended");
            assert!(matches!(error, Error::HostResource(_)), "{error:?}");
            let output = error.output().expect("the program had begun");
            assert!(output.stdout.starts_with(b"line 0\n"), "{output:?}");
            assert!(error.execution().is_some_and(|number| number > 0));
        },
        status: Ok(0),
        stderr: "",
    },
];

#[test]
fn the_process_survives_every_trap_and_its_own_crashes_reach_the_embedders_handlers() {
    if let Ok(name) = env::var(CASE) {
        let case = CASES.iter().find(|case| case.name == name);
        (case.expect("one of the cases").run)();
        return;
    }
    let mut wrong = Vec::new();
    for case in CASES {
        let ended = Command::new(env::current_exe().expect("this program"))
            .args(["--exact", "--nocapture", "--test-threads=1"])
            .arg("the_process_survives_every_trap_and_its_own_crashes_reach_the_embedders_handlers")
            .env(CASE, case.name)
            .output()
            .expect("succeeds");
        let stderr = String::from_utf8_lossy(&ended.stderr);
        let status = match (ended.status.code(), ended.status.signal()) {
            (Some(status), _) => Ok(status),
            (None, signal) => Err(signal.unwrap_or(0)),
        };
        if status != case.status || stderr != case.stderr {
            wrong.push(format!("{}: {status:?}, {stderr}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
