//! UDP sockets of the guest: destinations, sending and receiving, readiness and ICMP errors.

mod destinations;
mod icmp_error;
mod readiness;
mod send_recv;
pub(crate) mod socket;
