//! The functions of a sandbox, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::config_error::ConfigError;
use crate::functions::function::Function;
use crate::functions::stub;

/// The functions of a sandbox, by name. A clone shares them.
///
/// ```
/// use eryx_core::{Function, FunctionError, Functions};
///
/// let functions = Functions::default().with_function(
///     "now",
///     Function::immediate(|_| Ok::<_, FunctionError>("noon"))
///         .with_signature("() -> str")
///         .with_documentation("Returns the time of day."),
/// );
/// assert!(functions.describe().contains("def now() -> str:"));
/// ```
#[derive(Clone, Default)]
pub struct Functions(Arc<BTreeMap<Arc<str>, Function>>);

impl Functions {
    /// The most functions of a sandbox.
    pub const MAX: usize = 256;

    /// The most bytes of all names, signatures and docstrings together.
    pub const MAX_DESCRIPTIONS: usize = 256 * 1024;

    /// The most bytes of a name.
    pub const MAX_NAME: usize = 64;

    /// Adds a function, in place of an earlier one with this name.
    ///
    /// The name is an identifier of ASCII letters, digits and underscores that does not begin with
    /// an underscore, no keyword of Python, and at most [`MAX_NAME`](Self::MAX_NAME) bytes long.
    /// [`SandboxBuilder::build`](crate::SandboxBuilder::build) checks that.
    #[must_use]
    pub fn with_function(mut self, name: impl Into<Arc<str>>, function: Function) -> Self {
        Arc::make_mut(&mut self.0).insert(name.into(), function);
        self
    }

    /// Returns whether there is no function.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the functions in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Function)> {
        self.0.iter().map(|(name, function)| (&**name, function))
    }

    /// Returns the functions as the text of a Python stub, for a prompt of a model: a `def` or
    /// `async def` with signature and docstring for each.
    pub fn describe(&self) -> String {
        stub::describe(self)
    }

    pub(crate) fn get(&self, name: &str) -> Option<(&Arc<str>, &Function)> {
        self.0.get_key_value(name)
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        if self.0.len() > Self::MAX {
            return Err(ConfigError::function(
                "",
                format!("there are {}; give at most {}", self.0.len(), Self::MAX),
            ));
        }
        let mut bytes = 0;
        for (name, function) in self.iter() {
            check_name(name)?;
            check_signature(name, function.signature())?;
            let documentation = function.documentation().len();
            if documentation > Function::MAX_DOCUMENTATION {
                return Err(ConfigError::function(
                    name,
                    format!(
                        "its docstring has {documentation} bytes; shorten it to {}",
                        Function::MAX_DOCUMENTATION
                    ),
                ));
            }
            bytes += name.len() + function.signature().len() + documentation;
        }
        if bytes > Self::MAX_DESCRIPTIONS {
            return Err(ConfigError::function(
                "",
                format!(
                    "names, signatures and docstrings have {bytes} bytes; shorten them to {}",
                    Self::MAX_DESCRIPTIONS
                ),
            ));
        }
        Ok(())
    }
}

/// The keywords of Python 3.14 that begin with a letter.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Names that the module `tools` has itself.
const RESERVED: [&str; 2] = ["Error", "LimitError"];

fn check_name(name: &str) -> Result<(), ConfigError> {
    let shown: String = name.chars().take(Functions::MAX_NAME).collect();
    let invalid = |reason: String| Err(ConfigError::function(shown.clone(), reason));
    let is_identifier = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || char == '_');
    if !is_identifier {
        return invalid(
            "it is not a name for a function; begin with an ASCII letter, and go on with letters, \
             digits and underscores"
                .to_owned(),
        );
    }
    if name.len() > Functions::MAX_NAME {
        return invalid(format!(
            "its name has {} bytes; shorten it to {}",
            name.len(),
            Functions::MAX_NAME
        ));
    }
    if KEYWORDS.contains(&name) {
        return invalid("it is a keyword of Python; choose another name".to_owned());
    }
    if RESERVED.contains(&name) {
        return invalid(
            "the module `tools` has an exception of that name; choose another".to_owned(),
        );
    }
    Ok(())
}

fn check_signature(name: &str, signature: &str) -> Result<(), ConfigError> {
    if signature.len() > Function::MAX_SIGNATURE {
        return Err(ConfigError::function(
            name,
            format!(
                "its signature has {} bytes; shorten it to {}",
                signature.len(),
                Function::MAX_SIGNATURE
            ),
        ));
    }
    if !signature.starts_with('(') || signature.chars().any(char::is_control) {
        return Err(ConfigError::function(
            name,
            "its signature has to be one line that begins with `(`, such as \"(q: str) -> int\"",
        ));
    }
    Ok(())
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::error::FunctionError;

    fn function() -> Function {
        Function::immediate(|_| Ok::<_, FunctionError>(()))
    }

    fn error(functions: Functions) -> String {
        functions.validate().expect_err("refused").to_string()
    }

    #[test]
    fn a_name_is_an_ascii_identifier_that_the_module_does_not_use() {
        for name in ["a", "fetch_2", "Search", "match"] {
            let functions = Functions::default().with_function(name, function());
            assert_eq!(functions.validate(), Ok(()), "{name}");
        }
        for (name, wanted) in [
            ("", "not a name"),
            ("_private", "not a name"),
            ("2nd", "not a name"),
            ("a.b", "not a name"),
            ("größe", "not a name"),
            ("a\n", "not a name"),
            ("class", "keyword"),
            ("Error", "exception"),
            (&"a".repeat(65), "65 bytes"),
        ] {
            let error = error(Functions::default().with_function(name, function()));
            assert!(
                error.starts_with("functions") && error.contains(wanted),
                "{error}"
            );
        }
    }

    #[test]
    fn numbers_and_sizes_are_bounded() {
        let many = (0..=Functions::MAX).fold(Functions::default(), |functions, number| {
            functions.with_function(format!("f{number}"), function())
        });
        assert!(error(many).contains("257"));
        let with = |function| Functions::default().with_function("f", function);
        let long = "x".repeat(Function::MAX_DOCUMENTATION + 1);
        assert!(error(with(function().with_documentation(long))).contains("docstring"));
        for signature in ["", "q", "(a\n)", &format!("({})", "a".repeat(1024))] {
            assert!(error(with(function().with_signature(signature))).contains("signature"));
        }
        let document = "x".repeat(Function::MAX_DOCUMENTATION);
        let together = (0..20).fold(Functions::default(), |functions, number| {
            let function = function().with_documentation(&*document);
            functions.with_function(format!("f{number}"), function)
        });
        assert!(error(together).contains("262144"));
    }
}
