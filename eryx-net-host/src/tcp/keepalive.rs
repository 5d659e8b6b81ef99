//! TCP keepalive options.

use std::time::Duration;

use socket2::TcpKeepalive;

use crate::error::NetError;

/// An option of the probes of an idle peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepaliveOption {
    /// Idle seconds before the first probe (TCP_KEEPIDLE), 1 to 32767.
    Idle(u32),
    /// Seconds between probes (TCP_KEEPINTVL), 1 to 32767.
    Interval(u32),
    /// Unanswered probes that end the connection (TCP_KEEPCNT), 1 to 127.
    Count(u32),
}

impl KeepaliveOption {
    pub(super) fn to_socket_option(self) -> Result<TcpKeepalive, NetError> {
        let (Self::Idle(value) | Self::Interval(value) | Self::Count(value)) = self;
        let max = if matches!(self, Self::Count(_)) {
            127
        } else {
            32767
        };
        if !(1..=max).contains(&value) {
            return Err(NetError::InvalidArgument(format!(
                "this keep-alive setting is a number from 1 to {max}"
            )));
        }
        let seconds = Duration::from_secs(value.into());
        Ok(match self {
            Self::Idle(_) => TcpKeepalive::new().with_time(seconds),
            Self::Interval(_) => TcpKeepalive::new().with_interval(seconds),
            Self::Count(count) => TcpKeepalive::new().with_retries(count),
        })
    }
}
