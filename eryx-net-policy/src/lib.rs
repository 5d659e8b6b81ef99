//! eryx-net-policy
