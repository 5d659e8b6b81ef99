//! The text of a Python stub for the functions of a sandbox.

use crate::functions::function::{Function, FunctionKind};

/// Returns a `def` or `async def` for each function.
pub(super) fn describe<'a>(functions: impl Iterator<Item = (&'a str, &'a Function)>) -> String {
    let stubs: Vec<String> = functions
        .map(|(name, function)| {
            let keyword = match function.kind() {
                FunctionKind::Plain => "def",
                FunctionKind::Asynchronous => "async def",
            };
            let head = format!("{keyword} {name}{}:", function.signature());
            match function.documentation() {
                "" => format!("{head} ...\n"),
                documentation => format!("{head}\n{}", docstring(documentation)),
            }
        })
        .collect();
    stubs.join("\n")
}

fn docstring(documentation: &str) -> String {
    let escaped = documentation.replace('\\', "\\\\").replace('"', "\\\"");
    // Only a quotation mark that could end the docstring stays escaped.
    let escaped = match documentation.contains("\"\"\"") || documentation.ends_with('"') {
        true => escaped,
        false => documentation.replace('\\', "\\\\"),
    };
    let mut text = String::from("    \"\"\"");
    let mut lines = escaped.lines();
    text += lines.next().unwrap_or_default();
    let mut is_long = false;
    for line in lines {
        is_long = true;
        text.push('\n');
        if !line.trim().is_empty() {
            text += "    ";
            text += line;
        }
    }
    if is_long {
        text += "\n    ";
    }
    text + "\"\"\"\n"
}

#[cfg(test)]
mod tests {
    use crate::functions::{Function, FunctionError, Functions};

    #[test]
    fn a_stub_has_kinds_signatures_and_docstrings() {
        let plain = || Function::immediate(|_| Ok::<_, FunctionError>(()));
        let asynchronous = Function::asynchronous(|_| async { Ok::<_, FunctionError>(()) });
        let functions = Functions::default()
            .with_function("b", plain().with_documentation("Says \"\"\"hi\"\"\" \\o/"))
            .with_function(
                "a",
                asynchronous
                    .with_signature("(q: str) -> int")
                    .with_documentation("First.\n\nSecond \"line\"."),
            )
            .with_function("c", plain());
        assert_eq!(
            functions.describe(),
            r#"async def a(q: str) -> int:
    """First.

    Second "line".
    """

def b(*args, **kwargs):
    """Says \"\"\"hi\"\"\" \\o/"""

def c(*args, **kwargs): ...
"#
        );
        assert_eq!(Functions::default().describe(), "");
    }
}
