//! The instructions that a client gives its model.

use crate::options::Options;

/// The instructions for a model before its first call.
const GENERAL: &str = "\
Runs Python 3.14 programs in a sandbox without access to this machine: its files, processes and \
environment are out of reach. `run_python` keeps the variables, imports and files of a session for \
its next call, so build on earlier calls instead of repeating them. Print what you want to see, or let the program end with an \
expression. \
Only the packages that the server was started with can be imported, there is no `pip`, threads take turns, and there are no \
subprocesses; `await` works at the top level.";

/// Returns the instructions of a server with these options.
pub(crate) fn instructions(options: &Options) -> String {
    let mut text = GENERAL.to_owned();
    for sentence in &options.instructions {
        text.push(' ');
        text.push_str(sentence);
    }
    text
}
