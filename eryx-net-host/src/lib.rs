//! eryx-net-host
