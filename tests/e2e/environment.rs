//! Environment variables: what programs see of those that the embedder sets.

use std::fs;
use std::time::Duration;

use eryx::{ConfigError, EnvironmentError, Error, Limit, ResourceLimits, Sandbox, SandboxFactory};

use crate::support::{expect_exception, expect_stdout};

/// A program that prints all variables but HOME, in the order of `os.environ`.
const PRINT_ALL: &str =
    "import os\nprint({name: value for name, value in os.environ.items() if name != 'HOME'})";

fn sandbox(variables: &[(&str, &str)]) -> Sandbox {
    Sandbox::embedded()
        .with_env(variables.iter().copied())
        .build()
        .expect("valid variables")
}

/// Returns the error for these variables.
fn build_error(variables: &[(&str, &str)]) -> EnvironmentError {
    match Sandbox::embedded()
        .with_env(variables.iter().copied())
        .build()
    {
        Err(Error::Config(ConfigError::Environment(error))) => error,
        other => panic!("{variables:?}: {other:?}"),
    }
}

#[tokio::test]
async fn every_interface_of_the_interpreter_has_the_variables() {
    let sandbox = sandbox(&[
        ("B", "größe \u{1f40d}\nx=y"),
        ("A", ""),
        ("NAME WITH SPACE", "1"),
    ]);
    let program = r#"
import os, posix
print(dict(os.environ))
print(os.environb[b"B"].decode() == os.environ["B"] == os.getenv("B"), os.getenvb(b"A"))
# The variables of the C library too.
os.reload_environ()
print(len(os.environ), os.environ["B"] == "größe \N{SNAKE}\nx=y")
"#;
    assert_eq!(
        expect_stdout(sandbox.execute(program).await),
        "{'HOME': '/home/user', 'A': '', 'B': 'größe 🐍\\nx=y', 'NAME WITH SPACE': '1'}\nTrue b''\n4 True\n"
    );
}

#[tokio::test]
async fn a_program_without_variables_has_its_home_directory_alone() {
    for sandbox in [
        sandbox(&[]),
        Sandbox::embedded().build().expect("valid settings"),
    ] {
        let program = "import os\nos.reload_environ()\nprint(dict(os.environ), os.environb)";
        assert_eq!(
            expect_stdout(sandbox.execute(program).await),
            "{'HOME': '/home/user'} environ({b'HOME': b'/home/user'})\n"
        );
    }
}

#[tokio::test]
async fn variables_of_several_calls_are_combined_and_the_last_value_applies() {
    let sandbox = Sandbox::embedded()
        .with_env([("A", "1"), ("B", "1")])
        .with_env([(String::from("B"), "2"), (String::from("C"), "3")])
        .build()
        .expect("valid variables");
    assert_eq!(
        expect_stdout(sandbox.execute(PRINT_ALL).await),
        "{'A': '1', 'B': '2', 'C': '3'}\n"
    );
}

#[tokio::test]
async fn modules_of_the_snapshot_use_the_variables_that_they_read_when_they_are_called() {
    let sandbox = sandbox(&[
        ("HOME", "/home/me"),
        ("https_proxy", "http://proxy.example:3128"),
        ("NO_PROXY", "internal.example"),
    ]);
    let program = "
import os.path, pathlib, urllib.request
print(os.path.expanduser('~/x'), pathlib.Path.home(), os.path.expandvars('$HOME'))
print(urllib.request.getproxies()['https'], urllib.request.proxy_bypass('internal.example'))
";
    assert_eq!(
        expect_stdout(sandbox.execute(program).await),
        "/home/me/x /home/me /home/me\nhttp://proxy.example:3128 True\n"
    );
}

#[tokio::test]
async fn a_program_cannot_change_the_variables_of_later_executions() {
    let sandbox = sandbox(&[("A", "1")]);
    let program = "
import os
os.environ['A'] = 'changed'
os.environ['NEW'] = 'x'
os.environ = {}
";
    expect_stdout(sandbox.execute(program).await);
    assert_eq!(
        expect_stdout(sandbox.execute(PRINT_ALL).await),
        "{'A': '1'}\n"
    );
}

#[tokio::test]
async fn a_session_keeps_the_variables_and_what_its_programs_change() {
    let mut session = sandbox(&[("A", "1"), ("B", "2"), ("C", "3")])
        .session()
        .await
        .expect("started");
    expect_exception(session.execute("this does not compile").await);
    expect_stdout(
        session
            .execute("import os\nos.environ['A'] = 'changed'\ndel os.environ['B']")
            .await,
    );
    let program = format!("{PRINT_ALL}\nos.reload_environ()\n{PRINT_ALL}");
    assert_eq!(
        expect_stdout(session.execute(program).await),
        "{'A': 'changed', 'C': '3'}\n".repeat(2)
    );
}

/// The setup code and the imports run before a sandbox has variables.
#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_of_a_factory_have_variables_that_its_snapshot_does_not_have() {
    let dir = tempfile::tempdir().expect("created");
    let package = dir.path().join("package");
    fs::create_dir(&package).expect("created");
    let module = "
import os
from os import environ
AT_IMPORT = dict(environ)
def at_call(): return dict(environ)
";
    fs::write(package.join("settings.py"), module).expect("written");
    let factory = SandboxFactory::builder()
        .with_package(package)
        .with_import("settings")
        .with_setup_code("import os\nos.environ['SETUP'] = 'setup'\nos.environ['BOTH'] = 'setup'")
        .with_cache_dir(dir.path().join("cache"))
        .build()
        .await
        .expect("built");
    let program = "
import os, settings
print(settings.AT_IMPORT, settings.at_call(), settings.environ is os.environ)
os.reload_environ()
print(sorted(os.environ))
";
    let with = |variables: &[(&str, &str)]| {
        factory
            .sandbox()
            .with_env(variables.iter().copied())
            .build()
            .expect("valid variables")
    };
    for (variables, seen, names) in [
        (
            &[("BOTH", "mine"), ("A", "1")][..],
            "{'HOME': '/home/user', 'SETUP': 'setup', 'BOTH': 'mine', 'A': '1'}",
            "['A', 'BOTH', 'HOME', 'SETUP']",
        ),
        (
            &[("B", "2")],
            "{'HOME': '/home/user', 'SETUP': 'setup', 'BOTH': 'setup', 'B': '2'}",
            "['B', 'BOTH', 'HOME', 'SETUP']",
        ),
        (
            &[],
            "{'HOME': '/home/user', 'SETUP': 'setup', 'BOTH': 'setup'}",
            "['BOTH', 'HOME', 'SETUP']",
        ),
    ] {
        let expected = format!("{{'HOME': '/home/user'}} {seen} True\n{names}\n");
        let sandbox = with(variables);
        assert_eq!(expect_stdout(sandbox.execute(program).await), expected);
        let mut session = sandbox.session().await.expect("started");
        assert_eq!(expect_stdout(session.execute(program).await), expected);
    }
    // A program's `os` is its own, also when setup code replaced `os.environ`.
    let factory = SandboxFactory::builder()
        .with_setup_code("import os\nenviron, os.environ = os.environ, {}")
        .without_cache()
        .build()
        .await
        .expect("built");
    let sandbox = factory.sandbox().with_env([("A", "1")]).build();
    let program = "print(dict(environ), os.environ)";
    let ran = sandbox.expect("valid variables").execute(program).await;
    assert_eq!(expect_stdout(ran), "{'HOME': '/home/user', 'A': '1'} {}\n");
}

#[test]
fn variables_that_no_process_can_have_are_rejected_when_the_sandbox_is_built() {
    for (name, value, wanted) in [
        ("", "secret", "env: \"\" is not the name of a variable"),
        ("A=secret", "", "env: \"A=…\" is not the name of a variable"),
        ("A\0", "secret", "env: \"A\\0\" is not the name"),
        ("A", "\0secret", "env: the value of \"A\" contains a NUL"),
    ] {
        let error = build_error(&[("FINE", "1"), (name, value)]).to_string();
        assert!(
            error.contains(wanted) && !error.contains("secret"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_most_variables_that_are_accepted_start_within_an_execution() {
    // 10 bytes of each are not its name.
    let many: Vec<String> = (0..eryx::SandboxBuilder::MAX_ENV / 14)
        .map(|number| format!("{number:04x}"))
        .collect();
    let large = "v".repeat(eryx::SandboxBuilder::MAX_ENV - 11);
    let program = "import os\nprint(len(os.environ), sum(map(len, os.environ.values())))";
    for (variables, printed) in [
        (
            many.iter().map(|name| (name.as_str(), "")).collect(),
            format!("{} 10\n", many.len() + 1),
        ),
        (
            vec![("A", large.as_str())],
            format!("2 {}\n", large.len() + 10),
        ),
    ] {
        assert_eq!(
            expect_stdout(sandbox(&variables).execute(program).await),
            printed
        );
    }
    let error = build_error(&[("A", &large), ("B", "")]);
    assert!(
        matches!(error, EnvironmentError::TooLarge { bytes: 131_083, ref largest, .. } if largest == "A"),
        "{error:?}"
    );
}

/// The variables are set inside the sandbox, under its limits.
#[tokio::test]
async fn setting_the_variables_counts_as_a_part_of_the_execution() {
    let setup = "
import sys
def audit(event, arguments):
    if event == 'os.putenv':
        while True: pass
sys.addaudithook(audit)
";
    let factory = SandboxFactory::builder()
        .with_setup_code(setup)
        .without_cache()
        .build()
        .await
        .expect("built");
    let limits = ResourceLimits::default().with_execution_timeout(Duration::from_millis(200));
    let sandbox = factory
        .sandbox()
        .with_resource_limits(limits)
        .with_env([("A", "1")])
        .build()
        .expect("valid variables");
    match sandbox.execute("print('begun')").await {
        Err(Error::Limit { limit, output, .. }) => {
            assert!(matches!(limit, Limit::ExecutionTime(_)), "{limit}");
            assert_eq!(output.output.stdout_text(), "");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_value_appears_in_the_debug_output_of_a_sandbox() {
    let shown = format!("{:?}", sandbox(&[("TOKEN", "the-secret")]));
    assert!(
        shown.contains("TOKEN") && !shown.contains("the-secret"),
        "{shown}"
    );
}
