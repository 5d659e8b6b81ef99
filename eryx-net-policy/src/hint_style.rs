//! What verdicts call the settings that would change them.

use std::fmt;

/// How whoever wrote the policy spells its settings.
///
/// ```
/// use eryx_net_policy::{Policy, HintStyle};
///
/// let policy = Policy::builder().wording(HintStyle::Options).build();
/// assert!(policy.check("10.0.0.5", 80).to_string().contains("--allow-network 10.0.0.5 lifts that"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HintStyle {
    /// As methods: `allow_network("10.0.0.5")`.
    #[default]
    Methods,
    /// As options of a command: `--allow-network 10.0.0.5`.
    Options,
}

impl HintStyle {
    /// The setting `name`, such as `allow_network`, without a value.
    pub(crate) fn flag(self, name: &str) -> String {
        match self {
            Self::Methods => format!("{name}()"),
            Self::Options => format!("--{}", name.replace('_', "-")),
        }
    }

    /// The setting `name` with a value.
    pub(crate) fn setting(self, name: &str, value: impl fmt::Display) -> String {
        match self {
            Self::Methods => format!("{name}(\"{value}\")"),
            Self::Options => format!("--{} {value}", name.replace('_', "-")),
        }
    }
}
