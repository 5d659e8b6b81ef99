//! The functions of a sandbox, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::config_error::ConfigError;
use crate::functions::function::Function;
use crate::functions::standard_library::STANDARD_LIBRARY;
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
#[derive(Clone)]
pub struct Functions {
    module: Arc<str>,
    functions: Arc<BTreeMap<Arc<str>, Function>>,
}

impl Default for Functions {
    /// Returns no functions, in the module [`DEFAULT_MODULE`](Self::DEFAULT_MODULE).
    fn default() -> Self {
        Self {
            module: Self::DEFAULT_MODULE.into(),
            functions: Arc::default(),
        }
    }
}

impl Functions {
    /// The name of the module that programs import functions from, unless another one is set.
    pub const DEFAULT_MODULE: &'static str = "tools";

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
        Arc::make_mut(&mut self.functions).insert(name.into(), function);
        self
    }

    /// Sets the name of the module that programs import the functions from: an identifier as for
    /// [`with_function`](Self::with_function), and not that of a module of the standard library.
    ///
    /// Where a package or a file of a program has a module of that name, an import of it is an
    /// `ImportError`, which names both.
    #[must_use]
    pub fn with_module_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.module = name.into();
        self
    }

    /// Returns the name of the module.
    pub fn module_name(&self) -> &str {
        &self.module
    }

    /// Returns whether there is no function.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// Returns the functions in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Function)> {
        self.functions
            .iter()
            .map(|(name, function)| (&**name, function))
    }

    /// Returns the functions as the text of a Python stub, for a prompt of a model: a `def` or
    /// `async def` with signature and docstring for each.
    pub fn describe(&self) -> String {
        stub::describe(self.iter())
    }

    pub(crate) fn get(&self, name: &str) -> Option<(&Arc<str>, &Function)> {
        self.functions.get_key_value(name)
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        check_module(&self.module)?;
        if self.functions.len() > Self::MAX {
            return Err(ConfigError::function(
                "",
                format!(
                    "there are {}; give at most {}",
                    self.functions.len(),
                    Self::MAX
                ),
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

/// The imported modules of the guest image that programs see beside the standard library, sorted.
const IMAGE_MODULES: [&str; 6] = [
    "componentize_py_runtime",
    "componentize_py_types",
    "eryx_guest",
    "eryx_native",
    "eryx_net",
    "wit_world",
];

/// Names that the module `tools` has itself.
const RESERVED: [&str; 2] = ["Error", "LimitError"];

fn is_identifier(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || char == '_')
}

fn check_module(name: &str) -> Result<(), ConfigError> {
    let reason = if !is_identifier(name) || name.len() > Functions::MAX_NAME {
        "it is not a name for a module; begin with an ASCII letter, and go on with up to 63 letters, \
         digits and underscores"
    } else if KEYWORDS.contains(&name) {
        "it is a keyword of Python; choose another name"
    } else if STANDARD_LIBRARY.binary_search(&name).is_ok() {
        "the standard library has a module of that name; choose another"
    } else if IMAGE_MODULES.contains(&name) {
        "Eryx has a module of that name in its sandboxes; choose another"
    } else {
        return Ok(());
    };
    let shown = name.chars().take(Functions::MAX_NAME).collect::<String>();
    Err(ConfigError::FunctionsModule {
        name: shown,
        reason: reason.to_owned(),
    })
}

fn check_name(name: &str) -> Result<(), ConfigError> {
    let shown: String = name.chars().take(Functions::MAX_NAME).collect();
    let invalid = |reason: String| Err(ConfigError::function(shown.clone(), reason));
    if !is_identifier(name) {
        return invalid(
            "it is not a name for a function; begin with an ASCII letter, and continue with letters, \
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
            "the module of the functions has an exception of that name; choose another".to_owned(),
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
    fn the_module_has_a_name_that_programs_can_import_and_that_is_not_taken() {
        for name in ["tools", "api_2", "Host", "app"] {
            let functions = Functions::default().with_module_name(name);
            assert_eq!(
                (functions.validate(), functions.module_name()),
                (Ok(()), name)
            );
        }
        for (name, wanted) in [
            ("", "not a name"),
            ("a.b", "not a name"),
            ("__main__", "not a name"),
            (&"a".repeat(65), "not a name"),
            ("import", "keyword"),
            ("json", "standard library"),
            ("zlib", "standard library"),
            ("eryx_guest", "Eryx has a module"),
        ] {
            let error = error(Functions::default().with_module_name(name));
            assert!(
                error.starts_with("functions_module") && error.contains(wanted),
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
