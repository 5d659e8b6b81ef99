//! eryx
