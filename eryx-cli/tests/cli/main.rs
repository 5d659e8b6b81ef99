//! Tests of the command `eryx` as a process.

mod cache;
mod command;
mod environment;
mod files;
mod http;
mod manual;
mod mistakes;
mod net_log;
mod options;
mod policy;
mod run;
mod snapshots;
