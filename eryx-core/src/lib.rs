//! eryx-core
