//! eryx-guest-shims
