//! The limits of a sandbox's network: connections, bytes, and rates of both.

pub(crate) mod byte_quota;
pub(crate) mod kind;
pub(crate) mod per_host;
pub(crate) mod rate_limiter;
pub(crate) mod semaphore;
pub(crate) mod traffic;
