//! The list of tools.

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

use crate::arguments::{DEFAULT_SESSION, HOME, MAX_NAME};

/// Returns all tools, in the order in which a client lists them. Those that save sessions are among
/// them if `saves`.
pub(crate) fn tools(saves: bool) -> Vec<Tool> {
    let mut tools = vec![
        tool(
            "run_python",
            "Run a Python program in the sandbox and return what it prints, the value of its last \
             expression, and its exception if it raises one. The session keeps variables, imports and files for the next call.",
            json!({
                "code": {"type": "string", "description": "The source of the program."},
                "session": session("The session to run in. It is created if it does not exist."),
            }),
            &["code"],
        )
        .annotate(
            ToolAnnotations::with_title("Run Python")
                .read_only(false)
                .destructive(false)
                .idempotent(false)
                .open_world(true),
        ),
        tool(
            "read_output",
            "Return a part of a text of the last program of a session, for texts that a result of \
             run_python shortened.",
            json!({
                "session": session("The session."),
                "stream": {
                    "type": "string",
                    "enum": ["stdout", "stderr", "traceback", "value"],
                    "default": "stdout",
                    "description": "Which text.",
                },
                "offset": {
                    "type": "integer",
                    "minimum": 0,
                    "default": 0,
                    "description": "Where the part starts, in bytes of UTF-8.",
                },
            }),
            &[],
        )
        .annotate(read_only("Read output")),
        tool(
            "list_files",
            "List the files of a session with their sizes in bytes.",
            json!({
                "session": session("The session."),
                "path": path("The directory, with everything below it."),
            }),
            &[],
        )
        .annotate(read_only("List files")),
        tool(
            "read_file",
            "Return a file of a session: text, an image, or other content in base64.",
            json!({
                "session": session("The session."),
                "path": path("The file."),
                "offset": {
                    "type": "integer",
                    "minimum": 0,
                    "default": 0,
                    "description": "Where the part to return starts, in bytes.",
                },
            }),
            &["path"],
        )
        .annotate(read_only("Read file")),
        tool(
            "write_file",
            "Write a file of a session, in place of the content that it has, for programs to read.",
            json!({
                "session": session("The session. It is created if it does not exist."),
                "path": path("The file. Missing directories are created."),
                "content": {"type": "string", "description": "The content."},
                "encoding": {
                    "type": "string",
                    "enum": ["text", "base64"],
                    "default": "text",
                    "description": "How `content` is written.",
                },
            }),
            &["path", "content"],
        )
        .annotate(
            ToolAnnotations::with_title("Write file")
                .read_only(false)
                .destructive(true)
                .idempotent(true)
                .open_world(false),
        ),
        tool(
            "list_sessions",
            "List the sessions that exist, and whether a program runs in them.",
            json!({}),
            &[],
        )
        .annotate(read_only("List sessions")),
        tool(
            "reset_session",
            "End a session, with the program that runs in it. The next call with its name starts a \
             new one, without variables, imports and files.",
            json!({"session": session("The session to end.")}),
            &[],
        )
        .annotate(
            ToolAnnotations::with_title("Reset session")
                .read_only(false)
                .destructive(true)
                .idempotent(true)
                .open_world(false),
        ),
        tool(
            "fork_session",
            "Copy a session, with its variables, imports and files. Both continue independently, so \
             several attempts can start from one state. Connections of the copy are closed.",
            json!({
                "session": session("The session to copy."),
                "copy": name("The session to create."),
            }),
            &["copy"],
        )
        .annotate(changes_sessions("Fork session", false)),
    ];
    if saves {
        tools.extend(saving_tools());
    }
    tools
}

fn saving_tools() -> [Tool; 2] {
    [
        tool(
            "save_session",
            "Save a session, with its variables, imports and files, in place of the one that was \
             saved with this name. It can be restored at any time. The session itself continues.",
            json!({
                "session": session("The session to save."),
                "name": name("The name to save it with."),
            }),
            &["name"],
        )
        .annotate(changes_sessions("Save session", true)),
        tool(
            "restore_session",
            "Create a session that continues from a saved one. Its connections are closed.",
            json!({
                "session": session("The session to create."),
                "name": name("The name of the saved session."),
            }),
            &["name"],
        )
        .annotate(changes_sessions("Restore session", false)),
    ]
}

fn tool(
    name: &'static str,
    description: &'static str,
    properties: Value,
    required: &[&str],
) -> Tool {
    let mut schema = JsonObject::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), properties);
    schema.insert("required".to_owned(), json!(required));
    schema.insert("additionalProperties".to_owned(), json!(false));
    Tool::new(name, description, schema)
}

/// Describes the name of a session, which may be left out.
fn session(description: &str) -> Value {
    let mut schema = name(description);
    schema["default"] = json!(DEFAULT_SESSION);
    schema
}

/// Describes the name of a session.
fn name(description: &str) -> Value {
    json!({
        "type": "string",
        "pattern": format!("^[A-Za-z0-9_.-]{{1,{MAX_NAME}}}$"),
        "description": description,
    })
}

fn path(description: &str) -> Value {
    json!({
        "type": "string",
        "description": format!("{description} A relative path starts from {HOME}."),
    })
}

fn changes_sessions(title: &str, is_destructive: bool) -> ToolAnnotations {
    ToolAnnotations::with_title(title)
        .read_only(false)
        .destructive(is_destructive)
        .idempotent(is_destructive)
        .open_world(false)
}

fn read_only(title: &str) -> ToolAnnotations {
    ToolAnnotations::with_title(title)
        .read_only(true)
        .open_world(false)
}
