//! The errors of limits, with the options of the command in place of the settings of the library.

use eryx::{ConfigError, Error, Limit};

use crate::value_parsers::format_size;

/// Returns the message of `error`, which ended a build of packages before a script starts.
pub(crate) fn build_message(error: &Error) -> String {
    match error {
        Error::Limit { limit, .. } => exceeded_by_imports(limit),
        other => message(other),
    }
}

/// Returns the message of `error`.
pub(crate) fn message(error: &Error) -> String {
    match error {
        Error::Limit { limit, .. } => exceeded_limit(limit),
        Error::Config(ConfigError::Limit { limit, reason, .. }) => {
            format!("--{} {reason}", option(limit))
        }
        other => other.to_string(),
    }
}

fn exceeded_limit(limit: &Limit) -> String {
    match limit {
        Limit::ExecutionTime(time) => {
            format!("the script took longer than {time:?}, its limit (--timeout)")
        }
        Limit::Memory(bytes) => format!(
            "the script needed more than {} of memory, its limit (--max-memory)",
            format_size(*bytes)
        ),
        Limit::Output(bytes) => format!(
            "the script printed more than {}, its limit (--max-output)",
            format_size(*bytes)
        ),
        Limit::HostMemory(bytes) => format!(
            "Eryx would have to keep more than {} for the script, its limit (--max-host-memory)",
            format_size(*bytes)
        ),
        other => other.to_string(),
    }
}

/// The options of scripts raise these limits, and do not lower them.
fn exceeded_by_imports(limit: &Limit) -> String {
    match limit {
        Limit::ExecutionTime(time) => format!(
            "the imports of the packages took longer than {time:?}, their limit (a longer --timeout raises it)"
        ),
        Limit::Memory(bytes) => format!(
            "the imports of the packages needed more than {} of memory, their limit (a larger --max-memory \
             raises it)",
            format_size(*bytes)
        ),
        Limit::Output(bytes) => format!(
            "the imports of the packages printed more than {}, their limit (a larger --max-output raises it)",
            format_size(*bytes)
        ),
        Limit::HostMemory(bytes) => format!(
            "Eryx would have to keep more than {} for the imports of the packages, their limit (a larger \
             --max-host-memory raises it)",
            format_size(*bytes)
        ),
        other => other.to_string(),
    }
}

/// Returns the name of the option for a setting.
fn option(setting: &str) -> String {
    match setting {
        "execution_timeout" => "timeout".to_owned(),
        setting => setting.replace('_', "-"),
    }
}
