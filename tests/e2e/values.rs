//! The inputs of programs (variables, arguments, standard input), and their values.

use eryx::{
    ConfigError, Error, ExecuteResult, Files, JsonValue, Limit, MountAccess, Program, ProgramError,
    ResourceLimits, Sandbox,
};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::support::{expect_exception, expect_stdout, sandbox, sandbox_with_limits};

/// Runs `source` and returns its value, or why there is none.
async fn value(source: &str) -> Result<Value, String> {
    let result = sandbox(None)
        .execute(Program::new(source).with_value())
        .await;
    value_of(&result.expect("it runs"))
}

fn value_of(result: &ExecuteResult) -> Result<Value, String> {
    match result.value.as_ref().expect("asked for") {
        Ok(json) => Ok(json.to().expect("JSON")),
        Err(error) => Err(error.to_string()),
    }
}

/// Returns the media types and the texts of what `source` displays, and its standard error.
async fn display(source: &str) -> (Vec<(String, String)>, String) {
    let result = sandbox(None)
        .execute(Program::new(source).with_value())
        .await;
    let result = result.expect("it runs");
    let shown = result.display.iter().map(|item| {
        let text = String::from_utf8_lossy(&item.data).into_owned();
        (item.media_type.clone(), text)
    });
    (shown.collect(), result.stderr)
}

#[tokio::test]
async fn an_expression_that_is_compiled_apart_has_the_same_value_and_the_same_errors() {
    let program = include_str!("programs/last_values.py");
    let stdout = expect_stdout(sandbox(None).execute(program).await);
    // Last, how many were compiled apart.
    assert!(stdout.ends_with("\n33 of 84\n"), "{stdout}");
}

#[tokio::test]
async fn the_value_is_that_of_the_last_expression() {
    for (source, expected) in [
        ("1 + 1", json!(2)),
        ("x = 5\nx", json!(5)),
        ("x = 5", json!(null)),
        ("", json!(null)),
        ("'a docstring'", json!("a docstring")),
        ("for i in range(3): i", json!(null)),
        (
            "import asyncio\nawait asyncio.sleep(0, 'slept')",
            json!("slept"),
        ),
        ("[i async for i in __import__('x')] if 0 else 1", json!(1)),
        (
            "{'a': [1, 2.5, None, True, 'ü', (1,)], 'b': b'\\0\\xff'}",
            json!({"a": [1, 2.5, null, true, "ü", [1]], "b": {"$bytes": "AP8="}}),
        ),
        ("# -*- coding: latin-1 -*-\n'\u{fc}'", json!("Ã¼")),
        ("lambda: 0; 7", json!(7)),
    ] {
        assert_eq!(value(source).await.as_ref(), Ok(&expected), "{source}");
    }
    let large = value("[list(range(1000)) for _ in range(200)]").await;
    assert_eq!(large.expect("JSON")[199][999], 999);
}

#[tokio::test]
async fn a_value_that_is_not_json_is_refused_with_its_place_and_nothing_is_converted() {
    for (source, wanted) in [
        ("{1: 2}", "value: the key 1 is not a str"),
        (
            "{'a': [0, {2}]}",
            "value['a'][1]: builtins.set is not a JSON type",
        ),
        (
            "import datetime\ndatetime.date(2020, 1, 1)",
            "value: datetime.date is not",
        ),
        (
            "class P: __class__ = property(lambda self: dict)\n[P()]",
            "value[0]: __main__.P is not a JSON type",
        ),
        (
            "class P: __class__ = property(lambda self: 1 / 0)\n{P(): 1}",
            "value: the key P is not a str",
        ),
        ("float('nan')", "value: Out of range float values"),
        (
            "[0, {'a': (1, float('inf'))}]",
            "value[1]['a'][1]: Out of range float values",
        ),
        ("'\\ud800'", "value: a str has surrogates"),
        (
            "{'a': ['x', '\\ud800']}",
            "value['a'][1]: a str has surrogates",
        ),
        (
            "[{'\\ud800': 1}]",
            "value[0]['\\ud800']: a str has surrogates",
        ),
        ("a = []\na.append(a)\na", "value[0]: it contains itself"),
        (
            "a = 0\nfor _ in range(200): a = [a]\na",
            "lists and dicts are nested more than 100 levels deep",
        ),
        (
            "'x' * (1 << 20)",
            "value: its JSON has 1048578 bytes; the limit is 1048576",
        ),
        (
            "a = [0] * 10\nfor _ in range(30): a = [a] * 10\na",
            "it is too large",
        ),
        ("{'$bytes': 'eA=='}", "stands for bytes; rename it"),
        ("10 ** 5000", "value: Exceeds the limit (4300 digits)"),
        (
            "import sys; sys.set_int_max_str_digits(0); [10 ** 4300]",
            "an int has 4301 digits; the limit is 4300: convert it to a str",
        ),
        (
            "{'a': [True, None, b'', 10 ** 5000]}",
            "value['a'][3]: Exceeds the limit (4300 digits)",
        ),
    ] {
        let error = value(source).await.expect_err(source);
        assert!(error.contains(wanted), "{source}: {error}");
    }
}

#[tokio::test]
async fn a_program_that_fails_has_no_value_and_the_next_one_of_the_session_is_not_affected() {
    let mut session = sandbox(None).session().await.expect("started");
    let with_value = |source| Program::new(source).with_value();
    expect_exception(session.execute(with_value("1 / 0")).await);
    let plain = session.execute("5").await.expect("it runs");
    assert!(plain.value.is_none() && plain.display.is_empty());
    // The same source with and without its value.
    for _ in 0..2 {
        let result = session.execute(with_value("5")).await.expect("it runs");
        assert_eq!(value_of(&result), Ok(json!(5)));
        assert!(session.execute("5").await.expect("it runs").value.is_none());
    }
    let names = "[name for name in dir() if not name.startswith('__')]";
    let names = session.execute(with_value(names)).await.expect("it runs");
    assert_eq!(value_of(&names), Ok(json!([])));
    for exit in ["raise SystemExit(0)", "quit()", "import os; os._exit(0)"] {
        let result = session.execute(with_value(exit)).await;
        assert_eq!(
            value_of(&result.expect("a regular exit")),
            Err("the program exited before its end".to_owned())
        );
    }
}

#[tokio::test]
async fn tracebacks_have_the_lines_of_the_source() {
    let program = Program::new("x = 1\n\nx.missing()").with_value();
    let exception = expect_exception(sandbox(None).execute(program).await);
    assert!(
        exception
            .traceback
            .contains("line 3, in <module>\n    x.missing()"),
        "{}",
        exception.traceback
    );
}

#[tokio::test]
async fn inputs_are_variables_of_the_program() {
    let program = Program::new("print(n, items, größe, data); del n")
        .with_input("n", &3)
        .with_input("items", &json!([{"a": null}, 1.5, "x"]))
        .with_input("größe", "ü\u{1f40d}\"\\\n")
        .with_json_input(
            "data",
            JsonValue::from_text(r#"{"$bytes":"AP8="}"#).expect("JSON"),
        );
    assert_eq!(
        expect_stdout(sandbox(None).execute(program).await),
        "3 [{'a': None}, 1.5, 'x'] ü🐍\"\\\n b'\\x00\\xff'\n"
    );
    // Python normalises the names of a source: this one has the Greek letter, and not the sign.
    let program = Program::new("print(\u{b5}m, \u{3bc}m)").with_input("\u{b5}m", &7);
    assert_eq!(expect_stdout(sandbox(None).execute(program).await), "7 7\n");
    let large = "x".repeat(Program::MAX_INPUTS - 100);
    let program = Program::new("print(len(large))").with_input("large", &large);
    let printed = expect_stdout(sandbox(None).execute(program).await);
    assert_eq!(printed, format!("{}\n", large.len()));
    let refused = sandbox(None)
        .execute(Program::new("").with_input("a-b", &1))
        .await;
    assert!(matches!(
        refused,
        Err(Error::Config(ConfigError::Program(ProgramError::InputName { name, .. }))) if name == "a-b"
    ));
}

#[tokio::test]
async fn a_program_whose_inputs_are_refused_leaves_nothing_to_the_next_one() {
    let mut session = sandbox(None).session().await.expect("started");
    // The program refuses fewer digits than all values have at most.
    let limit = session.execute("import sys; sys.set_int_max_str_digits(640)");
    limit.await.expect("set");
    let digits = JsonValue::from_text("1".repeat(1000)).expect("JSON");
    let refused = Program::new("pass")
        .with_json_input("x", digits)
        .with_arguments(["refused"])
        .with_env([("REFUSED", "1")]);
    let exception = expect_exception(session.execute(refused).await);
    assert!(exception.message.contains("640 digits"), "{exception}");
    let program = "import os, sys; print(sys.argv, 'REFUSED' in os.environ, 'x' in globals())";
    assert_eq!(
        expect_stdout(session.execute(program).await),
        "[''] False False\n"
    );
}

#[tokio::test]
async fn arguments_and_variables_are_those_of_the_program() {
    let sandbox = Sandbox::embedded()
        .with_env([("A", "1"), ("B", "1")])
        .build()
        .expect("valid");
    let show = "import os, sys\ndel os.environ['HOME']\nprint(sys.argv, dict(os.environ))\nos.environ['HOME'] = '/'";
    let program = Program::new(show)
        .with_arguments(["script.py", "-x", "ü"])
        .with_env([("B", "2"), ("C", "3")]);
    assert_eq!(
        expect_stdout(sandbox.execute(program).await),
        "['script.py', '-x', 'ü'] {'A': '1', 'B': '2', 'C': '3'}\n"
    );
    assert_eq!(
        expect_stdout(sandbox.execute(show).await),
        "[''] {'A': '1', 'B': '1'}\n"
    );
    let mut session = sandbox.session().await.expect("started");
    let program = Program::new(show).with_arguments(["a"]);
    assert_eq!(
        expect_stdout(session.execute(program).await),
        "['a'] {'A': '1', 'B': '1'}\n"
    );
    let program = Program::new(show).with_env([("A", "2")]);
    assert_eq!(
        expect_stdout(session.execute(program).await),
        "['a'] {'A': '2', 'B': '1'}\n"
    );
}

#[tokio::test]
async fn every_interface_of_the_interpreter_reads_standard_input() {
    let program = r#"
import os, sys
print(repr(sys.stdin.buffer.read(3)), repr(input()), repr(sys.stdin.readline()))
print(len(sys.stdin.read()), repr(sys.stdin.read()), os.read(0, 10), sys.stdin.isatty())
try:
    input()
except EOFError as error:
    print(repr(error))
"#;
    let input = "abcfirst\nzweite \u{fc}\n".to_owned() + &"x".repeat(300_000);
    let program = Program::new(program).with_stdin(input);
    assert_eq!(
        expect_stdout(sandbox(None).execute(program).await),
        "b'abc' 'first' 'zweite ü\\n'\n300000 '' b'' False\nEOFError('EOF when reading a line')\n"
    );
    let program = "import sys; print(repr(sys.stdin.read()))";
    assert_eq!(expect_stdout(sandbox(None).execute(program).await), "''\n");
}

/// Regression: ends of lines were translated, and the name was 0.
#[tokio::test]
async fn standard_streams_keep_the_ends_of_lines_and_have_the_names_of_cpython() {
    let program = "
import sys
print(repr(sys.stdin.readline()), repr(sys.stdin.read()))
print([each.name for each in (sys.stdin, sys.stdin.buffer, sys.stdout, sys.stderr)])
";
    let program = Program::new(program).with_stdin("a\r\nb\rc");
    assert_eq!(
        expect_stdout(sandbox(None).execute(program).await),
        "'a\\r\\n' 'b\\rc'\n['<stdin>', '<stdin>', '<stdout>', '<stderr>']\n"
    );
}

#[tokio::test]
async fn a_program_of_a_session_reads_its_own_standard_input_alone() {
    let mut session = sandbox(None).session().await.expect("started");
    let read_line = |input: &'static str| Program::new("print(input())").with_stdin(input);
    for line in ["1\nunread", "2\nunread", "3"] {
        let printed = expect_stdout(session.execute(read_line(line)).await);
        assert_eq!(printed, format!("{}\n", &line[..1]));
    }
    let rest = session.execute(read_line("4\nunread")).await;
    assert_eq!(expect_stdout(rest), "4\n");
    let rest = session
        .execute("import sys; print(repr(sys.stdin.read()))")
        .await;
    assert_eq!(expect_stdout(rest), "''\n");
}

#[tokio::test]
async fn a_program_waits_for_a_reader_and_its_time_limit_holds_meanwhile() {
    let (mut writer, reader) = tokio::io::duplex(64);
    let written = tokio::spawn(async move {
        for line in ["a\n", "b\n"] {
            tokio::task::yield_now().await;
            writer.write_all(line.as_bytes()).await.expect("written");
        }
    });
    let program = Program::new("import sys\nfor line in sys.stdin: print(line.strip())")
        .with_stdin_reader(reader);
    assert_eq!(
        expect_stdout(sandbox(None).execute(program).await),
        "a\nb\n"
    );
    written.await.expect("no panic");

    let (_writer, reader) = tokio::io::duplex(64);
    let limits =
        ResourceLimits::default().with_execution_timeout(std::time::Duration::from_millis(300));
    let program = Program::new("print('started')\ninput()").with_stdin_reader(reader);
    let error = sandbox_with_limits(None, limits).execute(program).await;
    let error = error.expect_err("nothing is written");
    assert!(matches!(
        &error,
        Error::Limit {
            limit: Limit::ExecutionTime(_),
            ..
        }
    ));
    assert_eq!(error.output().expect("begun").stdout, b"started\n");
}

#[tokio::test]
async fn objects_show_themselves_by_the_conventions_of_ipython() {
    let program = r#"
class Plot:
    def _repr_png_(self): return b"\x89PNG"
    def _repr_html_(self): return "<p>ü</p>", {"isolated": True}
    def _repr_svg_(self): return None
    def __repr__(self): return "Plot()"
Plot()
"#;
    let (shown, stderr) = display(program).await;
    let types: Vec<_> = shown
        .iter()
        .map(|(media_type, _)| media_type.as_str())
        .collect();
    assert_eq!(types, ["text/html", "image/png", "text/plain"]);
    assert_eq!(shown[0].1, "<p>ü</p>");
    assert_eq!(shown[2].1, "Plot()");
    assert_eq!(stderr, "");
    let program = r#"
class Bundle:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"image/png": "iVBORw==", "application/vnd.x+json": {"a": [1]}, 5: "x"}, {}
Bundle()
"#;
    let (shown, _) = display(program).await;
    assert_eq!(shown[0].0, "image/png");
    assert_eq!(
        shown[1],
        ("application/vnd.x+json".into(), "{\"a\":[1]}".into())
    );
    assert_eq!(shown[2].0, "text/plain");
    // JSON needs no other form, and a class is not one of its objects.
    assert_eq!(display("[1, 2]").await.0, []);
    let (shown, _) = display("class A:\n    def _repr_html_(self): return ''\nA").await;
    assert_eq!(
        shown,
        [("text/plain".into(), "<class '__main__.A'>".into())]
    );
}

#[tokio::test]
async fn objects_that_answer_for_any_attribute_have_no_other_form_than_their_repr() {
    for answer in ["{}[name]", "1 / 0", "A()", "lambda **_: 'text'"] {
        let program = format!(
            "class A:
    def __getattr__(self, name): return {answer}
    def __call__(self, **_): return 'called'
    def __repr__(self): return 'a'
A()"
        );
        let (shown, stderr) = display(&program).await;
        assert_eq!(shown, [("text/plain".into(), "a".into())], "{answer}");
        assert_eq!(stderr, "", "{answer}");
    }
}

#[tokio::test]
async fn media_types_and_texts_of_any_kind_are_no_failure_of_the_interpreter() {
    let program = r#"
class Text(str):
    def encode(self, *arguments): return "no bytes"
class Type(str):
    def __len__(self): return 1
class Bundle:
    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/\ud800": "a", Type("text/" + "x" * 200): "b", "text/ü": "c",
                Type("text/html"): Text("d\ud800")}
    def __repr__(self): return Text("e")
Bundle()
"#;
    let (shown, stderr) = display(program).await;
    assert_eq!(
        shown,
        [
            ("text/html".into(), "d\\ud800".into()),
            ("text/plain".into(), "e".into()),
        ]
    );
    assert_eq!(stderr, "");
}

#[tokio::test]
async fn representations_that_fail_or_are_too_large_are_left_out_with_a_message() {
    let program = r#"
class Hostile:
    def _repr_html_(self): raise ValueError("no html")
    def _repr_svg_(self): return object()
    def _repr_markdown_(self): return "fits"
    def _repr_latex_(self): return "x" * (1 << 20)
    def __repr__(self): return "never"
Hostile()
"#;
    let (shown, stderr) = display(program).await;
    assert_eq!(shown, [("text/markdown".into(), "fits".into())]);
    for wanted in [
        "ValueError: no html",
        "image/svg+xml",
        "text/latex of the value is too large",
    ] {
        assert!(stderr.contains(wanted), "{wanted}: {stderr}");
    }
    assert!(!stderr.contains("eryx_guest"), "{stderr}");
    let exit = "class A:\n    def _repr_html_(self): raise SystemExit(3)\nA()";
    let exit = sandbox(None).execute(Program::new(exit).with_value()).await;
    assert_eq!(expect_exception(exit).exit_status, Some(3));
}

#[tokio::test]
async fn values_count_against_the_host_memory_and_their_limit() {
    let limits = ResourceLimits::default().with_max_value(10);
    let run = async |source: &str| {
        let program = Program::new(source).with_value();
        let result = sandbox_with_limits(None, limits.clone())
            .execute(program)
            .await;
        value_of(&result.expect("it runs"))
    };
    assert_eq!(run("'12345678'").await, Ok(json!("12345678")));
    assert!(
        run("'123456789'")
            .await
            .expect_err("too large")
            .contains("11 bytes")
    );
    let limits = ResourceLimits::default()
        .with_max_value(ResourceLimits::MAX_VALUE)
        .with_max_output(1 << 20)
        .with_max_host_memory(ResourceLimits::HOST_MEMORY_BASE + (1 << 20));
    let program = Program::new("'x' * (2 << 20)").with_value();
    let error = sandbox_with_limits(None, limits).execute(program).await;
    assert!(matches!(
        error.expect_err("no room"),
        Error::Limit {
            limit: Limit::HostMemory(_),
            ..
        }
    ));
    let limits = ResourceLimits::default().with_max_value(ResourceLimits::MAX_VALUE);
    let program = Program::new("'x' * ((3 << 20) - 2)").with_value();
    let result = sandbox_with_limits(None, limits)
        .execute(program)
        .await
        .expect("it runs");
    assert_eq!(
        value_of(&result).expect("fits").as_str().map(str::len),
        Some((3 << 20) - 2)
    );
    assert!(result.peak_host_memory > 3 << 20);
}

#[tokio::test]
async fn a_program_that_replaces_the_machinery_harms_itself_alone() {
    for source in [
        "import json\njson.JSONEncoder = None\njson.loads = None\n1",
        "import eryx_guest.last_value as v\nv.take = None\nv.store = lambda n: 1 / 0\n1",
        "import eryx_guest.last_value as v\nv.take = lambda: (v.Ok(b'{' * 1000), [])\n1",
        "import eryx_guest.last_value as v\nv.take = lambda: (v.Ok(b'x' * (5 << 20)), [])\n1",
        "import eryx_guest.last_value as v, wit_world as w\n\
         v.take = lambda: (v.Ok(b'1'), [w.Representation('a/b', b'x' * 100)] * 20000)\n1",
        "import builtins\nbuiltins.isinstance = None\n[{}]",
    ] {
        let sandbox = sandbox(None);
        // It may fail in any way that an error describes.
        let result = sandbox.execute(Program::new(source).with_value()).await;
        if let Ok(result) = result {
            let shown: usize = result.display.iter().map(|item| item.data.len()).sum();
            assert!(shown <= 1 << 20, "{source}");
        }
        assert_eq!(expect_stdout(sandbox.execute("print(1)").await), "1\n");
    }
}

#[tokio::test]
async fn a_program_finds_its_own_files_beside_those_of_the_sandbox() {
    let files = Files::new().with_file("/data/shared", "shared").with_mount(
        "/mnt",
        std::env::temp_dir(),
        MountAccess::ReadOnly,
    );
    let sandbox = Sandbox::embedded()
        .with_files(files)
        .build()
        .expect("valid");
    let list = "import os\nprint(sorted(os.listdir('/data')), len(os.listdir('/home/user')))";
    let own = Files::new()
        .with_file("/data/own", "own")
        .with_file("/home/user/own.py", "A = 1");
    let program = Program::new(format!(
        "import own\n{list}\nopen('/data/own', 'a').write('!')"
    ))
    .with_files(own);
    let result = sandbox.execute(program).await.expect("it runs");
    assert_eq!(result.stdout, "['own', 'shared'] 1\n");
    assert_eq!(result.files.read("/data/own").expect("changed"), b"own!");
    assert_eq!(result.files.iter().count(), 1);
    // The next execution does not find them.
    assert_eq!(expect_stdout(sandbox.execute(list).await), "['shared'] 0\n");
    for (path, wanted) in [
        ("/data/shared", "\"/data/shared\""),
        ("/mnt/x", "is in the directory that is mounted at \"/mnt\""),
        ("/packages/x", "is in /packages"),
    ] {
        let program = Program::new("").with_files(Files::new().with_file(path, ""));
        let error = sandbox.execute(program).await.expect_err(path);
        assert!(error.to_string().contains(wanted), "{error}");
    }
    let mut session = sandbox.session().await.expect("started");
    let program = Program::new("").with_files(Files::new().with_file("/x", ""));
    let error = session.execute(program).await.expect_err("a session");
    assert!(error.to_string().contains("`Session::files`"), "{error}");
    assert_eq!(expect_stdout(session.execute("print(1)").await), "1\n");
}
