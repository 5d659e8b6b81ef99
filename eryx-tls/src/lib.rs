//! eryx-tls
