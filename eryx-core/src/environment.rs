//! The environment variables that the programs of a sandbox start with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Environment variables that a sandbox cannot have.
///
/// A message names the variable and never has its value, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// A name is empty.
    #[error("env: \"\" is not the name of a variable: it is empty; give the variable a name")]
    EmptyName,
    /// A name contains `=`, which ends a name (POSIX.1-2024, chapter 8).
    #[error(
        "env: \"{shown}=…\" is not the name of a variable: it contains `=`; pass what follows the \
         `=` as the value",
        shown = name.escape_debug()
    )]
    #[non_exhaustive]
    EqualsInName {
        /// The part before the first `=`, at most 64 characters of it. The rest may be a value.
        name: String,
    },
    /// A name contains a NUL character, which ends a string in C.
    #[error("env: {name:?} is not the name of a variable: it contains a NUL character; remove it")]
    #[non_exhaustive]
    NulInName {
        /// The name, at most 64 characters of it.
        name: String,
    },
    /// A value contains a NUL character, which ends a string in C.
    #[error("env: the value of {name:?} contains a NUL character; remove it")]
    #[non_exhaustive]
    NulInValue {
        /// The name of the variable, at most 64 characters of it.
        name: String,
    },
    /// The variables are larger than
    /// [`SandboxBuilder::MAX_ENV`](crate::SandboxBuilder::MAX_ENV).
    #[error(
        "env: the variables have {bytes} bytes (names, values, and {per_variable} for each \
         variable); the limit is {max}; the largest is {largest:?}; leave out or shorten variables",
        per_variable = Environment::PER_VARIABLE,
        max = Environment::MAX_BYTES
    )]
    #[non_exhaustive]
    TooLarge {
        /// The size of all variables, in bytes.
        bytes: usize,
        /// The name of the largest variable, at most 64 characters of it.
        largest: String,
    },
}

/// Environment variables: pairs of a name and a value, ordered by their names, which are unique.
#[derive(Clone, Default)]
pub(crate) struct Environment(Arc<[(String, String)]>);

impl Environment {
    /// The most bytes that all variables may have together. It is what Linux accepts for one
    /// variable (`MAX_ARG_STRLEN`). Every interpreter copies the variables when it starts, so this
    /// is not a channel for large data.
    pub(crate) const MAX_BYTES: usize = 128 * 1024;

    /// The bytes that a variable counts for, in addition to its name and value: the `=` between
    /// them, the NUL after them, and a pointer, as in the environment of a process.
    const PER_VARIABLE: usize = 10;

    /// Adds `variables`. The last of several values for a name applies.
    pub(crate) fn extend(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        let all: BTreeMap<String, String> = self.0.iter().cloned().chain(variables).collect();
        self.0 = all.into_iter().collect();
    }

    /// Checks the names, the values and the size.
    pub(crate) fn validate(&self) -> Result<(), EnvironmentError> {
        for (name, value) in self.0.iter() {
            if name.is_empty() {
                return Err(EnvironmentError::EmptyName);
            }
            if let Some((name, _)) = name.split_once('=') {
                return Err(EnvironmentError::EqualsInName { name: cut(name) });
            }
            if name.contains('\0') {
                return Err(EnvironmentError::NulInName { name: cut(name) });
            }
            if value.contains('\0') {
                return Err(EnvironmentError::NulInValue { name: cut(name) });
            }
        }
        let bytes = self.0.iter().map(variable_size).sum();
        match self.0.iter().max_by_key(|variable| variable_size(variable)) {
            Some((largest, _)) if bytes > Self::MAX_BYTES => Err(EnvironmentError::TooLarge {
                bytes,
                largest: cut(largest),
            }),
            _ => Ok(()),
        }
    }

    /// Returns the variables.
    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.0
    }
}

/// Writes the names alone: values are often secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

fn variable_size((name, value): &(String, String)) -> usize {
    name.len() + value.len() + Environment::PER_VARIABLE
}

/// Returns the first 64 characters of a name, for a message.
fn cut(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        let mut environment = Environment::default();
        environment.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        environment
    }

    #[test]
    fn the_last_value_of_a_name_applies() {
        let mut variables = environment(&[("B", "1"), ("A", "1"), ("B", "2")]);
        variables.extend([("A".to_owned(), "3".to_owned())]);
        let expected = [("A", "3"), ("B", "2")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(variables.variables(), expected);
    }

    #[test]
    fn names_and_values_that_a_process_can_have_are_valid() {
        let table = [
            ("A", ""),
            ("a b", "x=y=z"),
            ("größe", "ü\n\t\u{1f40d}"),
            ("1", "\u{7f}"),
        ];
        assert_eq!(environment(&table).validate(), Ok(()));
        assert_eq!(Environment::default().validate(), Ok(()));
    }

    #[test]
    fn an_error_has_the_name_the_rule_and_the_remedy_and_no_value() {
        let long = "N".repeat(1000) + "\0";
        for (name, value, wanted) in [
            ("", "secret", "it is empty; give the variable a name"),
            (
                "TOKEN=secret",
                "",
                "\"TOKEN=…\" is not the name of a variable: it contains `=`; pass what follows",
            ),
            ("=secret", "", "\"=…\" is not the name"),
            (
                "A\0B",
                "secret",
                "\"A\\0B\" is not the name of a variable: it contains a NUL character; remove it",
            ),
            ("A\0=secret", "", "\"A\\0=…\" is not the name"),
            (
                "TOKEN",
                "\0secret",
                "the value of \"TOKEN\" contains a NUL character; remove it",
            ),
            (&long, "secret", "NNN\" is not the name"),
        ] {
            let error = environment(&[(name, value)]).validate().expect_err(name);
            for text in [error.to_string(), format!("{error:?}")] {
                assert!(!text.contains("secret") && text.len() < 250, "{text}");
            }
            let text = error.to_string();
            assert!(
                text.starts_with("env: ") && text.contains(wanted),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_size_of_all_variables_together_is_bounded() {
        let value =
            "v".repeat(Environment::MAX_BYTES - "A1B".len() - 2 * Environment::PER_VARIABLE);
        let fits = environment(&[("A", "1"), ("B", &value)]);
        assert_eq!(fits.validate(), Ok(()));
        let error = environment(&[("A", "12"), ("B", &value)])
            .validate()
            .expect_err("one byte too many");
        assert!(
            error.to_string().starts_with(
                "env: the variables have 131073 bytes (names, values, and 10 for each variable); \
                 the limit is 131072; the largest is \"B\"; "
            ),
            "{error}"
        );
        // Many empty variables are as costly as few large ones.
        let mut many = Environment::default();
        many.extend((0..10_000).map(|number| (format!("{number:04}"), String::new())));
        assert!(matches!(
            many.validate(),
            Err(EnvironmentError::TooLarge { bytes: 140_000, .. })
        ));
    }

    #[test]
    fn debug_shows_the_names_alone() {
        let shown = format!("{:?}", environment(&[("TOKEN", "secret")]));
        assert_eq!(shown, "{\"TOKEN\"}");
    }
}
