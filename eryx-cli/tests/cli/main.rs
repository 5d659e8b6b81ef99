//! The command, as a shell sees it.

mod command;
mod manual;
mod mistakes;
mod net_log;
mod options;
mod policy;
mod run;
