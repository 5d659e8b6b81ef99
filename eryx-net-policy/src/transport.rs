//! What carries the bytes a question is about.

/// The protocol a host is to be reached by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Transport {
    #[default]
    Tcp,
    Udp,
}
