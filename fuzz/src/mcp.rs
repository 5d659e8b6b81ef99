//! What a client of `eryx mcp` chooses: the arguments of tools, and the URIs of resources.

use serde_json::Value;

use crate::arguments::{
    FilePath, ForkSession, HOME, ListFiles, ListSessions, MAX_NAME, MAX_PATH, ReadFile, ReadOutput,
    ResetSession, RunPython, SavedSession, SessionName, WriteFile, parse,
};
use crate::resource_uri::ResourceUri;

/// The most bytes of a message: it quotes 500 characters at most, which may be escaped.
const MAX_MESSAGE: usize = 500 * r"\u{10ffff}".len() + 100;

/// The first line is the name of a tool, and the second its arguments in JSON; or they are
/// `resource` and a URI. An accepted path is absolute and has no part that leads elsewhere, and
/// what is accepted is accepted again, as the same.
pub fn arguments(input: &[u8]) {
    let Ok(input) = str::from_utf8(input) else {
        return;
    };
    let (tool, text) = input.split_once('\n').unwrap_or((input, ""));
    if tool == "resource" {
        return resource(text);
    }
    let Ok(arguments) = serde_json::from_str(text) else {
        return;
    };
    let accepted = match tool {
        "run_python" => parse::<RunPython>(tool, arguments).map(|parsed| {
            // The size of the source is a rule of its own.
            let _ = parsed.check();
            session(&parsed.session);
        }),
        "reset_session" => {
            parse::<ResetSession>(tool, arguments).map(|parsed| session(&parsed.session))
        }
        "fork_session" => parse::<ForkSession>(tool, arguments).map(|parsed| {
            session(&parsed.session);
            session(&parsed.copy);
        }),
        "save_session" => parse::<SavedSession>(tool, arguments).map(|parsed| {
            session(&parsed.session);
            session(&parsed.name);
        }),
        "list_sessions" => parse::<ListSessions>(tool, arguments).map(drop),
        "read_output" => {
            parse::<ReadOutput>(tool, arguments).map(|parsed| session(&parsed.session))
        }
        "list_files" => parse::<ListFiles>(tool, arguments).map(|parsed| {
            session(&parsed.session);
            path(parsed.session, parsed.path);
        }),
        "read_file" => parse::<ReadFile>(tool, arguments).map(|parsed| {
            session(&parsed.session);
            path(parsed.session, parsed.path);
        }),
        "write_file" => parse::<WriteFile>(tool, arguments).map(|parsed| {
            session(&parsed.session);
            path(parsed.session, parsed.path);
        }),
        _ => return,
    };
    if let Err(error) = accepted {
        message(&error);
    }
}

fn resource(uri: &str) {
    match ResourceUri::parse(uri) {
        Ok(parsed) => path(parsed.session, parsed.path),
        Err(error) => message(&error),
    }
}

fn session(name: &SessionName) {
    assert!((1..=MAX_NAME).contains(&name.as_str().len()));
    let again = Value::from(name.as_str());
    assert_eq!(
        &serde_json::from_value::<SessionName>(again).expect("accepted before"),
        name
    );
}

fn path(session: SessionName, path: FilePath) {
    let text = path.as_str();
    assert!(text.len() <= MAX_PATH + HOME.len() + 1);
    let parts = text.strip_prefix('/').expect("absolute");
    let leads_elsewhere = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
    assert!(
        text == "/" || !parts.split('/').any(leads_elsewhere),
        "{text:?}"
    );
    assert!(path.contains(text));
    let uri = ResourceUri::new(session, path);
    // A path that was relative may be too long once it is absolute.
    if uri.path.as_str().len() < MAX_PATH {
        assert_eq!(ResourceUri::parse(&uri.to_string()).as_ref(), Ok(&uri));
    }
}

fn message(text: &str) {
    assert!(text.len() <= MAX_MESSAGE, "{} bytes", text.len());
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
