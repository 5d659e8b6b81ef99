//! How the message of a verdict suggests a setting.

use std::fmt;

/// How a message suggests a setting: as a method call or as a command-line option.
///
/// ```
/// use eryx_net_policy::{HintStyle, Policy};
///
/// let policy = Policy::builder().hint_style(HintStyle::Options).build();
/// let verdict = policy.check("10.0.0.5", 80);
/// assert!(verdict.to_string().contains("--allow-network 10.0.0.5 lifts that"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HintStyle {
    /// Method calls: `allow_network("10.0.0.5")`.
    #[default]
    Methods,
    /// Command-line options: `--allow-network 10.0.0.5`.
    Options,
}

impl HintStyle {
    /// Returns the hint for the setting `name`, such as `allow_localhost`, which takes no value.
    pub(crate) fn flag(self, name: &str) -> String {
        match self {
            Self::Methods => format!("{name}()"),
            Self::Options => format!("--{}", name.replace('_', "-")),
        }
    }

    /// Returns the hint for the setting `name` with a value.
    pub(crate) fn setting(self, name: &str, value: impl fmt::Display) -> String {
        match self {
            Self::Methods => format!("{name}(\"{value}\")"),
            Self::Options => format!("--{} {value}", name.replace('_', "-")),
        }
    }

    /// Returns the hint for one more HTTP rule, whose text has neither quotes nor backslashes.
    pub(crate) fn http_rule(self, rule: &str) -> String {
        match self {
            Self::Methods => self.setting("with_http_rule", rule),
            Self::Options => self.setting("http_rule", format_args!("'{rule}'")),
        }
    }
}
