//! The arguments of the tools. A model chooses them, so each is checked, and each error says what
//! to change.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The largest source of a program, in bytes.
pub(crate) const MAX_CODE: usize = 1 << 20;

/// The longest name of a session, in characters.
pub(crate) const MAX_NAME: usize = 64;

/// The longest path of a file, in bytes.
pub(crate) const MAX_PATH: usize = 4096;

/// The working directory of programs.
pub(crate) const HOME: &str = "/home/user";

/// The session of calls that name none.
pub(crate) const DEFAULT_SESSION: &str = "main";

/// The arguments of `run_python`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunPython {
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) session: SessionName,
}

/// The arguments of `reset_session`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResetSession {
    #[serde(default)]
    pub(crate) session: SessionName,
}

/// The arguments of `fork_session`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForkSession {
    #[serde(default)]
    pub(crate) session: SessionName,
    pub(crate) copy: SessionName,
}

/// The arguments of `save_session`, and of `restore_session`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedSession {
    #[serde(default)]
    pub(crate) session: SessionName,
    pub(crate) name: SessionName,
}

/// The arguments of `list_sessions`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListSessions {}

/// The arguments of `read_output`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadOutput {
    #[serde(default)]
    pub(crate) session: SessionName,
    #[serde(default)]
    pub(crate) stream: Stream,
    #[serde(default)]
    pub(crate) offset: usize,
}

/// The arguments of `list_files`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListFiles {
    #[serde(default)]
    pub(crate) session: SessionName,
    #[serde(default)]
    pub(crate) path: FilePath,
}

/// The arguments of `read_file`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadFile {
    pub(crate) path: FilePath,
    #[serde(default)]
    pub(crate) session: SessionName,
    #[serde(default)]
    pub(crate) offset: u64,
}

/// The arguments of `write_file`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteFile {
    pub(crate) path: FilePath,
    pub(crate) content: String,
    #[serde(default)]
    pub(crate) encoding: Encoding,
    #[serde(default)]
    pub(crate) session: SessionName,
}

/// The encoding of the content of a file in an argument.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Encoding {
    #[default]
    Text,
    Base64,
}

/// A text of the last program of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stream {
    #[default]
    Stdout,
    Stderr,
    Traceback,
    Value,
}

impl Stream {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Traceback => "traceback",
            Self::Value => "value",
        }
    }
}

/// The name of a session: up to 64 letters, digits, `_`, `-` and `.` of ASCII.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct SessionName(String);

impl SessionName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for SessionName {
    fn default() -> Self {
        Self(DEFAULT_SESSION.to_owned())
    }
}

impl TryFrom<String> for SessionName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if (1..=MAX_NAME).contains(&name.len()) && name.chars().all(allowed) {
            return Ok(Self(name));
        }
        let shown: String = name.chars().take(MAX_NAME).collect();
        Err(format!(
            "{shown:?} is not the name of a session: use 1 to {MAX_NAME} ASCII letters, digits, \
             `_`, `-` and `.`"
        ))
    }
}

/// The absolute path of a file or directory in a sandbox, without `.`, `..` and empty parts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct FilePath(String);

impl FilePath {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether `path` is this path or below it.
    pub(crate) fn contains(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix(&self.0) else {
            return false;
        };
        rest.is_empty() || rest.starts_with('/') || self.0 == "/"
    }
}

impl Default for FilePath {
    fn default() -> Self {
        Self(HOME.to_owned())
    }
}

impl TryFrom<String> for FilePath {
    type Error = String;

    /// A relative path starts from the working directory of programs.
    fn try_from(path: String) -> Result<Self, String> {
        if path.len() > MAX_PATH || path.contains('\0') {
            return Err(format!(
                "a path has at most {MAX_PATH} bytes, and no NUL character"
            ));
        }
        let absolute = match path.strip_prefix('/') {
            Some(_) => path,
            None => format!("{HOME}/{path}"),
        };
        let mut parts: Vec<&str> = Vec::new();
        for part in absolute.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        Ok(Self(format!("/{}", parts.join("/"))))
    }
}

/// Returns the arguments of a call of `tool`.
///
/// # Errors
///
/// A message for the model: which argument is wrong, and what the tool accepts.
pub(crate) fn parse<T: DeserializeOwned>(
    tool: &str,
    arguments: Option<Map<String, Value>>,
) -> Result<T, String> {
    let arguments = Value::Object(arguments.unwrap_or_default());
    serde_json::from_value(arguments).map_err(|error| {
        // The message may quote a long argument, or one with escape sequences of a terminal.
        let mut message = format!("wrong arguments of {tool}: ");
        for c in error.to_string().chars().take(500) {
            match c.is_control() {
                true => message.extend(c.escape_unicode()),
                false => message.push(c),
            }
        }
        message
    })
}

impl RunPython {
    /// Checks the size of the source.
    pub(crate) fn check(&self) -> Result<(), String> {
        let size = self.code.len();
        if size > MAX_CODE {
            return Err(format!(
                "`code` has {size} bytes; at most {MAX_CODE} are allowed: send it in several calls \
                 of the same session"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(arguments: Value) -> String {
        let Value::Object(arguments) = arguments else {
            panic!("an object: {arguments}");
        };
        parse::<RunPython>("run_python", Some(arguments)).expect_err("wrong arguments")
    }

    #[test]
    fn wrong_arguments_are_errors_that_name_the_argument() {
        for (arguments, part) in [
            (json!({}), "missing field `code`"),
            (json!({"code": 1}), "expected a string"),
            (json!({"code": "", "sesion": "a"}), "unknown field `sesion`"),
            (json!({"code": "", "session": ""}), "1 to 64 ASCII letters"),
            (
                json!({"code": "", "session": "../a"}),
                "\"../a\" is not the name",
            ),
            (json!({"code": "", "session": "a\u{1b}[1m"}), "\\u{1b}"),
            (json!({"code": "", "session": null}), "expected a string"),
            (
                json!({"code": "", "a\u{1b}[1m\n": 1}),
                "`a\\u{1b}[1m\\u{a}`",
            ),
        ] {
            let error = error(arguments.clone());
            assert!(
                error.starts_with("wrong arguments of run_python: "),
                "{error}"
            );
            assert!(error.contains(part), "{arguments}: {error}");
        }
        let long = error(json!({"code": "", "session": "x".repeat(1 << 20)}));
        assert!(long.len() < 1000, "{}", long.len());
    }

    #[test]
    fn a_path_is_absolute_and_has_no_parts_that_lead_elsewhere() {
        for (text, expected) in [
            ("a.txt", "/home/user/a.txt"),
            ("", "/home/user"),
            ("../x/./y//z", "/home/x/y/z"),
            ("/", "/"),
            ("/../../a", "/a"),
        ] {
            let path = FilePath::try_from(text.to_owned()).expect(text);
            assert_eq!(path.as_str(), expected, "{text}");
        }
        for text in ["a\0b".to_owned(), "a".repeat(5000)] {
            assert!(FilePath::try_from(text).is_err());
        }
        let home = FilePath::default();
        assert!(home.contains("/home/user") && home.contains("/home/user/a"));
        assert!(!home.contains("/home/user2") && !home.contains("/home"));
        let root = FilePath::try_from("/".to_owned()).expect("valid");
        assert!(root.contains("/tmp"));
    }

    #[test]
    fn a_call_without_a_session_is_for_the_default_one() {
        let arguments = json!({"code": "1"}).as_object().cloned();
        let parsed: RunPython = parse("run_python", arguments).expect("valid");
        assert_eq!(parsed.session.as_str(), DEFAULT_SESSION);
        let too_long = RunPython {
            code: " ".repeat(MAX_CODE + 1),
            ..parsed
        };
        assert!(
            too_long
                .check()
                .is_err_and(|error| error.contains("1048577 bytes"))
        );
    }
}
